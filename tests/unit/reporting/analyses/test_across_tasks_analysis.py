"""Ranks over tasks are Demsar's, whatever the metric's direction, and holes are said to be left out."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from demsar_2006 import DEMSAR, UNTIED
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from variability import registry
from variability.reporting.analyses.across_tasks import complete


def table(runs, **options):
    return registry.find("analyses", "across_tasks")(options).table({"runs": runs})


def study(scores, names=None, seeds=2):
    """Runs of a method whose means are scores (tasks, models); NaN for a cell that is not in the study."""
    tasks = [f"task{at:02d}" for at in range(len(scores))]
    names = names or [f"m{at}" for at in range(scores.shape[1])]
    runs = synthetic.runs(models=tuple(names), tasks=tuple(tasks), methods=("full",), seeds=range(seeds))
    runs = runs.query("phase == 'after' and split == 'test' and metric == 'accuracy'")
    means = pd.DataFrame(scores, columns=names).assign(task=tasks).melt("task", var_name="model", value_name="mean")
    runs = runs.merge(means.dropna(), on=["task", "model"])
    shifts = np.linspace(-0.01, 0.01, seeds)
    return runs.assign(value=runs["mean"] + shifts[runs["seed"]]).drop(columns="mean")


def test_demsars_published_example():
    found = table(study(UNTIED)).set_index("model")
    assert found["average_rank"].to_dict() == pytest.approx(
        {"m0": 3.143, "m1": 2.0, "m2": 2.893, "m3": 1.964}, abs=5e-4
    )
    assert set(found["chi2"].round(2)) == {9.28}
    assert set(found["cd"].round(2)) == {1.25}
    assert set(table(study(UNTIED), level=0.9)["cd"].round(2)) == {1.12}
    assert (found["n_tasks"] == 14).all() and (found["n"] == 28).all()


def test_demsars_example_with_its_ties():
    found = table(study(DEMSAR)).iloc[0]
    assert (found["chi2"], found["chi2_ties"]) == pytest.approx((9.86, 10.95), abs=0.005)
    # 13 * 10.95 / (14 * 3 - 10.95), from the uncorrected 9.86 it would be 3.99
    assert found["f"] == pytest.approx(13 * 10.954 / (42 - 10.954), abs=0.01)
    assert found["p_permutation"] == pytest.approx(found["p"], abs=0.01)


def test_demsars_file_in_the_mirror_is_the_one_above(mirror):
    read = pd.read_csv(mirror / "runs" / "demsar2006" / "table6_auc.csv")
    assert (read.to_numpy() == DEMSAR).all()


def test_who_cannot_be_told_apart_is_named():
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5]] * 12) + np.random.default_rng(0).normal(0, 0.08, (12, 5))
    found = table(study(scores)).set_index("model")
    cd = found["cd"].iloc[0]
    for model, row in found.iterrows():
        near = {other for other in found.index if abs(found["average_rank"][other] - row["average_rank"]) < cd} - {
            model
        }
        named = set() if row["not_different_from"] == "none" else set(row["not_different_from"].split("; "))
        assert named == {f"{other} (full)" for other in near}
    assert "m4 (full)" not in found["not_different_from"]["m0"]


def test_losses_rank_from_the_lowest():
    runs = study(UNTIED)
    mixed = runs.assign(
        value=runs["value"].where(runs["task"] != "task00", -runs["value"]),
        higher_is_better=runs["task"] != "task00",
    )
    pd.testing.assert_series_equal(table(mixed)["average_rank"], table(runs)["average_rank"])


def test_equal_means_of_other_sums_are_tied():
    runs = study(np.full((4, 3), 0.5), seeds=3)
    values = (
        runs["seed"]
        .map({0: 0.1, 1: 0.2, 2: 0.3})
        .where(runs["model"] == "m0", runs["seed"].map({0: 0.3, 1: 0.2, 2: 0.1}))
    )
    found = table(runs.assign(value=values))
    assert (found["average_rank"] == 2).all()
    assert found["note"].str.contains("tied on every task").all()
    assert found[["chi2_ties", "f", "p"]].isna().all(axis=None)


def test_tasks_that_rank_alike_have_no_f_and_an_exact_p():
    found = table(study(np.array([[0.9, 0.8, 0.7]] * 4)))
    assert found["f"].isna().all()
    assert found["p"].to_numpy() == pytest.approx(6.0**-3)
    assert found["note"].str.contains("rank alike").all()


def test_a_candidate_with_holes_is_left_out_and_keeps_its_row():
    scores = UNTIED.copy()
    scores[:3, 0] = np.nan
    extended = np.column_stack([scores, DEMSAR[:, 1] - 0.1])
    found = table(study(extended)).set_index("model")
    assert np.isnan(found.loc["m0", "average_rank"])
    assert "left out" in found.loc["m0", "note"]
    assert (found["n_candidates"] == 4).all() and (found["n_tasks"] == 14).all()
    assert found.drop(index="m0")["note"].str.contains("m0 (full)", regex=False).all()


def test_a_task_that_most_lack_is_left_out():
    scores = UNTIED.copy()
    scores[5, 1:] = np.nan
    found = table(study(scores))
    assert (found["n_tasks"] == 13).all() and (found["n_candidates"] == 4).all()
    assert found["note"].str.contains("task task05").all()
    assert (found["n"] == 26).all()


def test_a_failed_cell_is_a_hole_and_a_failed_run_is_not():
    runs = study(UNTIED)
    lost = (runs["model"] == "m1") & (runs["task"] == "task03")
    failed = runs.assign(value=runs["value"].mask(lost & (runs["seed"] == 0)))
    failed["status"] = failed["status"].mask(failed["value"].isna(), "diverged")
    row = table(failed).set_index("model").loc["m1"]
    assert (row["n"], row["n_failed"], row["n_candidates"]) == (27, 1, 4)
    found = table(runs.assign(value=runs["value"].mask(lost)))
    # Without the task 13 x 4 cells are left, without the candidate 14 x 3.
    assert (found["n_candidates"] == 4).all() and (found["n_tasks"] == 13).all()
    assert not found["tasks"].str.contains("task03").any()


@pytest.mark.parametrize("shape", [(14, 2), (1, 4)])
def test_too_few_of_either_are_said_to_be_so(shape):
    found = table(study(UNTIED[: shape[0], : shape[1]]))
    assert len(found) == shape[1]
    assert found[["average_rank", "chi2", "f", "p", "cd"]].isna().all(axis=None)
    assert found["note"].str.contains("not estimable").all()


def test_holes_are_cut_out_where_they_are_densest():
    present = np.ones((4, 5), dtype=bool)
    present[0, 1:] = False
    present[2, 4] = False
    tasks, candidates = complete(present)
    assert (list(tasks), list(candidates)) == ([1, 2, 3], [0, 1, 2, 3])


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_what_is_left_has_no_holes_and_a_whole_table_stays_whole(present):
    tasks, candidates = complete(present)
    assert present[np.ix_(tasks, candidates)].all()
    if present.all():
        assert (len(tasks), len(candidates)) == present.shape


def test_equal_candidates_are_said_not_to_differ():
    found = table(study(np.random.default_rng(1).normal(0.8, 0.02, (10, 4))))
    assert (found["p_permutation"] > 0.05).all()
    assert found["note"].str.contains("no difference").all()
