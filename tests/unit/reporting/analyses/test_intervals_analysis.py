"""Tests of the three intervals of a cell."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from variability import registry
from variability.reporting.analyses import _confusion_bootstrap
from variability.results.metrics import scalars
from variability.results.predictions import Predictions, RunPredictions, Scored
from variability.stats import confusion_scores

MODELS = ("cnn", "cnn-scratch", "vit")
FAILED = {("vit", "digits", "full", 1), ("vit", "digits", "full", 3)}
TEST = {"task": "digits", "split": "test", "metric": "accuracy"}


@pytest.fixture(scope="module")
def runs():
    return synthetic.runs(models=MODELS, failed=FAILED)


def table(name, runs, **options):
    return registry.find("analyses", name)(options).table({"runs": runs})


def one(result, **values):
    for column, value in values.items():
        result = result[result[column] == value]
    assert len(result) == 1
    return result.iloc[0]


def test_the_next_run_is_less_certain_than_the_mean(runs):
    result = table("intervals", runs)
    cell = {"model": "cnn", "method": "full", "phase": "after", **TEST}
    mean, following = one(result, target="mean", **cell), one(result, target="next_run", **cell)
    assert mean["estimate"] == following["estimate"]
    assert following["low"] < mean["low"] < mean["high"] < following["high"]


def test_the_interval_uses_the_values_of_the_runs():
    runs = synthetic.runs(models=("a",), methods=("full",), seeds=range(4), sd=0.03)
    result = table("intervals", runs, level=0.9)
    values = runs.query("phase == 'after' and split == 'test' and metric == 'accuracy'")["value"].to_numpy()
    rows = result[(result["phase"] == "after") & (result["split"] == "test") & (result["metric"] == "accuracy")]
    rows = rows.set_index("target")[["low", "high"]]
    assert rows.loc["mean"].tolist() == pytest.approx(stats.t.interval(0.9, 3, values.mean(), stats.sem(values)))
    half = stats.t.ppf(0.95, 3) * values.std(ddof=1) * np.sqrt(1 + 1 / 4)
    assert rows.loc["next_run"].tolist() == pytest.approx([values.mean() - half, values.mean() + half])
    # The run with the lower of the two middle values, of 200 examples.
    right = round(np.sort(values)[1] * 200)
    assert right != round(np.sort(values)[2] * 200)
    ends = stats.binomtest(right, 200).proportion_ci(0.9, method="wilson")
    assert rows.loc["one_run"].tolist() == pytest.approx([ends.low, ends.high])


def test_one_runs_interval_depends_on_the_test_examples(runs):
    result = table("intervals", runs)
    row = one(result, target="one_run", model="cnn", method="full", phase="after", **TEST)
    assert row["n_test"] == 200
    # About 2 * 1.96 * sqrt(0.9 * 0.1 / 200)
    assert row["high"] - row["low"] == pytest.approx(0.083, abs=0.01)
    assert set(result.loc[result["target"] == "one_run", "metric"]) == {"accuracy"}


def test_equal_runs_have_an_interval_of_zero_width_with_a_note(runs):
    result = table("intervals", runs.assign(value=0.5))
    of_runs = result[(result["target"] != "one_run") & (result["n"] > 1)]
    assert (of_runs["low"] == 0.5).all() and (of_runs["high"] == 0.5).all()
    assert of_runs["note"].str.contains("all runs are equal").all()
    assert not result.loc[result["target"] == "one_run", "note"].fillna("").str.contains("agree").any()


def of_cell(runs, metric="f1_macro", study=None, **options):
    """Return the row of one run's metric, for a cell with these ``RunPredictions``."""
    if study is None:
        study = synthetic.runs(models=("a",), methods=("full",), seeds=range(max(len(runs), 1)))
    tables = {"runs": study, "predictions": Predictions({("a", "digits", "full"): lambda *_: iter(runs)})}
    result = registry.find("analyses", "intervals")(options).table(tables)
    return one(result, metric=metric, target="one_run", phase="after", split="test")


