"""Tests of the best of n runs against counting all draws of n runs."""

from itertools import combinations, product

import numpy as np
import pytest
import synthetic_study as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from variability import registry
from variability.reporting.analyses import best_of_n


def table(runs):
    return registry.find("analyses", "best_of_n")({}).table({"runs": runs})


def one(result, **values):
    for column, value in values.items():
        result = result[result[column] == value]
    assert len(result) == 1
    return result.iloc[0]


def runs(test, validation, **facts):
    """Return runs of one cell."""
    made = synthetic.runs(models=("a",), methods=("full",), seeds=range(len(test)))
    made = made.query("phase == 'after' and metric == 'accuracy'")
    values = {"test": test, "validation": validation}
    made = made.assign(
        value=[values[split][seed] for split, seed in zip(made["split"], made["seed"], strict=True)], **facts
    )
    return made.assign(status=made["status"].mask(made["value"].isna(), "diverged"))


def counted(keys, values, n, statistic):
    """Return mean and SD of the value at the largest key, over all draws of n runs; a tie counts as a mixture."""
    indices = range(len(keys))
    draws = product(indices, repeat=n) if statistic == "V" else combinations(indices, n)
    firsts, squares = [], []
    for draw in draws:
        best = max(keys[index] for index in draw)
        tied = [values[index] for index in draw if keys[index] == best]
        firsts.append(np.mean(tied))
        squares.append(np.mean(np.square(tied)))
    mean = np.mean(firsts)
    return mean, np.sqrt(max(np.mean(squares) - mean**2, 0))


def test_three_runs_by_hand():
    result = table(runs([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]))
    # Of 9 pairs with replacement 1, 3 and 5 have the first, second and third run as their best; of 3 without: 0, 1, 2.
    assert one(result, statistic="V", best_of=2)["expected_best"] == pytest.approx(2.2 / 9)
    assert one(result, statistic="U", best_of=2)["expected_best"] == pytest.approx(0.8 / 3)
    last = one(result, statistic="U", best_of=3)
    # Validation selects the run that is worst on test.
    assert (last["expected_best"], last["expected_test"]) == pytest.approx((0.3, 0.1))
    assert last["optimism"] == pytest.approx(0.1)
    assert last["expected_validation"] == pytest.approx(0.3)
    # It gains 0.1 over the mean on validation, where it was selected, and loses 0.1 on test.
    assert last["optimism_validation"] == pytest.approx(0.2)
    assert np.isnan(last["sd_best"])


@pytest.mark.parametrize("sign", [1, -1])
def test_optimism_is_in_the_metrics_own_sign(sign):
    test, validation = sign * np.array([0.1, 0.2, 0.3]), sign * np.array([0.9, 0.5, 0.4])
    last = one(table(runs(test, validation, higher_is_better=sign > 0)), statistic="U", best_of=3)
    assert last["optimism"] == pytest.approx(sign * 0.1)
    # Selected for 0.9, 0.3 above the mean on validation, it is 0.1 below the mean on test.
    assert last["optimism_validation"] == pytest.approx(sign * 0.4)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=5), st.booleans())
def test_all_draws_are_counted(pairs, higher):
    validation, test = (np.array(side) / 10 for side in zip(*pairs, strict=True))
    result = table(runs(test, validation, higher_is_better=higher))
    sign = 1 if higher else -1
    for _, row in result.iterrows():
        n, statistic = row["best_of"], row["statistic"]
        best, sd = counted(sign * test, test, n, statistic)
        assert row["expected_best"] == pytest.approx(best)
        tied, sd_chosen = counted(sign * validation, test, n, statistic)
        assert row["expected_test"] == pytest.approx(tied)
        assert row["expected_validation"] == pytest.approx(counted(sign * validation, validation, n, statistic)[0])
        if not np.isnan(row["sd_best"]):
            assert (row["sd_best"], row["sd_test"]) == pytest.approx((sd, sd_chosen), abs=1e-7)
        assert row["optimism"] == pytest.approx(best - test.mean())
        assert sign * row["optimism"] >= -1e-12


def test_u_is_unbiased_and_v_is_too_low():
    # The expected largest of three uniform numbers is 3/4.
    values = np.random.default_rng(0).random((20_000, 6))
    values.sort(axis=1)
    means = {statistic: (values @ best_of_n.shares(6, np.array([3]), statistic)[0]).mean() for statistic in ("U", "V")}
    assert means["U"] == pytest.approx(0.75, abs=0.004)
    assert means["V"] < 0.74


@pytest.mark.parametrize("n", [1, 2, 19, 20, 21, 100, 1000])
def test_shares_of_the_best_sum_to_one(n):
    budgets = best_of_n.budgets_up_to(n)
    assert budgets[0] == 1 and budgets[-1] == n and (np.diff(budgets) > 0).all()
    assert (np.diff(budgets) <= np.maximum(1, 0.12 * budgets[:-1])).all()
    for statistic in ("U", "V"):
        shares = best_of_n.shares(n, budgets, statistic)
        assert shares.shape == (len(budgets), n)
        assert shares.min() >= 0
        assert shares.sum(axis=1) == pytest.approx(1)
        assert shares[0] == pytest.approx(1 / n)


def test_hours_are_those_of_the_completed_runs():
    result = table(runs([0.1, 0.2, np.nan], [0.1, 0.2, np.nan]))
    row = one(result, statistic="U", best_of=2)
    # The synthetic runs take 1.5 s, 2.5 s, ...
    assert row["hours"] == pytest.approx(2 * 2.0 / 3600)
    assert (row["n"], row["n_failed"]) == (2, 1)
    imported = runs([0.1, 0.2], [0.1, 0.2]).assign(seconds=None)
    assert table(imported)["hours"].isna().all()


def test_without_validation_values_the_best_on_test_is_all_there_is():
    made = runs([0.1, 0.2], [0.1, 0.2])
    for lacking in (made[made["split"] == "test"], made[(made["split"] == "test") | (made["seed"] == 0)]):
        row = one(table(lacking), statistic="V", best_of=2)
        assert row["expected_best"] == pytest.approx(0.175)
        assert np.isnan(row["expected_test"]) and np.isnan(row["expected_validation"])
        assert "no validation value" in row["note"]


def test_a_single_run_and_none_have_rows_with_a_note():
    single = table(runs([0.5, np.nan], [0.4, np.nan]))
    assert len(single) == 2
    assert (single["expected_test"] == 0.5).all() and single["sd_test"].isna().all()
    assert single["note"].str.contains("single").all()
    none = table(runs([np.nan, np.nan], [np.nan, np.nan]))
    assert len(none) == 2 and none["expected_best"].isna().all()
    assert none["note"].str.contains("no completed run").all()
