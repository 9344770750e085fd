"""Tables are read by their content, and every value is the text that is in the file."""

import bz2
import gzip
import json
import lzma
import pickle
import re
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from variability.errors import UserError
from variability.io import table_readers, tabular

NAMES = ["NA", "None", "1.10", "007", "true", " x ", "", "1e3", "null"]


def write(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, newline="")
    return path


def cells(path, **options):
    return tabular.table(path, options).columns.to_pydict()


def test_names_survive_in_every_format(tmp_path):
    text = "name,n\n" + "".join(f"{name},{index}\n" for index, name in enumerate(NAMES))
    files = [
        write(tmp_path / "a.csv", text),
        write(tmp_path / "a.csv.gz", gzip.compress(text.encode())),
        write(tmp_path / "b.csv", bz2.compress(text.encode())),
        write(tmp_path / "a.dat.xz", lzma.compress(text.encode())),
        write(tmp_path / "a.tsv", text.replace(",", "\t")),
        write(tmp_path / "a.txt", text.replace(",", ";")),
        write(tmp_path / "utf16.txt", text.replace(",", "\t").encode("utf-16")),
        write(tmp_path / "a.json", json.dumps([{"name": name, "n": n} for n, name in enumerate(NAMES)])),
        write(tmp_path / "a.jsonl", "".join(json.dumps({"name": name, "n": n}) + "\n" for n, name in enumerate(NAMES))),
        write(tmp_path / "c.json", json.dumps({"name": NAMES, "n": list(range(len(NAMES)))})),
    ]
    pd.DataFrame({"name": NAMES, "n": range(len(NAMES))}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"name": NAMES, "n": range(len(NAMES))}).to_json(tmp_path / "pandas.json")
    for path in (*files, tmp_path / "a.parquet", tmp_path / "pandas.json"):
        assert cells(path) == {"name": NAMES, "n": [str(n) for n in range(len(NAMES))]}, path.name
        assert tabular.header(path) == ["name", "n"]


def test_cells_of_a_workbook_are_text(tmp_path):
    book = openpyxl.Workbook()
    for row in [["name", "seed", "acc", "ok"], [], ["007", 1, 1 / 3, True], ["NA", 2, None, False]]:
        book.active.append(row)
    book.create_sheet("empty")
    book.save(tmp_path / "a.xlsx")
    table = tabular.table(tmp_path / "a.xlsx")
    assert table.columns.to_pydict() == {
        **{"name": ["007", "NA"], "seed": ["1", "2"]},
        **{"acc": ["0.3333333333333333", None], "ok": ["true", "false"]},
    }
    assert table.at([0, 1]) == "rows 3, 4"
    book["empty"].append(["x"])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(UserError, match=r"several sheets \(Sheet, empty\); set `sheet`"):
        tabular.table(tmp_path / "a.xlsx")
    assert len(tabular.table(tmp_path / "a.xlsx", {"sheet": "Sheet"}).columns) == 2


def test_a_title_above_the_names_of_columns_is_named(tmp_path):
    book = openpyxl.Workbook()
    for row in [["Results"], ["name", "acc"], ["a", 0.5]]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(UserError, match="row 1 has only 'Results', like a title"):
        tabular.table(tmp_path / "a.xlsx")


def test_a_formula_without_its_result_is_not_an_empty_cell(tmp_path):
    book = openpyxl.Workbook()
    for row in [["name", "acc"], ["a", "=1/4"]]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(UserError, match=r"row 2 of sheet 'Sheet' has the formula '=1/4' without its result"):
        tabular.table(tmp_path / "a.xlsx")


def test_rows_have_the_numbers_of_their_lines(tmp_path):
    table = tabular.table(write(tmp_path / "a.csv", '\na,b\n\n1,"x\ny"\n\n\n2,z\n'))
    assert list(table.numbers) == [4, 8] and table.at(1) == "line 8" and table.at([0, 1]) == "lines 4, 8"
    table = tabular.table(write(tmp_path / "a.jsonl", '{"a": 1}\n\n{"a": 2, "b": {"c": 0.50}}\n'))
    assert list(table.numbers) == [1, 3]
    assert table.columns.to_pydict() == {"a": ["1", "2"], "b.c": [None, "0.50"]}
    assert table_readers.positions("line", range(1, 13)) == "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ... (12 in all)"


