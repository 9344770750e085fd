"""Tests that comparisons end as equivalent within the margin, and that beating and equivalence do not contradict."""

import numpy as np
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import claimed_pairs, decision_words, seeds_to_decide
from variability.reporting.claims import EQUIVALENT, REFUSED, SUPPORTED, UNDECIDED, in_words
from variability.stages.claim import as_markdown, claims
from variability.stats import sample_size

pytestmark = pytest.mark.slow

NOISE = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 0.0])


def decided(means, sd=0.001, margins=None, lower_is_better=False, **options):
    """Return ``runs`` and ``decisions`` of models m0, m1, ... with these means."""
    models = [f"m{index}" for index in range(len(means))]
    runs = synthetic.runs(models=models, methods=("full",), seeds=range(len(NOISE)))
    runs["primary"] = runs["metric"] == ("nll" if lower_is_better else "accuracy")
    runs["value"] = runs["model"].map(dict(zip(models, means, strict=True))) + sd * runs["seed"].map(
        dict(enumerate(NOISE))
    )
    options |= {"margins": margins} if margins else {}
    return {"runs": runs, "decisions": registry.find("analyses", "decisions")(options).table({"runs": runs})}


def both_ways(tables):
    return [row for _, row in claimed_pairs.both_ways(tables["decisions"]).iterrows()]


def decisions_of(*arguments, **options):
    table = decided(*arguments, **options)["decisions"]
    return dict(zip(table["model"] + " " + table["model_b"], table["decision"], strict=True))


def test_pairs_end_as_beaten_equivalent_or_undecided():
    # With an SD of 0.0014, 0.004 is more than the noise and 0.0005 less; 0.01 of accuracy is the default margin.
    assert decisions_of([0.9, 0.8995]) == {"m0 m1": "equivalent"}
    assert decisions_of([0.9, 0.896]) == {"m0 m1": "beats"}
    assert decisions_of([0.9, 0.8995], sd=0.02) == {"m0 m1": "undecided"}
    assert decisions_of([0.9, 0.8995], sd=0.0) == {"m0 m1": "not tested"}
    assert decisions_of([0.9, 0.8995], margins={"accuracy": 0.001}) == {"m0 m1": "undecided"}
    assert decisions_of([0.9, 0.8995], sd=0.02, margins={"digits": {"accuracy": 0.1}}) == {"m0 m1": "equivalent"}
    assert decisions_of([0.9, 0.8995], sd=0.02, margins={"chess": {"accuracy": 0.1}}) == {"m0 m1": "undecided"}


def test_a_small_difference_that_is_shown_beats_and_says_so():
    tables = decided([0.9, 0.896])
    (row,) = tables["decisions"].to_dict("records")
    assert row["decision"] == "beats" and row["p_equivalent"] <= 0.05 and "less than the margin, too" in row["note"]
    (finding,) = claims({"not_worse": {"candidate": "m0", "than": "m1"}}, tables).to_dict("records")
    assert finding["verdict"] == SUPPORTED
    better, worse = (claimed_pairs.finding(row, "") for row in both_ways(tables))
    assert (better["verdict"], worse["verdict"]) == (SUPPORTED, REFUSED)
    assert better["meaning"].startswith("the difference is less than the margin of 0.01")
    assert worse["meaning"].startswith("the opposite is supported; the difference is less")


def test_lower_is_better():
    tables = decided([0.30, 0.3005], lower_is_better=True, margins={"nll": 0.01})
    (row,) = tables["decisions"].to_dict("records")
    assert (row["model"], row["decision"], row["margin"]) == ("m0", "equivalent", 0.01)
    tables = decided([0.30, 0.36], lower_is_better=True, margins={"nll": 0.01})
    result = claims({"not_worse": {}}, tables).to_dict("records")
    assert [(row["verdict"], row["sentence"]) for row in result] == [
        (REFUSED, "On digits, m1 (full) is at most 0.01 worse than m0 (full).")
    ]
    assert "worse by more than 0.01, adjusted p < 0.001" in in_words(result[0])
    # Without a declared range the margin is a fraction of the smaller mean.
    (row,) = decided([0.30, 0.36], lower_is_better=True)["decisions"].to_dict("records")
    assert (row["margin"], row["margin_from"]) == (pytest.approx(0.003), "fraction of the mean")


