"""Tests of declared pairs: refused if runs lack partners."""

import pytest
import synthetic_study as synthetic

from variability.errors import UserError
from variability.results import pairing

RUNS = [(model, "digits", "full", seed) for model in ("a", "b") for seed in range(4)]


def test_candidates_with_the_same_seeds_are_pairs():
    assert pairing.problem(RUNS) == ""
    # Other tasks may have other seeds.
    assert pairing.problem([*RUNS, ("a", "letters", "full", 9)]) == ""


def test_a_run_without_a_partner_is_named():
    message = pairing.problem([run for run in RUNS if run != ("b", "digits", "full", 2)])
    assert message.startswith("on task digits, b (full) has no run of seed 2, which other candidates have")


def test_the_runs_table_says_how_runs_are_paired():
    runs = synthetic.runs(methods=("full",))
    assert not pairing.by_seed(runs).any()
    assert pairing.by_seed(pairing.declared(runs, "seed")).all()
    fewer = runs[(runs["model"] != "a") | (runs["seed"] < 3)]
    with pytest.raises(UserError, match=r"pairing: on task digits, a \(full\) has no run of seeds 3, 4"):
        pairing.declared(fewer, "seed")
    assert len(pairing.declared(fewer, "auto")) == len(fewer)


def test_a_failed_run_has_a_partner():
    assert len(pairing.declared(synthetic.runs(failed={("a", "digits", "full", 1)}), "seed"))


def test_labels_of_several_files_are_not_the_same_numbers():
    assert "imports.x are labels" in pairing.problem_of_labels(["x"], 2)
    assert pairing.problem_of_labels(["x"], 1) == pairing.problem_of_labels([], 2) == ""
