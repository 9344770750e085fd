"""Statuses and numbers as other programs write them."""

import json
import math
import re

import numpy as np
import openpyxl
import pandas as pd
import pytest

from variability.errors import UserError
from variability.results import imported_files, imported_values
from variability.results.imported_runs import read_imports

SPEC = {"columns": {"model": "m", "seed": "s", "status": "state"}, "metrics": {"acc": {"metric": "accuracy"}}}
PLAIN = {"columns": {"model": "m", "seed": "s"}, "metrics": {"acc": {"metric": "accuracy"}}}


def runs(folder, text, spec, name="runs.csv"):
    (folder / name).write_text(text)
    source = imported_files.read(imported_files.find({"path": str(folder / name)}), spec)
    (table,), _ = read_imports({"own": source}, {"own": spec}, {}, {})
    return table


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *((word, "completed") for word in ("finished", "FINISHED", "ok", "Done", "success", "completed", "", "None")),
        *((word, "failed") for word in ("crashed", "FAILED", "killed", "running", "SCHEDULED", "preempted", "oom")),
        *((word, "failed") for word in ("error", "timeout", "Out of Memory", "timed_out", "NODE_FAIL")),
        *((word, "diverged") for word in ("diverged", "nan", "NaN", "loss is nan")),
    ],
)
def test_words_for_statuses(word, status, tmp_path):
    table = runs(tmp_path, f"m,s,state,acc\na,0,{word},0.5\na,1,finished,0.6\n", SPEC)
    assert list(table["status"]) == [status, "completed"]


def test_an_empty_status_is_decided_by_the_values(tmp_path):
    table = runs(tmp_path, "m,s,state,acc\na,0,,0.5\na,1,,\n", SPEC)
    assert list(table["status"]) == ["completed", "failed"] and table["fail_reason"][1] == "no value"


def test_an_unknown_status_is_refused_until_the_config_says_what_it_means(tmp_path):
    text = "m,s,state,acc\na,0,finished,0.5\na,1,weird,0.6\na,2,weird,0.7\n"
    with pytest.raises(UserError, match=r"lines 3, 4: the status 'weird' is not known; .*`statuses: {weird: failed}`"):
        runs(tmp_path, text, SPEC)
    assert list(runs(tmp_path, text, SPEC | {"statuses": {"Weird": "failed"}})["status"]) == [
        "completed",
        "failed",
        "failed",
    ]


def test_failed_runs_count_in_tasks_without_any_value(tmp_path):
    spec = SPEC | {"columns": SPEC["columns"] | {"task": "t"}, "metrics": {"acc": {"metric": "accuracy"}, "nll": None}}
    text = "m,t,s,state,acc,nll\na,p,0,finished,0.5,\na,q,0,crashed,,\na,q,1,crashed,,\n"
    table = runs(tmp_path, text, spec)
    keys = ["task", "seed", "metric", "status", "primary"]
    assert table[keys].to_numpy().tolist() == [
        ["p", 0, "accuracy", "completed", True],
        ["q", 0, "accuracy", "failed", True],
        ["q", 1, "accuracy", "failed", True],
    ]


@pytest.mark.parametrize("value", ["inf", "Infinity", "-inf", "1e999", "∞"])
def test_an_infinite_value_is_that_of_a_diverged_run(value, tmp_path):
    spec = PLAIN | {"metrics": {"acc": {"metric": "accuracy"}, "loss": {"metric": "nll"}}}
    table = runs(tmp_path, f"m,s,acc,loss\na,0,0.5,{value}\na,1,0.6,0.1\n", spec)
    assert table.query("seed == 0")["status"].tolist() == ["diverged"] * 2
    assert table.query("seed == 0")["value"].isna().all() and table.query("seed == 1")["value"].tolist() == [0.6, 0.1]


