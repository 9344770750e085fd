"""Problems of imported runs that the check of a config reports."""

import numpy as np
import pytest
import yaml
from support import ROOT

from variability import registry
from variability.config import import_checks, validate
from variability.errors import ConfigError

ROWS = "m,s,acc\na,0,0.5\na,1,0.6\nb,0,0.7\nb,1,0.8\n"


def reported(config, mirrors) -> list[str]:
    """Return the problems of a config."""
    try:
        validate.check(config, mirrors)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def imported(tmp_path, text=ROWS, **keys) -> list[str]:
    """Return the problems of a study that only imports a file with this text."""
    (tmp_path / "runs.csv").write_text(text)
    entry = {"path": "runs.csv", "columns": {"model": "m", "seed": "s"}, "metrics": {"acc": {"metric": "accuracy"}}}
    entry |= keys.pop("entry", {})
    return reported({"study": "s", "imports": {"own": entry}} | keys, [tmp_path])


@pytest.mark.parametrize(
    ("text", "entry", "message"),
    [
        (ROWS + "a,1,0.9\n", {}, "runs.csv, lines 3, 6: 1 of 4 runs is listed more than once"),
        (ROWS + "c,0,high\n", {}, "runs.csv, line 6: the value 'high' is not a number"),
        (ROWS + "c,0,90\n", {}, "runs.csv, line 6: 90 in column 'acc' is better than a perfect accuracy"),
        (ROWS + "c,0,-0.1\n", {}, "line 6: -0.1 in column 'acc' is outside the range of accuracy, 0 to 1; set another"),
        (ROWS, {"sha256": "0" * 64}, "its sha256 should be 000"),
        (ROWS + "c,0,1,2,3\n", {}, "runs.csv cannot be read: "),
        ("m,s,acc\n", {}, "runs.csv has no rows"),
        ('m,s,acc\n"a,0,0.5\nb,1,0.6\n', {}, "runs.csv cannot be read: a quote in the row of line 2"),
    ],
)
def test_problems_of_an_imported_file_are_reported_before_the_first_job(text, entry, message, tmp_path):
    (problem,) = imported(tmp_path, text, entry=entry)
    assert problem.startswith("imports.own.path: ") and message in problem


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"columns": {"model": "m", "seed": "acc"}}, "metrics.acc: the column holds the seed by `columns`; remove one"),
        ({"columns": {"model": "m", "task": "m", "seed": "s"}}, "columns.task: the column 'm' holds the model already"),
        (
            {
                "columns": {"model": "m"},
                "seeds": {"m": 1},
                "constants": {"metric": "accuracy"},
                "metrics": {"accuracy": {}},
            },
            "seeds.m: the column holds the model by",
        ),
        ({"metrics": ["acc"]}, "metrics: ['acc'] is not a mapping; write, for example, {acc: {}}"),
        ({"metrics": "acc"}, "metrics: 'acc' is not a mapping; write, for example, {acc: {}}"),
        ({"where": "s > 0"}, "where: 's > 0' is not a mapping; write, for example, {optimizer: adam, seed: [0, 1]}"),
        (
            {"metrics": {"acc": {"metric": "error"}}},
            "metrics.acc: 'error' is not a known metric; add `higher_is_better",
        ),
        ({"paired": True}, "paired: unknown key; runs are pairs in the whole study or nowhere: write `pairing: seed`"),
    ],
)
def test_a_mistake_in_the_description_of_a_file_is_one_problem(entry, message, tmp_path):
    (problem,) = imported(tmp_path, entry=entry)
    assert problem.startswith(f"imports.own.{message}")


def test_a_column_of_means_of_tasks_is_left_out_by_its_entry(tmp_path):
    text = "m,s,t1,avg\na,0,0.5,0.5\na,1,0.6,0.6\n"
    entry = {"tasks": {"t1": "one", "avg": "average"}, "constants": {"metric": "accuracy"}, "metrics": {"accuracy": {}}}
    (problem,) = imported(tmp_path, text, entry=entry)
    assert "the task is 'average'; remove them, or leave the column out of the import" in problem
    assert "where_not" not in problem


def test_the_proposed_meaning_of_a_truth_value_can_be_written(tmp_path):
    entry = {"columns": {"model": "m", "seed": "s", "status": "ok"}}
    text = "m,s,acc,ok\na,0,0.5,true\na,1,0.6,true\nb,0,0.5,false\nb,1,0.5,true\n"
    (problem,) = imported(tmp_path, text, entry=entry)
    assert "as in `statuses: {'true': failed}`" in problem
    assert not imported(tmp_path, text, entry=entry | {"statuses": {"true": "completed", "false": "failed"}})


