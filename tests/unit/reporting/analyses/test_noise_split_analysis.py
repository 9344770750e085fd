"""Tests of the split of the variance between runs against an analysis of variance of runs and examples."""

from fractions import Fraction
from functools import cache
from statistics import variance

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, mean_absolute_error, r2_score, root_mean_squared_error

from variability import registry
from variability.reporting.analyses import _example_losses
from variability.results.predictions import Cube, Predictions, RunPredictions

pytestmark = pytest.mark.slow

KINDS = {int: "classification", float: "regression"}


def of_losses(cells, kind=int, groups=None):
    """Return predictions with these losses (runs, examples); for regression, their squares."""

    def source(losses):
        for seed, row in enumerate(losses):
            truth, predicted = np.zeros(len(row), dtype=kind), np.asarray(row, dtype=kind)
            yield RunPredictions(seed, np.arange(len(row)), truth, predicted, None, groups, kind=KINDS[kind])

    return Predictions({cell: lambda *_, losses=losses: source(losses) for cell, losses in cells.items()})


@cache
def runs_of(count, kind, models=("a",)):
    runs = synthetic.runs(models=models, methods=("full",), seeds=range(count))
    if kind is float:
        runs = runs.assign(metric=runs["metric"].map({"accuracy": "rmse", "nll": "mae"}))
    return runs


def split(losses, kind=int, groups=None, **options):
    """Return the row of accuracy or MSE of a study of one cell."""
    predictions = of_losses({("a", "digits", "full"): losses}, kind, groups)
    tables = {"runs": runs_of(len(losses), kind), "predictions": predictions}
    table = registry.find("analyses", "noise_split")(options).table(tables)
    return table[table["metric"].isin(["accuracy", "mse"])].iloc[0]


def anova(losses):
    """Return MS_seed and MS_residual of a two-way table without replication, as exact fractions."""
    table = [[Fraction(float(value)) for value in row] for row in losses]
    runs, examples = len(table), len(table[0])
    grand = sum(map(sum, table)) / (runs * examples)
    of_runs = [sum(row) / examples for row in table]
    of_examples = [sum(column) / runs for column in zip(*table, strict=True)]
    total = sum((value - grand) ** 2 for row in table for value in row)
    ss_seed = examples * sum((mean - grand) ** 2 for mean in of_runs)
    ss_examples = runs * sum((mean - grand) ** 2 for mean in of_examples)
    ss_residual = total - ss_seed - ss_examples
    return float(ss_seed / (runs - 1)), float(ss_residual / ((runs - 1) * (examples - 1)))


def test_a_case_by_hand():
    # Scores 1/4 and 3/4 have variance 1/8; two examples have variance 1/2, over 16 together 1/16.
    row = split([[0, 0, 0, 1], [1, 1, 0, 1]])
    expected = {
        "n": 2,
        "n_examples": 4,
        "mean": 0.5,
        "sd_observed": np.sqrt(1 / 8),
        "variance_seed": 4 / 3 * (1 / 8 - 1 / 16),
        "sd_seed": np.sqrt(1 / 12),
        "variance_test_set": 1 / 24,
        "share_test_set": 1 / 3,
        # The examples' means over runs are 1/2, 1/2, 0 and 1.
        "sd_of_test_set_on_mean": np.sqrt(1 / 6 / 4),
        "f": 3.0,
        "p": stats.f.sf(3, 1, 3),
    }
    assert {key: row[key] for key in expected} == pytest.approx(expected)
    assert row["metric"] == "accuracy"


@st.composite
def matrices(draw, elements):
    runs, examples = draw(st.integers(2, 6)), draw(st.integers(2, 12))
    row = st.lists(elements, min_size=examples, max_size=examples)
    return draw(st.lists(row, min_size=runs, max_size=runs))