@pytest.mark.parametrize(
    ("name", "text", "separator"),
    [
        ("a.csv", "a;b\n1,5;2\n", ";"),
        ("a.csv", "a,b\n1;2,3\n", ","),
        ("a.csv", "a;b,c\n1;2,3\n", ","),
        ("a.csv", "a|b\n1|2\n", "|"),
        ("a.tsv", "a\tb,c\n1\t2\n", "\t"),
        ("a.tsv", "a,b\n1,2\n", ","),
        ("u.data", "1\t2\t3\n4\t5\t6\n", "\t"),
        ("a.csv", '"a,b";c\n"1,2";3\n', ";"),
        ("a.csv", "text\nno separator, here\n", ","),
    ],
)
def test_the_separator_is_that_of_the_first_lines(tmp_path, name, text, separator):
    path = write(tmp_path / name, text)
    if separator == "," and "text" in text:
        with pytest.raises(UserError, match="line 2 has 2 values, but there is 1 column"):
            tabular.table(path)
    else:
        assert tabular.table(path).separator == separator


def test_a_separator_that_is_not_clear_is_asked_for(tmp_path):
    path = write(tmp_path / "a.txt", "a;b|c\n1;2|3\n")
    with pytest.raises(UserError, match=r"separated by semicolons or vertical bars; set `separator`"):
        tabular.table(path)
    assert cells(path, separator="|") == {"a;b": ["1;2"], "c": ["3"]}
    assert cells(write(tmp_path / "b.dat", "1::a\n\n2::b:c\n"), separator="::", header=["n", "t"]) == {
        "n": ["1", "2"],
        "t": ["a", "b:c"],
    }
    assert cells(write(tmp_path / "c.csv", "sep=|\na|b\n1|2\n")) == {"a": ["1"], "b": ["2"]}


def test_blanks_after_separators_belong_to_no_value(tmp_path):
    assert cells(write(tmp_path / "a.csv", 'a, b, c\nx,  1, "p, q"\n y z ,2,3\n')) == {
        "a": ["x", "y z "],
        "b": ["1", "2"],
        "c": ["p, q", "3"],
    }
    # If only some names begin with a blank, blanks are part of values.
    assert cells(write(tmp_path / "b.csv", "a, b,c\nx, y,z\n")) == {"a": ["x"], "b": [" y"], "c": ["z"]}
    assert cells(write(tmp_path / "c.csv", "a b,c d\n 1, 2\n")) == {"a b": [" 1"], "c d": [" 2"]}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("text label\na 1\n", r"'text label', is a single name: .* set `separator`, such as `separator: ' '`"),
        (
            "made-by-x\n\ntext,label\na,1\n",
            r"'made-by-x', is a single name: remove what is above the names .*`separator`$",
        ),
        ("", "has no rows"),
        ("text,lable\na,1\n", "did you mean 'lable'"),
    ],
)
def test_a_missing_column_is_explained_by_what_the_first_line_shows(tmp_path, text, hint):
    options = {"header": None, "label_column": "label"}
    (problem,) = tabular.check_columns(write(tmp_path / "a.csv", text), {"label_column": "label"}, options)
    assert re.search(hint, problem.message)


def test_a_table_without_names_of_columns(tmp_path):
    path = write(tmp_path / "u.data", "196\t242\t3\n186\t302\t3\n")
    assert cells(path, header=["user", "item", "rating"])["item"] == ["242", "302"]
    assert cells(path, header="none") == {"1": ["196", "186"], "2": ["242", "302"], "3": ["3", "3"]}
    assert list(tabular.table(path, {"header": "none"}).numbers) == [1, 2]
    with pytest.raises(UserError, match="line 1 has 3 values, but there are 2 columns"):
        tabular.table(path, {"header": ["user", "item"]})


