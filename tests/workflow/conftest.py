import pytest
from support import Checkout


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Checkout:
    """The tiny study, run once from download to report."""
    checkout = Checkout.of_project(tmp_path_factory.mktemp("finished") / "project")
    checkout.snakemake("--cores", "2", "--configfile", "tiny.yaml")
    return checkout


@pytest.fixture
def study(finished, tmp_path) -> Checkout:
    """A finished study to edit."""
    return finished.copy(tmp_path / "project")
