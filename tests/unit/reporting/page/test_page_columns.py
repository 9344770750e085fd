"""Tests of the page's tables: every value is read back, whatever its type."""

import json

import numpy as np
import pandas as pd

from variability.reporting.page import columns


def test_a_table_is_stored_column_by_column():
    table = pd.DataFrame({"n": [1, 2], "x": [0.123456789, np.nan], "ok": [True, False], "name": ["a", None]})
    assert columns.of_table(table) == {
        "names": ["n", "x", "ok", "name"],
        "columns": [[1, 2], [0.123457, None], [True, False], {"texts": ["a"], "codes": [0, -1]}],
        "rows": 2,
    }


def test_repeated_texts_are_stored_once():
    assert columns.of_column(pd.Series(["b", "a", "b"])) == {"texts": ["b", "a"], "codes": [0, 1, 0]}


def test_numbers_that_json_lacks_are_missing():
    assert columns.numbers(np.array([np.inf, -np.inf, np.nan, 1e300, 2.0])) == [None, None, None, 1e300, 2]


def test_six_digits_are_kept_at_every_size():
    values = np.array([123456789.0, 1.23456789e-12])
    assert columns.numbers(values) == [123457000, 1.23457e-12]


def test_mixed_columns_become_plain_values():
    mixed = pd.Series([np.int64(3), "x", np.float64(0.5), np.True_], dtype=object)
    stored = columns.of_column(mixed)
    assert [stored["texts"][code] for code in stored["codes"]] == [3, "x", 0.5, True]
    json.dumps(stored, allow_nan=False)
