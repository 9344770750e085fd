"""The table of tasks as instruments."""

import numpy as np
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry


def table(runs, **options):
    return registry.find("analyses", "task_quality")(options).table({"runs": runs})


@pytest.fixture(scope="module")
def runs():
    """Two tasks whose means are the same; the noise of the second is ten times that of the first."""
    quiet = synthetic.runs(models=("a", "b", "c"), tasks=("quiet", "loud"), methods=("full",), seeds=range(8))
    chosen = (quiet["task"] == "loud") & quiet["value"].notna()
    means = quiet.groupby(["model", "task", "method", "phase", "split", "metric"])["value"].transform("mean")
    return quiet.assign(value=np.where(chosen, means + 10 * (quiet["value"] - means), quiet["value"]))


def test_the_quiet_task_is_the_better_instrument(runs):
    result = table(runs)
    assert list(result["task"]) == ["quiet", "loud"] and list(result["order"]) == [1, 2]
    assert result["decision_accuracy"].iloc[0] > result["decision_accuracy"].iloc[1] + 0.1
    assert result["snr"].iloc[0] > result["snr_if_equal"].iloc[0] * 3


def test_signal_over_noise_is_the_ratio_and_its_interval_that_of_the_noise(runs):
    row = table(runs).iloc[0]
    assert row["signal"] / row["noise"] == pytest.approx(row["snr"])
    assert row["signal"] == pytest.approx(row["dispersion"] / row["mean"])
    low, high = (np.sqrt(stats.chi2.ppf(tail, 21) / 21) for tail in (0.025, 0.975))
    assert (row["snr_low"], row["snr_high"]) == pytest.approx((row["snr"] * low, row["snr"] * high))
    assert row["pairs"] == 3 and row["n"] == 24


def test_one_candidate_separates_nothing(runs):
    result = table(runs[runs["model"] == "a"])
    assert result["snr"].isna().all() and result["order"].isna().all()
    assert result["note"].str.contains("one candidate").all()
