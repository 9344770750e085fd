"""The command that compares old runs with new ones: verdicts, exit statuses and sentences."""

import numpy as np
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability.compare import __main__, command_line, gate, matching, sides
from variability.results import study_folders

pytestmark = pytest.mark.slow

#: Five runs with mean 0.8 and SD 0.01.
RUNS = 0.8 + 0.01 * np.array([-1.5, -0.5, 0, 0.5, 1.5]) / np.std([-1.5, -0.5, 0, 0.5, 1.5], ddof=1)
HEADER = "model,task,method,seed,metric,value\n"


def table(folder, name, cells, metric="accuracy"):
    """Write a table of runs. cells: {(model, task): values}, None for a failed run."""
    rows = [
        f"{model},{task},full,{seed},{metric}," + (",failed" if value is None else f"{value},finished")
        for (model, task), values in cells.items()
        for seed, value in enumerate(values)
    ]
    path = folder / name
    path.write_text(HEADER.strip() + ",status\n" + "\n".join(rows) + "\n")
    return str(path)


@pytest.fixture
def run(tmp_path, capsys):
    """Compare {(model, task): values} with another, and return the exit status and the printed lines."""

    def compare(old, new, *options, metric="accuracy"):
        files = [table(tmp_path, f"{name}.csv", side, metric) for name, side in (("old", old), ("new", new))]
        status = command_line.main([*files, *options])
        out, err = capsys.readouterr()
        return status, out.splitlines() or err.splitlines()

    return compare


def side(path, metric=None):
    return sides.read(path, metric, {})


def compared(tmp_path, old, new, **options):
    """Return the comparisons of two {(model, task): values}."""
    read = [side(table(tmp_path, f"{name}.csv", cells)) for name, cells in (("old", old), ("new", new))]
    cells = matching.match(*read, {})
    return gate.compare(*read, cells.both, **{"level": 0.95, "margin": 0.01} | options)


A = ("a", "x")


def test_a_clear_regression_is_worse(run):
    status, lines = run({A: RUNS}, {A: RUNS - 0.05})
    assert status == 1
    assert lines[0].startswith("worse: on x, a (full): worse beyond noise (p < 0.001")
    assert "accuracy: 0.750 ± 0.010 (new, n = 5) against 0.800 ± 0.010 (old, n = 5)" in lines[0]
    assert lines[1] == "overall worse: 1 worse of 1 comparison."


def test_a_clear_improvement_is_not_worse(run):
    status, lines = run({A: RUNS}, {A: RUNS + 0.05})
    assert status == 0 and "better beyond noise (p < 0.001" in lines[0]


