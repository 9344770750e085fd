"""Bundles carry the files that a record lists, complete or not at all, and leave alone what is there already."""

import io
import json
import os
import tarfile

import pytest

from variability.errors import UserError
from variability.io import bundles


@pytest.fixture
def cell(tmp_path):
    """The folder of a cell with two finished runs, one of them listed, a lock and a state."""
    for seed in (3, 4):
        folder = tmp_path / "made" / str(seed)
        folder.mkdir(parents=True)
        for name in ("run.json", "history.csv", "checkpoint.safetensors", ".lock", ".state.safetensors"):
            (folder / name).write_text(f"{name} of {seed}")
    (tmp_path / "made" / "block-0.json").write_text(json.dumps({"runs": [{"seed": 3}]}))
    return tmp_path / "made"


def below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_runs_arrive_without_locks_states_and_runs_of_other_chunks(cell, tmp_path):
    bundles.pack(cell / "block-0.tar", bundles.members(cell / "block-0.json"))
    other = tmp_path / "other"
    other.mkdir()
    os.rename(cell / "block-0.tar", other / "block-0.tar")
    bundles.unpack(other / "block-0.tar")
    assert below(other) == ["3/checkpoint.safetensors", "3/history.csv", "3/run.json", "block-0.tar"]
    assert (other / "3/history.csv").read_text() == "history.csv of 3"


@pytest.mark.parametrize(
    ("record", "files"),
    [
        ({"runs": [{"seed": 3}]}, ["3.parquet", "3.parquet.json"]),
        ({"tables": {"a/b.parquet": "sha256"}}, ["a/b.parquet", "a/b.parquet.json"]),
        ({"files": {"a/train.csv": "sha256"}}, ["files/a/train.csv"]),
        ({"sha256": "of a file that the rule declares"}, []),
    ],
)
def test_each_kind_of_record_lists_its_files_and_their_stamps(record, files, tmp_path):
    for name in [*files, "not-listed.parquet"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert sorted(path.relative_to(tmp_path).as_posix() for path in bundles.members(tmp_path / "record.json")) == files


def test_files_that_are_there_are_kept_and_others_replaced(cell):
    bundles.pack(cell / "block-0.tar", bundles.members(cell / "block-0.json"))
    history, record = cell / "3/history.csv", cell / "3/run.json"
    before = history.stat()
    record.write_text("that of another run")
    bundles.unpack(cell / "block-0.tar")
    assert (history.stat().st_ino, history.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert record.read_text() == "run.json of 3"


def _with_member(path, name, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, "/etc/passwd", 0 if kind != tarfile.REGTYPE else 3
    with tarfile.open(path, "w") as archive:
        archive.addfile(member, io.BytesIO(b"abc"))


@pytest.mark.parametrize(
    ("name", "kind"), [("../outside", tarfile.REGTYPE), ("link", tarfile.SYMTYPE), ("folder", tarfile.DIRTYPE)]
)
def test_members_that_pack_does_not_write_are_refused(name, kind, tmp_path):
    (tmp_path / "in").mkdir()
    _with_member(tmp_path / "in/block-0.tar", name, kind)
    with pytest.raises(UserError, match=r"block-0\.tar cannot be read .*remove it from the storage"):
        bundles.unpack(tmp_path / "in/block-0.tar")
    assert below(tmp_path) == ["in/block-0.tar"]


@pytest.mark.parametrize("size", [0, 100, 700, 5000])
def test_a_bundle_that_was_cut_short_is_refused(size, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x" * 9000)
    bundles.pack(tmp_path / "a.tar", [tmp_path / "a.txt"])
    (tmp_path / "a.txt").unlink()
    os.truncate(tmp_path / "a.tar", size)
    with pytest.raises(UserError, match="cannot be read"):
        bundles.unpack(tmp_path / "a.tar")
    assert below(tmp_path) == ["a.tar"]


def test_paths_in_records_are_those_of_a_checkout(monkeypatch):
    stored = "/scratch/storage/s3/bucket/results/tiny/prepare/digits/task.json"
    assert bundles.in_checkout(stored) == stored
    monkeypatch.setenv(bundles.ROOT, "/scratch/storage/s3/bucket")
    assert bundles.in_checkout(stored) == "results/tiny/prepare/digits/task.json"
    assert bundles.in_checkout("/home/me/runs.csv") == "/home/me/runs.csv"