def test_values_whose_variance_would_be_0_are_refused(tmp_path):
    text, entry = "m,s,p\na,0,2e-200\na,1,3e-200\nb,0,4e-200\n", {"metrics": {"p": {"higher_is_better": True}}}
    (problem,) = imported(tmp_path, text, entry=entry)
    assert "no value of p is above 4e-200, too small to compute variances; set a `scale`" in problem
    entry["metrics"]["p"]["scale"] = 1e200
    assert not imported(tmp_path, text, entry=entry)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"model": "model", "dataset": "task", "seed": "seed"}, "columns.dataset: unknown; did you mean 'task'?"),
        ({"model": "model", "task": "task", "sed": "seed"}, "columns.sed: unknown; did you mean 'seed'?"),
        ({"model": "model", "Lauf": "seed"}, "columns.Lauf: unknown; the role comes first: write `seed: Lauf`"),
    ],
)
def test_a_role_under_another_name_is_one_problem(columns, message, tmp_path):
    text = "model,task,seed,Lauf,acc\na,t,0,0,0.5\na,t,1,1,0.6\n"
    (problem,) = imported(tmp_path, text, entry={"columns": columns})
    assert problem.startswith(f"imports.own.{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "runs.csv is empty; fill it, or use another file"),
        ("\n \n", "runs.csv is empty; fill it, or use another file"),
        ("# written by a program\n" + ROWS, "runs.csv has no column 'm'; the first line, '# written by a program', is"),
        (
            ROWS.partition("\n")[2],
            "runs.csv has no column 'm', 's' or 'acc'; if its first row, a, 0, 0.5, does not name",
        ),
        ('{"meta": {}, "runs": [{"m": "a", "s": 0, "acc": 0.5}]}', "`records: runs` makes them the rows"),
    ],
)
def test_one_problem_is_reported_of_a_file_whose_beginning_is_not_the_names_of_columns(text, message, tmp_path):
    (problem,) = imported(tmp_path, text)
    assert problem.startswith("imports.own.path: ") and message in problem


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"constants": {"n_test": {"t": 9}, "majority": {"t": 0.5}}}, None),
        ({"constants": {"n_test": {"t": 9, "u": 9}}}, "constants.n_test names a task that no row has"),
        ({"constants": {"n_test": {"u": 9}}}, "constants.n_test has no value for task t; add it"),
        ({"constants": {"seconds": {"t": 9}}}, "is one value for all rows; of runs, metric, n_test, n_train, majority"),
        ({"constants": {"metric": {"t": "mcc"}}}, "metric: every column holds one metric"),
        ({"constants": {"task": {"t": "u"}}}, "task: is one value for all rows"),
    ],
)
def test_constants_may_have_a_value_for_each_task(entry, message, tmp_path):
    constants = {"task": "t"} | entry["constants"]
    problems = imported(tmp_path, entry={"constants": constants})
    assert len(problems) == (message is not None)
    assert message is None or message in problems[0]


def test_a_file_too_large_to_read_at_every_start_is_left_to_its_job(tmp_path, monkeypatch):
    monkeypatch.setattr(import_checks, "MAX_BYTES", 10)
    assert imported(tmp_path, ROWS + "c,0,high\n", grid={"exclude": [{"model": "z"}]}) == []


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"model": "bb"}, "grid.exclude.0.model: 'bb' matches nothing; did you mean 'b'?"),
        ({"task": "x*"}, "grid.exclude.0.task: 'x*' matches nothing; known: task"),
        ({"seed": [1, 7]}, "grid.exclude.0.seed: 7 is not among the seeds [0, 1]"),
        ({"model": "*"}, "grid: include and exclude leave no run"),
    ],
)
def test_a_selection_that_matches_no_imported_run_is_named(selection, message, tmp_path):
    assert imported(tmp_path, grid={"exclude": [{"seed": 0}, selection]}) == [message.replace(".0.", ".1.")]