@settings(deadline=None)
@given(losses=matrices(st.integers(0, 1)))
def test_the_estimator_of_jordan_is_the_component_of_the_analysis_of_variance(losses):
    row = split(losses)
    seed, residual = anova(losses)
    examples = len(losses[0])
    scores = [sum(row) / examples for row in losses]
    of_examples = sum(variance(column) for column in zip(*losses, strict=True))
    jordan = examples / (examples - 1) * (variance(scores) - of_examples / examples**2)
    assert row["variance_seed"] == pytest.approx(jordan, abs=1e-12)
    assert row["variance_seed"] == pytest.approx((seed - residual) / examples, abs=1e-12)
    assert row["variance_test_set"] == pytest.approx(residual / examples, abs=1e-12)
    assert row["variance_seed"] + row["variance_test_set"] == pytest.approx(row["sd_observed"] ** 2, abs=1e-12)
    assert row["sd_seed"] == pytest.approx(np.sqrt(max(jordan, 0)), abs=1e-6)


@pytest.mark.slow
@settings(deadline=None)
@given(errors=matrices(st.floats(-100, 100, width=16)))
def test_squared_errors_are_also_split(errors):
    row = split(errors, kind=float)
    losses = np.square(errors)
    seed, residual = anova(losses)
    scale = max(1.0, losses.max() ** 2)
    assert row["metric"] == "mse"
    assert row["mean"] == pytest.approx(losses.mean())
    assert row["variance_seed"] == pytest.approx((seed - residual) / losses.shape[1], abs=1e-12 * scale)


def test_f_and_p_are_those_of_statsmodels():
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    losses = np.random.default_rng(0).integers(0, 2, (4, 30))
    long = pd.DataFrame(losses).melt(ignore_index=False, var_name="example", value_name="loss").reset_index(names="run")
    expected = anova_lm(ols("loss ~ C(run) + C(example)", long).fit()).loc["C(run)"]
    row = split(losses)
    assert (row["f"], row["p"]) == pytest.approx((expected["F"], expected["PR(>F)"]))


def test_a_negative_estimate_is_reported_raw_and_its_root_as_zero():
    row = split([[0, 1, 0, 1], [1, 0, 1, 0]])
    assert row["variance_seed"] < 0
    assert (row["sd_observed"], row["sd_seed"], row["sd_seed_low"], row["p"]) == (0, 0, 0, 1)
    assert "truncated" in row["note"]


def test_a_variance_of_the_seed_that_is_rounding_is_zero():
    # One error of one of four runs on twelve examples: both mean squares are 1 / 48.
    losses = np.zeros((4, 12))
    losses[1, 5] = 1
    between, residual = anova(losses)
    assert (between, residual) == pytest.approx((1 / 48, 1 / 48))
    row = split(losses)
    assert (row["variance_seed"], row["sd_seed"]) == (0, 0)
    assert pd.isna(row["note"]) and row["share_test_set"] == pytest.approx(1)


def test_runs_that_differ_less_than_by_test_set_noise_do_not_rule_out_the_seed():
    # All runs have the same score: MS_seed is 0, far below MS_residual.
    losses = np.stack([np.roll(np.arange(40) % 4 == 0, at) for at in (0, 1, 2, 3)])
    row = split(losses)
    assert row["variance_seed"] < 0 and row["f"] == 0
    upper = row["variance_test_set"] * (1 - stats.f.ppf(0.025, 3, 3 * 39)) * 3 / stats.chi2.ppf(0.025, 3)
    assert row["sd_seed_high"] == pytest.approx(np.sqrt(upper))


def test_the_interval_excludes_zero_where_the_test_rejects_at_half_of_its_error():
    rng = np.random.default_rng(0)
    rejected = 0
    for effect in np.linspace(0, 0.1, 40):
        losses = rng.random((5, 200)) < 0.3 + rng.normal(0, effect, (5, 1))
        row = split(losses, level=0.9)
        assert (row["sd_seed_low"] > 0) == (row["p"] < 0.05)
        assert row["sd_seed_low"] <= row["sd_seed"] <= row["sd_seed_high"]
        rejected += row["p"] < 0.05
    assert 5 < rejected < 40


def test_with_many_examples_the_interval_is_that_of_an_sd_without_a_test_set():
    errors = np.array([[0.0], [1.0], [2.0], [3.0], [5.0]]) + np.random.default_rng(0).normal(0, 1e-3, (5, 4000))
    row = split(errors, kind=float)
    expected = row["sd_observed"] * np.sqrt(4 / stats.chi2.ppf([0.975, 0.025], 4))
    assert [row["sd_seed_low"], row["sd_seed_high"]] == pytest.approx(expected, rel=1e-4)


