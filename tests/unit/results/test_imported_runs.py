"""Imported runs are read by the names of their columns, and what the names leave open is refused."""

import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import synthetic_study as synthetic

from variability.config import import_checks
from variability.errors import UserError
from variability.io import tabular
from variability.results import imported_files
from variability.results.columns import RUN
from variability.results.imported_runs import read_imports
from variability.results.runs_table import TRAINED_HERE, combine
from variability.stages.aggregate import aggregate

# As exported by the trackers: their own columns, and what the user logged under the user's names.
WANDB = """\
"Name","State","Notes","User","Tags","Created","Runtime","Sweep","backbone","dataset","seed","test/accuracy","_step"
"wise-sun-3","finished","-","me","","2026-01-01T10:00:00.000Z","120","","resnet18","flowers","0","0.91","10"
"calm-sea-2","crashed","-","me","","2026-01-01T09:00:00.000Z","12","","resnet18","flowers","1","","2"
"blue-fox-1","finished","-","me","","2026-01-01T08:00:00.000Z","110","","vit_b","flowers","0","0.93","10"
"""
MLFLOW = """\
run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.accuracy,params.model,params.seed,tags.mlflow.user
a1,1,FINISHED,x,2026-01-01 10:00:00+00:00,2026-01-01 10:01:30+00:00,0.91,resnet18,0,me
b2,1,FAILED,x,2026-01-01 11:00:00+00:00,2026-01-01 11:00:10+00:00,,resnet18,1,me
"""
LONG = """\
net,data,rep,measure,score
a,x,0,accuracy,0.5
a,x,1,accuracy,0.6
a,x,0,nll,1.5
a,x,1,nll,1.4
"""
WIDE = """\
net,run_0,run_1,run_2
a,0.5,0.6,0.7
b,0.4,,0.2
"""
OTHER = {
    "columns": {"model": "m", "task": "t", "method": "me", "seed": "s"},
    "metrics": {"accuracy": None},
    "primary": "accuracy",
}
LONG_SPEC = {"columns": {"model": "net", "task": "data", "seed": "rep", "metric": "measure", "value": "score"}}
WIDE_SPEC = {
    "columns": {"model": "net"},
    "constants": {"metric": "accuracy", "task": "x"},
    "seeds": {"run_0": 0, "run_1": 1, "run_2": 2},
}


def source_of(text, spec, name="file.csv"):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(text)
        return imported_files.read(imported_files.find({"path": str(Path(folder) / name)}), spec)


def read(text, spec, tasks=None, grid=None, name="file.csv"):
    (table,), _ = read_imports({name: source_of(text, spec, name)}, {name: spec}, tasks or {}, grid or {})
    return table


def test_a_wandb_export_is_read_unchanged():
    spec = {"format": "wandb", "columns": {"model": "backbone", "task": "dataset", "seed": "seed"}}
    runs = read(WANDB, spec | {"metrics": {"test/accuracy": {"metric": "accuracy"}}})
    assert list(runs["model"]) == ["resnet18", "resnet18", "vit_b"]
    assert runs["value"].tolist()[::2] == [0.91, 0.93] and np.isnan(runs["value"][1])
    assert list(runs["status"]) == ["completed", "failed", "completed"]
    assert runs["fail_reason"][1] == "reported as crashed"
    assert list(runs["seconds"]) == [120, 12, 110]
    assert runs["primary"].all() and runs["higher_is_better"].all()
    assert (runs["perfect"] == 1).all(), "an imported accuracy has the facts of the metric accuracy"


def test_an_mlflow_export_is_read_unchanged():
    spec = {"format": "mlflow", "columns": {"model": "params.model", "seed": "params.seed"}}
    runs = read(MLFLOW, spec | {"metrics": {"metrics.accuracy": {"metric": "accuracy"}}})
    assert list(runs["status"]) == ["completed", "failed"]
    assert list(runs["seconds"]) == [90, 10]
    assert list(runs["seed"]) == [0, 1]


def test_times_of_mlflow_in_milliseconds():
    text = MLFLOW.replace("2026-01-01 10:00:00+00:00,2026-01-01 10:01:30+00:00", "1767261600000,1767261690000")
    text = text.replace("2026-01-01 11:00:00+00:00,2026-01-01 11:00:10+00:00", "1767265200000,1767265210000")
    spec = {"format": "mlflow", "columns": {"model": "params.model", "seed": "params.seed"}}
    assert list(read(text, spec | {"metrics": {"metrics.accuracy": {"metric": "accuracy"}}})["seconds"]) == [90, 10]