def test_statistics_are_those_of_welch(tmp_path):
    [each] = compared(tmp_path, {A: RUNS}, {A: [0.76, 0.8, 0.79, 0.77]})
    expected = stats.ttest_ind([0.76, 0.8, 0.79, 0.77], RUNS, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert (each.p, each.low, each.high) == pytest.approx((expected.pvalue, low, high))
    assert each.difference == pytest.approx(-0.02) and each.margin == pytest.approx(0.01)


# The standard error of five against five runs of SD 0.01 is 0.01 * sqrt(2/5) = 0.00632; times t(8) = 2.306: 0.01458.
@pytest.mark.parametrize(
    ("shift", "margin", "status"),
    [
        (0.0, "0.0146", 0),
        (0.0, "0.0145", 2),
        (-0.0100, "0.0246", 0),
        (-0.0100, "0.0245", 2),
        (-0.0147, "0.01", 1),
        (-0.0145, "0.01", 2),
        (0.0146, "0", 0),
        # Beyond noise, and within a margin that the user accepts.
        (-0.0147, "0.03", 0),
    ],
)
def test_verdicts_change_where_the_interval_reaches_margin_or_zero(run, shift, margin, status):
    assert run({A: RUNS}, {A: RUNS[::-1] + shift}, "--margin", margin)[0] == status


def test_a_wider_level_needs_more_evidence(run):
    assert run({A: RUNS}, {A: RUNS - 0.0147}, "--level", "0.99")[0] == 2


def test_equal_runs_are_not_worse_however_wide_their_spread(run):
    status, lines = run({A: [0.5] * 3}, {A: [0.5] * 3})
    assert status == 0 and "all runs are equal" in lines[0]


def test_the_same_runs_are_not_worse_but_a_single_one_shows_nothing(run):
    status, lines = run({A: RUNS}, {A: RUNS}, "--margin", "0")
    assert status == 0 and "all runs are equal" in lines[0]
    assert run({A: RUNS}, {A: RUNS[::-1]}, "--margin", "0")[0] == 2
    assert run({A: RUNS[:1]}, {A: RUNS[:1]})[0] == 2


def test_different_runs_without_spread_tell_nothing(run):
    status, lines = run({A: [0.5] * 3}, {A: [0.4] * 3})
    assert status == 2 and "the noise is not known" in lines[0]


@pytest.mark.parametrize(("old", "new"), [([0.9], RUNS), (RUNS, [0.1]), ([0.9], [0.1])])
def test_one_run_cannot_tell(run, old, new):
    status, lines = run({A: old}, {A: new})
    assert status == 2 and "needs two old and two new runs" in lines[0]


def test_single_runs_with_standard_errors_cannot_tell_however_equal(tmp_path, capsys):
    text = "model,seed,task,accuracy,stderr\nvit,0,digits,0.9,0.001\n"
    for name in ("old", "new"):
        (tmp_path / f"{name}.csv").write_text(text)
    options = ["--margin", "0.1", "--metric", "accuracy"]
    # What other test examples would change is known, what another seed would, is not.
    assert command_line.main([str(tmp_path / "old.csv"), str(tmp_path / "new.csv"), *options]) == 2
    assert "needs two old and two new runs with a value" in capsys.readouterr().out


def test_a_collapsed_run_does_not_hide_that_all_others_are_worse(run):
    status, lines = run({A: [0.95, 0.951, 0.949, 0.952, 0.948]}, {A: [0.90, 0.901, 0.899, 0.902, 0.11]})
    assert status == 1 and "p = 0.008" in lines[0]
    assert "of rearranged runs, as some collapsed or are outlying" in lines[0]


def test_less_is_better_of_a_loss(run):
    assert run({A: RUNS}, {A: RUNS - 0.05}, metric="nll")[0] == 0
    status, lines = run({A: RUNS}, {A: RUNS + 0.05}, metric="nll")
    assert status == 1 and "nll, less is better: 0.850" in lines[0] and "difference -0.050 [-0.065, -0.035]" in lines[0]


def test_the_margin_is_a_fraction_of_the_old_mean_where_the_metric_has_no_range(tmp_path):
    paths = [table(tmp_path, f"{name}.csv", {A: 40 * RUNS}, "rmse") for name in ("old", "new")]
    read = [side(path) for path in paths]
    [each] = gate.compare(*read, [(("a", "x", "full"),) * 2], 0.95, 0.01)
    assert each.margin == pytest.approx(0.32)


def test_a_direction_of_an_unknown_metric_is_requested_and_used(run):
    status, lines = run({A: RUNS}, {A: RUNS - 0.05}, metric="regret")
    assert status == 3 and "--lower-is-better 'regret'" in lines[0]
    assert run({A: RUNS}, {A: RUNS - 0.05}, "--lower-is-better", "regret", metric="regret")[0] == 0
    assert run({A: RUNS}, {A: RUNS - 0.05}, "--higher-is-better", "regret", metric="regret")[0] == 1


# Several comparisons -----------------------------------------------------------------------------------------------


def test_one_worse_task_makes_all_worse(run):
    status, lines = run({A: RUNS, ("a", "y"): RUNS}, {A: RUNS + 0.1, ("a", "y"): RUNS - 0.1})
    assert status == 1
    assert [line.partition(":")[0] for line in lines[:-1]] == ["worse", "not worse"] and lines[0].startswith(
        "worse: on y"
    )
    assert lines[-1] == "overall worse: 1 not worse, 1 worse of 2 comparisons."


def test_worse_is_adjusted_for_all_comparisons_by_holm(tmp_path):
    tasks = [f"t{i}" for i in range(10)]
    old = {("a", task): RUNS for task in tasks}
    # Alone, its interval excludes 0.
    new = {("a", task): RUNS + (0.05 if task != "t0" else -0.016) for task in tasks}
    first, *others = compared(tmp_path, old, new)
    assert first.high < 0 and first.p < 0.05
    # It is the largest of ten p-values, so Holm's method leaves it alone.
    assert first.p_adjusted == pytest.approx(first.p) and first.verdict == gate.WORSE
    first, *others = compared(tmp_path, old, {("a", task): RUNS + (-0.016 if task == "t0" else 0) for task in tasks})
    assert first.p_adjusted == pytest.approx(10 * first.p) and first.verdict == gate.CANNOT_TELL
    assert {each.p_adjusted for each in others} == {1.0}


def test_a_cell_that_new_lacks_cannot_be_told_unless_it_is_left_out(run):
    old, new = {A: RUNS, ("a", "y"): RUNS}, {A: RUNS + 0.1, ("b", "x"): RUNS}
    status, lines = run(old, new)
    assert status == 2 and lines[0].startswith("cannot tell: on y, a (full): NEW has no such runs")
    assert lines[-1].endswith("not compared, because OLD has no such runs: b (full) on x.")
    assert run(old, new, "--task", "x")[0] == 0


def test_names_that_differ_are_paired_by_options(run):
    old, new = {("a=1", "x"): RUNS, ("b", "x"): RUNS}, {("c=2", "x"): RUNS - 0.1, ("b", "x"): RUNS + 0.1}
    assert run(old, new, "--model", "a=1=c=2")[0] == 1
    assert run(old, new, "--model", "b")[0] == 0
    status, lines = run({A: RUNS}, {("b", "y"): RUNS - 0.1}, "--task", "x=y", "--model", "a=b")
    assert status == 1 and lines[0].startswith("worse: on x, b (full) on y against a (full)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no task in common (x; y); pair their names with `--task x=y`"),
        (("--task", "x=z"), "NEW has no task 'z'; known: y"),
        (("--task", "q=y"), "OLD has no task 'q'; known: x"),
        (("--model", "z"), "no run has the model 'z'"),
        (("--level", "95"), "argument --level: '95' is not a number from 0.5"),
        (("--margin", "nan"), "argument --margin: 'nan' is not a number of at least 0"),
        (("--margin", "2"), "argument --margin: 2 is a fraction of the metric's range: with a loss of the whole range"),
        (("--metric", "acuracy"), "did you mean 'accuracy'?"),
        (("--color",), "unrecognized arguments: --color"),
    ],
)
def test_an_error_is_one_sentence_and_no_verdict(run, options, message):
    status, lines = run({A: RUNS}, {("a", "y"): RUNS}, *options)
    assert status == 3 and len(lines) == 1 and lines[0].startswith("error: ") and message in lines[0]


