"""Every analysis says n, estimator, interval, level, ddof and scope, counts failures, and finds a known truth."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.analyses import CELL
from variability.stages.analyse import analyse

NAMES = registry.names("analyses")
MODELS = ("cnn", "cnn-scratch", "vit")
FAILED = {("vit", "digits", "full", 1), ("vit", "digits", "full", 3)}


@pytest.fixture(scope="module")
def runs():
    return synthetic.runs(models=MODELS, failed=FAILED)


def table(name, runs, **options):
    return registry.find("analyses", name)(options).table({"runs": runs})


def one(found, **values):
    for column, value in values.items():
        found = found[found[column] == value]
    assert len(found) == 1
    return found.iloc[0]


TEST = {"task": "digits", "split": "test", "metric": "accuracy"}


@pytest.mark.parametrize("name", NAMES)
def test_every_row_says_how_it_was_reckoned(name, runs):
    found = table(name, runs)
    for column in ("estimator", "interval", "level", "scope", "n", "n_failed", "primary"):
        assert found[column].notna().all(), column
    assert "ddof" in found


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_says_in_the_report_what_it_asks(name):
    caption = registry.find("analyses", name).CAPTION
    assert 80 <= len(caption) <= 400 and caption.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_the_level_is_the_users(name, runs):
    narrow, wide = table(name, runs, level=0.5), table(name, runs, level=0.99)
    low, high = ("sd_low", "sd_high") if name == "spread" else ("low", "high")
    widths = [(part[high] - part[low]).dropna() for part in (narrow, wide)]
    assert (widths[0] < widths[1]).all()
    assert len(widths[0])


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_with_failed_runs_is_dropped(name, runs):
    found = table(name, runs)
    lost = found[(found["model"] == "vit") & (found["method"] == "full")]
    lost = lost[lost["phase"] == "after"] if "phase" in lost else lost
    assert len(lost)
    assert (lost["n_failed"] == 2).all()
    assert (lost["n"] == 3).all()


@pytest.mark.parametrize("name", NAMES)
def test_cells_all_of_whose_runs_failed_are_still_there(name):
    every = {("a", "digits", "full", seed) for seed in range(5)}
    found = table(name, synthetic.runs(failed=every))
    lost = found[(found["model"] == "a") & (found["method"] == "full")]
    lost = lost[lost["phase"] == "after"] if "phase" in lost else lost
    assert len(lost)
    assert (lost["n"] == 0).all() and (lost["n_failed"] == 5).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_single_seed_is_an_answer_without_interval(name):
    found = table(name, synthetic.runs(seeds=(0,)))
    low = found["sd_low"] if name == "spread" else found["low"][found["interval"] != "Wilson"]
    assert low.isna().all()
    assert (found["n"] == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_runs_does_not_matter(name, runs):
    shuffled = table(name, runs.sample(frac=1, random_state=0))
    keys = [key for key in (*CELL, "target", "comparison", "reference") if key in shuffled]
    expected = table(name, runs).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(shuffled.sort_values(keys, ignore_index=True), expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_csv_reads_back_exactly(name, runs, tmp_path):
    runs.to_parquet(tmp_path / "runs.parquet")
    analyse(name, {"runs": tmp_path / "runs.parquet"}, {}, tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv")
    expected = table(name, pd.read_parquet(tmp_path / "runs.parquet"))
    for column in expected.select_dtypes("float"):
        assert np.array_equal(read[column], expected[column], equal_nan=True), column


def test_analyses_are_known_without_heavy_imports():
    code = (
        "import sys; from variability import registry\n"
        "for family in ('analyses', 'plots'): [registry.find(family, name) for name in registry.names(family)]\n"
        "assert not {'torch', 'sklearn', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules), sys.modules"
    )
    library = Path(sys.modules["variability"].__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(library)})


# spread -----------------------------------------------------------------------------------------------------------


def test_spread_is_numpys(runs):
    row = one(table("spread", runs), model="cnn", method="full", phase="after", **TEST)
    kept = runs.query(
        "model == 'cnn' and method == 'full' and phase == 'after' and split == 'test' and metric == 'accuracy'"
    )
    values = kept["value"].to_numpy()
    quartiles = np.quantile(values, [0.25, 0.75])
    expected = {
        "n": 5,
        "mean": values.mean(),
        "sd": values.std(ddof=1),
        "median": np.median(values),
        "mad": np.median(np.abs(values - np.median(values))),
        "iqr": quartiles[1] - quartiles[0],
        "min": values.min(),
        "max": values.max(),
    }
    assert {key: row[key] for key in expected} == pytest.approx(expected)
    assert row["sd_low"] < row["sd"] < row["sd_high"]


def test_spread_finds_the_sd_the_study_was_made_with():
    found = table("spread", synthetic.runs(seeds=range(200), sd=0.01))
    accuracy = found[(found["metric"] == "accuracy")]
    covered = (accuracy["sd_low"] <= 0.01) & (accuracy["sd_high"] >= 0.01)
    assert covered.mean() >= 0.75
    assert accuracy["sd"].mean() == pytest.approx(0.01, rel=0.05)


def test_equal_values_have_an_sd_of_exactly_zero(runs):
    found = table("spread", runs.assign(value=0.1))
    assert (found["sd"] == 0).all()


def test_an_undefined_metric_is_not_counted_as_a_failure(runs):
    undefined = runs.assign(value=runs["value"].mask(runs["metric"] == "nll"))
    found = table("spread", undefined)
    row = one(found, model="cnn", method="full", phase="after", task="digits", split="test", metric="nll")
    assert (row["n"], row["n_failed"], row["n_undefined"]) == (0, 0, 5)


def test_a_failed_run_has_not_failed_before_it_began(runs):
    row = one(table("spread", runs), model="vit", method="full", phase="before", **TEST)
    assert (row["n"], row["n_failed"]) == (5, 0)


def test_the_scope_names_what_varied_and_what_did_not(runs):
    scope = table("spread", runs).set_index("model")["scope"]
    assert scope["cnn"].iloc[0].startswith("varied: init, order, augment, dropout; fixed: split, recipe")
    assert "pretrained weights" in scope["cnn"].iloc[0]
    assert "pretrained weights" not in scope["cnn-scratch"].iloc[0]
    resampled = table("spread", runs.assign(seed_split=runs["seed"]))["scope"].iloc[0]
    assert "split" in resampled.partition(";")[0]


# intervals --------------------------------------------------------------------------------------------------------


def test_the_next_run_is_less_certain_than_the_mean(runs):
    found = table("intervals", runs)
    cell = {"model": "cnn", "method": "full", "phase": "after", **TEST}
    mean, following = one(found, target="mean", **cell), one(found, target="next_run", **cell)
    assert mean["estimate"] == following["estimate"]
    assert following["low"] < mean["low"] < mean["high"] < following["high"]


def test_one_runs_interval_rests_on_the_test_examples(runs):
    found = table("intervals", runs)
    row = one(found, target="one_run", model="cnn", method="full", phase="after", **TEST)
    assert row["n_test"] == 200
    # About 2 * 1.96 * sqrt(0.9 * 0.1 / 200)
    assert row["high"] - row["low"] == pytest.approx(0.083, abs=0.01)
    assert set(found.loc[found["target"] == "one_run", "metric"]) == {"accuracy"}


# gain -------------------------------------------------------------------------------------------------------------


def test_the_gain_over_the_untrained_head_is_paired_by_run(runs):
    row = one(table("gain", runs), model="cnn", method="full", comparison="before", **TEST)
    wide = runs.query("model == 'cnn' and method == 'full' and split == 'test' and metric == 'accuracy'").pivot_table(
        index="seed", columns="phase", values="value"
    )
    differences = wide["after"] - wide["before"]
    assert row["gain"] == pytest.approx(differences.mean())
    assert row["sd"] == pytest.approx(differences.std(ddof=1))


def test_a_pair_with_a_failed_run_is_left_out_of_both_means(runs):
    row = one(table("gain", runs), model="vit", method="full", comparison="linear_probe", **TEST)
    kept = runs.query("model == 'vit' and method == 'linear_probe' and phase == 'after' and seed not in [1, 3]")
    kept = kept[(kept["split"] == "test") & (kept["metric"] == "accuracy")]
    assert (row["n"], row["n_reference"], row["n_failed"], row["n_failed_reference"]) == (3, 3, 2, 0)
    assert row["mean_reference"] == pytest.approx(kept["value"].mean())


def test_the_gain_over_a_linear_probe_is_the_true_one():
    found = table("gain", synthetic.runs(seeds=range(100)))
    row = one(found, model="a", method="full", comparison="linear_probe", **TEST)
    assert row["low"] <= 0.05 <= row["high"]
    assert row["high"] - row["low"] < 0.01


def test_runs_with_other_streams_are_no_pair(runs):
    moved = runs.assign(seed_order=runs["seed_order"] + (runs["method"] == "linear_probe"))
    assert "linear_probe" not in set(table("gain", moved)["comparison"])


def test_the_from_scratch_control_is_compared_unpaired(runs):
    row = one(table("gain", runs), model="cnn", method="full", comparison="from_scratch", **TEST)
    assert row["reference"] == "cnn-scratch"
    assert row["interval"] == "Welch t"
    assert "unpaired" in row["estimator"]


def test_another_architecture_is_no_control(runs):
    found = table("gain", runs)
    assert "vit" not in set(found.loc[found["comparison"] == "from_scratch", "model"])


def test_options_of_the_architecture_tell_controls_apart(runs):
    other = runs.assign(model_options=runs["model_options"].mask(runs["model"] == "cnn-scratch", '{"width": 2}'))
    assert "from_scratch" not in set(table("gain", other)["comparison"])


def test_another_input_size_is_no_control(runs):
    other = runs.assign(preprocess=runs["preprocess"].mask(runs["model"] == "cnn-scratch", '{"size": 224}'))
    assert "from_scratch" not in set(table("gain", other)["comparison"])


def test_a_control_with_another_recipe_is_said_to_be_one(runs):
    other = runs.assign(recipe_hash=runs["recipe_hash"].mask(runs["model"] == "cnn-scratch", "slower"))
    row = one(table("gain", other), model="cnn", method="full", comparison="from_scratch", **TEST)
    assert "the recipes differ" in row["estimator"]
    assert (
        "recipes"
        not in one(table("gain", runs), model="cnn", method="full", comparison="from_scratch", **TEST)["estimator"]
    )


def test_error_reduction_is_the_share_of_the_distance_to_perfect(runs):
    found = table("gain", runs)
    for metric, perfect in (("accuracy", 1.0), ("nll", 0.0)):
        row = one(found, model="cnn", method="full", comparison="before", **(TEST | {"metric": metric}))
        before = abs(perfect - row["mean_reference"])
        after = abs(perfect - row["mean_reference"] - row["gain"])
        assert row["error_reduction"] == pytest.approx(1 - after / before)
        assert 0 < row["error_reduction"] < 1
