import os
from pathlib import Path

import pytest
from support import ROOT


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The directory of real data and weights, where there is one."""
    folder = Path(os.environ.get("VARIABILITY_MIRROR", ROOT.parent / "shared" / "mirror"))
    if not folder.is_dir():
        pytest.skip(f"needs real data: no mirror at {folder}; set VARIABILITY_MIRROR")
    return folder