# Failures ----------------------------------------------------------------------------------------------------------


def test_new_runs_that_fail_are_not_hidden_by_the_others(run):
    status, lines = run({A: RUNS}, {A: [*(RUNS + 0.1)[:4], None]})
    assert status == 2 and "1 of 5 new runs and 0 of 5 old runs have no value" in lines[0]


def test_failures_beyond_chance_are_worse(run):
    # Fisher's exact p of 5 of 5 against 0 of 5 is 2 / binom(10, 5) = 1/126, the largest of both p-values.
    status, lines = run({A: RUNS, ("a", "y"): RUNS}, {A: [None] * 5, ("a", "y"): RUNS + 0.1})
    assert status == 1 and "which is more than chance (p = 0.008" in lines[0]
    assert run({A: RUNS}, {A: [*RUNS[:4], None]}, "--task", "x")[0] == 2


def test_fewer_failures_are_no_loss(run):
    status, lines = run({A: [*RUNS, None]}, {A: RUNS + 0.1})
    assert status == 0 and lines[0].endswith("0 of 5 new runs and 1 of 6 old runs have no value; means leave them out.")
    assert "no value" not in run({A: RUNS}, {A: RUNS + 0.1})[1][0]


# Inputs ------------------------------------------------------------------------------------------------------------


def study(folder, runs):
    (folder / "aggregate").mkdir(parents=True)
    runs.to_parquet(folder / study_folders.TABLE)
    return str(folder)


def test_runs_of_a_study_with_equal_streams_are_pairs(tmp_path, capsys):
    runs = synthetic.runs(models=("a",), tasks=("x",), methods=("full",), seeds=range(5))
    after = (runs["phase"] == "after") & (runs["split"] == "test") & runs["primary"]
    old = study(tmp_path / "old", runs)
    # The differences of pairs are -0.01 +- 0.001, far below the spread of the runs, whose SD is 0.01.
    loss = runs["seed"].map(dict(enumerate(-0.01 + 0.001 * np.array([-1, 0, 0, 0, 1]))))
    new = study(tmp_path / "new", runs.assign(value=runs["value"].where(~after, runs["value"] + loss)))
    assert command_line.main([old, new, "--margin", "0.005"]) == 1
    assert "5 pairs: same network, equal streams" in capsys.readouterr().out


def test_a_study_is_compared_with_a_table(tmp_path, capsys):
    runs = synthetic.runs(models=("a",), tasks=("x",), methods=("full",), seeds=range(5))
    old = study(tmp_path / "old", runs)
    values = sides.read(old, None, {})["value"].to_numpy()
    metric = sides.read(old, None, {})["metric"].iloc[0]
    new = table(tmp_path, "new.csv", {A: values - 0.3}, metric)
    assert command_line.main([old, new]) == 1
    assert "pairs" not in capsys.readouterr().out
    assert command_line.main([new, old]) == 0


def test_runs_of_equal_seeds_are_pairs_if_declared(run):
    folds = [0.5, 0.6, 0.7, 0.8, 0.9]
    loss = [value - 0.02 - 0.001 * (i % 2) for i, value in enumerate(folds)]
    assert run({A: folds}, {A: loss})[0] == 2
    status, lines = run({A: folds}, {A: loss}, "--paired")
    assert status == 1 and "pairs: equal seeds, as --paired says)" in lines[0]