def test_equal_runs_have_no_variance_to_split():
    row = split(np.full((5, 7), 0.1), kind=float)
    assert (row["sd_observed"], row["sd_seed"], row["variance_test_set"]) == (0, 0, 0)
    assert np.isnan(row["p"]) and np.isnan(row["share_test_set"])
    assert "same losses" in row["note"]


def test_runs_that_differ_equally_on_all_examples_have_no_test_set_variance():
    row = split([[0, 0, 0], [1, 1, 1]])
    assert (row["variance_test_set"], row["share_test_set"], row["p"]) == (0, 0, 0)
    assert np.isnan(row["f"])
    assert "no variance" in row["note"]


def test_one_run_has_an_uncertain_mean_and_no_spread():
    row = split([[0, 1, 1, 0]])
    assert row["n"] == 1
    assert np.isnan(row["sd_observed"])
    assert row["sd_of_test_set_on_mean"] == pytest.approx(np.sqrt(1 / 3 / 4))
    assert "one completed run" in row["note"]


def test_one_example_is_too_few():
    row = split([[0], [1]])
    assert row["n_examples"] == 1 and np.isnan(row["sd_seed"])
    assert "examples" in row["note"]


def study(cells, effect, runs, examples, rng):
    """Return cells of one model and task whose seed has the SD ``effect`` on examples of different difficulty."""
    difficulty = rng.uniform(0.2, 0.6, examples)
    return {
        ("a", "digits", f"m{at}"): rng.random((runs, examples)) < difficulty + rng.normal(0, effect, (runs, 1))
        for at in range(cells)
    }


@pytest.mark.parametrize(("effect", "level"), [(0.03, 0.95), (0.03, 0.8), (0.01, 0.8)])
def test_the_split_recovers_the_true_part_of_the_seed(effect, level):
    losses = study(600, effect, 6, 300, np.random.default_rng(1))
    runs = synthetic.runs(models=("a",), methods=[cell[2] for cell in losses], seeds=range(6))
    tables = {"runs": runs, "predictions": of_losses(losses)}
    result = registry.find("analyses", "noise_split")({"level": level}).table(tables)
    error = result["variance_seed"].std() / np.sqrt(len(result))
    assert result["variance_seed"].mean() == pytest.approx(effect**2, abs=3 * error)
    covered = result["sd_seed_low"].le(effect) & result["sd_seed_high"].ge(effect)
    # Raising the upper end where the estimate is negative can only increase the coverage.
    assert level - 0.04 <= covered.mean() <= (1 + level) / 2 + 0.03