def test_one_row_per_value():
    runs = read(LONG, LONG_SPEC)
    assert runs[runs["metric"] == "nll"]["value"].tolist() == [1.5, 1.4]
    assert set(runs[runs["primary"]]["metric"]) == {"accuracy"}, "the first in the file, unless the config names one"
    assert set(read(LONG, LONG_SPEC | {"primary": "nll"}).query("primary")["metric"]) == {"nll"}
    assert set(read(LONG, LONG_SPEC | {"primary": {"x": "nll"}}).query("primary")["metric"]) == {"nll"}


def test_one_column_per_seed():
    runs = read(WIDE, WIDE_SPEC)
    assert runs[["model", "seed"]].to_numpy().tolist() == [["a", 0], ["a", 1], ["a", 2], ["b", 0], ["b", 1], ["b", 2]]
    assert np.array_equal(runs["value"], [0.5, 0.6, 0.7, 0.4, np.nan, 0.2], equal_nan=True)
    assert list(runs["status"]) == ["completed"] * 4 + ["failed", "completed"], "a run without a value has no result"


def test_a_transposed_file_cannot_pass():
    # Seeds in the rows, models in the columns: three models would look like three seeds of one model.
    names = ["seed", "a", "b", "c"]
    problems = list(import_checks.check_columns(WIDE_SPEC, names))
    assert {problem.key for problem in problems} == {"columns.model", "seeds.run_0", "seeds.run_1", "seeds.run_2"}
    swapped = WIDE_SPEC | {"columns": {"model": "seed"}, "seeds": {"a": 0, "b": 1, "c": 2}}
    (problem,) = import_checks.check_columns(swapped, names)
    assert problem.key == "columns.model" and "holds the seed, not the model" in problem.message


def test_rows_that_are_the_same_run_are_refused_and_the_columns_they_differ_in_are_named():
    text = "net,fold,rep,acc\na,0,0,0.5\na,1,0,0.6\na,0,1,0.5\na,1,1,0.7\n"
    spec = {"columns": {"model": "net", "seed": "rep"}, "metrics": {"acc": {"metric": "accuracy"}}}
    with pytest.raises(
        UserError, match=r"lines 2, 3: 2 of 2 runs are listed .* seed 0.* these rows differ in fold, acc"
    ):
        read(text, spec)


def test_runs_are_counted_and_not_the_rows_of_a_long_table():
    text = LONG + "a,x,1,accuracy,0.7\na,x,1,nll,1.3\n"
    with pytest.raises(UserError, match=r"lines 3, 6: 1 of 2 runs is listed more than once, for example"):
        read(text, LONG_SPEC)
    text = "m,s,accuracy,nll\na,0,0.1,1\na,,0.2,1\n"
    with pytest.raises(UserError, match=r"line 3: no seed; fill it in"):
        read(text, {"columns": {"model": "m", "seed": "s"}, "metrics": {"accuracy": None, "nll": None}})


def test_seeds_that_are_not_integers_are_numbered_after_the_integers():
    spec = {"columns": {"model": "m", "seed": "s"}, "metrics": {"accuracy": None}}
    runs = read("m,s,accuracy\na,3,0.1\na,10_14,0.2\na,0_4,0.3\na,5_9,0.4\n", spec)
    assert dict(zip(runs["value"], runs["seed"], strict=True)) == {0.1: 3, 0.3: 4, 0.4: 5, 0.2: 6}


def test_seeds_read_as_floats_become_integers():
    spec = {"columns": {"model": "m", "seed": "s"}, "metrics": {"accuracy": None}}
    assert list(read("m,s,accuracy\na,0,0.1\na,1.0,0.2\n", spec)["seed"]) == [0, 1]


def test_a_run_without_a_seed_is_refused_with_its_row():
    spec = {"columns": {"model": "m", "seed": "s"}, "metrics": {"accuracy": None}}
    with pytest.raises(UserError, match=r"line 3: no seed; fill it in"):
        read("m,s,accuracy\na,0,0.1\na,,0.2\n", spec)


