"""Labels and texts of text data sets: those of tables, of CLINC150 and of the hub."""

import json
import sys
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_sets import plugin, problems

from variability.errors import UserError
from variability.io.fetcher import Fetcher

# Labels and texts ---------------------------------------------------------------------------------------------------


def labelled(path, labels, **options):
    path.write_text("text,label\n" + "".join(f"text {row},{label}\n" for row, label in enumerate(labels)))
    dataset = plugin("text_table", path=str(path), **options)
    examples = dataset.load(None)
    return [examples.class_names[label] for label in examples.labels], examples.class_names


@pytest.mark.parametrize(
    "labels", [["neg", "pos", " neg", "NEG"], ["a  b", "a b"], ["1", "1.0", "2"], ["\uff2eeg", "neg"]]
)
def test_spellings_of_one_label_are_refused_by_name(tmp_path, labels):
    with pytest.raises(
        UserError, match=r"differ only in case, blanks or decimals: .*spelling: merge, or exact"
    ) as raised:
        labelled(tmp_path / "a.csv", labels)
    assert repr(labels[0]) in str(raised.value) and "a.csv:2" in str(raised.value)
    assert problems("text_table", path=str(tmp_path / "a.csv"))[0].startswith("path: ")
    assert len(labelled(tmp_path / "a.csv", labels, spelling="exact")[1]) == len(labels)


def test_spellings_are_merged_into_the_most_frequent_one(tmp_path):
    labels = ["Neg", "pos", " neg", "neg", "NEG", "neg"]
    assert labelled(tmp_path / "a.csv", labels, spelling="merge") == (
        ["neg", "pos", "neg", "neg", "neg", "neg"],
        ["neg", "pos"],
    )
    chosen = labelled(tmp_path / "a.csv", labels, spelling="merge", class_names=["Pos", "NEG"])
    assert chosen == (["NEG", "Pos", "NEG", "NEG", "NEG", "NEG"], ["Pos", "NEG"])


def test_listed_class_names_are_different_classes(tmp_path):
    assert labelled(tmp_path / "a.csv", ["a", "A"], class_names=["A", "a"])[0] == ["a", "A"]


def test_codes_with_zeros_are_different_classes(tmp_path):
    assert labelled(tmp_path / "a.csv", ["7", "007", "1_0", "10"])[1] == ["007", "7", "10", "1_0"]


@pytest.mark.parametrize("text", ["", "  ", "\u00a0", "\u200b", "\u3000"])
def test_rows_without_a_text_are_refused_with_their_lines_or_skipped_and_counted(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(f"text,label\nx,1\n{text},0\ny,0\n{text},1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.csv, lines 3, 5: no text in 'text'.*options\.empty: skip"):
        plugin("text_table", path=str(path)).load(None)
    examples = plugin("text_table", path=str(path), empty="skip").load(None)
    assert [examples.read(index) for index in range(len(examples))] == ["x", "y"]
    assert examples.labels.tolist() == [1, 0] and [examples.source(index) for index in (0, 1)] == ["a.csv:2", "a.csv:4"]
    (remark,) = examples.remarks
    assert remark.startswith("2 examples have no text") and "lines 3, 5" in remark


def test_labels_from_which_nothing_can_be_learnt_are_reported_before_the_first_job(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\nx,3\ny,3.0\n")
    assert "all values of 'label' are 3" in problems("text_table", path=str(path), target="number")[0]
    path.write_text("text,label\nx,same\ny,same\n")
    assert "all labels in 'label' are 'same'" in problems("text_table", path=str(path))[0]


def test_all_broken_rows_are_listed_at_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"two\nlines",1\nx,\ny,0_2\nz,\nw,inf\nv,2\n')
    with pytest.raises(UserError, match=r"a\.csv, lines 5, 7: label is not a number, but '0_2', 'inf'"):
        plugin("text_table", path=str(path), target="number").load(None)
    with pytest.raises(UserError, match=r"a\.csv, lines 4, 6: no value in 'label'"):
        plugin("text_table", path=str(path)).load(None)


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ";"), ("a.tsv", "\t")])
def test_numbers_may_have_decimal_commas(tmp_path, name, separator):
    path = tmp_path / name
    path.write_text(f"text{separator}label\nx{separator}1,5\ny{separator}2,25\n")
    assert plugin("text_table", path=str(path), target="number").load(None).labels.tolist() == [1.5, 2.25]