def test_a_run_that_is_imported_and_trained_is_reported_before_it_is_trained(tmp_path):
    trained = yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text())
    keys = {key: trained[key] for key in ("seeds", "models", "tasks", "methods", "pretraining")}
    entry = {"constants": {"task": "digits", "method": "full"}}
    text = ROWS.replace("a,", "scratch,")
    (problem,) = imported(tmp_path, text, entry=entry, **keys)
    assert problem.startswith(
        "imports.own: 2 of its runs have two sources: scratch/digits/full/0 is also trained by this study"
    )
    only = {"exclude": [{"model": "scratch"}]}
    assert imported(tmp_path, text, entry=entry, grid=only, **keys) == []


@pytest.mark.parametrize(("metric", "count"), [("nll", 0), ("accuracy", 1)])
def test_two_files_may_hold_different_metrics_of_a_run_and_not_the_same_one(metric, count, tmp_path):
    (tmp_path / "more.csv").write_text(ROWS.replace("acc", metric))
    (tmp_path / "runs.csv").write_text(ROWS)
    both = {"columns": {"model": "m", "seed": "s"}}
    files = {
        "own": both | {"path": "runs.csv", "metrics": {"acc": {"metric": "accuracy"}}},
        "more": both | {"path": "more.csv", "metrics": {metric: None}},
    }
    problems = reported({"study": "s", "imports": files}, [tmp_path])
    two_sources = "imports.more: 4 of its runs have two sources: a/task/fine-tuned/0 also comes from 'own'"
    assert [problem.partition(";")[0] for problem in problems] == [two_sources] * count


@pytest.mark.parametrize("role", ["task", "method"])
def test_a_constant_name_has_to_be_quoted(role, tmp_path):
    """YAML has read 1.10 as 1.1."""
    problems = imported(tmp_path, entry={"constants": {role: 1.1}})
    assert problems == [f'imports.own.constants.{role}: 1.1 is read as a number; quote it, as in "1.1"']
    assert not imported(tmp_path, entry={"constants": {role: "1.1"}})


def test_the_key_of_the_records_is_named_if_columns_are_missing(tmp_path):
    (tmp_path / "log.json").write_text('{"best": 0.9, "log_history": [{"acc": 0.5}]}')
    entry = {"path": str(tmp_path / "log.json"), "constants": {"model": "a", "seed": 0}}
    spec = {"study": "s", "imports": {"own": entry | {"metrics": {"acc": {"metric": "accuracy"}}}}}
    (hint,) = reported(spec, [])
    assert hint.startswith("imports.own.path: log.json has a list of records in 'log_history'; `records: log_history`")
    spec["imports"]["own"]["records"] = "log_history"
    assert not reported(spec, [])


def test_a_study_without_any_value_is_refused(tmp_path):
    text = "m,s,state,acc\na,0,crashed,0.5\na,1,crashed,0.6\n"
    entry = {"columns": {"model": "m", "seed": "s", "status": "state"}}
    (problem,) = imported(tmp_path, text, entry=entry)
    assert problem.endswith("no run has a value; check the columns of its values and of its status")


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        ({"keep_by": "step"}, "keep_by", "has no effect without"),
        ({"keep": "best", "keep_by": "s"}, "keep_by", "'s' is not among the metrics"),
        ({"from_path": "run"}, "path", "has no named group"),
        ({"from_path": "(run"}, "path", "is not a regular expression"),
        ({"separator": "\t"}, "path", "no column 'm'"),
        ({"sheet": "a"}, "sheet", "has no meaning for"),
        ({"where": {"step": 1}}, "where.step", "no such column"),
        ({"models": {"acc": "a"}}, "models", "every model has its own column"),
    ],
)
def test_options_without_effect_or_meaning_are_reported(change, key, message, tmp_path):
    problems = imported(tmp_path, entry=change)
    assert any(problem.startswith(f"imports.own.{key}: ") and message in problem for problem in problems), problems


@pytest.mark.parametrize("reader", sorted(registry.names("readers")))
def test_a_problem_of_a_file_that_is_no_table_is_a_message(reader, tmp_path):
    """Some readers have formats of their own, such as arrays of NumPy: these are not searched for records."""
    for labels in ({"label_ids": np.zeros(2)}, {"anything": np.zeros(2)}):
        np.savez(tmp_path / "model-seed0.npz", predictions=np.zeros((2, 2)), **labels)
        for wrong in ({"constants": {"task": "t"}}, {"columns": {"model": "nowhere"}}, {"from_path": "(?P<task>x)"}):
            for examples in ({}, {"examples": "classification"}):
                entry = {"path": "model-seed0.npz", "format": reader} | wrong | examples
                assert reported({"study": "s", "imports": {"own": entry}}, [tmp_path])