def test_notes_below_the_runs_are_refused_with_the_condition_that_leaves_them_out():
    spec = {"columns": {"model": "m", "seed": "s"}, "metrics": {"accuracy": None}}
    text = "m,s,accuracy\na,0,0.1\nb,0,0.2\nMittelwert,,0.15\n* of b: one run,,\n"
    advice = r"lines 4, 5: no seed; .* by `where_not: \{m: \[\"Mittelwert\", \"\* of b: one run\"\]\}`"
    with pytest.raises(UserError, match=advice):
        read(text, spec)
    with pytest.raises(UserError, match=r"line 3: no seed; fill it in, .* for it$"):
        read("m,s,accuracy\na,0,0.1\na,,0.2\nb,1,0.2\n", spec)
    # Without any run, nothing would be left.
    with pytest.raises(UserError, match=r"lines 2, 3: no seed; fill it in, .* for it$"):
        read("m,s,accuracy\na,,0.1\nb,,0.2\n", spec)


def test_a_value_that_is_not_a_number_is_refused_with_its_row():
    spec = {"columns": {"model": "m", "seed": "s"}, "metrics": {"accuracy": None}}
    with pytest.raises(UserError, match="line 3: 1 of 2 numbers in the column of this value has a percent sign"):
        read("m,s,accuracy\na,0,0.1\na,1,91 %\n", spec)


PERCENT = "m,s,acc\na,0,93.1\na,1,0.9\na,2,94.0\n"
PERCENT_SPEC = {"columns": {"model": "m", "seed": "s"}}


def test_a_score_in_percent_is_refused_with_its_column_its_row_and_the_fix():
    spec = PERCENT_SPEC | {"metrics": {"acc": {"metric": "accuracy"}}}
    message = (
        r"lines 2, 4: 93\.1 in column 'acc' is better than a perfect accuracy, which is 1 \(2 of 3 values are\); "
        r"if it is in percent, set `scale: 0\.01` under 'acc' in the import's `metrics`"
    )
    with pytest.raises(UserError, match=message):
        read(PERCENT, spec)


def test_the_fix_works_in_wide_and_in_long_tables():
    wide = PERCENT_SPEC | {"metrics": {"acc": {"metric": "accuracy", "scale": 0.01}}}
    assert read(PERCENT, wide)["value"].tolist() == pytest.approx([0.931, 0.009, 0.94])
    long = {"columns": {"model": "m", "seed": "s", "metric": "k", "value": "v"}}
    text = "m,s,k,v\na,0,acc,93.1\na,0,nll,0.2\na,1,acc,94\na,1,nll,0.3\n"
    with pytest.raises(UserError, match=r"lines 2, 4: 93\.1 in column 'v' .* set `scale: 0\.01` under 'accuracy'"):
        read(text.replace("acc", "accuracy"), long)
    named = long | {"metrics": {"acc": {"metric": "accuracy", "scale": 0.01}}}
    assert list(import_checks.check_columns(named, ["m", "s", "k", "v"])) == []
    runs = read(text, named)
    assert runs.set_index(["metric", "seed"])["value"].to_dict() == pytest.approx(
        {("accuracy", 0): 0.931, ("accuracy", 1): 0.94, ("nll", 0): 0.2, ("nll", 1): 0.3}
    )
    seeds = WIDE_SPEC | {"metrics": {"accuracy": {"scale": 0.5}}}
    assert read(WIDE, seeds)["value"].max() == 0.35


def test_a_loss_better_than_perfect_and_a_perfect_value_from_the_config():
    spec = PERCENT_SPEC | {"metrics": {"nll": None}}
    with pytest.raises(
        UserError, match=r"line 3: -0\.2 in column 'nll' is better than a perfect nll, which is 0 \(1 of 2"
    ):
        read("m,s,nll\na,0,0.1\na,1,-0.2\n", spec)
    points = {"points": {"higher_is_better": True, "perfect": 10}}
    with pytest.raises(UserError, match=r"11 in column 'points' .* which is 10"):
        read("m,s,points\na,0,11\n", PERCENT_SPEC | {"metrics": points})


def test_a_score_that_is_perfect_up_to_rounding_is_accepted():
    spec = PERCENT_SPEC | {"metrics": {"acc": {"metric": "accuracy"}}}
    assert len(read("m,s,acc\na,0,1.0000001\na,1,1\n", spec)) == 2