def test_not_supported_has_two_meanings():
    # m1 is behind by more than its interval can show as equivalent, but is certainly not better by the margin.
    tables = decided([0.91, 0.90], sd=0.0055)
    assert tables["decisions"]["decision"].tolist() == ["undecided"]
    first, second = (claimed_pairs.finding(row, "") for row in both_ways(tables))
    assert (first["verdict"], second["verdict"]) == (UNDECIDED, REFUSED)
    assert second["meaning"].startswith("better by less than the margin of 0.01, adjusted p")
    opposite = claimed_pairs.finding(claimed_pairs.both_ways(decided([0.95, 0.90])["decisions"]).iloc[1], "")
    assert (opposite["verdict"], opposite["meaning"]) == (REFUSED, "the opposite is supported")


def test_the_margin_of_a_claim_applies_where_the_config_has_none():
    tables = decided([0.9, 0.8995])
    assert claims({"not_worse": {}}, tables)["verdict"].tolist() == [SUPPORTED]
    assert claims({"not_worse": {"margin": 0.001}}, tables)["verdict"].tolist() == [UNDECIDED]
    tables = decided([0.9, 0.8995], margins={"accuracy": 0.01})
    assert claims({"not_worse": {"margin": 0.001}}, tables)["verdict"].tolist() == [SUPPORTED]


@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        ({}, {("m1", "m0"), ("m2", "m0")}),
        ({"candidate": "m2"}, {("m2", "m0")}),
        ({"candidate": "m[12]", "than": "m[12] (full)"}, {("m1", "m2"), ("m2", "m1")}),
        ({"than": "m1"}, {("m0", "m1"), ("m2", "m1")}),
        ({"candidate": "m0 (linear_probe)"}, set()),
    ],
)
def test_a_claim_compares_the_candidates_that_it_names(options, pairs):
    tables = decided([0.9, 0.8995, 0.85])
    sentences = {f"On digits, {a} (full) is at most 0.01 worse than {b} (full)." for a, b in pairs}
    assert set(claims({"not_worse": options}, tables)["sentence"]) == sentences


def test_summary_and_claims_name_equivalent_candidates():
    tables = decided([0.9, 0.8995, 0.85])
    text = decision_words.of_the_best(tables)
    assert text.endswith(
        " is not supported: the best is one of m0 (full) and m1 (full). Equivalent to m0 (full) "
        "within ±0.01: m1 (full)."
    )
    (row, *_) = [claimed_pairs.finding(row, "On digits, m0 beats m1.") for row in both_ways(tables)]
    assert row["verdict"] == EQUIVALENT and row["meaning"].startswith("equivalent within ±0.01, adjusted p")
    assert "## Equivalent (0)" in as_markdown(claims({"not_worse": {}}, tables), "demo")


def test_the_cheapest_candidate_that_is_not_worse_is_named():
    tables = decided([0.9, 0.8995, 0.8994, 0.85])
    runs = tables["runs"].assign(seconds=tables["runs"]["model"].map({"m0": 100.0, "m1": 50.0, "m2": 30.0, "m3": 1.0}))
    tables["cost"] = registry.find("analyses", "cost")({}).table({"runs": runs})
    (row,) = claims({"cheaper_not_worse": {}}, tables).to_dict("records")
    assert row["verdict"] == SUPPORTED
    assert row["sentence"] == "On digits, m2 (full), with 30 % of the seconds, is at most 0.01 worse than m0 (full)."
    assert row["p_adjusted"] == tables["decisions"].query("model == 'm0' and model_b == 'm2'")["p_not_worse_b"].item()
    # Nothing is shown: the cheaper one with the best mean.
    (row,) = claims({"cheaper_not_worse": {"margin": 0.0001}}, tables).to_dict("records")
    assert row["verdict"] == UNDECIDED and "m1 (full), with 50 %" in row["sentence"]
    # A few per cent of the seconds are noise.
    (row,) = claims({"cheaper_not_worse": {"seconds": 0.3}}, tables).to_dict("records")
    assert "m2 (full), with 30 %" in row["sentence"]
    assert claims({"cheaper_not_worse": {"seconds": 0.005}}, tables).empty
    close = runs.assign(seconds=runs["model"].map({"m0": 100.0, "m1": 98.0, "m2": 81.0, "m3": 120.0}))
    tables["cost"] = registry.find("analyses", "cost")({}).table({"runs": close})
    assert claims({"cheaper_not_worse": {}}, tables).empty