@pytest.mark.parametrize(
    "cell", ["0.81 ± 0.02", "0.81±0.02", "0.81 +/- 0.02", "0.81+-0.02", "0.81 (0.02)", "0.8 \\pm 0"]
)
def test_a_mean_with_a_spread_is_not_a_run(cell, tmp_path):
    with pytest.raises(UserError, match=r"runs\.csv, line 3: the value '.*' is a mean with a spread"):
        runs(tmp_path, f"m,s,acc\na,0,0.5\na,1,{cell}\n", PLAIN)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,0,0.5\na,mean,0.5\na,std,0.1\n", r"lines 3, 4: these rows are not runs .* the seed is 'mean', 'std'"),
        (
            "a,0,0.5\na,Avg.,0.5\n",
            r"line 3: this row is not a run but a statistic of runs.* `where_not: {s: \[Avg\.\]}`",
        ),
        ("a,0,0.5\nmin,0,0.5\nmax,0,0.5\n", r"lines 3, 4: .* the model is 'min', 'max'"),
        ("a,r1,0.5\na,r2,0.6\na,Mittelwert,0.55\n", r"line 4: .* the seed is 'Mittelwert'"),
    ],
)
def test_rows_of_statistics_are_refused_by_name(rows, message, tmp_path):
    with pytest.raises(UserError, match=message):
        runs(tmp_path, "m,s,acc\n" + rows, PLAIN)


def test_names_of_statistics_that_are_models_or_shares_of_the_data_can_be_imported(tmp_path):
    rows = "m,t,s,acc\nmean,25%,0,0.5\nmax,25%,0,0.7\nmean,50%,0,0.6\nmax,50%,0,0.8\n"
    spec = {"columns": {"model": "m", "task": "t", "seed": "s"}, "metrics": {"acc": {"metric": "accuracy"}}}
    with pytest.raises(
        UserError, match=r"the model is 'mean', 'max'; remove them, or .*; or write other names if they are"
    ):
        runs(tmp_path, rows, spec)
    renamed = rows.replace("mean,", "mean-pooling,").replace("max,", "max-pooling,")
    assert set(runs(tmp_path, renamed, spec)["task"]) == {"25%", "50%"}
    with pytest.raises(UserError, match="the task is '25%', 'max'"):
        runs(tmp_path, renamed.replace("50%", "max"), spec)


def test_a_model_may_be_called_mean(tmp_path):
    assert set(runs(tmp_path, "m,s,acc\nmean,0,0.5\na,0,0.6\n", PLAIN)["model"]) == {"a", "mean"}


@pytest.mark.parametrize(
    ("rows", "at"),
    [
        # 0.7333... and 0.8, rounded, with the seeds of the others.
        ("a,0,0.80\na,1,0.90\nb,0,0.70\nb,1,0.80\nc,0,0.70\nc,1,0.70\nMean,0,0.73\nMean,1,0.8\n", "lines 8, 9"),
        # Over all seeds; the SD with n - 1.
        ("a,0,0.80\na,1,0.90\nb,0,0.70\nb,1,0.80\nAvg.,0,0.8\n", "line 6"),
        ("a,0,0.80\na,1,0.90\nb,0,0.70\nb,1,0.80\nstd,0,0.0816\n", "line 6"),
        ("a,0,0.80\na,1,0.90\nb,0,0.70\nb,1,0.80\nmax,0,0.9\n", "line 6"),
    ],
)
def test_a_model_with_the_name_and_the_values_of_a_statistic_is_refused(rows, at, tmp_path):
    with pytest.raises(
        UserError, match=rf"runs\.csv, {at}: the model '.*' is named like a statistic.*`where_not: {{m: "
    ):
        runs(tmp_path, "m,s,acc\n" + rows, PLAIN)


@pytest.mark.parametrize("name", ["Mittelwert", "total", "Ø", "moyenne", "Mean acc", "overall", "均值"])
def test_a_mean_in_other_words_is_refused_in_any_role(name, tmp_path):
    values = {("a", "x"): 0.5, ("b", "x"): 0.72, ("a", "y"): 0.1, ("b", "y"): 0.4}
    rows = "".join(f"{model},{task},{value}\n" for (model, task), value in values.items())
    spec = PLAIN | {"columns": {"model": "m", "task": "t"}, "constants": {"seed": 0}}
    assert len(runs(tmp_path, "m,t,acc\n" + rows + f"{name},x,0.62\n{name},y,0.25\n", spec)) == 6
    for means in (f"{name},x,0.61\n{name},y,0.25\n", f"a,{name},0.3\nb,{name},0.56\n"):
        with pytest.raises(UserError, match=rf"lines 6, 7: .*{re.escape(repr(name))}.*where_not"):
            runs(tmp_path, "m,t,acc\n" + rows + means, spec)