def test_a_score_that_is_nan_is_undefined_and_a_failed_runs_score_is_not_used():
    text = "m,s,state,accuracy,auroc\na,0,done,nan,0.5\na,1,diverged,0.1,0.5\na,2,done,0.8,0.9\na,3,done,,\n"
    spec = {"columns": {"model": "m", "seed": "s", "status": "state"}, "metrics": {"accuracy": None, "auroc": None}}
    runs = read(text, spec).query("primary")
    assert np.array_equal(runs["value"], [np.nan, np.nan, 0.8, np.nan], equal_nan=True)
    assert list(runs["status"]) == ["completed", "diverged", "completed", "failed"]
    assert list(runs["fail_reason"].dropna()) == ["reported as diverged", "no value"]


def test_a_metric_without_any_value_on_a_task_is_left_out_for_that_task():
    text = "m,t,s,accuracy,rmse\na,cats,0,0.9,\na,prices,0,,2.5\n"
    spec = {"columns": {"model": "m", "task": "t", "seed": "s"}, "metrics": {"accuracy": None, "rmse": None}}
    runs = read(text, spec)
    assert runs[["task", "metric", "primary", "higher_is_better"]].to_numpy().tolist() == [
        ["cats", "accuracy", True, True],
        ["prices", "rmse", True, False],
    ]


def test_validation_and_test_values_are_both_read():
    spec = {"columns": {"model": "m", "seed": "s"}}
    spec["metrics"] = {"test": {"metric": "accuracy"}, "val": {"metric": "accuracy", "split": "validation"}}
    runs = read("m,s,val,test\na,0,0.5,0.4\n", spec)
    assert dict(zip(runs["split"], runs["value"], strict=True)) == {"validation": 0.5, "test": 0.4}


def test_the_grid_selects_among_imported_runs_too():
    runs = read(LONG, LONG_SPEC, grid={"exclude": [{"seed": 1}]})
    assert set(runs["seed"]) == {0}


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        ({"columns": {"modle": "net", "seed": "rep"}}, "columns.modle", "did you mean 'model'"),
        ({"columns": {"model": "nett", "seed": "rep"}}, "columns.model", "no column 'nett'; did you mean 'net'"),
        ({"columns": {"seed": "rep"}}, "columns", "which column holds the model"),
        (
            {"columns": {"model": "net"}},
            "columns",
            "which column holds the seed; add `seed: <column>`, or `constants: {seed: 0}`",
        ),
        ({"metrics": {"scor": {"metric": "accuracy"}}}, "metrics.scor", "did you mean 'score'"),
        ({"metrics": {"score": {"metric": "own"}}}, "metrics.score", "higher_is_better"),
        ({"metrics": {}}, "metrics", "name either the columns that hold metrics"),
        ({"primary": "f2"}, "primary", "'f2' is not a metric of the file"),
        ({"seeds": {"score": 1}}, "seeds", "remove one of the two"),
        ({"seeds": {"score": 1, "data": 1}}, "seeds", "the columns score and data are both seed 1"),
        ({"columns": {"model": "net", "seed": "rep", "value": "score"}}, "metrics", "name either the columns"),
        (
            {"seeds": {"score": 1}, "metrics": {"accuracy": {"split": "test"}}},
            "metrics.accuracy.split",
            "applies to a column that holds one metric",
        ),
    ],
)
def test_a_wrong_description_is_reported_before_the_first_job(change, key, message):
    spec = {"columns": {"model": "net", "seed": "rep"}, "metrics": {"score": {"metric": "accuracy"}}} | change
    problems = list(import_checks.check_columns(spec, ["net", "data", "rep", "score"]))
    assert any(problem.key == key and message in problem.message for problem in problems), problems


def test_only_the_header_of_a_file_is_read(tmp_path):
    (tmp_path / "runs.csv").write_text("\ufeffnet,data\na,\xff")
    assert tabular.header(tmp_path / "runs.csv") == ["net", "data"]
    (tmp_path / "runs.tsv").write_text("net\tdata\n")
    assert tabular.header(tmp_path / "runs.tsv") == ["net", "data"]
    pd.DataFrame({"net": ["a"], "data": [1]}).to_parquet(tmp_path / "runs.parquet")
    assert tabular.header(tmp_path / "runs.parquet") == ["net", "data"]


