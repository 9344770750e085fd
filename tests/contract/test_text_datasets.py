"""Data sets of texts: the examples that they read, and the options and files that they refuse."""

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
from variability.io.files import sha256

ROWS = [
    ("NA", "no", "train"),
    ('she said, "hi"', "yes", "train"),
    ("zwei\nZeilen", "no", "dev"),
    ("é", "yes", "test"),
]


def write(path, rows=ROWS, names=("text", "label", "part")):
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix in (".csv", ".tsv"):
        import csv

        with open(path, "w", newline="", encoding="utf-8") as handle:
            csv.writer(handle, delimiter="," if path.suffix == ".csv" else "\t").writerows([names, *rows])
    else:
        records = [dict(zip(names, row, strict=True)) for row in rows]
        lines = "\n".join(map(json.dumps, records))
        path.write_text(lines if path.suffix == ".jsonl" else json.dumps(records))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
def test_a_table_is_read_unchanged_from_every_format(tmp_path, suffix):
    path = write(tmp_path / f"reviews{suffix}")
    quotes = {"quotes": True} if suffix == ".tsv" else {}
    dataset = plugin("text_table", path=str(path), partition="part", **quotes)
    assert not list(dataset.check())
    examples = dataset.load(None)
    assert [examples.read(index) for index in range(4)] == [text for text, _, _ in ROWS]
    assert examples.class_names == ["no", "yes"]
    assert examples.labels.dtype == np.int64 and examples.labels.tolist() == [0, 1, 0, 1]
    assert examples.partition.tolist() == ["train", "train", "validation", "test"]


def test_without_a_partition_column_the_workflow_splits(tmp_path):
    assert set(plugin("text_table", path=str(write(tmp_path / "a.csv"))).load(None).partition) == {""}


def test_a_folder_has_a_file_for_each_partition(tmp_path):
    for name, rows in (("train", ROWS[:2]), ("dev", ROWS[2:3]), ("test", ROWS[3:])):
        write(tmp_path / f"{name}.jsonl", rows)
    dataset = plugin("text_table", path=str(tmp_path))
    assert not list(dataset.check()) and dataset.local_source() == tmp_path
    examples = dataset.load(None)
    assert sorted(zip(examples.partition.tolist(), map(examples.read, range(4)), strict=True)) == sorted(
        [("test", "é"), ("train", ROWS[0][0]), ("train", ROWS[1][0]), ("validation", ROWS[2][0])]
    )
    (tmp_path / "train.jsonl").unlink()
    assert problems("text_table", path=str(tmp_path))[0].startswith("path:")


def test_pairs_and_columns_of_other_names(tmp_path):
    path = write(tmp_path / "a.csv", [("x", "y", "1"), ("z", "w", "0")], ("premise", "hypothesis", "gold"))
    options = {"text": "premise", "text_pair": "hypothesis", "label": "gold", "class_names": ["false", "true"]}
    examples = plugin("text_table", path=str(path), **options).load(None)
    assert [examples.read(0), examples.read(1)] == [("x", "y"), ("z", "w")]
    assert (examples.labels.tolist(), examples.class_names) == ([1, 0], ["false", "true"])


def test_numbers_are_labels_of_regression(tmp_path):
    path = write(tmp_path / "a.csv", [("x", "1.5"), ("y", "-2")], ("text", "label"))
    dataset = plugin("text_table", path=str(path), target="number")
    assert dataset.kinds() == ("regression",)
    examples = dataset.load(None)
    assert examples.labels.dtype == np.float64 and examples.labels.tolist() == [1.5, -2.0]
    with pytest.raises(UserError, match=r"b\.csv, lines 2, 3, 4, 6: label is not a number, but 'no', 'yes'"):
        plugin("text_table", path=str(write(tmp_path / "b.csv")), target="number").load(None)


def test_labels_that_are_numbers_are_sorted_as_numbers(tmp_path):
    path = write(tmp_path / "a.csv", [(f"t{number}", str(number)) for number in (10, 9, 2)], ("text", "label"))
    assert plugin("text_table", path=str(path)).load(None).class_names == ["2", "9", "10"]


def test_columns_and_values_that_do_not_fit_are_reported(tmp_path):
    path = str(write(tmp_path / "a.csv"))
    with pytest.raises(UserError, match="text: the table has no column 'txt'; did you mean 'text'"):
        plugin("text_table", path=path, text="txt").load(None)
    with pytest.raises(UserError, match=r"a\.csv, lines 2, 4: the label 'no' is not one of the 2 class_names"):
        plugin("text_table", path=path, class_names=["yes", "maybe"]).load(None)
    with pytest.raises(UserError, match=r"b\.csv, line 2: part is 'other'; known are train"):
        plugin(
            "text_table",
            path=str(write(tmp_path / "b.csv", [("a", "b", "other"), ("c", "d", "test")])),
            partition="part",
        ).load(None)
    with pytest.raises(UserError, match=r"c\.json, record 2: no value in 'label'"):
        plugin("text_table", path=str(write(tmp_path / "c.json", [("a", "b", ""), ("a", None, "")]))).load(None)
    (tmp_path / "e.json").write_text("{")
    with pytest.raises(UserError, match=r"e\.json cannot be read: "):
        plugin("text_table", path=str(tmp_path / "e.json")).load(None)


