"""Tables of runs of the user's own, read by their columns."""

import datetime

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import synthetic_study as synthetic

import variability
from variability.errors import UserError
from variability.results import runs_table

WIDE = pd.DataFrame(
    {"model": ["a", "a", "b", "b"], "task": "t", "method": "m", "seed": [0, 1, 0, 1], "accuracy": [0.8, 0.7, 0.9, 1.0]}
)
LONG = WIDE.rename(columns={"accuracy": "value"}).assign(metric="my_score")
BETTER = {"my_score": {"higher_is_better": True}}


def values(runs):
    return {tuple(row) for row in runs[["model", "task", "method", "seed", "value"]].itertuples(index=False)}


EXPECTED = {("a", "t", "m", 0, 0.8), ("a", "t", "m", 1, 0.7), ("b", "t", "m", 0, 0.9), ("b", "t", "m", 1, 1.0)}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(lambda: WIDE, id="pandas"),
        pytest.param(lambda: WIDE.set_index(["model", "seed"]), id="index"),
        pytest.param(lambda: WIDE.astype({"model": "category", "seed": "Int64"}), id="types"),
        pytest.param(lambda: pl.from_pandas(WIDE), id="polars"),
        pytest.param(lambda: pa.Table.from_pandas(WIDE), id="arrow"),
        pytest.param(lambda: duckdb.sql("from WIDE").to_arrow_table(), id="duckdb"),
        pytest.param(lambda: WIDE.to_dict("list"), id="columns"),
        pytest.param(lambda: WIDE.to_dict("records"), id="records"),
    ],
)
def test_a_table_of_any_library_has_the_same_runs(source):
    runs = variability.read_runs(source())
    assert values(runs) == EXPECTED
    assert list(runs)[: len(runs_table.COLUMNS)] == runs_table.COLUMNS
    assert set(runs["metric"]) == {"accuracy"} and runs["primary"].all() and runs["higher_is_better"].all()


def test_a_long_table_names_its_metrics():
    runs = variability.read_runs(LONG, metrics=BETTER)
    assert values(runs) == EXPECTED and set(runs["metric"]) == {"my_score"}


def test_other_names_of_columns_are_stated():
    renamed = WIDE.drop(columns=["task", "method"]).rename(columns={"model": "net", "accuracy": "top1"})
    metrics = {"top1": {"metric": "accuracy", "scale": 0.01}}
    runs = variability.read_runs(renamed, columns={"model": "net"}, metrics=metrics, constants={"task": "cifar"})
    assert set(runs["task"]) == {"cifar"} and runs["value"].tolist() == pytest.approx([0.008, 0.007, 0.009, 0.01])


def test_one_column_per_seed():
    wide = pd.DataFrame({"model": ["a", "b"], "run0": [0.8, 0.9], "run1": [0.7, 1.0]})
    runs = variability.read_runs(wide, seeds={"run0": 0, "run1": 1}, constants={"metric": "accuracy", "task": "t"})
    assert values(runs.assign(method="m")) == EXPECTED


def test_pairing_and_groups_are_declared():
    runs = variability.read_runs(WIDE, pairing="seed", groups={"images": "t"})
    assert set(runs["pairing"]) == {"seed"} and set(runs["task_group"]) == {"images"}


def test_exports_of_trackers_have_the_columns_called_like_roles_too():
    export = WIDE.rename(columns={"accuracy": "test/acc"}).assign(State=["finished", "finished", "crashed", "finished"])
    runs = variability.read_runs(export, format="wandb", metrics={"test/acc": {"metric": "accuracy"}})
    assert runs["status"].tolist() == ["completed", "completed", "failed", "completed"]


@pytest.mark.parametrize("kind", ["classification", "scores"])
def test_rows_may_be_examples(kind):
    rows = pd.DataFrame({"model": ["a", "a", "b", "b"], "seed": 0, "example_id": [1, 2, 1, 2], "y_true": [0, 1, 0, 1]})
    rows = rows.assign(y_pred=[0, 1, 0, 0]) if kind == "classification" else rows.assign(score=[1, 1, 1, 0])
    options = {} if kind == "classification" else {"constants": {"metric": "accuracy"}}
    runs = variability.read_runs(rows, examples=kind, **options)
    assert runs[runs["metric"] == "accuracy"].set_index("model")["value"].to_dict() == {"a": 1.0, "b": 0.5}


