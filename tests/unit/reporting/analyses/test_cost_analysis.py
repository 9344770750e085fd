"""Costs are sums and means of what runs took; the front holds what nothing else beats."""

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


def one(found, **values):
    for column, value in values.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


def cell(values, seconds=2.0, **facts):
    """One cell with these values of its primary metric, and so many seconds per run."""
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


def test_what_was_not_measured_is_a_row_that_says_so():
    row = one(table(synthetic.runs()), model="a", method="full", quantity="energy_j")
    assert np.isnan(row["estimate"]) and np.isnan(row["total"])
    assert (row["n"], row["n_unknown"], row["note"]) == (0, 5, "energy_j unknown")


def test_a_peak_has_no_sum():
    found = table(synthetic.runs())
    assert found.loc[found["quantity"] == "peak_memory_mb", "total"].isna().all()
    assert (found.loc[found["quantity"] == "bytes", "total"] == 20000).all()


def needed(values, half_width, sd_level=0.8, level=0.95):
    """One number of runs after the other, until the half-width is reached at the upper limit of the SD."""
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


def test_the_half_width_of_a_metric_beyond_0_to_1_is_relative():
    values = [90.0, 91.0, 93.0, 88.0, 90.0]
    row = one(table(cell(values)), quantity="seconds_to_half_width")
    assert row["half_width"] == pytest.approx(0.904)
    assert row["runs_needed"] == needed(values, 0.904)


def test_diverged_runs_cost_time_too():
    found = table(synthetic.runs(failed=FAILED))
    row = one(found, model="a", method="full", quantity="seconds_to_half_width")
    assert row["estimate"] == pytest.approx(row["runs_needed"] * 17.5 / 4)


def test_runs_that_agree_need_two_and_that_is_no_finding():
    row = one(table(cell([0.9, 0.9, 0.9])), quantity="seconds_to_half_width")
    assert row["runs_needed"] == 2
    assert "not a finding" in row["note"]


def test_a_single_run_says_nothing_of_how_many_are_needed():
    row = one(table(cell([0.9])), quantity="seconds_to_half_width")
    assert np.isnan(row["runs_needed"])
    assert "spread unknown" in row["note"]


def test_runs_without_seconds_are_on_no_front_and_off_none():
    runs = synthetic.runs().assign(seconds=np.nan)
    found = table(runs)
    assert found["on_front"].isna().all()
    assert (found.loc[found["quantity"] == "seconds", "note"] == "seconds unknown").all()


def test_the_front_of_three_cells():
    # Of equal speed, so that the best of them is the front.
    found = table(synthetic.runs(models=("a", "b", "c"), methods=("full",))).query("quantity == 'seconds'")
    assert dict(zip(found["model"], found["on_front"], strict=True)) == {"a": True, "b": False, "c": False}
    slow = synthetic.runs(models=("a", "b", "c"), methods=("full",))
    slow["seconds"] += 10 * (slow["model"] == "a") + 20 * (slow["model"] == "c")
    found = table(slow).query("quantity == 'seconds'")
    assert dict(zip(found["model"], found["on_front"], strict=True)) == {"a": True, "b": True, "c": False}


def test_of_a_loss_less_is_better():
    runs = synthetic.runs(models=("a", "b"), methods=("full",)).assign(higher_is_better=False)
    found = table(runs).query("quantity == 'seconds'")
    assert dict(zip(found["model"], found["on_front"], strict=True)) == {"a": False, "b": True}


def test_several_devices_are_noted():
    runs = synthetic.runs()
    runs["device"] = runs["device"].where(runs["model"] == "a", "gpu: another")
    assert table(runs).query("quantity == 'seconds'")["note"].str.contains("different devices").all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_dominates(points):
    seconds, value = np.array(points, dtype=float).T
    found = cost._on_front(seconds, value)
    for at, (own, good) in enumerate(points):
        beaten = any(t <= own and v >= good and (t, v) != (own, good) for t, v in points)
        assert found[at] == (not beaten)
