"""Every damage of a record or of a file that a record lists is noticed, and named with the command that repairs it."""

import json
import os
import random

import pytest

from variability.errors import UserError
from variability.io import artefacts
from variability.io.artefacts import FITTED, TASK, Kind
from variability.io.files import sha256

RUN = {"seed": 3, "fingerprint": "abc", "status": "completed", "sha256": {"checkpoint": "12", "history": "34"}}
KINDS = [value for value in vars(artefacts).values() if isinstance(value, Kind) and value.rule]


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "block-0.json"
    artefacts.write_record(path, {"runs": [RUN]})
    return path


def test_a_record_is_read_as_it_was_written(manifest):
    assert artefacts.read_record(manifest, FITTED) == {"runs": [RUN]}
    assert artefacts.read_intact(manifest, FITTED) == {"runs": [RUN]}


def test_a_record_of_an_earlier_version_which_has_no_checksum_is_read(tmp_path):
    path = tmp_path / "block-0.json"
    path.write_text(json.dumps({"runs": [RUN]}))
    assert artefacts.read_record(path, FITTED) == {"runs": [RUN]}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.rule)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"{", "not valid JSON"),
        (b'{"runs": [{"se', "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "it is not a mapping"),
        (b"null", "it is not a mapping"),
        (b'{"checksum": "0"}', "its checksum differs"),
        (b'{"checksum": NaN, "sha256": NaN}', "its checksum differs"),
    ],
)
def test_a_record_that_cannot_be_read_is_one_sentence_with_the_command(tmp_path, kind, content, reason):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        artefacts.read_record(path, kind)
    message = str(error.value)
    assert message.startswith(f"{path} cannot be read (") and reason in message and "\n" not in message
    assert message.endswith(
        f"; run again with `snakemake --forcerun {kind.rule}` and the study's `--configfile`, "
        "which makes only what is missing or damaged"
    )
    assert artefacts.read_intact(path, kind) == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "runs is missing"),
        ({"runs": 3}, "runs is not a list"),
        ({"runs": [3]}, "runs[0] is not a mapping"),
        ({"runs": [RUN, RUN | {"seed": "3"}]}, "runs[1].seed is '3'"),
        ({"runs": [RUN | {"seed": True}]}, "runs[0].seed is 'True'"),
        ({"runs": [RUN | {"sha256": {"checkpoint": None}}]}, "runs[0].sha256.checkpoint is 'None'"),
    ],
)
def test_a_record_of_another_shape_is_refused_with_the_entry(tmp_path, content, problem):
    path = tmp_path / "block-0.json"
    artefacts.write_record(path, content)
    with pytest.raises(UserError) as error:
        artefacts.read_record(path, FITTED)
    assert problem in str(error.value)


@pytest.mark.parametrize(("key", "value"), [("each", "word"), ("form", "int8"), ("layout", []), ("views", "2")])
def test_activations_in_an_unknown_form_are_refused(key, value, tmp_path):
    layout = {"each": "token", "form": "fp16", "layout": "as indexed", "views": 0}
    path, content = tmp_path / "features.json", {"stored": True, "sha256": "12", "activations": layout}
    artefacts.write_record(path, content)
    assert artefacts.read_features(path) == content
    artefacts.write_record(path, content | {"activations": layout | {key: value}})
    with pytest.raises(UserError, match=rf"activations\.{key} is .*--forcerun features"):
        artefacts.read_features(path)


def test_a_missing_record_is_named_with_the_command(tmp_path):
    with pytest.raises(UserError, match=r"task\.json is missing; run again with `snakemake --forcerun prepare`"):
        artefacts.read_record(tmp_path / "task.json", TASK)


def test_no_flipped_bit_changes_what_a_record_says(manifest):
    """A flip in the name of the checksum leaves the content, which is then read with one entry more."""
    content = manifest.read_bytes()
    accepted = 0
    for position in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        manifest.write_bytes(flipped)
        record = artefacts.read_intact(manifest, FITTED)
        assert record == {} or record["runs"] == [RUN]
        accepted += bool(record)
    assert accepted < 8 * len('"checksum"') + 8