def test_without_an_effect_of_the_seed_the_test_rejects_at_its_level():
    losses = study(600, 0.0, 6, 300, np.random.default_rng(2))
    runs = synthetic.runs(models=("a",), methods=[cell[2] for cell in losses], seeds=range(6))
    tables = {"runs": runs, "predictions": of_losses(losses)}
    result = registry.find("analyses", "noise_split")({}).table(tables)
    assert result["p"].lt(0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert result["p_adjusted"].lt(0.05).sum() <= 1


def test_p_is_adjusted_within_a_task_as_statsmodels_does():
    from statsmodels.stats.multitest import multipletests

    names = {"models": tuple("abcde"), "tasks": ("digits", "letters")}
    result = registry.find("analyses", "noise_split")({}).table(synthetic.base_tables(**names))
    assert result["p_adjusted"].nunique() > 3
    for _, of_task in result.groupby("task"):
        expected = multipletests(of_task["p"], method="holm")[1]
        assert of_task["p_adjusted"].tolist() == pytest.approx(expected.tolist())


def test_a_cell_without_p_does_not_enlarge_its_family():
    failed = {("a", "digits", "full", seed) for seed in range(5)}
    result = registry.find("analyses", "noise_split")({}).table(synthetic.base_tables(failed=failed))
    row = result[(result["model"] == "a") & (result["method"] == "full")].iloc[0]
    assert (row["n"], row["n_failed"], row["note"]) == (0, 5, "no completed run")
    others = result[result["n"] > 0]
    smallest = others.loc[others["p"].idxmin()]
    assert smallest["p_adjusted"] == pytest.approx(min(3 * smallest["p"], 1))


def test_imported_cells_are_rows_without_numbers():
    tables = synthetic.base_tables()
    imported = tables["runs"].query("model == 'a'").assign(model="theirs")
    both = pd.concat([tables["runs"], imported], ignore_index=True)
    result = registry.find("analyses", "noise_split")({}).table(tables | {"runs": both})
    row = result[result["model"] == "theirs"].iloc[0]
    assert np.isnan(row["sd_observed"]) and "imported" in row["note"]


# Groups of examples ---------------------------------------------------------------------------------------------------


@given(st.integers(2, 5), st.integers(2, 7), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=20)
def test_groups_of_one_example_each_change_nothing(runs, examples, random):
    losses = [[random.randint(0, 1) for _ in range(examples)] for _ in range(runs)]
    groups = np.array(random.sample(range(100), examples))
    pd.testing.assert_series_equal(split(losses), split(losses, groups=groups), check_exact=True)


def test_repeating_each_example_adds_no_evidence():
    once = np.random.default_rng(0).integers(0, 2, (5, 12))
    one, other = split(once), split(np.tile(once, 3), groups=np.tile(np.arange(12), 3))
    for column in ("variance_seed", "variance_test_set", "sd_seed_low", "sd_seed_high", "f", "p"):
        assert other[column] == pytest.approx(one[column]), column
    assert other["sd_of_test_set_on_mean"] == pytest.approx(one["sd_of_test_set_on_mean"])
    assert (other["n_examples"], other["n_groups"]) == (36, 12)


def test_groups_of_unequal_sizes_by_hand():
    # Shares 1/4 and 3/4 of the examples. The groups' means are 1 and 0, 1/3 and 1: variances 1/2 and 2/9; the scores
    # are 1/2 and 3/4, of variance 1/32. 1 - sum of squared shares is 3/8.
    row = split([[1, 1, 0, 0], [0, 1, 1, 1]], groups=np.array([8, 2, 2, 2]))
    seed = (1 / 32 - (1 / 16 * 1 / 2 + 9 / 16 * 2 / 9)) / (3 / 8)
    assert row["variance_seed"] == pytest.approx(seed) and row["sd_seed"] == 0
    assert row["variance_test_set"] == pytest.approx(1 / 32 - seed)
    # The groups' means over runs are 1/2 and 2/3, the score's is 5/8.
    of_groups = (1 / 4 * (1 / 2 - 5 / 8)) ** 2 + (3 / 4 * (2 / 3 - 5 / 8)) ** 2
    assert row["sd_of_test_set_on_mean"] == pytest.approx((2 * of_groups) ** 0.5)


def test_a_test_set_with_negative_variance_has_a_note_and_no_test():
    row = split([[0, 1, 0, 0], [1, 1, 1, 0]], groups=np.array([8, 2, 2, 2]))
    seed = (1 / 8 - (1 / 16 * 1 / 2 + 9 / 16 * 1 / 18)) / (3 / 8)
    assert row["variance_seed"] == pytest.approx(seed)
    assert row["variance_test_set"] == pytest.approx(1 / 8 - seed) and row["variance_test_set"] < 0
    assert np.isnan(row["p"]) and "below 0" in row["note"] and row["share_test_set"] == 0


def test_the_seeds_variance_is_unbiased_with_groups_of_any_size():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(12), rng.integers(1, 9, 12))
    models, cells = tuple(f"study{at}" for at in range(150)), {}
    for model in models:
        # Users differ, and so does the effect of a run on a user.
        of_users = rng.normal(0, 1, 12) + rng.normal(0, 0.5, (6, 12))
        losses = 9 + rng.normal(0, 0.2, (6, 1)) + of_users[:, groups] + rng.normal(0, 0.1, (6, len(groups)))
        cells[model, "digits", "full"] = np.sqrt(np.maximum(losses, 0))
    analysis, runs = registry.find("analyses", "noise_split")({}), runs_of(6, float, models)
    clustered, pooled = (
        analysis.table({"runs": runs, "predictions": of_losses(cells, float, clusters)})
        .query("metric == 'mse'")["variance_seed"]
        .reset_index(drop=True)
        for clusters in (groups, None)
    )
    assert len(clustered) == len(pooled) == 150
    error = np.std(clustered, ddof=1) / len(clustered) ** 0.5
    assert np.mean(clustered) == pytest.approx(0.04, abs=3 * error)
    assert np.mean(pooled) > 0.04 + 3 * error, "what runs make of a user would pass for the seed's"


