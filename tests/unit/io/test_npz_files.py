"""Headers of arrays are compared with what the file holds before memory is taken for them."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from variability.io import limits, npz_files
from variability.io.limits import Limits


def member(shape, dtype="|u1", content=b"\0" * 10, version=1):
    """Return the bytes of an .npy file whose header states anything."""
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + content


def written(path, method=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_arrays_are_read_as_they_were_saved(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.asfortranarray(np.eye(3, dtype=np.float32)), "c": np.array(2)}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    read = npz_files.read(tmp_path / "x.npz", ["a", "b", "c", "d"])
    assert list(read) == ["a", "b", "c"]
    assert all((read[name] == array).all() and read[name].dtype == array.dtype for name, array in arrays.items())
    assert npz_files.headers(tmp_path / "x.npz", ["b"])["b"] == ((3, 3), np.float32)
    assert npz_files.names(tmp_path / "x.npz") == ["a", "b", "c"]


@pytest.mark.parametrize("shape", [(10**15,), (11,), (9,), (2**31, 2**31, 2**31), (-10,), (-1, -10), (10, 0)])
@pytest.mark.parametrize("version", [1, 2])
def test_a_header_that_does_not_agree_with_the_size_is_refused(tmp_path, shape, version):
    path = written(tmp_path / "x.npz", a=member(shape, version=version))
    with pytest.raises(ValueError, match=r"a\.npy states uint8 .*, but it has 10 bytes"):
        npz_files.headers(path, ["a"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (member((1,), "|O", pickle.dumps([1])), "a.npy has Python objects"),
        (member((1,), "|O", b""), "a.npy has Python objects"),
        (member("(" * 3000 + ")" * 3000), r"\S"),
        (member("10**9"), r"\S"),
        (member("(True,)"), r"\S"),
        (member((10,), "nonsense"), r"\S"),
        (member((10,)).replace(b"\x01\0", b"\x03\0", 1), "named fields"),
        (b"\x93NUMPY", r"\S"),
        (b"", r"\S"),
    ],
)
def test_a_header_that_no_array_has_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        npz_files.headers(written(tmp_path / "x.npz", a=content), ["a"])


def test_a_file_that_expands_a_thousandfold_is_refused_unless_the_limit_is_raised(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "HARMLESS_BYTES", 10**6)
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(2 * 10**6, np.uint8))
    with pytest.raises(ValueError, match=r"it expands to 2 MB or more.*`limits: \{ratio: "):
        npz_files.read(tmp_path / "x.npz", ["a"])
    assert npz_files.read(tmp_path / "x.npz", ["a"], Limits(ratio=2000))["a"].shape == (2 * 10**6,)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\5\6" + b"\0" * 10, b"PK\3\4"])
def test_a_file_that_is_not_an_npz_is_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"\S"):
        npz_files.read(tmp_path / "x.npz", ["a"])


def test_an_array_whose_content_was_changed_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(1000))
    path = written(tmp_path / "x.npz", zipfile.ZIP_STORED, a=buffer.getvalue())
    path.write_bytes(path.read_bytes().replace(np.int64(500).tobytes(), np.int64(501).tobytes(), 1))
    with pytest.raises(ValueError, match="CRC"):
        npz_files.read(path, ["a"])
