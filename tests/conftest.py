import os
from pathlib import Path

import pytest

# One thread each for this process and those that it starts: two workers with two threads each on two cores spend most
# of their time waiting for each other. Before NumPy and torch are imported, which read it then.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The directory of real data and weights, where there is one."""
    if "VARIABILITY_MIRROR" not in os.environ:
        pytest.skip("needs real data: VARIABILITY_MIRROR is not set")
    return Path(os.environ["VARIABILITY_MIRROR"].split(os.pathsep)[0]).resolve()


@pytest.fixture
def one_thread():
    """One thread for torch, whatever an earlier test has set: for tests that compare bits."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
