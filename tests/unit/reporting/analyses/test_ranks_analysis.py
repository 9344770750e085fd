"""Tests of probabilities of ranks against all resamples, and of wrong winners against all one-seed studies."""

from itertools import product

import numpy as np
import pytest
import synthetic_study as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from variability import registry
from variability.reporting.analyses import ranks

SCORES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=2, max_size=4)


def table(runs, **options):
    return registry.find("analyses", "ranks")(options).table({"runs": runs})


def one(result, **values):
    for column, value in values.items():
        result = result[result[column] == value]
    assert len(result) == 1
    return result.iloc[0]


def runs(values, **facts):
    """Return runs of one task and method on the test split, from {model: values}; NaN for a failed run."""
    made = synthetic.runs(models=tuple(values), methods=("full",), seeds=range(max(map(len, values.values()))))
    made = made.query("phase == 'after' and split == 'test' and metric == 'accuracy'")
    by_key = {(model, seed): value for model, cell in values.items() for seed, value in enumerate(cell)}
    made = made[[key in by_key for key in zip(made["model"], made["seed"], strict=True)]]
    keys = zip(made["model"], made["seed"], strict=True)
    made = made.assign(value=[by_key[key] for key in keys], **facts)
    return made.assign(status=made["status"].mask(made["value"].isna(), "diverged"))


def test_the_probability_of_the_first_rank_is_that_over_all_resamplings():
    values = {"a": [0.5, 0.6, 0.9], "b": [0.45, 0.58, 0.81]}
    # All 27 x 27 pairs of resamples, deviations scaled by sqrt(3 / 2); no two means are equal.
    means = []
    for cell in values.values():
        mean = np.mean(cell)
        means.append(mean + np.sqrt(1.5) * (np.mean(list(product(cell, repeat=3)), axis=1) - mean))
    expected = (means[0][:, None] > means[1]).mean()
    result = table(runs(values), resamples=40_000)
    assert one(result, model="a", rank=1)["probability"] == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(40_000))
    assert one(result, model="b", rank=1)["check_p_best"] == pytest.approx(1 - expected, abs=0.01)
    assert one(result, model="a", rank=2)["same_order"] == pytest.approx(expected, abs=0.01)
    assert one(result, model="a", rank=2)["median_rank"] == 1
    assert 0.6 < expected < 0.95
    ends = {level: one(table(runs(values), level=level), model="a", rank=1)[["low", "high"]] for level in (0.9, 0.2)}
    assert {level: interval.tolist() for level, interval in ends.items()} == {0.9: [1, 2], 0.2: [1, 1]}


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_scaled_bootstrap_has_the_variance_of_the_mean(n):
    values = np.array([0.1, 0.4, 0.2, 0.7, 0.6])[:n]
    analysis = registry.find("analyses", "ranks")({"resamples": 100_000})
    (replicates,) = analysis._independently("task", [ranks.Candidate("a", "full", np.arange(n), values)]).T
    assert replicates.var() == pytest.approx(values.var(ddof=1) / n, rel=0.03)
    (jointly,) = analysis._jointly("task", [ranks.Candidate("a", "full", np.arange(n), values)]).T
    assert jointly.var() == pytest.approx(values.var(ddof=1) / n, rel=0.03)
    assert jointly.mean() == pytest.approx(values.mean(), abs=0.005)


def test_probabilities_sum_to_one_over_ranks_and_candidates():
    result = table(synthetic.runs(models=("a", "b", "c"), sd=0.05))
    for by in (["model", "method"], ["rank"]):
        assert result.groupby(by)["probability"].sum().to_numpy() == pytest.approx(1)


def test_ties_share_their_ranks():
    result = table(runs({"a": [0.5, 0.5], "b": [0.5, 0.5], "c": [0.1, 0.1]}))
    tied = result[result["model"] != "c"]
    assert (
        (tied["check_p_best"] == 0.5).all() and (tied["median_rank"] == 1.5).all() and (tied["study_rank"] == 1.5).all()
    )
    assert one(result, model="c", rank=3)["probability"] == 1
    # Tau-b leaves out tied pairs; the winner of a tie is one of the study's winners.
    assert (result["kendall_tau"] == 1).all() and (result["wrong_winner"] == 0).all()
    assert tied["note"].str.contains("shares").all()