def test_names_are_text_and_other_columns_numbers_with_gaps(tmp_path):
    (tmp_path / "runs.csv").write_text("net,data,rep,measure,score\n1.10,None,0,accuracy,0.5\n1.1,None,0,accuracy,NA\n")
    source = imported_files.read(imported_files.find({"path": str(tmp_path / "runs.csv")}), LONG_SPEC)
    (runs,), _ = read_imports({"own": source}, {"own": LONG_SPEC}, {}, {})
    assert runs["model"].tolist() == ["1.1", "1.10"] and set(runs["task"]) == {"None"}
    assert runs["seed"].tolist() == [0, 0] and runs["value"].isna().tolist() == [True, False]


def test_the_only_guess_about_a_column_is_whether_it_holds_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,c,d,e\n1,2,true,x,\n2,NA,,,\n")
    frame = tabular.read(tmp_path / "a.csv", text=["a"])
    assert frame["a"].tolist() == ["1", "2"] and frame["b"].tolist()[0] == 2.0
    assert frame["c"].tolist()[0] == 1 and frame["d"].tolist()[0] == "x"
    assert frame[["b", "c", "d"]].isna().iloc[1].all() and frame["e"].isna().all()


def test_decimals_of_a_database_are_numbers(tmp_path):
    exact = pd.Series([Decimal("0.50"), Decimal("0.25")], dtype=pd.ArrowDtype(pa.decimal128(4, 2)))
    pd.DataFrame({"a": exact}).to_parquet(tmp_path / "a.parquet")
    assert tabular.numeric(tmp_path / "a.parquet", "a")
    assert tabular.read(tmp_path / "a.parquet")["a"].to_numpy().tolist() == [0.5, 0.25]


def test_a_study_of_imported_runs_alone_has_all_base_tables(tmp_path):
    (tmp_path / "runs.csv").write_text(LONG)
    spec = {"models": {}, "tasks": {}, "methods": {}, "grid": {}, "scales": {}, "imports": {"own": LONG_SPEC}}
    aggregate([], [], spec, tmp_path / "out", {"own": [tmp_path / "runs.csv"]})
    runs = pd.read_parquet(tmp_path / "out" / "runs.parquet")
    assert len(runs) == 4 and set(runs["source"]) == {"own"}
    assert pd.read_parquet(tmp_path / "out" / "history.parquet").empty


def test_a_file_with_another_checksum_is_refused(tmp_path):
    (tmp_path / "runs.csv").write_text(LONG)
    spec = {
        "models": {},
        "tasks": {},
        "methods": {},
        "grid": {},
        "scales": {},
        "imports": {"own": LONG_SPEC | {"sha256": "0" * 64}},
    }
    with pytest.raises(UserError, match="sha256"):
        aggregate([], [], spec, tmp_path / "out", {"own": [tmp_path / "runs.csv"]})


PUBLISHED = {
    **{"adult": 0.852, "aloi": 0.954, "california_housing": -0.499, "covtype": 0.962, "epsilon": 0.898},
    **{"helena": 0.383, "higgs_small": 0.723, "jannis": 0.719, "microsoft": -0.747, "yahoo": -0.757, "year": -8.853},
}


def test_the_published_means_of_real_runs(mirror):
    """Gorishniy et al., NeurIPS 2021: tuned MLPs, mean of 15 seeds on each of 11 data sets."""
    source = imported_files.read(imported_files.find({"path": str(next(mirror.rglob("per_seed_test_scores.csv")))}), {})
    spec = {"columns": {"model": "algorithm", "task": "dataset", "method": "config", "seed": "run"}}
    spec["metrics"] = {"test_score": {"higher_is_better": True}}
    (runs,), _ = read_imports({"rtdl": source}, {"rtdl": spec}, {}, {})
    means = runs.query("model == 'mlp' and method == 'tuned'").groupby("task")["value"].agg(["mean", "count"])
    assert means["mean"].round(3).to_dict() == PUBLISHED
    assert (means["count"] == 15).all()


def test_imported_runs_and_those_trained_here_share_a_table():
    trained = synthetic.runs()
    other = read(
        "m,t,me,s,accuracy\nx,digits,full,0,0.5\nx,digits,full,1,0.6\n", OTHER, {"digits": {"metric": "accuracy"}}
    )
    both = combine(trained, [other])
    assert list(both) == list(trained)
    assert len(both) == len(trained) + 2
    pd.testing.assert_frame_equal(both[both["source"] == TRAINED_HERE].reset_index(drop=True)[RUN], trained[RUN])
    with pytest.raises(UserError, match=r"comes from trained here and file\.csv"):
        combine(trained, [read("m,t,me,s,accuracy\na,digits,full,0,0.5\n", OTHER)])