def test_the_last_name_is_a_mean_if_that_cannot_be_chance(tmp_path):
    values = np.random.default_rng(0).normal(0.8, 0.03, (4, 3)).round(4)

    def text(last):
        columns = [*zip("abc", values.T, strict=True), ("all of them", last)]
        return "m,s,acc\n" + "".join(
            f"{name},{seed},{each:.4f}\n" for name, of_name in columns for seed, each in enumerate(of_name)
        )

    means = values.mean(axis=1)
    with pytest.raises(
        UserError, match="14, 15, 16, 17: the model 'all of them' may be a statistic: its values are the"
    ):
        runs(tmp_path, text(means), PLAIN)
    # One value more than the mean; means that are rounded so much that any value may be one; another place.
    assert len(runs(tmp_path, text(means + np.eye(4)[0] * 0.001), PLAIN)) == 16
    assert len(runs(tmp_path, "m,s,acc\na,0,0.5\nb,0,0.7\nc,0,0.6\na,1,0.4\nb,1,0.6\nc,1,0.5\n", PLAIN)) == 6
    assert len(runs(tmp_path, text(means).replace("a,0", "all of them,9,0.5\na,0", 1), PLAIN)) == 17


def test_a_statistic_of_percentages_is_noticed_and_another_value_is_a_models(tmp_path):
    spec = PLAIN | {"metrics": {"acc": {"metric": "accuracy", "scale": 0.01}}}
    text = "m,s,acc\na,0,81.3\nb,0,82.4\nc,0,79.9\nmean,0,"
    with pytest.raises(UserError, match="line 5: the model 'mean' is named like a statistic"):
        runs(tmp_path, text + "81.2\n", spec)
    assert "mean" in set(runs(tmp_path, text + "81.1\n", spec)["model"])
    # One row that is not the mean of the others is enough, and so is a single other model.
    assert "mean" in set(
        runs(tmp_path, "m,s,acc\na,0,.8\nb,0,.6\na,1,.8\nb,1,.6\nmean,0,.7\nmean,1,.6\n", PLAIN)["model"]
    )


@pytest.mark.parametrize(
    ("word", "status"), [("OOM", "failed"), ("Timed_Out", "failed"), ("diverged", "diverged"), ("kaputt", "failed")]
)
def test_a_reason_in_place_of_a_value_is_the_status_of_its_row(word, status, tmp_path):
    spec = PLAIN | {"metrics": {"acc": {"metric": "accuracy"}, "f1": {"metric": "f1_macro"}}}
    text = f"m,s,acc,f1\na,0,{word},0.4\na,1,0.6,0.5\n"
    table = runs(tmp_path, text, spec | {"statuses": {"Kaputt": "failed"}})
    assert table.query("seed == 0")[["status", "fail_reason"]].drop_duplicates().to_numpy().tolist() == [
        [status, f"reported as {word.lower()}"]
    ]
    assert table.query("seed == 0")["value"].isna().all() and (table.query("seed == 1")["status"] == "completed").all()


@pytest.mark.parametrize("cell", ["-", "--", "\u2013", "\u2014", "n.a."])
def test_dashes_are_missing_values(cell, tmp_path):
    spec = PLAIN | {"metrics": {"acc": {"metric": "accuracy"}, "f1": {"metric": "f1_macro"}}}
    table = runs(tmp_path, f"m,s,acc,f1\na,0,{cell},0.4\na,1,0.6,0.5\n", spec)
    assert table["value"].isna().tolist() == [True, False, False, False] and set(table["status"]) == {"completed"}


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("1'234.5", "write numbers without separators of thousands"),
        ("1\u00a0234", "write numbers without separators of thousands"),
        ("**0.91**", "write the number alone, in the digits 0 to 9"),
        ("<0.01", "write the number alone"),
        ("good", "leave it empty if the run has none"),
    ],
)
def test_what_is_no_number_is_refused_with_what_to_write(cell, hint, tmp_path):
    with pytest.raises(UserError, match=f"line 2: the value .* is not a number; {hint}"):
        runs(tmp_path, f"m,s,acc\na,0,{cell}\na,1,0.5\n", PLAIN)


def test_a_mapping_in_place_of_a_value_is_refused(tmp_path):
    records = [
        {"m": "a", "s": 0, "acc": 0.5},
        {"m": "a", "s": 1, "acc": {"value": 0.6}},
        {"m": "a", "s": 2, "acc": None},
    ]
    (tmp_path / "runs.json").write_text(json.dumps(records))
    spec = PLAIN | {"path": str(tmp_path / "runs.json")}
    source = imported_files.read(imported_files.find(spec), spec)
    with pytest.raises(
        UserError, match=r"runs\.json, record 2: acc is a mapping \(acc\.value\), and a single value in"
    ):
        read_imports({"runs.json": source}, {"runs.json": spec}, {}, {})
    # In a table, such a column is another one.
    assert len(runs(tmp_path, "m,s,acc,acc.sd\na,0,0.5,0.1\na,1,,0.1\n", PLAIN)) == 2


