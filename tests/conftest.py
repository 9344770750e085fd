import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The directory of real data and weights, where there is one."""
    if "VARIABILITY_MIRROR" not in os.environ:
        pytest.skip("needs real data: VARIABILITY_MIRROR is not set")
    return Path(os.environ["VARIABILITY_MIRROR"].split(os.pathsep)[0]).resolve()