GLUE = 'text\tlabel\n"hello world\t1\nfoo "bar"\t0\n"baz" qux\t1\n"last"\t0\n'
EXCEL = 'text\tlabel\n"she said ""hi"""\t1\nfoo\t0\n'


def texts(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    examples = plugin("text_table", path=str(path), **options).load(None)
    return [examples.read(index) for index in range(len(examples))], [
        examples.class_names[label] for label in examples.labels
    ]


def test_quotes_belong_to_the_values_of_a_tsv_by_default(tmp_path):
    expected = ['"hello world', 'foo "bar"', '"baz" qux', '"last"']
    assert texts(tmp_path / "a.tsv", GLUE) == (expected, ["1", "0", "1", "0"])
    assert texts(tmp_path / "b.tsv", EXCEL, quotes=True)[0] == ['she said "hi"', "foo"]
    assert texts(tmp_path / "b.tsv", EXCEL, quotes=False)[0] == ['"she said ""hi"""', "foo"]
    assert texts(tmp_path / "a.csv", GLUE.replace("\t", ","), quotes=False)[0] == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", EXCEL, "set `quotes: true`, or `quotes: false`"),
        ("a.tsv", '"text"\t"label"\n"a"\t"b"\n', "set `quotes: true`, or"),
        ("a.tsv", 'text\tlabel\n"two\nlines"\t1\n', "line 2 has 1 value, but there are 2 columns.*`quotes: true`"),
        ("a.tsv", "text\tlabel\na\t1\nb\tc\t1\n", "line 3 has 3 values, but there are 2 columns"),
        ("a.csv", 'text,label\na,1\n"b,0\nc,1\n', "row of line 3 is not closed"),
        ("a.csv", 'text,label\n"a,1\nb,0\n"c" d,1\n', r"row of line 2 .*\(line 4: .*`quotes: false`"),
        ("a.csv", "text,label,text\na,1,b\n", "2 columns named 'text'; rename"),
        ("a.csv", "text,label\n", "has no rows"),
        ("a.csv", "", "has no rows"),
        ("a.csv", "text,label\né,1\n".encode("latin-1"), "not in UTF-8 .line 2, byte 0xe9.; .*set `encoding`"),
        ("a.json", "é".encode("latin-1"), "not in UTF-8"),
        ("a.json", "[]", "is empty"),
        ("a.json", '"text"', "is not a list"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text"\n', "line 2: "),
        ("a.jsonl", '{"text": "a", "label": 1}\n[1]\n', r"line 2 is \['1'\]"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"label": 1}\n', "line 2: no text in 'text'"),
        ("a.jsonl", '{"text": "a", "label": NaN}\n{"text": "b", "label": 1}\n', "line 1: no value in 'label'"),
        ("a.jsonl", '{"text": "a", "label": "\\ud83d"}\n', "label of record 1 .*half a character"),
        ("a.csv", "text,label\na,1\nb,1.0\n", r"'1' \(a.csv:2\) and '1.0' \(a.csv:3\)"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message):
        texts(tmp_path / name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "\ufefftext,label\r\nNA,null\r\n\r\nx,None\r\n"),
        ("a.tsv", "\ufefftext\tlabel\tother\nNA\tnull\tx\nx\tNone\t\n"),
        ("a.csv", "text,label,,\nNA,null,,\nx,None,,,\n"),
        ("a.jsonl", '\ufeff{"text": "NA", "label": "null", "more": 1}\r\n{"text": "x", "label": "None"}\r\n'),
    ],
)
def test_words_such_as_na_are_texts_and_byte_order_marks_are_not(tmp_path, name, content):
    assert texts(tmp_path / name, content) == (["NA", "x"], ["null", "None"])


def test_a_text_may_be_long(tmp_path):
    assert texts(tmp_path / "a.csv", f"text,label\n{'x' * 200_000},1\ny,0\n")[0] == ["x" * 200_000, "y"]


def test_whole_numbers_are_the_same_class_in_every_number_type(tmp_path):
    for kind in (pa.int64(), pa.float64()):
        pq.write_table(pa.table({"text": ["a", "b"], "label": pa.array([1, 0], kind)}), tmp_path / "a.parquet")
        assert plugin("text_table", path=str(tmp_path / "a.parquet")).load(None).class_names == ["0", "1"]
    named = ["bad", "good"]
    assert texts(tmp_path / "a.csv", "text,label\na,1.0\nb,0.0\n", class_names=named)[1] == ["good", "bad"]


