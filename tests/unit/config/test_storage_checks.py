import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from variability.config.storage_checks import check_folders
from variability.io import storage
from variability.io.storage import StorageError

LIB = Path(storage.__file__).parents[2]
#: Root may write everywhere, unless it gives up this capability.
AS_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
CHECK = "import sys; from pathlib import Path; from variability.config.storage_checks import check_folders\n"
CHECK += "try:\n    check_folders(Path('results'), 'tiny')\nexcept Exception as error:\n    sys.exit(str(error))"


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def check_as_user() -> str:
    """Return the message of the check in a process that has to observe permissions."""
    if AS_USER and not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and setpriv is missing")
    environ = os.environ | {"PYTHONPATH": str(LIB)}
    return subprocess.run(
        [*AS_USER, sys.executable, "-c", CHECK], env=environ, stderr=subprocess.PIPE, text=True
    ).stderr


def test_new_and_used_folders_pass(tmp_path):
    check_folders(Path("results"), "tiny")
    for folder in ("results/tiny/prepare", "results/downloads", ".snakemake/log"):
        Path(folder).mkdir(parents=True)
    Path("results/tiny/disk.log").touch()
    Path("results/tiny/finetune/a/b/c/0").mkdir(parents=True)
    Path("results/tiny/finetune/a/b/c/0").chmod(0o555)
    Path("results/tiny/link").symlink_to("prepare")
    check_folders(Path("results"), "tiny")
    assert check_as_user() == ""


@pytest.mark.parametrize(
    "path", ["results", "results/tiny", "results/downloads", "results/code", "results/contents", ".snakemake"]
)
def test_a_file_or_a_link_to_nothing_in_the_way_is_named(path):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).touch()
    with pytest.raises(StorageError, match=f"{path} is a file, and a folder is needed"):
        check_folders(Path("results"), "tiny")
    Path(path).unlink()
    Path(path).symlink_to("nowhere")
    with pytest.raises(StorageError, match=f"{path} is a link to nowhere, which does not exist"):
        check_folders(Path("results"), "tiny")


@pytest.mark.parametrize(
    "path", ["results", "results/tiny/predict/a/b/c", "results/downloads/cache", ".snakemake/log", "."]
)
def test_a_folder_without_permission_is_named_with_its_owner(path, tmp_path):
    folder = tmp_path / path
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o555)
    try:
        message = check_as_user()
    finally:
        folder.chmod(0o755)
    assert f"you have no permission to write to {folder}, which belongs to {folder.owner()};" in message


def test_a_full_disk_is_reported_with_what_the_plan_needs(monkeypatch):
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: SimpleNamespace(free=4096))
    with pytest.raises(StorageError, match=r"need 10 MB and the disk of results has 4\.1 kB left; make room"):
        check_folders(Path("results"), "tiny")


def test_a_folder_that_is_that_of_another_study_is_refused():
    Path("results/Tiny").mkdir(parents=True)
    check_folders(Path("results"), "tiny")
    # What a file system does that ignores case.
    Path("results/tiny").symlink_to("Tiny")
    with pytest.raises(StorageError, match=r"results/tiny is the folder of the study 'Tiny', .* rename one of the two"):
        check_folders(Path("results"), "tiny")
    Path("results/tiny").unlink()
    Path("results/tiny").mkdir()
    check_folders(Path("results"), "tiny")