def predicted(seed, n=300, classes=4, wrong=0.3):
    """Return a run's predictions, with a rare last class."""
    rng = np.random.default_rng(seed)
    y_true = rng.choice(classes, n, p=[0.32] * (classes - 1) + [1 - 0.32 * (classes - 1)])
    y_pred = np.where(rng.random(n) < wrong, rng.integers(0, classes, n), y_true)
    return RunPredictions(seed, np.arange(n), y_true, y_pred, np.eye(classes)[y_pred])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from(sorted(confusion_scores.METRICS)))
def test_values_from_the_confusion_matrix_are_those_of_the_metrics(seed, n, metric):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.integers(0, 4, (2, n))
    expected = scalars()[metric]().compute(y_true, y_pred, np.eye(5)[y_pred])[metric]
    result = confusion_scores.score(metric, *confusion_scores.class_counts(y_true, y_pred, 5))
    assert result == pytest.approx(expected)


@pytest.mark.slow
def test_the_bootstrap_of_f1_is_one_of_examples():
    run = predicted(0)
    row = of_cell([run], resamples=4000)
    rng = np.random.default_rng(1)
    values = []
    for _ in range(1500):
        at = rng.integers(0, 300, 300)
        score = f1_score(run.y_true[at], run.y_pred[at], labels=range(4), average="macro", zero_division=0)
        values.append(score)
    assert row["estimate"] == pytest.approx(f1_score(run.y_true, run.y_pred, average="macro"))
    # Quantiles of 1,500 resamples are known to about 7 % of the interval's width.
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.009)
    assert (row["interval"], row["n_test"]) == ("bootstrap over examples", 300)


@pytest.mark.parametrize(("classes", "wrong"), [(20, 0), (20, 1), (3, 0)])
def test_a_bootstrap_that_cannot_show_the_spread_has_no_interval(classes, wrong):
    # Each class has one example: with 20, no resample has all of them; balanced accuracy is 1 in each if all are right.
    y_true = np.arange(classes)
    y_pred = np.where(y_true < wrong, classes - 1, y_true)
    run = RunPredictions(0, y_true, y_true, y_pred, np.eye(classes)[y_pred])
    row = of_cell([run], metric="f1_macro")
    if classes == 3:
        assert row["low"] <= row["estimate"] <= row["high"]
    else:
        assert row[["low", "high"]].isna().all() and row["estimate"] == pytest.approx(1 - wrong * 4 / 3 / classes)
        assert row["interval"] == "none" and "lack a rare class" in row["note"]
    assert of_cell([run], metric="accuracy")["low"] < 1


def grouped(run, groups):
    return RunPredictions(run.seed, run.example_ids, run.y_true, run.y_pred, run.probabilities, groups)


def times(run, copies):
    """Return a run with several copies of each example, and the groups of copies."""
    y_true, y_pred = np.tile(run.y_true, copies), np.tile(run.y_pred, copies)
    many = RunPredictions(run.seed, np.arange(len(y_true)), y_true, y_pred, np.tile(run.probabilities, (copies, 1)))
    return grouped(many, np.tile(np.arange(len(run.y_true)), copies))


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
def test_grouped_copies_of_an_example_add_no_information(metric):
    run = predicted(0)
    row = of_cell([times(run, 3)], metric, resamples=4000)
    assert (row["interval"], row["n_test"], row["n_groups"]) == ("bootstrap over groups of examples", 900, 300)
    once = of_cell([run], "f1_macro", resamples=4000)
    right = round((run.y_true == run.y_pred).sum())
    wilson = stats.binomtest(int(right), 300).proportion_ci(0.95, method="wilson")
    expected = (wilson.low, wilson.high) if metric == "accuracy" else (once["low"], once["high"])
    assert (row["low"], row["high"]) == pytest.approx(expected, abs=0.012)


def test_groups_of_one_example_each_change_nothing():
    run = predicted(0)
    alone, plain = of_cell([grouped(run, np.arange(300) * 7)]), of_cell([run])
    assert alone.equals(plain)
    assert of_cell([grouped(run, np.arange(300) * 7)], "accuracy")["interval"] == "Wilson"