def test_means_that_differ_in_their_last_bit_are_tied():
    result = table(runs({"a": [0.1, 0.2, 0.3], "b": [0.3, 0.2, 0.1]}))
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert (result["study_rank"] == 1.5).all()


def test_for_a_loss_the_lowest_is_best():
    result = table(runs({"a": [0.5, 0.6], "b": [0.1, 0.2]}, higher_is_better=False))
    assert one(result, model="b", rank=1)["probability"] == 1
    assert one(result, model="b", rank=1)["mean"] == pytest.approx(0.15)


def study_of(scores):
    """Return candidates and which of them are best by the mean."""
    candidates = [
        ranks.Candidate(str(at), "full", np.arange(len(values)), np.array(values)) for at, values in enumerate(scores)
    ]
    means = np.array([np.mean(values) for values in scores])
    return candidates, np.flatnonzero(means == means.max())


@settings(deadline=None)
@given(SCORES)
def test_wrong_winners_are_counted_over_all_studies_with_one_seed(scores):
    candidates, best = study_of(scores)
    right = []
    for study in product(*scores):
        named = [at for at, score in enumerate(study) if score == max(study)]
        right.append(np.isin(named, best).mean())
    assert ranks._wrong_winner(candidates, best) == pytest.approx(1 - np.mean(right), abs=1e-9)


def test_a_winner_of_every_study_is_never_a_wrong_one():
    # Of means 47 / 48 and 5 / 6: a polynomial whose integral over ties is above 1 by rounding.
    candidates, best = study_of(
        [[1, 1, 11 / 12, 1], [5 / 6] * 4, [2 / 3, 7 / 12, 5 / 12, 2 / 3], [5 / 12, 1 / 6, 1 / 2, 5 / 12]]
    )
    assert str(ranks._wrong_winner(candidates, best)) == "0.0"


@pytest.mark.parametrize(("value", "share"), [(-2e-16, "0.0"), (-0.0, "0.0"), (1 + 2e-16, "1.0"), (0.25, "0.25")])
def test_a_share_has_no_rounding_errors(value, share):
    assert str(ranks._share(value)) == share


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=6), st.integers(0, 2**16))
def test_agreement_is_scipys_tau_b(rows, seed):
    study = np.random.default_rng(seed).integers(0, 3, 4)
    expected = [stats.kendalltau(row, study).statistic for row in rows]
    expected = [tau for tau in expected if not np.isnan(tau)]
    same, median, low, high = ranks._agreement(np.array(rows), study, 0.5)
    if expected:
        assert same == pytest.approx(np.mean(np.isclose(expected, 1)))
        assert (low, median, high) == pytest.approx(tuple(np.quantile(expected, [0.25, 0.5, 0.75])))
        assert low <= median <= high <= 1
    else:
        assert np.isnan([same, median, low, high]).all()


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=5))
def test_rank_ranges_are_scipys_ranks(rows):
    lowest, highest = ranks._rank_ranges(np.array(rows, dtype=float))
    assert (lowest == stats.rankdata(-np.array(rows), method="min", axis=1)).all()
    assert (highest == stats.rankdata(-np.array(rows), method="max", axis=1)).all()


def test_splits_determined_by_the_seed_are_shared_by_all_candidates():
    # Every seed's split shifts both in the same way, by far more than they differ: a is better with each.
    values = {"a": [0.5, 0.6, 0.7, 0.8, 0.9], "b": [0.49, 0.59, 0.69, 0.79, 0.89]}
    shared = runs(values)
    shared = shared.assign(seed_split=shared["seed"])
    together, separate = table(shared), table(runs(values))
    assert one(together, model="a", rank=1)["probability"] == 1
    assert one(separate, model="a", rank=1)["probability"] < 0.7
    assert (together["wrong_winner"] == 0).all() and (separate["wrong_winner"] == 0.4).all()
    assert (together["resampling"] != separate["resampling"]).all()
    # Different splits are no reason to sample the same seeds.
    different_splits = shared.assign(seed_split=shared["seed"] + 10 * (shared["model"] == "a"))
    assert (table(different_splits)["resampling"] == "seeds within candidates").all()