def test_a_file_is_compared_with_its_checksum(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(bytes(1000))
    checksum = sha256(path)
    assert artefacts.require(path, checksum, "pretrain") == path
    for damage in (bytes(999), bytes(500) + b"\x01" + bytes(499), b""):
        path.write_bytes(damage)
        with pytest.raises(
            UserError, match=r"weights\.safetensors is not the file that pretrain wrote.*--forcerun pretrain"
        ):
            artefacts.require(path, checksum, "pretrain")
        assert not artefacts.is_intact(path, checksum)
    path.unlink()
    with pytest.raises(UserError, match=r"weights\.safetensors is missing; .*--forcerun pretrain"):
        artefacts.require(path, checksum, "pretrain")
    path.mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        artefacts.require(path, checksum, "pretrain")


def test_a_file_is_hashed_once_and_again_after_a_change_that_restores_its_time(tmp_path, monkeypatch):
    path, hashed = tmp_path / "activations.npy", []
    monkeypatch.setattr(artefacts, "sha256", lambda path: hashed.append(path) or sha256(path))
    monkeypatch.setattr(artefacts, "_SETTLED", -1.0)
    path.write_bytes(b"one")
    os.utime(path, (0, 0))
    first = artefacts.checksum_of(path)
    assert artefacts.checksum_of(path) == first == sha256(path) and len(hashed) == 1
    path.unlink()
    path.write_bytes(b"two")
    os.utime(path, (0, 0))
    assert artefacts.checksum_of(path) == sha256(path) != first


def test_a_file_that_has_just_changed_is_hashed_each_time(tmp_path):
    path = tmp_path / "scores.parquet"
    for content in (b"one", b"two", b"six"):
        path.write_bytes(content)
        assert artefacts.checksum_of(path) == sha256(path)


def test_a_finished_file_is_reused_only_with_its_fingerprint_and_unchanged(tmp_path):
    path = tmp_path / "0.parquet"
    path.write_bytes(bytes(100))
    assert artefacts.stamped(path, "made from this") is None
    checksum = artefacts.write_stamp(path, "made from this")
    assert artefacts.stamped(path, "made from this") == checksum == sha256(path)
    assert artefacts.stamped(path, "made from that") is None
    random_bits = random.Random(0)
    for target in (path, artefacts.stamp_path(path)):
        content = target.read_bytes()
        for _ in range(50):
            flipped, bit = bytearray(content), random_bits.randrange(8 * len(content))
            flipped[bit // 8] ^= 1 << bit % 8
            target.write_bytes(flipped)
            assert artefacts.stamped(path, "made from this") in (None, checksum)
            assert target != path or artefacts.stamped(path, "made from this") is None
        target.write_bytes(content)
    path.unlink()
    assert artefacts.stamped(path, "made from this") is None


def test_a_table_is_compared_with_the_listing_in_its_folder(tmp_path):
    folder = tmp_path / "analyse"
    folder.mkdir()
    (folder / "gain.csv").write_text("a\n1\n")
    assert artefacts.require_listed(folder / "gain.csv") == folder / "gain.csv", "a table of another origin"
    artefacts.write_checksums(folder / "manifest.json", ["gain.csv"])
    artefacts.require_listed(folder / "gain.csv")
    (folder / "gain.csv").write_text("a\n2\n")
    (folder / "churn.csv").write_text("a\n1\n")
    for name in ("gain", "churn"):
        with pytest.raises(UserError, match=rf"{name}\.csv is not the file that analyse wrote.*--forcerun analyse"):
            artefacts.require_listed(folder / f"{name}.csv")


def test_the_files_of_a_data_set_are_compared_with_its_manifest(tmp_path):
    (tmp_path / "files/deep").mkdir(parents=True)
    names = ("a.txt", "deep/b.txt")
    for name in names:
        (tmp_path / "files" / name).write_text(name)
    checksums = {name: sha256(tmp_path / "files" / name) for name in names}
    artefacts.write_record(tmp_path / "manifest.json", {"files": checksums})
    assert artefacts.require_folder(tmp_path / "manifest.json", artefacts.DATASET) == {"files": checksums}
    (tmp_path / "files/deep/b.txt").write_text("deep/c.txt")
    with pytest.raises(UserError, match=r"deep/b\.txt is not the file that download wrote.*--forcerun download"):
        artefacts.require_folder(tmp_path / "manifest.json", artefacts.DATASET)
