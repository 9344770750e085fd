import gc
import os
import signal
from pathlib import Path

import pytest

# One thread each for this process and those that it starts: two workers with two threads each on two cores spend most
# of their time waiting for each other. Before NumPy and torch are imported, which read it then.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A shell starts jobs in the background with SIGINT ignored, and programs that the tests start would inherit this.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# So does nohup with SIGHUP. A handler, which programs do not inherit, leaves these tests alive after a hang-up.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# By default Python's collector takes a quarter of the time of the tests, walking through the tests themselves and the
# libraries again and again.
gc.set_threshold(50_000, 20, 20)


def pytest_collection_finish() -> None:
    """Leave what is loaded by now out of all later collections."""
    gc.freeze()


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