def test_a_failed_seed_is_left_out_of_a_joint_resampling():
    made = runs({"a": [0.9, 0.8, np.nan], "b": [0.1, 0.2, 0.3]})
    result = table(made.assign(seed_split=made["seed"]))
    assert one(result, model="a", rank=1)["probability"] == 1
    # With the third seed there is only b.
    assert result["wrong_winner"].to_numpy() == pytest.approx(1 / 3)


def test_rare_changes_of_the_order_do_not_move_the_estimate_out_of_its_interval():
    # b wins where a's lowest run is sampled four or five times of five: with a probability of 21 / 3125.
    result = table(runs({"a": [0.5, 0.9, 0.91, 0.92, 0.93], "b": [0.6] * 5}), resamples=5000)
    row = result.iloc[0]
    assert row["same_order"] == pytest.approx(1 - 21 / 3125, abs=0.004)
    assert (row[["kendall_tau_low", "kendall_tau", "kendall_tau_high"]] == 1).all()
    assert (result["low"] <= result["median_rank"]).all() and (result["median_rank"] <= result["high"]).all()


def test_an_interval_of_the_rank_contains_the_rank_in_the_study():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (12, 4))
    noise -= noise.mean(axis=1, keepdims=True)
    # A candidate without spread, just ahead of twelve that vary: one of them is nearly always ahead of it.
    values = {"a": [0.5001] * 4} | {f"m{at:02}": list(0.5 + row) for at, row in enumerate(noise)}
    row = one(table(runs(values), resamples=500), model="a", rank=1)
    assert row["study_rank"] == 1 and row["median_rank"] > 2 and row["low"] == 1
    assert ranks.SHIFTED in row["note"]
    assert row["check_p_best"] < 0.025


def test_a_candidate_without_a_completed_run_has_a_row_with_a_note():
    result = table(runs({"a": [0.9, 0.8], "b": [0.1, 0.2], "lost": [np.nan, np.nan]}))
    row = one(result, model="lost")
    assert np.isnan(row["probability"]) and np.isnan(row["rank"])
    assert (row["note"], row["n"], row["n_failed"]) == ("no completed run", 0, 2)
    assert one(result, model="a", rank=1)["candidates"] == 2


def test_a_single_run_and_a_single_candidate_have_a_note():
    result = table(runs({"a": [0.9, 0.8], "b": [0.1]}))
    assert "single run" in one(result, model="b", rank=1)["note"]
    (row,) = table(runs({"a": [0.9, 0.8]})).to_dict("records")
    assert (row["probability"], row["wrong_winner"]) == (1, 0)
    assert np.isnan(row["kendall_tau"]) and "only candidate" in row["note"]


def test_the_best_thirty_are_listed_and_all_are_ranked():
    values = {f"model{at:02}": [at / 100, at / 100 + 0.001] for at in range(40)}
    result = table(runs(values), resamples=100)
    assert result["model"].nunique() == 30
    assert set(result["model"]) == {f"model{at:02}" for at in range(10, 40)}
    assert result["rank"].max() == 40
    assert result["note"].str.contains("the best 30 of 40").all()


def test_a_tasks_numbers_do_not_depend_on_the_other_tasks():
    both = synthetic.runs(models=("a", "b"), tasks=("digits", "letters"), sd=0.05)
    alone = table(both[both["task"] == "digits"])
    among = table(both).query("task == 'digits'")
    assert alone["probability"].tolist() == among["probability"].tolist()


def test_declared_pairs_are_resampled_together():
    folds = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    values = {"a": folds + 0.01, "b": folds}
    free, paired = table(runs(values)), table(runs(values, pairing="seed"))
    assert (free["resampling"] == "seeds within candidates").all()
    assert (paired["resampling"] == "the same seeds for all candidates").all()
    # In every fold a is better, so it is in every resample of the folds.
    assert one(paired, model="a", rank=1)["probability"] == 1 > one(free, model="a", rank=1)["probability"]
    assert (paired["wrong_winner"] == 0).all()
