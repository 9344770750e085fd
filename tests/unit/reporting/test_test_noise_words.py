"""Tests of the sentence on the noise of the test set, and of the numbers that the figure shows."""

import numpy as np
import pandas as pd
import pytest

from variability.reporting import test_noise_words

PRIMARY = {"split": "test", "primary": True}


def tables(counts=(4, 4, 4), sds=(0.02, 0.08, 0.0)):
    """Return tables of three candidates with standard errors of 0.02, 0.03 and 0.01 over test examples."""
    keys = {"model": ["a", "b", "c"], "task": "t", "method": "m"}
    scores = pd.DataFrame(keys | {"quantity": "score", "se": [0.02, 0.03, 0.01], "verdict": None})
    verdicts = ["beyond test noise", "within test noise", "not tested"]
    runs = {"n": counts, "n_reference": [counts[-1], *counts[:-1]]}
    differences = pd.DataFrame(keys | {"quantity": "difference", "se": 0.01, "verdict": verdicts} | runs)
    spread = pd.DataFrame(keys | PRIMARY | {"sd": sds, "n": counts})
    return {"test_noise": pd.concat([scores, differences], ignore_index=True), "spread": spread}


def test_both_standard_errors_are_those_of_the_mean():
    study = tables(counts=(4, 16, 1), sds=(0.02, 0.08, np.nan))
    cells = test_noise_words.errors(study["test_noise"], study["spread"]).set_index("model")
    assert cells["se_test"].to_dict() == {"a": 0.02, "b": 0.03}
    assert cells["se_seeds"].to_dict() == pytest.approx({"a": 0.01, "b": 0.02})


def test_the_larger_noise_is_named():
    assert test_noise_words.sentence(tables(sds=(0.02, 0.08, 0.04))) == (
        "The finite test set leaves the mean more open than the seeds do for 1 of 3 cells: its standard error is 0.75 "
        "times theirs in the median (table test_noise)."
    )
    text = test_noise_words.sentence(tables(sds=(0.0, 0.08, 0.0)))
    assert "2 of 3 cells (table" in text, "a ratio to no spread is not a number"


def test_of_single_runs_only_differences_are_compared():
    assert test_noise_words.sentence(tables(counts=(1, 1, 1), sds=(np.nan,) * 3)) == (
        "Of 2 differences between candidates with one run (on t), 1 exceeds what another test set would change (table "
        "test_noise); other seeds may change them."
    )
    assert test_noise_words.sentence({}) == ""


def test_single_runs_are_compared_next_to_cells_with_several():
    # The second candidate and the one before it have one run.
    text = test_noise_words.sentence(tables(counts=(1, 1, 4), sds=(np.nan, np.nan, 0.04)))
    assert text.startswith("The finite test set leaves the mean more open than the seeds do for 0 of 1 cell")
    assert "Of 1 difference between candidates with one run (on t), 0 exceed what another test set" in text
