import shutil
from pathlib import Path

import filelock
import pytest
from support import Checkout


@pytest.fixture(scope="session")
def finished(tmp_path_factory, request) -> Checkout:
    """The tiny study, run once from download to report. Tests read it; those that edit a study use ``study``."""
    base: Path = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist share it: the first one makes it, and the others wait.
    if hasattr(request.config, "workerinput"):
        base = base.parent
    folder, done = base / "finished/project", base / "finished/done"
    with filelock.FileLock(base / "finished.lock"):
        if not done.is_file():
            shutil.rmtree(folder.parent, ignore_errors=True)
            # As users do, with a process for each job: other studies are made faster.
            Checkout.of_project(folder).snakemake("--cores", "2", "--configfile", "tiny.yaml", forks="none")
            done.touch()
    return Checkout(folder)


@pytest.fixture
def study(finished, tmp_path) -> Checkout:
    """A copy of the finished tiny study, to be edited."""
    return finished.copy(tmp_path / "project")
