"""Tests of ranks over tasks: Demsar's numbers, both directions of a metric, and missing cells."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from demsar_2006 import DEMSAR, UNTIED

from variability import registry


def table(runs, **options):
    return registry.find("analyses", "across_tasks")(options).table({"runs": runs})


def study(scores, names=None, seeds=2):
    """Return runs of a method whose means are scores (tasks, models); NaN for a cell that is not in the study."""
    tasks = [f"task{at:02d}" for at in range(len(scores))]
    names = names or [f"m{at}" for at in range(scores.shape[1])]
    runs = synthetic.runs(models=tuple(names), tasks=tuple(tasks), methods=("full",), seeds=range(seeds))
    runs = runs.query("phase == 'after' and split == 'test' and metric == 'accuracy'")
    means = pd.DataFrame(scores, columns=names).assign(task=tasks).melt("task", var_name="model", value_name="mean")
    runs = runs.merge(means.dropna(), on=["task", "model"])
    shifts = np.linspace(-0.01, 0.01, seeds)
    return runs.assign(value=runs["mean"] + shifts[runs["seed"]]).drop(columns="mean")


def test_demsars_published_example():
    result = table(study(UNTIED)).set_index("model")
    assert result["average_rank"].to_dict() == pytest.approx(
        {"m0": 3.143, "m1": 2.0, "m2": 2.893, "m3": 1.964}, abs=5e-4
    )
    assert set(result["chi2"].round(2)) == {9.28}
    assert set(result["cd"].round(2)) == {1.25}
    assert set(table(study(UNTIED), level=0.9)["cd"].round(2)) == {1.12}
    assert (result["n_tasks"] == 14).all() and (result["n"] == 28).all()


def test_demsars_example_with_its_ties():
    result = table(study(DEMSAR)).iloc[0]
    assert (result["chi2"], result["chi2_ties"]) == pytest.approx((9.86, 10.95), abs=0.005)
    # 13 * 10.95 / (14 * 3 - 10.95), from the uncorrected 9.86 it would be 3.99
    assert result["f"] == pytest.approx(13 * 10.954 / (42 - 10.954), abs=0.01)
    assert result["p_permutation"] == pytest.approx(result["p"], abs=0.01)


def test_demsars_file_in_the_mirror_is_the_one_above(mirror):
    read = pd.read_csv(mirror / "runs" / "demsar2006" / "table6_auc.csv")
    assert (read.to_numpy() == DEMSAR).all()


def test_candidates_that_do_not_differ_are_named():
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5]] * 12) + np.random.default_rng(0).normal(0, 0.08, (12, 5))
    result = table(study(scores)).set_index("model")
    cd = result["cd"].iloc[0]
    for model, row in result.iterrows():
        near = {other for other in result.index if abs(result["average_rank"][other] - row["average_rank"]) < cd} - {
            model
        }
        names = set() if row["not_different_from"] == "none" else set(row["not_different_from"].split("; "))
        assert names == {f"{other} (full)" for other in near}
    assert "m4 (full)" not in result["not_different_from"]["m0"]


def test_losses_rank_from_the_lowest():
    runs = study(UNTIED)
    mixed = runs.assign(
        value=runs["value"].where(runs["task"] != "task00", -runs["value"]),
        higher_is_better=runs["task"] != "task00",
    )
    pd.testing.assert_series_equal(table(mixed)["average_rank"], table(runs)["average_rank"])


def test_equal_means_of_different_sums_are_tied():
    runs = study(np.full((4, 3), 0.5), seeds=3)
    values = (
        runs["seed"]
        .map({0: 0.1, 1: 0.2, 2: 0.3})
        .where(runs["model"] == "m0", runs["seed"].map({0: 0.3, 1: 0.2, 2: 0.1}))
    )
    result = table(runs.assign(value=values))
    assert (result["average_rank"] == 2).all()
    assert result["note"].str.contains("tied on every task").all()
    assert result[["chi2_ties", "f", "p"]].isna().all(axis=None)


def test_equal_rankings_have_no_f_and_an_exact_p():
    result = table(study(np.array([[0.9, 0.8, 0.7]] * 4)))
    assert result["f"].isna().all()
    assert result["p"].to_numpy() == pytest.approx(6.0**-3)
    assert result["note"].str.contains("the same ranking").all()


def test_a_candidate_with_missing_cells_is_left_out_and_keeps_its_row():
    scores = UNTIED.copy()
    scores[:3, 0] = np.nan
    extended = np.column_stack([scores, DEMSAR[:, 1] - 0.1])
    result = table(study(extended)).set_index("model")
    assert np.isnan(result.loc["m0", "average_rank"])
    assert "not ranked: no value on some task" in result.loc["m0", "note"]
    assert (result["n_candidates"] == 4).all() and (result["n_tasks"] == 14).all()
    assert result.drop(index="m0")["note"].str.contains("m0 (full)", regex=False).all()


def test_a_task_that_most_lack_is_left_out():
    scores = UNTIED.copy()
    scores[5, 1:] = np.nan
    result = table(study(scores))
    assert (result["n_tasks"] == 13).all() and (result["n_candidates"] == 4).all()
    assert result["note"].str.contains("task task05").all()
    assert (result["n"] == 26).all()


def test_a_failed_cell_is_missing_and_a_failed_run_is_not():
    runs = study(UNTIED)
    lost = (runs["model"] == "m1") & (runs["task"] == "task03")
    failed = runs.assign(value=runs["value"].mask(lost & (runs["seed"] == 0)))
    failed["status"] = failed["status"].mask(failed["value"].isna(), "diverged")
    row = table(failed).set_index("model").loc["m1"]
    assert (row["n"], row["n_failed"], row["n_candidates"]) == (27, 1, 4)
    result = table(runs.assign(value=runs["value"].mask(lost)))
    assert (result["n_candidates"] == 3).all() and (result["n_tasks"] == 14).all()
    assert result["note"].str.endswith("not ranked, because results are missing: m1 (full) on task03").all()


@pytest.mark.parametrize("shape", [(14, 2), (1, 4)])
def test_too_few_candidates_or_tasks_have_a_note(shape):
    result = table(study(UNTIED[: shape[0], : shape[1]]))
    assert len(result) == shape[1]
    assert result[["average_rank", "chi2", "f", "p", "cd"]].isna().all(axis=None)
    assert result["note"].str.contains("not estimable").all()


def test_equal_candidates_are_reported_as_not_different():
    result = table(study(np.random.default_rng(1).normal(0.8, 0.02, (10, 4))))
    assert (result["p_permutation"] > 0.05).all()
    assert result["note"].str.contains("no difference").all()
