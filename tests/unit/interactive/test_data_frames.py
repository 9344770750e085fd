"""Data frames, columns and records as Arrow tables."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from variability.errors import UserError
from variability.interactive import data_frames


@pytest.mark.parametrize(
    "source",
    [
        [{"name": "a", "config": {"lr": 1, "opt": {"b": "x"}}}, {"name": "b", "config": {"lr": "auto", "opt": {}}}],
        pd.DataFrame({"name": ["a", "b"], "config": [{"lr": 1, "opt": {"b": "x"}}, {"lr": "auto"}]}),
    ],
    ids=["records", "pandas"],
)
def test_nested_values_of_runs_become_columns(source):
    columns = data_frames.table(source).to_pydict()
    assert columns == {"name": ["a", "b"], "config.lr": ["1", "auto"], "config.opt.b": ["x", None]}


@pytest.mark.parametrize("library", [pl.DataFrame, pa.table], ids=["polars", "arrow"])
def test_structs_of_other_libraries_become_columns(library):
    source = library({"seed": [0, 1], "config": [{"lr": 0.1, "opt": {"b": 2}}, {"lr": 0.2, "opt": None}]})
    assert data_frames.table(source).to_pydict() == {
        **{"seed": [0, 1], "config.lr": [0.1, 0.2], "config.opt.b": [2, None]},
    }


def test_values_of_several_types_become_text_and_others_keep_their_type():
    frame = pd.DataFrame({"seed": [0, "mean", None], "n": [1, 2, 3], "p": [[0.1, 0.9], None, [1.0]]}, index=[5, 5, 7])
    table = data_frames.table(frame)
    assert table["seed"].to_pylist() == ["0", "mean", None] and table["n"].to_pylist() == [1, 2, 3]
    assert table["p"].to_pylist() == [[0.1, 0.9], None, [1.0]] and table.num_columns == 3


def test_mappings_without_content_are_no_columns():
    assert data_frames.table(pd.DataFrame({"a": [1, 2], "config": [{}, {}]})).column_names == ["a"]


@pytest.mark.parametrize("source", [7, None, [1, 2], pd.DataFrame([[1, 2]], columns=["seed", "seed"])])
def test_anything_else_is_refused(source):
    with pytest.raises(UserError, match="one name per column, or a list of records"):
        data_frames.table(source)


@pytest.mark.parametrize("source", [[], {}, [{}], pd.DataFrame(), pd.DataFrame({"config": [{}, {}]})], ids=repr)
def test_a_table_without_columns_is_empty(source):
    with pytest.raises(UserError, match="the table is empty"):
        data_frames.table(source)