# CLINC150 -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def questions(tmp_path):
    parts = {name: [[f"{name} {label}", label] for label in ("b", "a")] for name in ("train", "val", "test")}
    parts |= {f"oos_{name}": [[f"{name} ?", "oos"]] for name in ("train", "val", "test")}
    (tmp_path / "data_small.json").write_text(json.dumps(parts))
    return tmp_path


def test_questions_out_of_scope_are_an_optional_class(questions):
    examples = plugin("clinc150", version="small").load(questions)
    assert (examples.class_names, len(examples)) == (["a", "b"], 6)
    assert [examples.read(0), examples.labels[0], examples.partition[0]] == ["train b", 1, "train"]
    both = plugin("clinc150", version="small", out_of_scope=True).load(questions)
    assert (both.class_names, len(both)) == (["a", "b", "oos"], 9)
    assert sorted(set(both.partition)) == ["test", "train", "validation"]


def test_clinc150_is_as_large_as_published(mirror, tmp_path):
    dataset = plugin("clinc150", version="small", out_of_scope=True)
    dataset.download(tmp_path, Fetcher([mirror]))
    examples = dataset.load(tmp_path)
    counts = dict(zip(*np.unique(examples.partition, return_counts=True), strict=True))
    assert counts == {"train": 7600, "validation": 3100, "test": 5500}
    assert len(examples.class_names) == 151
    assert (np.bincount(examples.labels[examples.partition == "train"])[:5] == 50).all()


# The hub ------------------------------------------------------------------------------------------------------------


class Split:
    def __init__(self, rows, names=None):
        self.rows, self.features = rows, {"sentence": None, "label": types.SimpleNamespace(names=names)}

    def to_parquet(self, path):
        pq.write_table(
            pa.table({"sentence": [row[0] for row in self.rows], "label": [row[1] for row in self.rows]}), path
        )


@pytest.fixture
def hub(monkeypatch):
    """Replace the library ``datasets`` by its function that is called; return the list of calls."""
    calls = []

    def load_dataset(name, config, **more):
        calls.append((name, config, more["revision"]))
        names = ["1", "0"] if config == "numerals" else ["bad", "good"]
        assert "trust_remote_code" not in more
        if name == "no/where":
            raise ConnectionError("no network")
        return {
            "train": Split([("a", 1), ("b", 0)], names),
            "validation": Split([("c", 1)], names),
            "test": Split([("d", -1)], names),
        }

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return calls


def hub_text(**more):
    return plugin("hub_text", **{"name": "org/set", "config": "sst2", "revision": "abc", "text": "sentence"} | more)


def test_a_data_set_of_the_hub_is_stored_as_parquet_with_its_class_names(hub, tmp_path):
    dataset = hub_text(partitions={"train": "train", "test": "validation"})
    dataset.download(tmp_path, None)
    assert hub == [("org/set", "sst2", "abc")]
    examples = dataset.load(tmp_path)
    assert (examples.class_names, examples.labels.tolist()) == (["bad", "good"], [1, 0, 1])
    assert examples.partition.tolist() == ["train", "train", "test"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class_names.json", "test.parquet", "train.parquet"]


def test_labels_of_a_data_set_with_class_names_are_numbers_of_classes(hub, tmp_path):
    options = {"partitions": {"train": "train", "test": "validation"}, "config": "numerals"}
    hub_text(**options).download(tmp_path, None)
    examples = hub_text(**options).load(tmp_path)
    assert (examples.class_names, examples.labels.tolist()) == (["1", "0"], [1, 0, 1])
    renamed = hub_text(**options, class_names=["0", "no"]).load(tmp_path)
    assert (renamed.class_names, renamed.labels.tolist()) == (["0", "no"], [1, 0, 1])
    for others in (["0", "1"], ["a", "b", "c"]):
        with pytest.raises(UserError, match="its classes are 1, 0, in this order"):
            hub_text(**options, class_names=others).load(tmp_path)


def test_hidden_labels_unknown_splits_and_a_missing_network_are_reported(hub, tmp_path):
    hidden = hub_text()
    hidden.download(tmp_path, None)
    with pytest.raises(UserError, match=r"'-1' is not one of the 2 class_names.*another partition"):
        hidden.load(tmp_path)
    with pytest.raises(UserError, match="no split 'dev'; "):
        hub_text(partitions={"train": "dev"}).download(tmp_path, None)
    with pytest.raises(UserError, match=r"no network.*text_table"):
        plugin("hub_text", name="no/where", revision="abc").download(tmp_path, None)
    assert problems("hub_text", name="set", revision="abc")[0].startswith("name:")