def test_files_are_read_as_imports(tmp_path):
    WIDE.to_csv(tmp_path / "mine.csv", index=False)
    assert values(variability.read_runs(tmp_path / "mine.csv")) == EXPECTED
    assert values(variability.read_runs(str(tmp_path / "mine.csv"), where={"model": "a"})) == {
        row for row in EXPECTED if row[0] == "a"
    }


def test_a_runs_table_is_read_back_exactly(tmp_path):
    runs = synthetic.runs()
    runs.to_parquet(tmp_path / "runs.parquet")
    (tmp_path / "runs.csv").write_text("for spreadsheets")
    for source in (runs, tmp_path / "runs.parquet", tmp_path / "runs.csv"):
        pd.testing.assert_frame_equal(variability.read_runs(source), runs, check_dtype=False)


def test_a_runs_table_of_an_earlier_version_is_completed():
    older = synthetic.runs().drop(columns=["pairing", "unit", "gpus_per_run", "folds", "deterministic"])
    assert set(variability.read_runs(older)["pairing"]) == {"auto"}


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (WIDE.drop(columns="seed"), {}, "does not say which column holds the seed"),
        (WIDE.drop(columns="accuracy"), {}, "no column 'value' and none called like a known metric"),
        (LONG, {}, "the table, rows 1, 2, 3, 4: 'my_score' is not a known metric"),
        (LONG.drop(columns="metric"), {}, "does not say which metric the values are"),
        (WIDE, {"columns": {"model": "modl"}}, "columns.model: the file has no column 'modl'; did you mean 'model'"),
        (WIDE, {"colums": {}}, "colums: unknown key; did you mean 'columns'"),
        (WIDE, {"columns": 5}, "columns"),
        (WIDE, {"columns": {"model": ["a"]}}, r"columns.model: \['a'\] is not text"),
        (WIDE, {"from_path": 5}, "from_path: 5 is not text"),
        (WIDE, {"metrics": {"accuracy": "acc"}}, "a mapping such as {metric: accuracy}"),
        (WIDE, {"format": "wanb"}, "unknown reader 'wanb'; did you mean 'wandb'"),
        (WIDE.rename(columns={"model": "net"}), {}, r"add `model: <column>` \(columns: net, task, method, seed, accu"),
        (
            WIDE.rename(columns={"accuracy": "val/acc"}),
            {},
            "'val/acc': {'metric': 'acc', 'split': 'validation'}}. The co",
        ),
        (WIDE, {"pairing": "sed"}, "pairing: 'sed' is not allowed; did you mean 'seed'"),
        (WIDE, {"groups": {"g": "x"}}, "'x' matches no task"),
        (WIDE.assign(accuracy="high"), {}, "the value 'high' is not a number"),
        (WIDE.assign(accuracy=1.5), {}, "1.5"),
        (pd.concat([WIDE, WIDE]), {}, "4 of 4 runs are listed more than once"),
        (WIDE.iloc[:0], {}, "the table has no rows"),
        (WIDE.assign(accuracy=[0.1, "x", datetime.date.today(), 2]), {}, "value .x. is not a number"),
        (7, {}, "must be a study's folder, the path of a table, a data frame"),
        ("nowhere.csv", {}, "no file 'nowhere.csv'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_its_own_terms(source, options, message):
    with pytest.raises(UserError, match=message) as error:
        variability.read_runs(source, **options)
    assert "parquet" not in str(error.value) and "imports." not in str(error.value)


def test_a_folder_must_be_that_of_a_study(tmp_path):
    with pytest.raises(UserError, match=r"not the folder of a finished study, because it has no aggregate.runs\.parq"):
        variability.read_runs(tmp_path)


def test_a_damaged_runs_table_is_refused(tmp_path):
    (tmp_path / "runs.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"runs\.parquet cannot be read"):
        variability.read_runs(tmp_path / "runs.parquet")