def of_metric(metric, runs, n_runs=4):
    """Return the noise split of a study whose primary metric is this one. runs: ``RunPredictions``."""
    study = synthetic.runs(models=("a",), methods=("full",), seeds=range(n_runs))
    study = study.assign(metric=study["metric"].replace("accuracy", metric))
    study = study.assign(primary=study["metric"] == metric)
    tables = {"runs": study, "predictions": Predictions({("a", "digits", "full"): lambda *_: iter(runs)})}
    return registry.find("analyses", "noise_split")({}).table(tables)


def predicted_classes(seed, n=3000, weak=0.5):
    """Return predictions of two classes of which the rare one is recognised with a probability that varies by seed."""
    rng = np.random.default_rng(seed)
    y_true = (np.arange(n) % 10 == 0).astype(int)
    wrong = rng.random(n) < np.where(y_true == 1, weak, 0.05)
    y_pred = np.where(wrong, 1 - y_true, y_true)
    return RunPredictions(seed, np.arange(n), y_true, y_pred, np.eye(2)[y_pred])


def test_the_primary_metric_is_split_and_the_claim_is_about_it():
    """The seed changes the recall of the rare class, hence macro F1, by far more than the accuracy."""
    runs = [predicted_classes(seed, weak=weak) for seed, weak in enumerate((0.3, 0.45, 0.55, 0.7))]
    table = of_metric("f1_macro", runs)
    assert table["metric"].tolist() == ["f1_macro", "accuracy"] and table["primary"].tolist() == [True, False]
    f1, accuracy = table.to_dict("records")
    scores = [f1_score(run.y_true, run.y_pred, average="macro") for run in runs]
    assert f1["mean"] == pytest.approx(np.mean(scores))
    assert f1["sd_observed"] == pytest.approx(np.std(scores, ddof=1))
    assert f1["sd_seed"] > 2 * accuracy["sd_seed"] and f1["p_adjusted"] < 0.001
    (claim,) = registry.find("claims", "seed_matters")({}).findings({"noise_split": table})
    assert claim["unit"] == "SD of f1_macro" and claim["effect"] == f1["sd_seed"]


def test_a_metric_without_a_split_has_no_claim():
    table = of_metric("auroc_ovr", [predicted_classes(seed) for seed in range(4)])
    assert table["sd_seed"].isna().tolist() == [True, False]
    assert "no split of this metric" in table["note"].iloc[0]
    assert registry.find("claims", "seed_matters")({}).findings({"noise_split": table}) == []


@pytest.mark.parametrize("metric", ["rmse", "r2", "mae"])
def test_contributions_to_a_metric_of_regression_are_its_derivatives(metric):
    rng = np.random.default_rng(0)
    y_true = rng.normal(size=40)
    y_pred = y_true + rng.normal(size=(2, 40))
    cube = Cube(("a", "t", "full"), np.arange(2), np.arange(40), y_true, y_pred, None, "regression")
    values = _example_losses.contributions(metric, cube, 0)
    score = {"rmse": root_mean_squared_error, "r2": r2_score, "mae": mean_absolute_error}[metric]
    for row, predicted in zip(values, y_pred, strict=True):
        assert row.mean() == pytest.approx(score(y_true, predicted))
        for example in range(3):
            weights = np.ones(40)
            weights[example] += 1e-6
            changed = score(y_true, predicted, sample_weight=weights)
            derivative = (changed - score(y_true, predicted)) / 1e-6 * 40
            assert row[example] - row.mean() == pytest.approx(derivative, abs=1e-3)