def test_tasks_of_different_metrics_need_a_choice(tmp_path, capsys):
    old = tmp_path / "old.csv"
    rows = [f"a,x,full,{i},{metric},{v}" for metric in ("nll", "accuracy") for i, v in enumerate(RUNS)]
    old.write_text(HEADER + "\n".join(rows) + "\n")
    new = table(tmp_path, "new.csv", {A: RUNS + 0.1})
    assert command_line.main([str(old), new]) == 3
    assert "is 'nll' in OLD and 'accuracy' in NEW; choose one" in capsys.readouterr().err
    assert command_line.main([str(old), new, "--metric", "accuracy"]) == 0


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("model,seed,accuracy\n" + "".join(f"a,{i},{v}\n" for i, v in enumerate(RUNS)), (), None),
        ("model,seed,value\n" + "".join(f"a,{i},{v}\n" for i, v in enumerate(RUNS)), ("--metric", "accuracy"), None),
        ("model,seed,value\na,0,1\n", (), "no column 'metric'; say with --metric"),
        ("model,seed,regret\na,0,1\n", (), "none called like a known metric; name one with --metric"),
        ("model,seed,test nll\na,0,1\n", (), "as in --metric 'test nll' --lower-is-better 'test nll'"),
        ("model,run,accuracy\na,0,1\n", (), "has no column 'seed'"),
        ("seed,accuracy\n0,1\n", (), "has no column 'model'; known: seed, accuracy. Rename the column, or import"),
        ("model,seed,accuracy\na,0,0.5\na,0,0.6\n", (), "seed 0"),
        ("model,seed,accuracy\na,0,93.5\n", (), "is in percent, set `scale: 0.01` under 'accuracy' in the import's "),
        (
            "model,seed,accuracy\na,0,93.5\n",
            (),
            "no options of imports: change the table, or import the table in a study",
        ),
    ],
)
def test_tables_are_read_by_the_names_of_their_columns(tmp_path, capsys, text, options, message):
    path = tmp_path / "runs.csv"
    path.write_text(text)
    assert command_line.main([str(path), str(path), *options]) == (0 if message is None else 3)
    assert message is None or message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        ("Dataset", "Rename the column 'Dataset' to 'task', or import the table in a study"),
        ("strategy", "Rename the column 'strategy' to 'method', or import the table in a study"),
        (
            "colour",
            "Call the column that distinguishes them seed, task, method or split, and leave out steps and reruns, or",
        ),
    ],
)
def test_a_column_that_separates_runs_is_to_be_renamed(tmp_path, capsys, column, advice):
    rows = [f"a,{value},{seed},0.{seed + 1}\n" for value in "xy" for seed in range(2)]
    (tmp_path / "runs.csv").write_text(f"model,{column},seed,accuracy\n{''.join(rows)}", encoding="utf-8")
    assert command_line.main([str(tmp_path / "runs.csv")] * 2) == 3
    error = capsys.readouterr().err
    assert f"{column}, accuracy. {advice}" in error or f"{column}. {advice}" in error
    assert "`keep" not in error and "options of imports" not in error


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone", "no file or folder"), ("", "not the folder of a finished study"), ("notes.md", "is not a table")],
)
def test_what_is_neither_a_study_nor_a_table_is_refused(tmp_path, capsys, name, message):
    (tmp_path / "notes.md").write_text("text")
    path = str(tmp_path / name)
    assert command_line.main([path, path]) == 3
    assert message in capsys.readouterr().err


def test_a_damaged_parquet_file_is_an_error_and_no_verdict(tmp_path, capsys):
    (tmp_path / "aggregate").mkdir()
    (tmp_path / study_folders.TABLE).write_bytes(b"PAR1 cut short")
    assert command_line.main([str(tmp_path)] * 2) == 3
    assert "cannot be read" in capsys.readouterr().err


def test_an_unforeseen_error_is_not_status_1(monkeypatch, capsys):
    monkeypatch.setattr(command_line, "main", lambda arguments: 1 / 0)
    assert __main__.run([]) == 3
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_planned_runs_reach_their_power(tmp_path):
    [each] = compared(tmp_path, {A: RUNS}, {A: RUNS[::-1]}, margin=0.01)
    assert each.verdict == gate.CANNOT_TELL
    # SD 0.01 at 80 % confidence is 0.01 * sqrt(4 / 1.649) = 0.01558; a difference of 0.01 then needs 40 runs of each.
    n, sd = 5 + each.more, 0.01 * np.sqrt(4 / stats.chi2.ppf(0.2, 4))
    power = [stats.nct.sf(stats.t.ppf(0.975, 2 * m - 2), 2 * m - 2, 0.01 / (sd * np.sqrt(2 / m))) for m in (n - 1, n)]
    assert power[0] < 0.8 <= power[1]
