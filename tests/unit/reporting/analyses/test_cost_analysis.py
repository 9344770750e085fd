"""Tests of costs: sums and means over runs, and the Pareto front."""

import numpy as np
import pytest
import synthetic_study as synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from variability import registry
from variability.reporting import primary_rows
from variability.reporting.analyses import cost

FAILED = {("a", "digits", "full", 4)}


def table(runs, **options):
    return registry.find("analyses", "cost")(options).table({"runs": runs})


def one(result, **values):
    for column, value in values.items():
        result = result[result[column] == value]
    assert len(result) == 1
    return result.iloc[0]


def cell(values, seconds=2.0, **facts):
    """Return one cell with these values of its primary metric, and this number of seconds per run."""
    runs = synthetic.runs(models=("a",), methods=("full",), seeds=range(len(values)))
    runs = primary_rows.select(runs).sort_values("seed")
    return runs.assign(value=values, seconds=seconds, **facts)


def test_the_mean_is_of_completed_runs_and_the_total_of_all():
    row = one(table(synthetic.runs(failed=FAILED)), model="a", method="full", quantity="seconds")
    seconds = np.array([1.5, 2.5, 3.5, 4.5])
    assert (row["n"], row["n_failed"], row["total"]) == (4, 1, seconds.sum() + 5.5)
    assert (row["estimate"], row["sd"]) == pytest.approx((seconds.mean(), seconds.std(ddof=1)))
    ends = stats.t.interval(0.95, 3, seconds.mean(), stats.sem(seconds))
    assert (row["low"], row["high"]) == pytest.approx(ends)


def test_an_unmeasured_quantity_has_a_row_with_a_note():
    row = one(table(synthetic.runs()), model="a", method="full", quantity="energy_j")
    assert np.isnan(row["estimate"]) and np.isnan(row["total"])
    assert (row["n"], row["n_unknown"], row["note"]) == (0, 5, "energy_j unknown")


def test_a_peak_has_no_total():
    result = table(synthetic.runs())
    assert result.loc[result["quantity"] == "peak_memory_mb", "total"].isna().all()
    assert (result.loc[result["quantity"] == "bytes", "total"] == 20000).all()


def needed(values, half_width, sd_level=0.8, level=0.95):
    """Return the first number of runs that reaches the half-width at the upper limit of the SD."""
    n = len(values)
    upper = np.std(values, ddof=1) * np.sqrt((n - 1) / stats.chi2.ppf(1 - sd_level, n - 1))
    more = 2
    while stats.t.ppf(0.5 + level / 2, more - 1) * upper / np.sqrt(more) > half_width:
        more += 1
    return more


@pytest.mark.parametrize("half_width", [0.05, 0.01, 0.004])
def test_runs_for_a_half_width_are_the_fewest_that_reach_it(half_width):
    values = [0.90, 0.91, 0.93, 0.88, 0.90]
    row = one(table(cell(values), half_width=half_width), quantity="seconds_to_half_width")
    assert row["runs_needed"] == needed(values, half_width)
    assert row["estimate"] == row["runs_needed"] * 2.0


def test_the_half_width_of_a_metric_without_a_range_is_relative():
    values = [90.0, 91.0, 93.0, 88.0, 90.0]
    row = one(table(synthetic.with_scale(cell(values))), quantity="seconds_to_half_width")
    assert row["half_width"] == pytest.approx(0.904)
    assert row["runs_needed"] == needed(values, 0.904)


def test_diverged_runs_also_cost_time():
    result = table(synthetic.runs(failed=FAILED))
    row = one(result, model="a", method="full", quantity="seconds_to_half_width")
    assert row["estimate"] == pytest.approx(row["runs_needed"] * 17.5 / 4)


def test_equal_runs_need_two_which_is_not_a_finding():
    row = one(table(cell([0.9, 0.9, 0.9])), quantity="seconds_to_half_width")
    assert row["runs_needed"] == 2
    assert "not a finding" in row["note"]


def test_a_single_run_is_not_enough_to_plan_with():
    row = one(table(cell([0.9])), quantity="seconds_to_half_width")
    assert np.isnan(row["runs_needed"])
    assert "spread unknown" in row["note"]


def test_runs_without_seconds_are_neither_on_nor_off_the_front():
    runs = synthetic.runs().assign(seconds=np.nan)
    result = table(runs)
    assert result["on_front"].isna().all()
    assert (result.loc[result["quantity"] == "seconds", "note"] == "seconds unknown").all()


def test_the_front_of_three_cells():
    # All have the same speed, so the best of them is the front.
    result = table(synthetic.runs(models=("a", "b", "c"), methods=("full",))).query("quantity == 'seconds'")
    assert dict(zip(result["model"], result["on_front"], strict=True)) == {"a": True, "b": False, "c": False}
    slow = synthetic.runs(models=("a", "b", "c"), methods=("full",))
    slow["seconds"] += 10 * (slow["model"] == "a") + 20 * (slow["model"] == "c")
    result = table(slow).query("quantity == 'seconds'")
    assert dict(zip(result["model"], result["on_front"], strict=True)) == {"a": True, "b": True, "c": False}


def test_for_a_loss_less_is_better():
    runs = synthetic.runs(models=("a", "b"), methods=("full",)).assign(higher_is_better=False)
    result = table(runs).query("quantity == 'seconds'")
    assert dict(zip(result["model"], result["on_front"], strict=True)) == {"a": False, "b": True}


def test_several_devices_are_noted():
    runs = synthetic.runs()
    runs["device"] = runs["device"].where(runs["model"] == "a", "gpu: another")
    assert table(runs).query("quantity == 'seconds'")["note"].str.contains("different devices").all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_contains_what_nothing_dominates(points):
    seconds, value = np.array(points, dtype=float).T
    result = cost._on_front(seconds, value)
    for index, (seconds, value) in enumerate(points):
        beaten = any(t <= seconds and v >= value and (t, v) != (seconds, value) for t, v in points)
        assert result[index] == (not beaten)