@pytest.mark.parametrize("seed", range(5))
def test_beating_by_more_than_the_margin_and_equivalence_exclude_each_other(seed):
    rng = np.random.default_rng(seed)
    table = decided(0.9 + 0.01 * rng.integers(-2, 3, 4) * rng.random(4), sd=rng.choice([0.001, 0.003]))["decisions"]
    equivalent = table["p_equivalent"] <= 0.05
    assert not (equivalent & (table["low"] > table["margin"])).any()
    assert (table["decision"] == "equivalent").equals(equivalent & ~(table["p_adjusted"] <= 0.05))
    for _, row in claimed_pairs.both_ways(table).iterrows():
        assert (claimed_pairs.verdict_of(row) == EQUIVALENT) == (row["decision"] == "equivalent")
        assert claimed_pairs.verdict_not_worse(row) == SUPPORTED or not row["p_equivalent"] <= 0.05


@pytest.fixture
def undecided(monkeypatch):
    """Return a pair of 6 runs each with an SD of 0.02, planned from the SD itself."""
    monkeypatch.setattr("variability.stats.sample_size.sd_upper", lambda sd, n, level: sd)
    return dict(both_ways(decided([0.9, 0.8995], sd=0.02))[0]) | {"sd": 0.02, "sd_b": 0.02, "tests": 1}


def test_undecided_claims_of_non_inferiority_name_the_seeds_that_would_decide(undecided):
    # One pair of 6 + 6 runs; from statsmodels: TTestIndPower().solve_power(0.5, alpha=0.05, power=0.8,
    # alternative="larger").
    row = undecided | {"margin": 0.012}
    assert seeds_to_decide.not_worse(row | {"difference": -0.002}) == 51 - 6
    # As one of three pairs: alpha=0.05/3.
    assert seeds_to_decide.not_worse(row | {"difference": -0.002, "tests": 3}) == 72 - 6
    # That it is worse by more is adjusted for both directions: alpha=0.05/2.
    assert seeds_to_decide.not_worse(row | {"difference": -0.022}) == 64 - 6
    assert seeds_to_decide.not_worse(row | {"difference": -0.012}) == sample_size.MOST


def test_undecided_comparisons_name_the_seeds_of_a_difference_or_of_equivalence(undecided):
    row = undecided | {"margin": 0.01}
    # A difference of 0.5 SD takes 64 runs (Cohen 1988, table 2.3.5), which no equivalence can decide earlier here.
    assert seeds_to_decide.to_decide(row | {"difference": 0.01}) == 64 - 6
    # No difference: each of both one-sided tests at 5 % with 90 %; TTestIndPower().solve_power(0.5, alpha=0.05,
    # power=0.9, alternative="larger").
    assert seeds_to_decide.to_decide(row | {"difference": 0.0}) == 70 - 6
    assert seeds_to_decide.to_decide(row | {"difference": 0.005}) > 150


def test_the_seeds_that_would_decide_are_part_of_the_claim():
    tables = decided([0.9, 0.8975], sd=0.02)
    (finding,) = claims({"not_worse": {"candidate": "m1", "than": "m0"}}, tables).to_dict("records")
    assert finding["verdict"] == UNDECIDED and finding["n_more"] > 10
    assert f"about {finding['n_more']:g} more seeds per side would decide" in as_markdown(
        claims({"not_worse": {"candidate": "m1", "than": "m0"}}, tables), "demo"
    )