def test_all_rows_of_another_width_are_listed(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n1,2\n1,2,3\n\n1\n1,2,\n")
    with pytest.raises(UserError, match=r"line 3 has 3 values, .* \(2 such rows, in the lines 3, 5\)"):
        tabular.table(path)


def test_decimal_commas_are_read_where_they_are_clear(tmp_path):
    frame = tabular.read(write(tmp_path / "a.csv", "m;seed;acc;t\na;0;0,812;1,234\na;1;0,9;2,000\n"), text=["m"])
    assert frame["acc"].tolist() == [0.812, 0.9] and frame["t"].tolist() == [1.234, 2.0]
    unclear = write(tmp_path / "b.csv", "m;t\na;1,234\na;2,000\n")
    with pytest.raises(UserError, match=r"1,234 may be a number of thousands or .* set `decimal: \",\"`"):
        tabular.read(unclear)
    assert tabular.read(unclear, options={"decimal": ","})["t"].tolist() == [1.234, 2.0]
    mixed = write(tmp_path / "c.csv", "m;t\na;1,5\na;2.5\n")
    with pytest.raises(UserError, match=r"numbers with a comma \(1,5\) and with a point \(2\.5\) in one column"):
        tabular.read(mixed)
    thousands = write(tmp_path / "d.csv", "m;t\na;1.234,5\nb;0,5\n")
    assert tabular.read(thousands)["t"].tolist() == ["1.234,5", "0,5"], "not a number, and so the column is text"


def test_only_numbers_are_numbers(tmp_path):
    path = write(tmp_path / "a.csv", "a,b,c,d\n0_2,1e999,\u22120.5,7\n4_6,-inf, 2 ,NA\n")
    frame = tabular.read(path)
    assert frame["a"].tolist() == ["0_2", "4_6"]
    assert frame["b"].tolist() == [np.inf, -np.inf] and frame["c"].tolist() == [-0.5, 2]
    assert frame["d"].tolist()[0] == 7 and np.isnan(frame["d"][1])
    assert tabular.numeric(path, "c") and not tabular.numeric(path, "a")


def test_blanks_around_the_names_of_columns_are_no_part_of_them(tmp_path):
    assert cells(write(tmp_path / "a.csv", b"a ,\tb\n1,2\n")) == {"a": ["1"], "b": ["2"]}
    assert list(cells(write(tmp_path / "b.csv", b"a,a \n1,2\n"))) == ["a", "a "]


def test_the_encoding(tmp_path):
    path = write(tmp_path / "a.csv", "name\nübung\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"not in UTF-8 \(line 2, byte 0xfc\); .*set `encoding`"):
        tabular.table(path)
    assert cells(path, encoding="cp1252") == {"name": ["übung"]}
    (problem,) = tabular.check_options({"encoding": "latin-x"}, path)
    assert "'latin-x' is not an encoding" in problem.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"\n <html>", "HTML page"),
        (b"<?xml version='1.0'?><a/>", "XML"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", r"Excel file of the old format \(\.xls\)"),
        (b"\x80\x04\x95 pickle", "pickle"),
        (b"SQLite format 3\0", "SQLite"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n", "picture"),
        (b"a,b\n\0\0", "neither text"),
        (
            b"a,b\n" + b"some,text\n" * 9 + b"a\0b,c\n",
            "line 11 has a character of code 0, which no text has; remove it",
        ),
        ("a,b\n1,2\n".encode("utf-32"), "UTF-32 text; save it as UTF-8"),
        (gzip.compress(b"runs.csv".ljust(257, b"\0") + b"ustar\0", mtime=0), "tar archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-4], "damaged or cut off"),
        (gzip.compress(b"<html>", mtime=0), "HTML page"),
        (b"PAR1 cut", "cannot be read"),
        (b"PK\x03\x04 cut", "damaged ZIP archive"),
        (gzip.compress(b"PAR1", mtime=0), "parquet file that is compressed as a whole; extract it"),
        (pickle.dumps({"acc": [0.5, "\xe0"]}, protocol=0), "pickle"),
        (pickle.dumps(np.arange(3), protocol=0), "pickle"),
        (pickle.dumps({"acc": [0.5]}, protocol=1), "pickle"),
        (b"ORC\n\3\0\0", "ORC file"),
        (gzip.compress(b"X\n\0\0\0\3", mtime=0), "R data file"),
        (b'\x10\0\0\0\0\0\0\0{"a":{}}', "file of weights"),
        (b'\x18\0\0\0\0\0\0\0\xa3\x7fK"\x09\0\0\xc0A\x1a\x0dbrain.Event:2', "TensorBoard; export the scalars"),
        ("a,b,c\n1,2,3\n".encode("utf-16-le"), "UTF-16 text without a byte-order mark; save it as UTF-8"),
        ("a,b,c\n1,2,3\n".encode("utf-16-be"), "UTF-16 text"),
        (b"\n| a | b |\n|:--|--:|\n| 1 | 2 |\n", "table in Markdown"),
        (b"# Results\n\na | b\n--- | ---\n1 | 2\n", "table in Markdown"),
        (b"<!-- saved -->\n<!DOCTYPE html>", "HTML page"),
        (b"\\begin{tabular}{ll}\na & b \\\\\n", "LaTeX table"),
        (b"a & b & c \\\\\n1 & 2 & 3 \\\\\n", "LaTeX table"),
        (b"@relation runs\n", "ARFF file"),
        (b"+-----+-----+\n| a | b |\n", "framed by lines"),
        ("\u250f\u2501\u2501\u2533\n".encode(), "framed by lines"),
        (b"=== ====\na   b\n", "reStructuredText"),
        (b"- model: a\n  acc: 0.5\n", "YAML file"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        tabular.table(write(tmp_path / "runs.csv", content))


@pytest.mark.parametrize(
    "text",
    ["class\npos\nneg\n", "ORC,b\n1,2\n", "a|b\n-|-\n1|2\n", "text\n- note: x\n", "#a,b\n1,2\n", "}q,b\n1,2\n"],
)
def test_text_that_begins_like_another_format_is_a_table(tmp_path, text):
    path = write(tmp_path / "runs.csv", text)
    header, *rows = text.splitlines()
    separator = "|" if "|" in header else ","
    assert next(iter(cells(path).items())) == (
        header.split(separator)[0],
        [row.split(separator)[0] for row in rows],
    )


def test_rows_without_values_above_the_names_are_skipped(tmp_path):
    path = write(tmp_path / "runs.csv", ",,\n \n,,\na,b,c\n1,,3\n")
    assert cells(path) == {"a": ["1"], "b": [""], "c": ["3"]}
    assert tabular.table(path).numbers.tolist() == [5]


def test_columns_aligned_by_blanks(tmp_path):
    path = write(tmp_path / "runs.txt", ' model  seed   acc\nresnet     0  0.50\n "a b"     10  0.5\n')
    assert cells(path, separator=" ") == {"model": ["resnet", "a b"], "seed": ["0", "10"], "acc": ["0.50", "0.5"]}


def test_an_archive_is_refused_with_its_content(tmp_path):
    with zipfile.ZipFile(tmp_path / "runs.csv", "w") as archive:
        archive.writestr("in/runs.csv", "a\n")
    with pytest.raises(UserError, match=r"ZIP archive \(in/runs\.csv\); extract it"):
        tabular.table(tmp_path / "runs.csv")
    with zipfile.ZipFile(tmp_path / "runs.pt", "w") as archive:
        archive.writestr("runs/data.pkl", b"")
    with pytest.raises(UserError, match="PyTorch file, whose tables are pickles"):
        tabular.table(tmp_path / "runs.pt")


def test_records_of_a_log_and_broken_records(tmp_path):
    log = {"best_metric": 0.9, "log_history": [{"step": 1, "loss": 0.5}, {"step": 2, "eval": {"acc": 1e-5}}]}
    path = write(tmp_path / "trainer_state.json", json.dumps(log))
    assert cells(path, records="log_history") == {
        **{"step": ["1", "2"], "loss": ["0.5", None], "eval.acc": [None, "1e-05"]}
    }
    with pytest.raises(UserError, match=r"no key 'history', which `records` names; it has best_metric, log_history"):
        tabular.table(path, {"records": "history"})
    with pytest.raises(UserError, match=r"line 2: .*; correct it"):
        tabular.table(write(tmp_path / "a.jsonl", '{"a": 1}\n{"a": \n{"a": 2}\n'))
    with pytest.raises(UserError, match="the key 'a' occurs twice in one record"):
        tabular.table(write(tmp_path / "b.json", '[{"a": 1, "a": 2}]'))
    path = write(tmp_path / "d.json", '{"runs": [{"a": 1}]}')
    with pytest.raises(UserError, match=r"it holds 1 list \(runs\); set `records` to runs$"):
        tabular.table(path)
    path = write(tmp_path / "e.json", '{"columns": ["a"], "index": [0], "data": [[1]]}')
    with pytest.raises(UserError, match="orientation `split` of pandas; save it with the orientation `records`"):
        tabular.table(path)
    assert cells(write(tmp_path / "c.json", '{"a": NaN, "b": -Infinity, "c": [1.0, null]}')) == {
        **{"a": ["NaN"], "b": ["-Infinity"], "c": ["[1.0, null]"]}
    }


def test_options_without_a_meaning_for_the_format_are_refused(tmp_path):
    path = write(tmp_path / "runs.json", "[]")
    problems = {problem.key for problem in tabular.check_options({"separator": ";", "sheet": "a"}, path)}
    assert problems == {"separator", "sheet"}
    assert [problem.key for problem in tabular.check_options({"quotes": True}, tmp_path / "absent.parquet")] == [
        "quotes"
    ]


def test_a_column_that_occurs_twice_is_refused_if_it_is_read(tmp_path):
    path = write(tmp_path / "a.csv", "a,a,b\n1,2,3\n")
    with pytest.raises(UserError, match="2 columns named 'a'"):
        tabular.table(path)
    assert tabular.table(path, columns=["b"]).columns.to_pydict() == {"b": ["3"]}
    (problem,) = tabular.check_columns(path, {"label": "a"}, {})
    assert "2 columns named 'a'" in problem.message


def test_a_table_without_a_row_of_names_is_recognised_by_names_like_none_that_are_wanted(tmp_path):
    path = write(tmp_path / "a.csv", "set an alarm,Wecker\nrain tomorrow,Wetter\n")
    wanted = {"text": "Satz", "label": "Klasse"}
    messages = [problem.message for problem in tabular.check_columns(path, wanted, {})]
    assert len(messages) == 2 and all(message.endswith("list them in header (2 names)") for message in messages)
    assert not list(tabular.check_columns(path, wanted, {"header": ["Satz", "Klasse"]}))
    near = write(tmp_path / "b.csv", "satz,id\nx,y\n")
    assert not any("header" in problem.message for problem in tabular.check_columns(near, wanted, {}))