def test_class_names_are_the_labels_or_are_numbered_by_them(tmp_path):
    assert texts(tmp_path / "a.csv", "text,label\na,0\nb,1\n", class_names=["1", "0"])[1] == ["0", "1"]
    assert texts(tmp_path / "a.csv", "text,label\na,0\nb,1\n", class_names=["x", "y"])[1] == ["x", "y"]


def test_options_without_effect_are_reported(tmp_path):
    path = str(write(tmp_path / "train.parquet"))
    assert problems("text_table", path=path, quotes=True)[0].startswith("quotes: has no meaning for")
    assert "numbers have no classes" in problems("text_table", path=path, target="number", class_names=["a", "b"])[0]
    assert problems("text_table", path=str(tmp_path), partition="part")[0].startswith("partition:")
    assert problems("text_table", path=str(tmp_path)) == []


def test_the_source_must_be_unique_and_exist(tmp_path):
    assert "either path" in problems("text_table")[0]
    assert "must be verified" in problems("text_table", url="https://x.invalid/x.csv")[0]
    assert "absent.csv" in problems("text_table", [tmp_path], path="absent.csv")[0]


def test_a_table_is_found_in_a_mirror(tmp_path):
    written = write(tmp_path / "reviews.csv")
    dataset = plugin("text_table", path="reviews.csv", sha256=sha256(written))
    assert not list(dataset.check([tmp_path])) and dataset.is_remote()
    (tmp_path / "got").mkdir()
    dataset.download(tmp_path / "got", Fetcher([tmp_path]))
    assert len(dataset.load(tmp_path / "got")) == 4


# Several files ------------------------------------------------------------------------------------------------------


def folder_of(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text,label\n" + "".join(f"{path.name} {number},{'ab'[number % 2]}\n" for number in range(4)))
    return folder


@pytest.mark.parametrize(
    ("names", "ambiguous"),
    [
        (["train.csv", "dev.csv", "val.csv"], "dev.csv and val.csv are all for validation"),
        (["train.csv", "train.txt", "test.csv"], "train.csv and train.txt are all for train"),
        (["train.csv", "TRAIN.tsv"], "TRAIN.tsv and train.csv are all for train"),
        (["train-00000-of-00002.csv", "train-00001-of-00002.csv", "train.csv"], "are all for train"),
        (["test.csv", "dev.csv"], "no file for training"),
        (["readme.md"], "has no table"),
    ],
)
def test_files_that_are_one_partition_are_refused_before_the_first_job(tmp_path, names, ambiguous):
    (problem,) = problems("text_table", path=str(folder_of(tmp_path / "data", names)))
    assert problem.startswith("path: ") and ambiguous in problem


def test_files_that_are_not_a_partition_are_named(tmp_path):
    folder = folder_of(tmp_path / "data", ["train.csv", "train_extra.csv", "test.csv", "notes.md"])
    dataset = plugin("text_table", path=str(folder))
    assert list(dataset.check()) == [] and dataset.size() == {"train": 4, "test": 4}
    (remark,) = dataset.load(None).remarks
    assert "train_extra.csv" in remark and "notes.md" not in remark and remark.startswith("Not used")


def test_parts_of_a_partition_are_read_together(tmp_path):
    names = ["train-00000-of-00002.csv", "train-00001-of-00002.csv", "validation-00000-of-00001.csv"]
    examples = plugin("text_table", path=str(folder_of(tmp_path / "data", names))).load(None)
    assert examples.partition.tolist() == ["train"] * 8 + ["validation"] * 4
    assert examples.source(4) == "train-00001-of-00002.csv:2" and examples.remarks == ()


@pytest.mark.parametrize("path", ["data", "data/*.csv", "data/**/*.csv"])
def test_files_without_a_partition_are_one_table(tmp_path, path):
    folder_of(tmp_path / "data", ["2023.csv", "2024.csv"])
    dataset = plugin("text_table", path=str(tmp_path / path))
    assert list(dataset.check()) == [] and not dataset.is_remote()
    examples = dataset.load(None)
    assert set(examples.partition) == {""} and len(examples) == 8
    assert [examples.source(index) for index in (0, 7)] == ["2023.csv:2", "2024.csv:5"]
    assert {part for source in dataset.sources([]) for part in source.parts} >= {"data"}


def test_a_pattern_without_a_file_is_reported(tmp_path):
    assert "has no table" in problems("text_table", path=str(tmp_path / "*.csv"))[0]


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


def test_missing_columns_are_reported_before_the_first_job(tmp_path):
    (tmp_path / "texts.csv").write_text("body,topic\nsome words,a\nother words,b\n")
    options = {"path": str(tmp_path / "texts.csv"), "text": "body", "label": "tpic", "partition": "fold"}
    reported = problems("text_table", **options)
    assert len(reported) == 2
    assert reported[0].startswith("label: ") and "did you mean 'topic'?" in reported[0]
    assert reported[1].startswith("partition: ") and "no column 'fold'" in reported[1]
