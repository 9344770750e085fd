"""Files of tables of texts: formats, columns and partitions, and the options and files that are refused."""

import json

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


def test_numbers_of_classes_of_any_length_are_in_their_order(tmp_path):
    """Python does not convert more than 4,300 digits to a number."""
    long = "9" * 5000
    rows = [(f"text {label}", label, "train") for label in (long, "10", "a", "9", "007", "1" + "0" * 4999)]
    examples = plugin("text_table", path=str(write(tmp_path / "x.csv", rows))).load(None)
    assert examples.class_names == ["007", "9", "10", "1" + "0" * 4999, long, "a"]


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
    named = str(write(tmp_path / "named.csv", [("a", "yes"), ("b", "no")], ("question", "intent")))
    with pytest.raises(UserError, match="no column 'text', the default of text; set text to one of question, intent"):
        plugin("text_table", path=named, label="intent").load(None)
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


def test_missing_columns_are_reported_before_the_first_job(tmp_path):
    (tmp_path / "texts.csv").write_text("body,topic\nsome words,a\nother words,b\n")
    options = {"path": str(tmp_path / "texts.csv"), "text": "body", "label": "tpic", "partition": "fold"}
    reported = problems("text_table", **options)
    assert len(reported) == 2
    assert reported[0].startswith("label: ") and "did you mean 'topic'?" in reported[0]
    assert reported[1].startswith("partition: ") and "no column 'fold'" in reported[1]


def test_all_mistakes_of_a_table_are_reported_at_once(tmp_path):
    rows = [("", "no", "train"), ("a", "", "train"), ("b", "no", "trian"), ("c", "yes", "train"), ("d", "NO", "test")]
    table = write(tmp_path / "a.csv", rows)
    (message,) = problems("text_table", path=str(table), partition="part")
    lines = message.splitlines()
    assert len(lines) == 4
    assert "line 2: no text in 'text'" in lines[0] and "line 3: no value in 'label'" in lines[1]
    assert "differ only in case" in lines[2] and "line 4: part is 'trian'" in lines[3]


def test_numbers_that_are_missing_and_those_that_are_wrong_are_reported_at_once(tmp_path):
    table = write(tmp_path / "a.csv", [("", "1"), ("b", ""), ("c", "x"), ("d", "2")], names=("text", "label"))
    (message,) = problems("text_table", path=str(table), target="number")
    assert [f"line {line}: " in text for line, text in zip((2, 4, 3), message.splitlines(), strict=True)] == [True] * 3


def test_one_class_besides_missing_labels_is_one_mistake(tmp_path):
    table = write(tmp_path / "a.csv", [("a", "no"), ("b", ""), ("c", "no")], names=("text", "label"))
    (message,) = problems("text_table", path=str(table))
    assert "line 3: no value in 'label'" in message and "two or more classes" not in message