def test_two_texts_for_one_seed_are_named(tmp_path):
    with pytest.raises(UserError, match=r"seed 1, .* \(1 and 01 are the same number\)"):
        runs(tmp_path, "m,s,acc\na,1,0.5\na,01,0.6\n", PLAIN)


def test_numbers_with_separators_of_thousands_are_refused_with_advice_that_helps(tmp_path):
    with pytest.raises(UserError, match=r"'1\.234,5' is not a number; write numbers without separators of thousands"):
        runs(tmp_path, "m;s;acc\na;0;1.234,5\n", PLAIN)


def test_percent_signs(tmp_path):
    spec = PLAIN | {"metrics": {"acc": {"metric": "accuracy", "scale": 0.01}}}
    assert runs(tmp_path, "m,s,acc\na,0,81.3%\na,1,82 %\na,2,\n", spec)["value"].tolist()[:2] == pytest.approx(
        [0.813, 0.82]
    )
    with pytest.raises(UserError, match=r"set `scale: 0\.01`"):
        runs(tmp_path, "m,s,acc\na,0,81.3%\na,1,82 %\n", PLAIN)


def test_a_csv_of_german_excel(tmp_path):
    text = "m;s;state;acc;time\nübung;0;ok;81,3%;0:05:11\nübung;1;ok;82,5%;1min 2s\n"
    spec = {**SPEC, "encoding": "cp1252", "metrics": {"acc": {"metric": "accuracy", "scale": 0.01}}}
    spec["columns"] = spec["columns"] | {"seconds": "time"}
    (tmp_path / "runs.csv").write_bytes(text.encode("cp1252"))
    source = imported_files.read(imported_files.find({"path": str(tmp_path / "runs.csv")}), spec)
    (table,), _ = read_imports({"own": source}, {"own": spec}, {}, {})
    assert table["value"].tolist() == pytest.approx([0.813, 0.825]) and table["seconds"].tolist() == [311, 62]
    assert set(table["model"]) == {"übung"}


def test_rows_of_a_sheet_have_the_numbers_of_the_sheet(tmp_path):
    book = openpyxl.Workbook()
    for row in [["m", "s", "acc"], ["a", 0, 0.5], ["a", 1, "high"]]:
        book.active.append(row)
    book.save(tmp_path / "runs.xlsx")
    with pytest.raises(UserError, match=r"runs\.xlsx, row 3: the value 'high' is not a number"):
        imported_files_table(tmp_path / "runs.xlsx")


def imported_files_table(path):
    source = imported_files.read(imported_files.find({"path": str(path)}), PLAIN)
    return read_imports({"own": source}, {"own": PLAIN}, {}, {})[0]


def test_seeds_that_are_whole_numbers_in_other_notations(tmp_path):
    table = runs(tmp_path, "m,s,acc\na,1e3,0.1\na,2.0,0.2\na,-1,0.3\na,123456789012345678,0.4\n", PLAIN)
    assert dict(zip(table["value"], table["seed"], strict=True)) == {
        0.1: 1000,
        0.2: 2,
        0.3: -1,
        0.4: 123456789012345678,
    }


def test_times_of_mlflow_in_several_notations(tmp_path, caplog):
    text = (
        "start_time,end_time,status,m,s,acc\n"
        "2026-03-01 10:00:00.244000+00:00,2026-03-01 10:05:00.244000+00:00,FINISHED,a,0,1\n"
        "2026-03-01T10:00:00,2026-03-01 10:00:30,FINISHED,a,1,1\n1767261600000,1767261690000,FINISHED,a,2,1\n"
        "unknown,2026-03-01 10:00:30,FINISHED,a,3,1\n"
    )
    table = runs(tmp_path, text, PLAIN | {"format": "mlflow"})
    assert table["seconds"].tolist()[:3] == [300, 30, 90] and math.isnan(table["seconds"][3])
    assert "line 5: no duration" in caplog.text


