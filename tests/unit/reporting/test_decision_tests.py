"""Tests of which test decides a pair, and that tables, claims and summary say so."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import claimed_pairs, decision_words, seeds_to_decide
from variability.stages.claim import claims

pytestmark = pytest.mark.slow

GOOD = [0.950, 0.951, 0.949, 0.952, 0.948]
COLLAPSED = [0.900, 0.901, 0.899, 0.902, 0.110]


def tables_of(values, **columns):
    """Return runs and decisions of candidates {model: values by seed}. columns: of the runs, by model or for all."""
    parts = []
    for model, runs in values.items():
        part = synthetic.runs(models=[model], methods=("full",), seeds=range(len(runs)))
        part = part[(part["metric"] == "accuracy") & (part["phase"] == "after") & (part["split"] == "test")]
        facts = {key: value.get(model) if isinstance(value, dict) else value for key, value in columns.items()}
        parts.append(part.assign(value=np.array(runs, dtype=float)[part["seed"]], primary=True, **facts))
    runs = pd.concat(parts, ignore_index=True)
    return {
        "runs": runs,
        "decisions": registry.find("analyses", "decisions")({"resamples": 1000}).table({"runs": runs}),
    }


def only(tables):
    (row,) = tables["decisions"].to_dict("records")
    return row


def test_runs_are_rearranged_where_one_collapsed():
    tables = tables_of({"a": GOOD, "b": COLLAPSED})
    row = only(tables)
    assert (row["decision"], row["test"], row["separate"], row["separate_b"]) == (
        *("beats", "studentised permutation", False, True),
    )
    assert row["p"] == row["p_adjusted"] == pytest.approx(2 / 252)
    assert "runs collapsed or are outlying in b (full): decided by rearranging the runs" in row["note"]
    finding = claimed_pairs.finding(next(claimed_pairs.both_ways(tables["decisions"]).iterrows())[1], "")
    assert finding["note"].startswith("runs of b (full) collapsed or are outlying")
    words = decision_words.of_the_best(tables)
    assert "is supported" in words and "The comparison is decided by studentised permutation" in words


def test_the_usual_test_decides_where_nothing_is_far_off_and_where_runs_are_too_few():
    usual = tables_of({"a": GOOD, "b": [0.90, 0.91, 0.92, 0.93, 0.94]})
    assert only(usual)["test"] == "Welch t" and only(usual)["note"] == ""
    assert "collapsed" not in decision_words.of_the_best(usual)
    few = only(tables_of({"a": GOOD[:3], "b": COLLAPSED[2:]}))
    assert few["test"] == "Welch t" and few["note"].endswith("so few runs that only t can decide")


def test_a_candidate_that_is_all_at_chance_has_no_run_that_is_far_off():
    row = only(tables_of({"a": GOOD, "b": [0.10, 0.11, 0.09, 0.105, 0.095]}))
    assert (row["test"], row["separate_b"], row["decision"]) == ("Welch t", False, "beats")


def test_the_choice_of_the_test_does_not_depend_on_the_other_candidate():
    for shift in (-0.3, 0.0, 0.04):
        row = only(tables_of({"a": list(np.array(GOOD) + shift), "b": COLLAPSED}))
        assert row["permuted"] and row["separate"] + row["separate_b"] == 1


def test_further_seeds_are_not_predicted_from_runs_that_collapse():
    row = only(tables_of({"a": [*GOOD[:4], 0.2], "b": COLLAPSED}))
    assert row["decision"] == "undecided" and row["permuted"]
    assert np.isnan(seeds_to_decide.for_difference(row, 0.01))


def test_a_deterministic_baseline_is_a_constant():
    declared = {"deterministic": {"a": False, "popularity": True}}
    tables = tables_of({"a": GOOD, "popularity": [0.94]}, **declared)
    row = only(tables)
    # Mean 0.95, SD 0.001581: t = 0.01 / 0.000707.
    assert (row["decision"], row["test"], row["df"]) == ("beats", "one-sample t", 4)
    assert row["t"] == pytest.approx(0.01 / (0.0015811388 / 5**0.5)) and row["deterministic_b"]
    assert "popularity (full) is deterministic and counts as a constant" in decision_words.of_the_best(tables)
    findings = claims({"beats": {}, "shared_ranks": {}}, tables | {"gain": GAIN})
    assert findings["verdict"].tolist() == ["supported", "supported"]
    assert findings["note"].iloc[0] == "popularity (full) is deterministic and counts as a constant"


#: The table of a study without references.
GAIN = pd.DataFrame(columns=["primary", "split", "comparison", "task", "model", "method", "reference"]).astype(
    {"primary": bool}
)


def test_a_ranking_with_a_constant_may_be_stable():
    tables = tables_of({"a": GOOD, "b": [0.93, 0.931, 0.929, 0.932, 0.928], "popularity": [0.5]}, **CONSTANT)
    tables["ranks"] = registry.find("analyses", "ranks")({"resamples": 200}).table(tables)
    stated = claims({"stable_ranking": {}}, tables).set_index("sentence")["verdict"]
    assert stated["On digits, the ranking of all 3 candidates is stable."] == "supported"
    undeclared = tables_of({"a": GOOD, "b": [0.93, 0.931, 0.929, 0.932, 0.928], "popularity": [0.5]})
    undeclared["ranks"] = tables["ranks"]
    assert "supported" not in set(claims({"stable_ranking": {}}, undeclared)["verdict"])


#: Column of a study with a baseline without seeds.
CONSTANT = {"deterministic": {"a": False, "b": False, "popularity": True}}


def test_a_single_run_is_no_constant_unless_it_is_declared():
    tables = tables_of({"a": GOOD, "b": [0.94]})
    assert only(tables)["decision"] == "not tested" and "b (full) has a single run" in only(tables)["note"]
    assert decision_words.not_compared(tables["decisions"]) == ["a (full)", "b (full)"]
    # A deterministic model whose runs differ, as on other folds, is compared as any other.
    folds = tables_of({"a": GOOD, "b": [0.90, 0.91, 0.92, 0.93, 0.94]}, deterministic=True)
    assert only(folds)["test"] == "Welch t"


def test_more_seeds_of_the_other_side_decide_about_a_constant():
    row = only(tables_of({"a": GOOD, "b": [0.9495]}, deterministic={"b": True, "a": False}))
    assert row["decision"] != "beats"
    # Both one-sample tests have the same SD, so a smaller difference takes more runs.
    assert seeds_to_decide.for_difference(row, 0.0005) > seeds_to_decide.for_difference(row, 0.002) >= 1


@pytest.mark.parametrize(
    ("columns", "share"),
    [
        ({"folds": 5.0}, 1 / 4),
        ({"folds": 0.0, "n_test": 100, "n_train": 400}, 1 / 4),
        ({"seed_split": {"a": np.arange(5), "b": np.arange(5)}, "n_test": 100, "n_train": 500}, 1 / 5),
        ({}, 0.0),
    ],
)
def test_tests_allow_for_splits_of_each_run(columns, share):
    values = {"a": [0.80, 0.82, 0.81, 0.83, 0.79], "b": [0.78, 0.78, 0.78, 0.78, 0.78]}
    tables = tables_of(values, **columns)
    row = only(tables)
    # Differences with mean 0.03 and variance 0.00025.
    assert row["test_share"] == pytest.approx(share)
    assert row["t"] == pytest.approx(0.03 / np.sqrt(0.00025 * (1 / 5 + share)))
    assert ("corrected for overlapping splits" in row["test"]) == bool(share)
    assert ("Nadeau and Bengio" in decision_words.of_the_best(tables)) == bool(share)


def test_unknown_sizes_of_splits_are_named():
    row = only(tables_of({"a": GOOD, "b": [0.90, 0.91, 0.92, 0.93, 0.94]}, folds=0.0, n_train=np.nan))
    assert row["test"] == "Welch t" and "n_train and n_test are not known" in row["note"]


def test_the_difference_of_two_constants_is_decided_without_a_test():
    values = {"knn": [0.349], "sas": [0.331, 0.286], "bert": [0.112, 0.110], "pop": [0.081]}
    constant = {"knn": True, "sas": False, "bert": False, "pop": True}
    tables = tables_of(values, deterministic=constant) | {"gain": GAIN}
    pairs = tables["decisions"].set_index(["model", "model_b"])
    pair = pairs.loc[("knn", "pop")]
    assert (pair["decision"], pair["p_adjusted"], pair["test"]) == ("beats", 0, "comparison of two constants")
    assert pair[["p", "low", "high", "p_study"]].isna().all() and pair["tests"] == 5
    assert (
        pair["note"].startswith("both are deterministic, and no seed changes either") and "test_noise" in pair["note"]
    )
    # knn beats pop and, by one-sample t, bert; only sas may be better than it.
    assert pair["ties_for_first"] == "knn (full); sas (full)"
    assert pairs.loc[("knn", "pop"), ["rank_low_b", "rank_high_b"]].tolist() == [2, 4]
    assert not set(pair["letters"]) & set(pair["letters_b"])
    tables["ranks"] = registry.find("analyses", "ranks")({"resamples": 200}).table(tables)
    stated = claims({"beats": {}, "stable_ranking": {}, "shared_ranks": {}}, tables).set_index("sentence")
    beats = stated.loc["On digits, knn (full) beats pop (full)."]
    assert beats["verdict"] == "supported" and np.isnan(beats["p_adjusted"]) and "no seed changes" in beats["note"]
    best = stated.loc["On digits, knn (full) is the best of 4 candidates."]
    assert (best["verdict"], best["against"]) == ("undecided", "sas (full)")
    assert "On digits, the best of 4 candidates is one of knn (full) and sas (full)" in " ".join(stated.index)


def test_a_constant_is_the_best_of_constants_and_equal_ones_tie():
    clear = tables_of({"a": [0.9], "b": [0.8], "c": [0.7, 0.7, 0.7]}, deterministic=True)["decisions"]
    assert set(clear["decision"]) == {"beats"} and clear["is_best"].all()
    assert clear[["rank_low_b", "rank_high_b"]].to_numpy().tolist() == [[2, 2], [3, 3], [3, 3]]
    # Within the margin of 0.01 and yet beaten: a difference that is known comes before equivalence.
    small = only(tables_of({"a": [0.9], "b": [0.895]}, deterministic=True))
    assert (small["decision"], small["p_equivalent"]) == ("beats", 0) and "less than the margin" in small["note"]
    equal = only(tables_of({"a": [0.9], "b": [0.9 * (1 - 1e-14)]}, deterministic=True))
    assert (equal["decision"], equal["ties_for_first"]) == ("equivalent", "a (full); b (full)")
    # A few equal runs are no constants.
    assert only(tables_of({"a": [0.9, 0.9], "b": [0.8, 0.8]}))["decision"] == "not tested"


def test_a_constant_is_worse_than_another_by_more_than_the_margin_or_not():
    for value, verdict in ((0.8, "not supported"), (0.895, "supported")):
        decisions = tables_of({"a": [0.9], "b": [value]}, deterministic=True)["decisions"]
        stated = claims({"not_worse": {}}, {"decisions": decisions}).iloc[0]
        assert (stated["verdict"], np.isnan(stated["p_adjusted"])) == (verdict, True)


def test_what_a_constant_beats_is_beaten_by_a_better_constant():
    seeded = [0.85, 0.851, 0.849, 0.852, 0.848]
    decisions = tables_of({"a": [0.9], "b": seeded, "c": [0.8]}, deterministic={"a": True, "b": False, "c": True})
    pairs = decisions["decisions"]
    assert set(pairs["decision"]) == {"beats"} and pairs["is_best"].all() and set(pairs["tests"]) == {2}
