"""Tests of repeated runs, which agree in everything but their name."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import primary_rows
from variability.results.predictions import Predictions
from variability.stats import intervals

METHODS = ("full", "full-again")


def table(runs, predictions=None, **options):
    tables = {"runs": runs} | ({} if predictions is None else {"predictions": predictions})
    return registry.find("analyses", "nondeterminism")(options).table(tables)


def twice(**options):
    """Return a study whose method ``full`` was repeated with different results."""
    runs = synthetic.runs(methods=METHODS, **options)
    return runs.assign(recipe_hash="the same")


def copied(runs, method="full-again"):
    """Return the same study where the repeated runs have the values of the first ones."""
    first = runs[runs["method"] == "full"]
    return pd.concat([first, first.assign(method=method)], ignore_index=True)


def test_a_study_without_repeated_runs_has_no_pairs():
    result = table(synthetic.runs())
    assert result.empty
    assert {"n", "estimator", "interval", "level", "ddof", "scope", "bit_equal"} <= set(result)


def test_equal_runs_are_bit_identical():
    result = table(copied(twice()))
    assert len(result) == 2
    assert result["bit_equal"].all()
    assert (result["n_bit_equal"] == 5).all() and (result["sd"] == 0).all()
    assert (result["largest_difference"] == 0).all()
    assert (result["compared"] == "metrics").all()
    # No difference in five pairs: 1 - 0.05^(1/5).
    assert result["note"].str.contains("leaves up to 45 % of pairs").all()


def test_the_spread_is_that_of_one_run():
    runs = twice(models=("a",))
    shown = primary_rows.select(runs).pivot_table(index="seed", columns="method", values="value")
    # The SD within pairs, pooled over pairs.
    expected = np.sqrt(shown.var(axis=1, ddof=1).mean())
    row = table(runs).iloc[0]
    assert (row["method"], row["repeat_method"], row["n"]) == ("full", "full-again", 5)
    assert row["sd"] == pytest.approx(expected)
    assert (row["sd_low"], row["sd_high"]) == pytest.approx(intervals.sd_interval(expected, 6, 0.95))
    assert row["largest_difference"] == pytest.approx((shown["full"] - shown["full-again"]).abs().max())
    assert row["bit_equal"] is False or not row["bit_equal"]


def test_the_true_spread_of_the_runs_is_recovered():
    runs = synthetic.runs(models=("a",), methods=METHODS, seeds=range(200), sd=0.01).assign(recipe_hash="the same")
    # The study's later methods are worse by 0.05; a repeated run is not.
    value = runs["value"] + 0.05 * ((runs["method"] == "full-again") & (runs["phase"] == "after"))
    row = table(runs.assign(value=value)).iloc[0]
    assert row["sd_low"] <= 0.01 <= row["sd_high"]


def test_one_metric_in_the_last_bit_is_a_difference():
    runs = copied(twice(models=("a",)))
    at = runs.index[(runs["method"] == "full-again") & (runs["metric"] == "nll") & (runs["split"] == "validation")][0]
    runs.loc[at, "value"] = np.nextafter(runs.loc[at, "value"], 1)
    row = table(runs).iloc[0]
    assert row["n_bit_equal"] == 4 and not row["bit_equal"]
    assert row["largest_difference"] == 0


@pytest.mark.parametrize(
    "column", ["recipe_hash", "weights", "preprocess", "model_options", "method_kind", "n_train", "seed_order"]
)
def test_runs_with_different_determinants_are_not_repeated_runs(column):
    runs = copied(twice())
    other = 99 if column in ("n_train", "seed_order") else "other"
    runs[column] = runs[column].mask(runs["method"] == "full-again", other)
    assert table(runs).empty


def test_pretraining_seeds_distinguish_models_and_backbones_only_pretrained_ones():
    runs = synthetic.runs(models=("a",), methods=("full",))
    two = pd.concat([runs, runs.assign(model="a-again", backbone="a-again")], ignore_index=True)
    assert len(table(two)) == 1
    here = two.assign(backbone="a", seed_pretrain=(two["model"] == "a").astype(float))
    assert table(here).empty
    assert len(table(here.assign(seed_pretrain=0.0))) == 1


def test_imported_runs_are_never_repeated_runs():
    runs = copied(twice())
    runs[["recipe_hash", "weights", "seed_init", "n_train"]] = np.nan
    assert table(runs).empty


def test_a_pair_with_a_diverged_run_is_left_out_with_a_note():
    row = table(twice(models=("a",), failed={("a", "digits", "full", 2)})).iloc[0]
    assert (row["n"], row["n_failed"]) == (4, 1)
    assert "one run completed and the other did not" in row["note"]


def test_another_device_has_a_note():
    runs = copied(twice(models=("a",)))
    row = table(runs.assign(device=runs["method"].map({"full": "cpu: x", "full-again": "cuda: y"}))).iloc[0]
    assert "device" in row["note"]
    assert row["scope"].startswith("varied: device; fixed: all streams")


def predictions(changed=()):
    """Return predictions of both methods, equal except for the seeds ``changed``, where every fourth class differs."""
    predicted = synthetic.predicted(models=("a",), methods=("full",), n=40)

    def source(method):
        def runs(phase, split, probabilities):
            for run in predicted.runs(("a", "digits", "full"), phase, split, probabilities):
                if method == "full-again" and run.seed in changed:
                    y_pred = np.where(np.arange(40) % 4 == 0, (run.y_pred + 1) % 3, run.y_pred)
                    run = run._replace(y_pred=y_pred)
                yield run

        return runs

    return Predictions({("a", "digits", method): source(method) for method in METHODS})


def test_predictions_are_also_compared():
    runs = copied(twice(models=("a",)))
    row = table(runs, predictions()).iloc[0]
    assert row["bit_equal"] and row["compared"] == "metrics and predictions"
    assert (row["differing"], row["n_examples"]) == (0, 40)
    row = table(runs, predictions(changed=(1, 3))).iloc[0]
    assert not row["bit_equal"] and row["n_bit_equal"] == 3
    assert row["differing"] == pytest.approx(0.25 * 2 / 5)
    assert row["differing_most"] == pytest.approx(0.25)


def test_three_names_make_three_pairs():
    runs = copied(twice(models=("a",)))
    third = runs[runs["method"] == "full"].assign(method="once-more")
    result = table(pd.concat([runs, third], ignore_index=True))
    assert len(result) == 3
    assert len(result.drop_duplicates(["method", "repeat_method"])) == 3
