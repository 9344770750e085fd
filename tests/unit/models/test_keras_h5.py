"""HDF5 files that read other files, or take memory for what they do not store, are refused before Keras reads them."""

import numpy as np
import pytest

from variability.io import limits
from variability.models.providers import _keras_h5

h5py = pytest.importorskip("h5py")


@pytest.fixture
def path(tmp_path):
    """A file of weights with a group that has a name of bytes and an array."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense")["kernel"] = np.ones((20, 30), np.float32)
        file["scalar"] = 3.0
    return tmp_path / "x.h5"


def test_ordinary_weights_are_read(path):
    assert _keras_h5.problem(path) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.create_dataset("big", (10**6, 10**6)), "expands to 4 TB or more"),
        (
            lambda file: file.create_dataset("big", (10**10,), chunks=True, compression="gzip"),
            "expands to 40 GB or more",
        ),
        (lambda file: file.__setitem__("far", h5py.ExternalLink("/etc/hostname", "a")), "'far' is a link"),
        (lambda file: file.__setitem__("soft", h5py.SoftLink("/dense")), "'soft' is a link"),
        (lambda file: file.create_dataset("out", (4,), "u1", external=[("/etc/hostname", 0, 4)]), "in another file"),
        (lambda file: file["dense"].create_dataset("text", (2,), h5py.string_dtype()), "does not hold numbers"),
    ],
)
def test_a_trap_is_refused(path, change, message):
    with h5py.File(path, "a") as file:
        change(file)
    assert message in _keras_h5.problem(path)


def test_an_array_of_parts_of_other_files_is_refused(path):
    layout = h5py.VirtualLayout((4,), np.uint8)
    layout[:] = h5py.VirtualSource("/etc/other.h5", "a", (4,))
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("virtual", layout)
    assert "in another file" in _keras_h5.problem(path)


def test_a_group_that_contains_itself_is_read_once(path, monkeypatch):
    with h5py.File(path, "a") as file:
        file["dense/again"] = file["dense"]
    assert _keras_h5.problem(path) is None
    monkeypatch.setattr(limits, "HARMLESS_BYTES", 0)
    assert _keras_h5.problem(path) is None


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"<html>"])
def test_a_file_of_something_else_is_an_error(path, content):
    path.write_bytes(content)
    with pytest.raises((OSError, RuntimeError)):
        _keras_h5.problem(path)
