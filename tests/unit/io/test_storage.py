import errno
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from small_disk import SmallDisk

from variability.errors import UserError
from variability.io import mapped_arrays, storage
from variability.io.files import replacing, write_text
from variability.io.storage import StorageError, explain, require_space, require_writable

LIB = Path(storage.__file__).parents[2]
NUMBERS = np.zeros(100_000)

#: Ways in which files of a study are written: by Python, NumPy, Arrow (C++), safetensors (Rust) and through memory.
WRITERS = {
    "text": lambda path: path.write_text("x" * 800_000),
    "numpy": lambda path: np.save(path, NUMBERS),
    "parquet": lambda path: pq.write_table(pa.table({"x": np.random.default_rng(0).random(100_000)}), path),
    "safetensors": lambda path: safetensors.numpy.save_file({"x": NUMBERS}, path),
    "copy": lambda path: shutil.copyfile(path.parent / "source", path),
    "memory": lambda path: mapped_arrays.create(path, np.float64, (100_000,)),
}


@pytest.fixture
def small_disk(tmp_path):
    """A disk with 200 kB of room."""
    try:
        with SmallDisk(tmp_path / "disk", "200k") as disk:
            yield disk.folder
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.fixture
def limited_files():
    """No file of this process grows above 200 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_a_sentence_with_free_and_needed_bytes_and_leaves_the_old_file(small_disk, tmp_path, writer):
    path = small_disk / "file.npy"
    write_text(path, "old")
    (tmp_path / "source").write_bytes(bytes(800_000))
    write = WRITERS[writer] if writer != "copy" else lambda target: shutil.copyfile(tmp_path / "source", target)
    with pytest.raises(StorageError) as raised, replacing(path) as temporary:
        write(temporary)
    message = str(raised.value)
    assert message.startswith(f"{path} cannot be written or read: the disk of {small_disk} is full (")
    free, _, needed = message.split("full (")[1].split("); make room")[0].partition(" free")
    assert free.endswith(" kB") and 100 < float(free.split()[0]) < 205
    # Arrow and safetensors remove the file themselves, so that its size is not known.
    assert re.fullmatch(r", at least \d+ kB needed", needed) or writer in ("parquet", "safetensors")
    assert raised.value.concerns_all_files
    assert path.read_text() == "old" and os.listdir(small_disk) == ["file.npy"]
    write_text(path, "new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("writer", [name for name in WRITERS if name != "copy"])
def test_a_limit_of_the_process_is_a_sentence(limited_files, tmp_path, writer):
    path = tmp_path / "file.npy"
    with (
        pytest.raises(StorageError, match=r"cannot be written or read: (it is larger|the disk)"),
        replacing(path) as file,
    ):
        WRITERS[writer](file)
    assert not os.listdir(tmp_path)


def test_space_is_reserved_before_an_array_is_written_through_memory(small_disk):
    """Writing to a page for which the disk has no room would end the process by a signal."""
    code = (
        "import sys; from pathlib import Path; import numpy as np; from variability.io import mapped_arrays\n"
        "try:\n    mapped_arrays.create(Path(sys.argv[1]), np.uint8, (800_000,))[:] = 1\n"
        "except OSError as error:\n    sys.exit(error.errno)"
    )
    done = subprocess.run([sys.executable, "-c", code, small_disk / "a.npy"], env=os.environ | {"PYTHONPATH": str(LIB)})
    assert done.returncode == errno.ENOSPC


def test_an_array_is_created_with_zeros_and_keeps_what_is_written(tmp_path):
    array = mapped_arrays.create(tmp_path / "a.npy", np.uint16, (3, 2))
    array[1] = [7, 8]
    array.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), [[0, 0], [7, 8], [0, 0]])


@pytest.mark.parametrize(
    ("code", "message"),
    {
        errno.ENOSPC: "is full",
        errno.EDQUOT: "quota",
        errno.EIO: "input/output error",
        errno.EROFS: "read-only",
        errno.EACCES: "no permission to write to",
        errno.EMFILE: "too many open files",
        errno.ENAMETOOLONG: "too long",
    }.items(),
)
def test_errors_of_disks_name_the_file_and_how_to_continue(tmp_path, code, message):
    path = tmp_path / "file"
    problem = str(explain(OSError(code, os.strerror(code), str(path))))
    assert problem.startswith(f"{path} cannot be written or read: ") and message in problem
    assert problem.endswith("then run the same command again, which continues here")
    assert "\n" not in problem


@pytest.mark.parametrize(
    "error", [OSError(errno.ECONNRESET, "reset"), ValueError("os error 28"), FileNotFoundError(2, "")]
)
def test_other_errors_are_not_explained(error):
    assert explain(error) is None


def test_an_error_that_names_another_file_keeps_its_name(tmp_path):
    source = tmp_path / "source"
    with pytest.raises(StorageError, match=f"^{source} cannot"), replacing(tmp_path / "target"):
        raise OSError(errno.EIO, "Input/output error", str(source))


def test_messages_for_users_pass_unchanged(tmp_path):
    with pytest.raises(UserError, match=r"^wrong label$"), replacing(tmp_path / "target"):
        raise UserError("wrong label")


def test_a_file_or_a_link_to_nothing_instead_of_a_folder_is_named(tmp_path):
    (tmp_path / "results").write_text("")
    (tmp_path / "link").symlink_to("/nonexistent/disk")
    with pytest.raises(
        StorageError, match=f"{tmp_path}/results is a file, and a folder is needed; remove or rename it"
    ):
        write_text(tmp_path / "results/tiny/a.json", "")
    link = f"{tmp_path}/link is a link to /nonexistent/disk, which does not exist; create it or remove the link"
    with pytest.raises(StorageError, match=link):
        write_text(tmp_path / "link/a.json", "")
    with pytest.raises(StorageError, match=link):
        require_writable(tmp_path / "link")
    require_writable(tmp_path / "new/folder")


def test_room_is_compared_with_what_is_needed(tmp_path):
    require_space(tmp_path / "new", 1, "the plan")
    with pytest.raises(
        StorageError, match=r"the plan need 1000 TB and the disk of .* has .* left; make room, or shrink it"
    ):
        require_space(tmp_path / "new", 10**15, "the plan", "shrink it")


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (2.5e9, "2.5 GB")])
def test_sizes_have_suitable_units(size, text):
    assert storage.in_units(size) == text