def test_the_csv_of_mlflows_page_has_a_status_and_durations(tmp_path):
    text = "Start Time,Duration,Status,m,s,acc\nx,1.5min,FINISHED,a,0,0.5\nx,350ms,FAILED,a,1,0.1\nx,,RUNNING,a,2,0.1\n"
    table = runs(tmp_path, text, PLAIN | {"format": "mlflow"})
    assert list(table["status"]) == ["completed", "failed", "failed"]
    assert table["seconds"].tolist()[:2] == pytest.approx([90, 0.35])


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("25/01/2024 10:00", "03/02/2024 09:00"),
        ("28.1.24", "5.2.24"),
        ("01/25/2024", "02/03/2024"),
        ("05/02/2024 08:00", "05/02/2024 09:30"),
        ("30/01/2024", "2024-02-01T10:00:00Z"),
        ("30/01/2024", "2024/02/05"),
    ],
)
def test_the_last_run_is_that_of_the_later_date(earlier, later, tmp_path):
    spec = PLAIN | {"keep": "last", "keep_by": "when"}
    for rows in ((earlier, 0.1), (later, 0.9)), ((later, 0.9), (earlier, 0.1)):
        text = "m,s,when,acc\n" + "".join(f"a,0,{when},{value}\n" for when, value in rows)
        assert runs(tmp_path, text, spec)["value"].tolist() == [0.9], rows


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("05/02/2024", "04/03/2024"),
        ("25/01/2024", "02/26/2024"),
        ("2024-04-01", "05/02/2024"),
        ("24-02-15 10:00", "24-03-01 09:00"),
        ("15/01/23", "03/02/23"),
    ],
)
def test_dates_in_an_order_that_is_not_clear_are_refused(first, second, tmp_path):
    text = f"m,s,when,acc\na,0,{first},0.1\na,0,{second},0.2\n"
    with pytest.raises(UserError, match=r"it is not clear which number is the month.*write dates as 2024-12-31"):
        runs(tmp_path, text, PLAIN | {"keep": "last", "keep_by": "when"})


def test_start_and_end_of_a_run_are_read_in_one_order():
    start, end = pd.Series(["12/02/2024 23:30"]), pd.Series(["13/02/2024 01:00"])
    assert imported_values.elapsed(start, end, None).tolist() == [5400]


def test_splits_have_common_names_and_others_are_refused(tmp_path):
    spec = PLAIN | {"columns": PLAIN["columns"] | {"split": "set"}}
    assert list(runs(tmp_path, "m,s,set,acc\na,0,val,0.5\na,0,Test,0.6\n", spec)["split"]) == ["validation", "test"]
    with pytest.raises(UserError, match=r"line 2: the split 'train' is not validation or test; leave these rows out"):
        runs(tmp_path, "m,s,set,acc\na,0,train,0.5\na,0,test,0.6\n", spec)


@pytest.mark.parametrize("label", ["mean of 3 seeds", "Average (2)", "Std.", "Mittelwert", "总计"])
def test_totals_below_the_runs_are_no_runs(label, tmp_path):
    with pytest.raises(UserError, match=f"line 4: .*{re.escape(repr(label))}.*where_not"):
        runs(tmp_path, f"m,s,acc\na,0,0.5\na,1,0.6\na,{label},0.55\n", PLAIN)


@pytest.mark.parametrize("labels", [("first", "second"), ("0_4", "0_5"), ("run 1", "2")])
def test_seeds_may_be_labels(labels, tmp_path):
    table = runs(tmp_path, "m,s,acc\n" + "".join(f"a,{label},0.5\n" for label in labels), PLAIN)
    assert table["seed"].nunique() == 2


def test_names_that_differ_in_spaces_and_unknown_metrics_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"line 3: the model 'a ?' is also written 'a ?'; write it one way"):
        runs(tmp_path, "m,s,acc\na,0,0.5\na ,1,0.5\n", PLAIN)
    with pytest.raises(UserError, match="is also written"):
        runs(tmp_path, "m,s,acc\ncaf\u00e9,0,0.5\ncafe\u0301,1,0.5\n", PLAIN)
    long = {"columns": {"model": "m", "seed": "s", "metric": "k", "value": "v"}}
    with pytest.raises(UserError, match=r"line 3: 'points' is not a known metric; list them? .*higher_is_better"):
        runs(tmp_path, "m,s,k,v\na,0,accuracy,0.5\na,0,points,3\n", long)