def test_where_every_pair_is_a_binomial_count_the_bootstrap_is_too():
    # Micro F1 is accuracy, whose bootstrap distribution is binomial.
    run = predicted(3, n=200)
    sampled = _confusion_bootstrap.resampled(np.random.default_rng(0), run.y_true, run.y_pred, 4, 20000)
    right = confusion_scores.score("f1_micro", *sampled) * 200
    share = (run.y_true == run.y_pred).mean()
    assert right.mean() == pytest.approx(200 * share, abs=0.2)
    assert right.std() == pytest.approx(np.sqrt(200 * share * (1 - share)), rel=0.03)
    assert [part.sum(axis=1).tolist() for part in sampled[1:]] == [[200] * 20000] * 2


def test_the_median_of_two_runs_is_the_lower_one():
    runs = [predicted(seed, wrong=wrong) for seed, wrong in enumerate((0.1, 0.5, 0.3, 0.7))]
    scores = [f1_score(run.y_true, run.y_pred, average="macro") for run in runs]
    assert of_cell(runs)["estimate"] == pytest.approx(sorted(scores)[1])


def test_a_primary_metric_of_the_confusion_matrix_has_an_interval():
    study = synthetic.runs(models=("a",), methods=("full",), seeds=(0,))
    study = study.assign(metric=study["metric"].replace("nll", "balanced_accuracy"))
    study = study.assign(primary=study["metric"] == "balanced_accuracy")
    row = of_cell([predicted(0)], metric="balanced_accuracy", study=study)
    assert row["low"] < row["estimate"] < row["high"]
    assert row["primary"]
    assert "balanced_accuracy" in row["estimator"]
    assert not of_cell([predicted(0)], study=study)["primary"]


def test_a_primary_metric_without_a_bootstrap_has_a_row_with_a_note():
    study = synthetic.runs(models=("a",), methods=("full",))
    study = study.assign(primary=study["metric"] == "nll")
    row = of_cell([predicted(0)], metric="nll", study=study)
    assert (row["interval"], row["note"]) == ("none", "no bootstrap over examples of this metric")
    f1 = study[study["primary"]].assign(metric="f1_macro")
    row = one(table("intervals", f1), metric="f1_macro", target="one_run", phase="after", split="test")
    assert (row["interval"], row["note"]) == ("none", "no predictions to resample")


@pytest.mark.parametrize(("groups", "interval"), [(None, "Wilson"), (np.arange(60) // 4, "none")])
def test_scores_of_examples_are_not_classes_if_their_metric_is_called_accuracy(groups, interval):
    """Such as the share of attempts at an example that succeeded."""
    scores, facts = np.random.default_rng(0).integers(0, 9, (3, 60)) / 8, ("scores", Scored("accuracy", True))
    runs = [RunPredictions(seed, np.arange(60), 0 * row, row, None, groups, *facts) for seed, row in enumerate(scores)]
    row = of_cell(runs, metric="accuracy")
    assert row["interval"] == interval
    with pytest.raises(AssertionError):
        of_cell(runs, metric="f1_macro")


def test_a_cell_whose_runs_all_diverged_has_no_f1():
    lost = {("a", "digits", "full", seed) for seed in range(3)}
    study = synthetic.runs(models=("a",), methods=("full",), seeds=range(3), failed=lost)
    row = of_cell([], study=study)
    assert (row["n"], row["n_failed"], row["note"]) == (0, 3, "no completed run")
    assert np.isnan(row["low"])


def test_predictions_add_rows_without_changing_others(runs):
    alone = table("intervals", runs)
    predictions = synthetic.predicted(models=MODELS, failed=FAILED)
    both = registry.find("analyses", "intervals")({}).table({"runs": runs, "predictions": predictions})
    old = both[both["interval"] != "bootstrap over examples"].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, alone)
    assert set(both.loc[both["metric"] == "f1_macro", ["model", "method"]].itertuples(index=False, name=None)) == {
        (model, method) for model in MODELS for method in ("full", "linear_probe")
    }


def test_a_cells_bootstrap_does_not_depend_on_the_other_cells(runs):
    def lows(study):
        tables = {"runs": study, "predictions": synthetic.predicted(models=MODELS, failed=FAILED)}
        result = registry.find("analyses", "intervals")({}).table(tables).query("metric == 'f1_macro'")
        return result.set_index(["model", "method"])["low"]

    alone = lows(runs[(runs["model"] == "vit") & (runs["method"] == "full")])
    assert len(alone) == 1
    assert alone["vit", "full"] == lows(runs)["vit", "full"]
