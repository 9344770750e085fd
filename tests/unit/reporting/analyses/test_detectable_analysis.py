"""The smallest difference that a study can show, per task."""

import numpy as np
import pytest
import synthetic_study as synthetic

from variability import registry


def table(runs, **options):
    return registry.find("analyses", "detectable")(options).table({"runs": runs})


def with_values(values):
    """Return runs whose primary values are these: (models, seeds), one task and method."""
    models = tuple("abcd"[: len(values)])
    runs = synthetic.runs(models=models, methods=("full",), seeds=range(len(values[0])))
    chosen = runs["primary"] & (runs["phase"] == "after") & (runs["split"] == "test")
    known = {(model, seed): value for model, row in zip(models, values, strict=True) for seed, value in enumerate(row)}
    new = [known[key] for key in zip(runs["model"], runs["seed"], strict=True)]
    return runs.assign(value=np.where(chosen, new, runs["value"]))


def test_the_sd_is_pooled_over_candidates():
    # Variances 0.0002 and 0.0008 with 1 degree of freedom each: 0.0005.
    result = table(with_values([[0.50, 0.52], [0.60, 0.64]])).set_index("runs_each")
    assert result["sd"].unique() == pytest.approx([np.sqrt(0.0005)])
    assert list(result.index) == [2, 3, 5, 10, 20, 50]
    assert result.loc[5, "detectable_at_sd"] == pytest.approx(2.02444 * np.sqrt(0.0005), rel=1e-5)
    # The lower 20 % point of chi-square with 2 degrees of freedom is -2 ln 0.8 = 0.44629.
    assert result.loc[5, "sd_upper"] == pytest.approx(np.sqrt(0.0005 * 2 / 0.446287))
    assert result.loc[5, "detectable"] == pytest.approx(result.loc[5, "effect"] * result.loc[5, "sd_upper"])
    assert (result["n"] == 4).all() and (result["candidates"] == 2).all()


def test_a_single_run_of_each_gives_no_sd():
    result = table(with_values([[0.5], [0.6]]))
    assert result["detectable"].isna().all() and result["effect"].notna().all()
    assert result["note"].str.contains("two completed runs").all()


def test_a_cell_with_a_single_run_does_not_hide_the_others():
    result = table(with_values([[0.5, np.nan], [0.60, 0.64]]))
    assert result["sd"].unique() == pytest.approx([np.sqrt(0.0008)])
    assert (result["n"] == 3).all()


def test_more_power_and_a_higher_level_need_larger_differences():
    runs = with_values([[0.50, 0.52, 0.51], [0.60, 0.64, 0.62]])
    usual = table(runs)["detectable"]
    assert (table(runs, power=0.9)["detectable"] > usual).all()
    assert (table(runs, level=0.99)["detectable"] > usual).all()


def test_equal_runs_show_nothing_unless_no_seed_changes_them():
    runs = with_values([[0.5, 0.5], [0.6, 0.6]])
    unknown = table(runs)
    assert unknown[["detectable", "detectable_at_sd"]].isna().all(axis=None)
    assert set(unknown["note"]) == {"all runs are equal: their spread is not known"}
    declared = table(runs.assign(deterministic=True))
    assert (declared["detectable"] == 0).all() and declared["note"].isna().all()
