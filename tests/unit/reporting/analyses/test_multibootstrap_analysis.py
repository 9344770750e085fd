"""Tests of the multi-bootstrap, which resamples seeds and examples together and pairs what is paired."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry
from variability.reporting.analyses import multibootstrap
from variability.results.predictions import Predictions, RunPredictions

pytestmark = pytest.mark.slow

TASK = "digits"
KINDS = {int: "classification", float: "regression"}


def of_losses(cells, kind=int, groups=None):
    """Return predictions with these losses, {(model, method): {seed: row}}; for regression, their squares."""

    def source(rows):
        for seed, row in rows.items():
            truth, predicted = np.zeros(len(row), dtype=kind), np.asarray(row, dtype=kind)
            yield RunPredictions(seed, np.arange(len(row)), truth, predicted, None, groups, kind=KINDS[kind])

    return Predictions(
        {(model, TASK, method): lambda *_, rows=rows: source(rows) for (model, method), rows in cells.items()}
    )


def runs_of(cells, **columns):
    names = [list(dict.fromkeys(key[at] for key in cells)) for at in range(2)]
    seeds = sorted({seed for rows in cells.values() for seed in rows})
    wanted = {(model, TASK, method, seed) for (model, method), rows in cells.items() for seed in rows}
    failed = {(model, TASK, method, seed) for model, method in cells for seed in seeds} - wanted
    runs = synthetic.runs(models=names[0], methods=names[1], seeds=seeds, failed=failed)
    return runs.assign(**columns)


def compared(cells, kind=int, runs=None, groups=None, **options):
    runs = runs_of(cells) if runs is None else runs
    if kind is float:
        runs = runs.assign(metric=runs["metric"].map({"accuracy": "rmse", "nll": "mae"}))
    tables = {"runs": runs, "predictions": of_losses(cells, kind, groups)}
    return registry.find("analyses", "multibootstrap")(options).table(tables)


def seeds(rows):
    return dict(enumerate(rows))


def right(*shape):
    return seeds(np.zeros(shape, dtype=int))


def test_a_case_by_hand():
    # One model is always correct; of the other's two runs one is, so that its accuracy is 0, 1/2 or 1, with
    # probabilities 1/4, 1/2 and 1/4, whatever the examples.
    cells = {("b", "full"): seeds([[1] * 6, [0] * 6]), ("a", "full"): right(2, 6)}
    row = compared(cells).iloc[0]
    assert (row["model"], row["model_reference"]) == ("a", "b")
    assert (row["difference"], row["low"], row["high"]) == (0.5, 0, 1)
    assert row["p"] == pytest.approx(0.5, abs=0.06)
    assert not row["seeds_paired"]


def test_examples_alone_are_binomial_when_all_runs_agree():
    # Of 40 examples one model fails on 10 and the other on none: the sampled errors are binomial.
    cells = {("b", "full"): seeds([[1] * 10 + [0] * 30] * 6), ("a", "full"): right(6, 40)}
    row = compared(cells, resamples=20_000).iloc[0]
    assert [row["low"], row["high"]] == pytest.approx(stats.binom(40, 0.25).ppf([0.025, 0.975]) / 40)


def test_methods_of_one_model_have_their_seeds_paired():
    # Each run of one method is better by the same amount: with paired seeds nothing varies, with independent ones much
    # does.
    better, worse = ([[1] * count + [0] * (20 - count) for count in counts] for counts in ((0, 4, 8), (5, 9, 13)))
    rows = {"worse": [[1] * 20] * 3, "one": better, "other": worse}
    paired = compared({("a", "full"): seeds(rows["other"]), ("a", "linear_probe"): seeds(rows["one"])}).iloc[0]
    free = compared({("a", "full"): seeds(rows["other"]), ("b", "full"): seeds(rows["one"])}).iloc[0]
    assert paired["seeds_paired"] and not free["seeds_paired"]
    assert paired["difference"] == free["difference"] == pytest.approx(0.25)
    assert paired["high"] - paired["low"] < free["high"] - free["low"]
    assert "seeds paired" in paired["estimator"] and "seeds independent" in free["estimator"]


def test_seeds_of_networks_are_paired_if_the_study_declares_it():
    better, worse = ([[1] * count + [0] * (20 - count) for count in counts] for counts in ((0, 4, 8), (5, 9, 13)))
    networks = {("a", "full"): seeds(worse), ("b", "full"): seeds(better)}
    methods = {("a", "full"): seeds(worse), ("a", "linear_probe"): seeds(better)}
    declared = compared(networks, runs=runs_of(networks, pairing="seed")).iloc[0]
    of_splits = runs_of(networks)
    of_splits = compared(networks, runs=of_splits.assign(seed_split=of_splits["seed"])).iloc[0]
    of_methods = compared(methods).iloc[0]
    for row in (declared, of_splits):
        assert row["seeds_paired"] and row["difference"] == of_methods["difference"]
        assert row["high"] - row["low"] == pytest.approx(of_methods["high"] - of_methods["low"], rel=0.15)
    # A run that the other network lacks has no partner.
    fewer = networks | {("b", "full"): seeds(better[:2])}
    row = compared(fewer, runs=runs_of(fewer, pairing="seed")).iloc[0]
    assert (row["n"], row["n_reference"], row["seeds_paired"]) == (2, 2, True)


def test_a_constant_difference_of_paired_runs_has_no_spread_from_seeds():
    of_runs = np.array([[0], [1], [1], [0], [1], [1], [0]])
    cells = {("a", method): seeds(np.tile(of_runs, 9)) for method in ("full", "linear_probe")}
    row = compared(cells).iloc[0]
    assert (row["difference"], row["low"], row["high"], row["p"]) == (0, 0, 0, 1)
    assert "no spread" in row["note"]


def test_equal_seeds_with_other_streams_are_not_paired():
    cells = {("a", method): seeds(np.eye(6, dtype=int)) for method in ("full", "linear_probe")}
    runs = runs_of(cells)
    moved = runs.assign(seed_order=runs["seed_order"] + (runs["method"] == "linear_probe"))
    assert compared(cells, runs=runs)["seeds_paired"].all()
    assert not compared(cells, runs=moved)["seeds_paired"].any()


def test_paired_methods_are_compared_on_the_runs_that_both_completed():
    rng = np.random.default_rng(0)
    full, probe = (dict(enumerate(rng.integers(0, 2, (8, 30)))) for _ in range(2))
    cut = {
        ("a", "full"): {seed: full[seed] for seed in range(7)},
        ("a", "linear_probe"): {s: probe[s] for s in (1, *range(2, 8))},
    }
    common = {key: {seed: rows[seed] for seed in range(1, 7)} for key, rows in cut.items()}
    row, expected = compared(cut).iloc[0], compared(common).iloc[0]
    assert (row["n"], row["n_reference"], row["n_failed"], row["n_failed_reference"]) == (6, 6, 1, 1)
    assert row[["difference", "low", "high", "p"]].tolist() == expected[["difference", "low", "high", "p"]].tolist()
    assert "both completed" in row["note"]


def naive(cells, analysis, resamples):
    """Return every mean of every resample by explicit loops, {pair: replicates}.

    The cells must belong to different models and have the same examples.
    """
    examples = len(next(iter(next(iter(cells.values())).values())))
    sampled = multibootstrap._example_counts(analysis.generator("examples", TASK), examples, resamples)
    replicates = {}
    runs = runs_of(cells)
    names = multibootstrap._names_of_runs(runs, set())
    for (model, method), rows in cells.items():
        words = "\n".join([model, *(names[(model, TASK, method, seed)] for seed in rows)])
        rng = analysis.generator("seeds", TASK, words)
        times = multibootstrap._seed_counts(rng, [len(rows)], resamples)[0]
        means = []
        for b in range(resamples):
            total, count = 0.0, 0
            for r, row in enumerate(rows.values()):
                for i, loss in enumerate(row):
                    total += int(times[b, r]) * int(sampled[b, i]) * float(loss)
                    count += int(times[b, r]) * int(sampled[b, i])
            means.append(total / count)
        replicates[model, method] = np.array(means)
    return {(one, other): replicates[one] - replicates[other] for other, one in combinations(cells, 2)}


@pytest.mark.parametrize("kind", [int, float])
def test_matrix_products_equal_loops_over_runs_and_examples(kind):
    rng = np.random.default_rng(3)
    shapes = {("a", "full"): 4, ("b", "full"): 7, ("c", "full"): 2}
    cells = {key: seeds(rng.integers(0, 2, (runs, 23)) if kind is int else rng.normal(size=(runs, 23)))
             for key, runs in shapes.items()}  # fmt: skip
    resamples = 150
    analysis = registry.find("analyses", "multibootstrap")({"resamples": resamples})
    squared = {key: {seed: np.square(row) for seed, row in rows.items()} for key, rows in cells.items()}
    sign = -1 if kind is int else 1
    result = compared(cells, kind, resamples=resamples).set_index(["model", "model_reference"])
    for (one, other), values in naive(squared, analysis, resamples).items():
        row, values = result.loc[(one[0], other[0])], sign * values
        assert [row["low"], row["high"]] == pytest.approx(np.quantile(values, [0.025, 0.975]))
        side = min((values <= 1e-12).sum(), (values >= -1e-12).sum())
        assert row["p"] == pytest.approx(min(1, 2 * (side + 1) / (resamples + 1)))
        losses = [np.mean(list(squared[key].values())) for key in (one, other)]
        assert row["difference"] == pytest.approx(sign * (losses[0] - losses[1]))


def noisy(rng, runs, examples, mean, sd):
    """Return losses of runs that fail on each example with its probability."""
    return seeds(rng.random((runs, examples)) < np.clip(mean + rng.normal(0, sd, (runs, 1)), 0, 1))


@pytest.mark.slow
def test_with_very_many_examples_and_seeds_it_is_welchs_interval():
    rng = np.random.default_rng(4)
    cells = {("a", "full"): noisy(rng, 60, 4000, 0.30, 0.03), ("b", "full"): noisy(rng, 40, 4000, 0.28, 0.05)}
    row = compared(cells, resamples=10_000).iloc[0]
    scores = [1 - np.array([np.mean(run) for run in cells[model, "full"].values()]) for model in ("b", "a")]
    welch = stats.ttest_ind(*scores, equal_var=False)
    interval = welch.confidence_interval()
    width = interval.high - interval.low
    assert row["difference"] == pytest.approx(scores[0].mean() - scores[1].mean())
    assert [row["low"], row["high"]] == pytest.approx([interval.low, interval.high], abs=0.06 * width)
    # Three times the Monte-Carlo error of twice a share near one half.
    assert row["p"] == pytest.approx(welch.pvalue, abs=0.03)


def test_p_is_adjusted_within_a_task_as_statsmodels_does():
    from statsmodels.stats.multitest import multipletests

    names = {"models": tuple("abc"), "tasks": ("digits", "letters")}
    result = registry.find("analyses", "multibootstrap")({"resamples": 300}).table(synthetic.base_tables(**names))
    assert len(result) == 2 * 15
    for _, of_family in result.groupby("family"):
        expected = multipletests(of_family["p"], method="holm")[1]
        assert of_family["check_p_holm"].tolist() == pytest.approx(expected.tolist())
    assert result["family"].nunique() == 2


def test_p_is_at_least_its_floor_and_too_few_resamples_have_a_note():
    cells = {(name, "full"): seeds([[at > 4] * 9] * 6) for at, name in enumerate("abcdefghij")}
    result = compared(cells, resamples=100)
    assert result["p"].min() == result["p_floor"].iloc[0] == pytest.approx(2 / 101)
    assert result["note"].str.contains("set resamples to 1800 or more").all()
    assert not compared(cells, resamples=1800)["note"].str.contains("resamples").any()


def test_few_seeds_have_a_note():
    cells = {("a", "full"): noisy(np.random.default_rng(0), 5, 50, 0.5, 0), ("b", "full"): right(9, 50)}
    assert "few seeds (5)" in compared(cells)["note"].iloc[0]
    cells["a", "full"] = noisy(np.random.default_rng(0), 6, 50, 0.5, 0)
    assert pd.isna(compared(cells)["note"].iloc[0])


def test_one_run_has_a_difference_and_no_interval():
    cells = {("a", "full"): right(1, 8), ("b", "full"): seeds([[1] * 8] * 3)}
    row = compared(cells).iloc[0]
    assert row["difference"] == -1
    assert row[["low", "high", "p", "check_p_holm"]].isna().all()
    assert "fewer than two" in row["note"]


def test_cells_with_other_examples_are_not_compared():
    cells = {("a", "full"): right(6, 8), ("b", "full"): right(6, 9), ("c", "full"): right(6, 8)}
    result = compared(cells).set_index(["model", "model_reference"])
    assert result.loc[("b", "a"), "n"] == 0 and np.isnan(result.loc[("b", "a"), "difference"])
    assert result.loc[("c", "a"), "difference"] == 0


def test_a_lower_mse_is_a_negative_difference():
    cells = {("a", "full"): seeds(np.full((6, 5), 2.0)), ("b", "full"): seeds(np.full((6, 5), 1.0))}
    row = compared(cells, float).iloc[0]
    assert (row["metric"], row["difference"], row["higher_is_better"]) == ("mse", -3, False)


def test_other_cells_change_nothing_about_a_pair():
    rng = np.random.default_rng(5)
    cells = {(name, "full"): noisy(rng, 6, 40, 0.4, 0.1) for name in "abc"}
    two = compared({key: cells[key] for key in [("a", "full"), ("b", "full")]}).iloc[0]
    three = compared(cells).query("model == 'b' and model_reference == 'a'").iloc[0]
    assert two[["difference", "low", "high", "p"]].tolist() == three[["difference", "low", "high", "p"]].tolist()


def pretrained(cells, **seed_pretrain):
    """Return runs whose models ``x0``, ``x1`` are pretrainings of the backbone ``x0``, named as in ``aggregate``."""
    runs = runs_of(cells)
    several = runs["model"].str[1:] != ""
    return runs.assign(
        backbone=runs["model"].mask(several, runs["model"].str[0] + "0"),
        seed_pretrain=pd.to_numeric(runs["model"].str[1:]).where(several),
    )


def test_pretraining_seeds_are_the_outer_cluster():
    # Runs of one pretraining agree; one of the two pretrainings is correct: accuracy 0, 1/2 or 1 as by hand above.
    cells = {("x0", "full"): right(8, 6), ("x1", "full"): seeds([[1] * 6] * 8), ("y", "full"): right(8, 6)}
    result = compared(cells, runs=pretrained(cells))
    assert len(result) == 3 + 1
    row = result[result["comparison"] == "backbones"].iloc[0]
    assert (row["model"], row["model_reference"]) == ("y", "x0")
    assert (row["n"], row["n_reference"], row["n_pretrained"], row["n_pretrained_reference"]) == (8, 16, 1, 2)
    assert (row["difference"], row["low"], row["high"]) == (0.5, 0, 1)
    assert row["unit"] == "pretraining seeds, seeds and examples"
    assert "few seeds or pretraining seeds (2)" in row["note"] and "one pretraining seed" in row["note"]
    assert row["family"] != result["family"].iloc[0]


def test_methods_of_one_backbone_are_paired_through_both_levels():
    rng = np.random.default_rng(6)
    rows_of = {name: rng.integers(0, 2, (4, 50)) for name in ("x0", "x1", "x2")}
    cells = {(name, method): seeds(rows) for name, rows in rows_of.items() for method in ("full", "linear_probe")}
    row = compared(cells, runs=pretrained(cells)).query("comparison == 'backbones'").iloc[0]
    assert row["seeds_paired"]
    assert row["low"] == row["high"] == row["difference"] == 0


def test_pretrainings_have_equal_weights_whatever_their_number_of_runs():
    cells = {("x0", "full"): right(9, 4), ("x1", "full"): seeds([[1] * 4] * 3), ("y", "full"): right(5, 4)}
    row = compared(cells, runs=pretrained(cells)).query("comparison == 'backbones'").iloc[0]
    assert row["difference"] == 0.5


def test_without_repeated_pretraining_there_are_no_backbones():
    cells = {("x0", "full"): right(4, 4), ("y0", "full"): right(4, 4)}
    assert set(compared(cells, runs=pretrained(cells))["comparison"]) == {"cells"}


def test_a_models_runs_are_sampled_as_often_as_the_model():
    sizes, resamples = [3, 5, 1, 4], 4000
    counts = multibootstrap._seed_counts(np.random.default_rng(0), sizes, resamples)
    times = np.column_stack([count.sum(axis=1) / size for count, size in zip(counts, sizes, strict=True)])
    assert (times.sum(axis=1) == 4).all() and (times == np.round(times)).all()
    # The variance of a run's weight, from its model's number of times T: 5 draws each, E[5T/5 * 4/5] + Var(T).
    assert counts[1][:, 0].var() == pytest.approx(4 / 5 + 3 / 4, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "lowest", "highest"), [(3, 0.65, 0.88), (15, 0.90, 0.98)])
def test_coverage_is_correct_with_many_seeds_and_too_low_with_few(count, lowest, highest):
    # Each task is a separate study; the seeds cause nearly all of the difference between paired runs.
    rng = np.random.default_rng(7)
    tasks, methods, examples = [f"task{at}" for at in range(300)], {"full": 0.02, "linear_probe": 0.0}, 400

    def source(task, method):
        chance = difficulty[task] + rng.normal(methods[method], 0.06, (count, 1))
        for seed, row in enumerate(rng.random((count, examples)) < chance):
            yield RunPredictions(seed, np.arange(examples), np.zeros(examples, dtype=int), row.astype(int), None)

    difficulty = {task: rng.uniform(0.3, 0.6, examples) for task in tasks}
    predictions = Predictions(
        {("a", task, method): lambda *_, of=(task, method): source(*of) for task in tasks for method in methods}
    )
    tables = {"runs": synthetic.runs(("a",), tasks, tuple(methods), range(count)), "predictions": predictions}
    result = registry.find("analyses", "multibootstrap")({"resamples": 500}).table(tables)
    # Accuracy of the later method, the probe, over the full one.
    covered = result["low"].le(0.02) & result["high"].ge(0.02)
    assert result["seeds_paired"].all()
    assert lowest < covered.mean() < highest


# Groups of examples ---------------------------------------------------------------------------------------------------


def some_cells(examples, kind=int, seed=0):
    rng = np.random.default_rng(seed)
    names = [("a", "full"), ("a", "linear_probe"), ("b", "full")]
    return {name: seeds(rng.integers(0, 2, (6, examples)).astype(kind)) for name in names}


@pytest.mark.parametrize("kind", [int, float])
def test_groups_of_one_example_each_change_nothing(kind):
    cells, groups = some_cells(20, kind), np.random.default_rng(1).permutation(20) * 7
    pd.testing.assert_frame_equal(compared(cells, kind), compared(cells, kind, groups=groups), check_exact=True)


@pytest.mark.parametrize("kind", [int, float])
def test_repeating_each_example_adds_no_evidence(kind):
    once = some_cells(20, kind)
    thrice = {name: {seed: np.tile(row, 3) for seed, row in rows.items()} for name, rows in once.items()}
    one, other = compared(once, kind), compared(thrice, kind, groups=np.tile(np.arange(20), 3))
    numbers = ["difference", "low", "high", "p"]
    pd.testing.assert_frame_equal(one[numbers], other[numbers])
    assert (other["n_examples"] == 60).all() and (other["n_groups"] == 20).all()
    assert set(other["unit"]) == {"seeds and groups of examples"}
    pooled = compared(thrice, kind)
    assert (pooled["high"] - pooled["low"] < other["high"] - other["low"]).all()


def test_groups_of_unequal_sizes_by_hand():
    # One group has one example, on which one model always fails, the other three, on which it never fails. A resample
    # has the first group twice, both, or the second twice: its error is 1, 1/4 or 0.
    cells = {("b", "full"): seeds([[1, 0, 0, 0]] * 6), ("a", "full"): right(6, 4)}
    row = compared(cells, groups=np.array([5, 3, 3, 3])).iloc[0]
    assert (row["difference"], row["low"], row["high"]) == (0.25, 0, 1)
    inner = compared(cells, groups=np.array([5, 3, 3, 3]), level=0.4).iloc[0]
    assert (inner["low"], inner["high"]) == (0.25, 0.25)
