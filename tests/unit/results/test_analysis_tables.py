"""Tables of analyses are read back as they were written: names as text, numbers as numbers."""

import csv

import numpy as np
import pandas as pd
import pytest

from variability.errors import UserError
from variability.results import analysis_tables

#: Names that readers of CSV files take for numbers, missing values, truth values, or the end of a field.
NAMES = [
    *("18", "34", "1.1", "1.10", "007", "1e5", "inf", "-0", "0x10", "1_000", "+5", "1,5", "12:30"),
    *("NA", "N/A", "None", "nan", "NaN", "null", "", " ", "True", "true", "no", "#N/A", "<NA>"),
    *('a "b"', '"', '""', "a,b", "a\nb", "a\r\nb", "\r", "'", "a|b", "\ttab", " a ", "größe", "=1+1", "#a"),
    *("@SUM(A1)", "-2+3", "\t=1", "\r=1", " =1+1", "\uff1d1", "'=1", "''@a", "'a", "''"),
]


def round_trip(table, tmp_path):
    path = tmp_path / "table.csv"
    analysis_tables.write(table, path)
    return analysis_tables.read(path)


def test_names_are_read_exactly(tmp_path):
    table = pd.DataFrame({"model": NAMES, "value": np.arange(len(NAMES)) / 3})
    read = round_trip(table, tmp_path)
    assert read["model"].tolist() == NAMES
    assert read["value"].tolist() == table["value"].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_one_name_is_text(name, tmp_path):
    """Alone, a name decides the type of its column."""
    read = round_trip(pd.DataFrame({"model": [name, name]}), tmp_path)
    assert read["model"].tolist() == [name, name]


def test_any_reader_of_csv_files_reads_the_same_text(tmp_path):
    """Apart from names that a spreadsheet would run, and from those that look like one made safe."""
    analysis_tables.write(pd.DataFrame({"model": NAMES, "n": range(len(NAMES))}), tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    safe = [f"'{name}" if name.lstrip("'").lstrip(" \t\r\n")[:1] in set("=+-@\uff1d") else name for name in NAMES]
    safe = [f"'{name}" if name[:1] in ("\t", "\r") else new for name, new in zip(NAMES, safe, strict=True)]
    safe = [name if not name.strip("'") else new for name, new in zip(NAMES, safe, strict=True)]
    assert rows == [["model", "n"], *([name, str(n)] for n, name in enumerate(safe))]


def test_no_text_begins_as_a_formula_and_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame({"=cmd|' /C calc'!A0": ["-1", "+1", "@a", "=1"], "value": [-0.5, 1e-9, -2.0, float("-inf")]})
    analysis_tables.write(table, tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines == ["'=cmd|' /C calc'!A0,value", '"\'-1",-0.5', '"\'+1",1e-09', '"\'@a",-2.0', '"\'=1",-inf']
    pd.testing.assert_frame_equal(analysis_tables.read(tmp_path / "table.csv"), table)


def test_missing_values_are_neither_a_name_nor_an_empty_text(tmp_path):
    read = round_trip(
        pd.DataFrame({"reference": ["nan", None, "", float("nan")], "low": [1.0, np.nan, 2.0, 3.0]}), tmp_path
    )
    assert read["reference"].isna().tolist() == [False, True, False, True]
    assert read["reference"].tolist()[::2] == ["nan", ""]
    assert read["low"].isna().tolist() == [False, True, False, False]


def test_numbers_are_read_with_type_and_all_digits(tmp_path):
    # A faster parser would change the last bit of some values.
    floats = [
        *np.random.default_rng(0).lognormal(size=1000, sigma=20),
        5e-324,
        1e308,
        -0.0,
        1e22,
        np.inf,
        -np.inf,
        np.nan,
    ]
    read = round_trip(pd.DataFrame({"value": floats}), tmp_path)
    assert read["value"].dtype == float
    np.testing.assert_array_equal(read["value"], floats)
    whole = round_trip(
        pd.DataFrame({"n": [1, 2**53 + 1], "primary": [True, False], "single": np.float32([0.1, 0.2])}), tmp_path
    )
    assert whole["n"].tolist() == [1, 2**53 + 1] and whole["n"].dtype == int
    assert whole["primary"].tolist() == [True, False] and whole["primary"].dtype == bool
    assert whole["single"].tolist() == np.float32([0.1, 0.2]).astype(float).tolist()


def test_a_column_may_hold_text_and_numbers(tmp_path):
    values = [0.95, "none", "0.95", True, "True", np.float64(0.5), np.int64(3)]
    read = round_trip(pd.DataFrame({"level": pd.Series(values, dtype=object)}), tmp_path)["level"].tolist()
    assert read == [0.95, "none", "0.95", True, "True", 0.5, 3]
    assert [type(value) for value in read] == [float, str, str, bool, str, float, int]


def test_a_table_without_rows_keeps_its_columns(tmp_path):
    read = round_trip(pd.DataFrame(columns=["model", 'the "best"', "a,b"]), tmp_path)
    assert read.columns.tolist() == ["model", 'the "best"', "a,b"] and not len(read)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,n\nresnet,3\n", "row 1: 'resnet' is not a number"),
        ('model,n\n"a",1\n"b"\n', "row 2: 1 field instead of 2"),
        ('model,n\n"a,1\n', "line 2: a quote is not closed"),
    ],
)
def test_a_file_that_was_damaged_is_refused(text, message, tmp_path):
    path = tmp_path / "analyse" / "ranks.csv"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        analysis_tables.read(path)
    assert f"remove {path} and run again with `snakemake --forcerun analyse`" in str(raised.value)
