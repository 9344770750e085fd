"""Tests that summary, claims and figures say the same about random small studies: all read the decisions."""

import re

import numpy as np
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import decision_words, rank_words
from variability.reporting.claims import ONE_RUN, SUPPORTED, UNDECIDED
from variability.reporting.plots import pairwise
from variability.reporting.summary import summarise
from variability.stages.claim import as_markdown, claims

pytestmark = pytest.mark.slow


def study(values, pairing="auto", constants=()):
    """Return the tables of imported runs of one task. values: (models, seeds). constants: models with one run."""
    models = [f"m{index}" for index in range(len(values))]
    runs = synthetic.runs(models=models, methods=("full",), seeds=range(len(values[0])))
    runs = synthetic.as_imported(runs).sort_values(["model", "seed"])
    runs = runs.assign(value=np.ravel(values), pairing=pairing)
    runs["status"] = runs["status"].mask(runs["value"].isna(), "failed")
    constant = runs["model"].isin(constants)
    runs = runs[~constant | (runs["seed"] == 0)].assign(deterministic=constant)
    options = {"decisions": {"resamples": 500}, "ranks": {"resamples": 200}, "spread": {}, "gain": {}, "pairwise": {}}
    tables = {name: registry.find("analyses", name)(options[name]).table({"runs": runs}) for name in options}
    tables["claims"] = claims({"beats": {}, "stable_ranking": {}}, tables)
    return tables | {"runs": runs}


def in_summary(tables):
    return " ".join(summarise(tables, "demo").partition("## Findings")[2].partition("## Claims")[0].split())


def verdict_of(tables, pattern):
    verdicts = [row["verdict"] for _, row in tables["claims"].iterrows() if re.search(pattern, row["sentence"])]
    assert len(verdicts) <= 1
    return verdicts[0] if verdicts else None


def random_values(seed):
    """Return values of two to four models with gaps, ties and several levels of spread."""
    rng = np.random.default_rng(seed)
    values = (
        0.5 + rng.integers(0, 9, (rng.integers(2, 5), 1)) / 20 + rng.integers(-1, 2, (1, 4)) / rng.choice([20, 200])
    )
    values = values + rng.integers(-1, 2, (len(values), 4)) / rng.choice([20, 200], (len(values), 1))
    return np.where(rng.random(values.shape) < 0.1, np.nan, values)


@pytest.mark.parametrize(("seed", "pairing"), [(seed, ("auto", "seed")[seed % 2]) for seed in range(10)])
def test_summary_claims_and_figure_agree(seed, pairing):
    values = random_values(seed)
    tables = study(values, pairing)
    decisions, text = tables["decisions"], in_summary(tables)
    (leader,) = decisions["leader"].unique()
    best = bool(decisions["is_best"].iloc[0])
    # The best.
    assert verdict_of(tables, "is the best of") == (SUPPORTED if best else UNDECIDED)
    assert (re.search(r"candidates is supported: it beats (each of the others|the other)\.", text) is not None) == best
    assert ("the best is one of" in text) == (not best)
    # It beats each.
    beats = tables["claims"].query("kind == 'beats'").set_index("sentence")["verdict"]
    assert len(beats) == len(values) - 1
    assert (beats == SUPPORTED).all() == best
    sentence = re.search(r"That it beats (m\d) \(full\) is (not supported|supported|undecided)", text)
    assert sentence[2] == beats[f"On digits, {leader} (full) beats {sentence[1]} (full)."]
    # A winner that one seed could name.
    one_seed = verdict_of(tables, "one of these seeds")
    assert one_seed != SUPPORTED or best
    assert "nan" not in as_markdown(tables["claims"], "demo")
    # Marks of the figure.
    marks = {frozenset(pair) for pair, (*_, mark) in pairwise._lookup(tables["pairwise"], decisions).items() if mark}
    decided = decisions[decisions["decision"] == "beats"]
    assert marks == {frozenset([(row.model, row.method), (row.model_b, row.method_b)]) for row in decided.itertuples()}
    # No candidate that ties for first is beaten.
    first = decision_words.first_place(decisions)
    assert first == decisions["ties_for_first"].iloc[0].split("; ")
    assert (len(first) == 1) == best


@pytest.mark.parametrize("seed", range(6))
def test_shared_ranks_agree_in_table_claims_and_summary(seed):
    tables = study(random_values(seed))
    decisions = tables["decisions"]
    candidates = rank_words.ranked(decisions)
    first = [one.name for one in rank_words.sharing_first(candidates)]
    assert first == decision_words.first_place(decisions)
    tables["claims"] = claims({"shared_ranks": {"candidates": 4}}, tables)
    sentences = tables["claims"]["sentence"]
    shared = [re.search(r"the best of \d+ candidates is one of (.+), none of which", text) for text in sentences]
    named = [re.split(", | and ", match[1]) for match in shared if match]
    assert named == ([first] if 1 < len(first) < len(candidates) else [])
    assert sentences.str.contains("can be ruled out as the best").sum() == (len(first) == len(candidates))
    text = summarise(tables, "demo")
    for one in candidates:
        row = re.search(rf"^\| {one.model} .*\|$", text, re.MULTILINE)[0]
        assert [cell.strip() for cell in row.split("|")][-3:-1] == [one.limits, one.letters]
        ends = f"ranks {one.low:g} of" if one.low == one.high else f"ranks between {one.low:g} and {one.high:g} of"
        # One of all ranks is no finding.
        narrower = one.high - one.low + 1 < sum(other.low == other.low for other in candidates)
        assert any(f"{one.name} {ends}" in text for text in tables["claims"]["sentence"]) == narrower


def test_a_long_list_of_ties_is_cut():
    rng = np.random.default_rng(0)
    text = in_summary(study(0.5 + 0.1 * rng.random((11, 4))))
    assert re.search(r"best of 11 candidates is undecided: the best is one of (m\d+ \(full\),? ){8}and 3 more", text)


def test_equal_runs_are_described_alike_in_summary_and_claims():
    tables = study([[0.5] * 4, [0.5] * 4])
    text = in_summary(tables)
    assert "the best is one of m0 (full) and m1 (full)." in text
    assert "That it beats m1 (full) is undecided (effect +0.000; no spread, so not tested; n = 4)." in text
    assert "beats m1 (full). (effect +0.000; no spread, so not tested; n = 4)" in as_markdown(tables["claims"], "demo")


def test_equal_runs_below_equal_runs_do_not_tie():
    reason = "not compared with a candidate that has a better mean, because neither has a spread."
    text = in_summary(study([[1.0] * 3, [1.0] * 3, [1.0, 0.1, 0.9], [0.25] * 3]))
    ties = "the best is one of m0 (full), m1 (full) and m2 (full)"
    assert f"is undecided: {ties}, and m3 (full) is {reason}" in text
    tables = study([[1.0] * 3, [0.5] * 3, [0.25] * 3])
    assert f"is undecided: m1 (full) and m2 (full) are {reason}" in in_summary(tables)
    assert tables["decisions"][["p", "low", "high"]].isna().all(axis=None)


def texts_of(name, tables):
    from matplotlib.text import Text

    figure = registry.find("plots", name)({}, "demo").draw(tables)
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def test_with_one_run_per_candidate_nothing_is_compared_anywhere():
    tables = study([[0.9], [0.8], [0.7]])
    decisions = tables["decisions"]
    assert (decisions["decision"] == "not tested").all() and (decisions["note"] == ONE_RUN).all()
    assert (decisions["ties_for_first"] == "").all()
    assert (decisions["not_compared"] == "m0 (full); m1 (full); m2 (full)").all()
    ranks = tables["ranks"]
    assert (ranks["note"] == ONE_RUN).all() and (ranks["study_rank"].drop_duplicates() == [1, 2, 3]).all()
    assert ranks[["probability", "low", "high", "same_order", "kendall_tau", "wrong_winner"]].isna().all(axis=None)
    assert tables["claims"]["sentence"].str.contains("beats|is the best of 3").all()
    assert (tables["claims"]["verdict"] == UNDECIDED).all() and (tables["claims"]["note"] == ONE_RUN).all()
    sentence = f"- On digits, m0 (full) beats m1 (full). (effect +0.100; {ONE_RUN}; n = 1)"
    assert sentence in as_markdown(tables["claims"], "demo")
    tables |= {"intervals": registry.find("analyses", "intervals")({}).table({"runs": tables["runs"]})}
    for plot in ("pairwise", "ranks", "seed_spread", "intervals", "model_task_heatmap"):
        assert "One run per candidate allows no comparison." in texts_of(plot, tables), plot
        several = study([[0.9, 0.8], [0.8, 0.7]])
        several |= {"intervals": registry.find("analyses", "intervals")({}).table({"runs": several["runs"]})}
        assert "allows no comparison" not in texts_of(plot, several), plot


def test_a_candidate_with_a_single_run_does_not_tie():
    nan = float("nan")
    tables = study([[0.7, 0.8, 0.75], [0.72, 0.79, 0.73], [0.9, nan, nan]])
    decisions = tables["decisions"]
    assert decisions["ties_for_first"].iloc[0] == "m0 (full); m1 (full)"
    assert decisions["not_compared"].iloc[0] == "m2 (full)"
    reason = "m2 (full) has a single run, which allows no comparison"
    assert decisions.loc[decisions["decision"] == "not tested", "note"].tolist() == [reason] * 2
    text = in_summary(tables)
    alone = "m2 (full) cannot be compared, which needs two runs on both sides"
    assert f"is undecided: the best is one of m0 (full) and m1 (full), and {alone}." in text
    assert f"That it beats m0 (full) is undecided (effect +0.150; {reason}; n = 1 against 3)." in text


def test_claims_about_ranks_count_the_runs_of_the_ranked_candidates():
    nan = float("nan")
    tables = study([[0.70, 0.71, 0.69, 0.7], [0.42, 0.4, nan, 0.41], [0.5, nan, nan, nan]])
    stated = claims({"shared_ranks": {"candidates": 2}, "stable_ranking": {}}, tables).set_index("sentence")
    for sentence in ("m0 (full) ranks 1", "m1 (full) ranks 2"):
        row = stated.loc[f"On digits, {sentence} of 2 candidates."]
        assert row["n"] == "3 to 4 runs per candidate"
        assert row["note"] == "not ranked for lack of a second run: m2 (full)"
        assert row["note"] in as_markdown(stated.reset_index(), "demo")
    # The evidence for the best is the rival that cannot be compared.
    assert stated.loc["On digits, m0 (full) is the best of 3 candidates.", "n"] == "4 against 1"
    assert stated.loc["On digits, the ranking of all 3 candidates is stable.", "n"] == "1 to 4 runs per candidate"
    complete = claims({"shared_ranks": {}}, study([[0.7, 0.71, 0.72], [0.4, 0.41, 0.42], [0.4, 0.43, 0.42]]))
    assert complete["n"].tolist() == ["3 runs per candidate"] and complete["note"].isna().all()


def test_a_single_candidate_with_several_runs_does_not_tie():
    nan = float("nan")
    text = in_summary(study([[0.7, 0.8, 0.75], [0.6, nan, nan], [0.5, nan, nan]]))
    assert "is undecided: m0 (full), m1 (full) and m2 (full) cannot be compared, which needs two runs" in text


def test_a_margin_in_the_config_is_that_of_the_summary():
    tables = study([[0.80, 0.801, 0.802, 0.803], [0.8, 0.801, 0.802, 0.804]])
    sentences = {0.05: "are equivalent within the margin (effect", 0.0: "is undecided (effect"}
    for margin, sentence in sentences.items():
        tables["claims"] = claims({"beats": {"margin": margin}}, tables)
        assert sentence in in_summary(tables)


@pytest.mark.parametrize("single", [0.7, 0.9])
def test_a_ranking_with_single_runs_names_one_of_them_and_not_equal_runs(single):
    nan = float("nan")
    tables = study([[single, nan, nan], [single, nan, nan], [0.8] * 3, [0.8] * 3, [0.6, 0.61, 0.62]])
    row = tables["claims"].set_index("sentence").loc["On digits, the ranking of all 5 candidates is stable."]
    assert row["verdict"] == UNDECIDED
    assert re.fullmatch(r"m[01] \(full\) has a single run, which allows no comparison", row["note"])


def test_a_constant_has_an_interval_and_only_the_other_side_needs_seeds():
    tables = study([[0.9] * 3, [0.91, 0.88, 0.90], [0.5] * 3], constants=("m0", "m2"))
    text = in_summary(tables)
    assert "m0 (full) has the best value: 0.9 (deterministic)" in text.replace("0.900", "0.9")
    assert "There is no interval" not in text and "is outside the range" not in text and " within the range" not in text
    assert "That it beats m1 (full) is undecided (effect +0.003; 95 % one-sample t, adjusted [-0.035, 0.041]" in text
    (claim,) = tables["claims"][tables["claims"]["sentence"] == "On digits, m0 (full) beats m1 (full)."].to_dict(
        "records"
    )
    assert claim["n_more_of"] == "m1 (full)"
    assert f"about {claim['n_more']:g} more seeds of m1 (full) would decide" in text and "per side" not in text
    best = tables["claims"][tables["claims"]["sentence"].str.endswith("is the best of 3 candidates.")].iloc[0]
    assert (best["verdict"], best["against"]) == (UNDECIDED, "m1 (full)")


def test_constants_alone_are_compared_and_single_runs_are_not():
    text = in_summary(study([[0.9], [0.5]], constants=("m0", "m1")))
    assert "That it is the best of 2 candidates is supported: it beats the other." in text
    assert "That it beats m1 (full) is supported (effect +0.4" in text and "allows no comparison" not in text
    tables = study([[0.9], [0.5]], constants=("m0",))
    tables["intervals"] = registry.find("analyses", "intervals")({}).table(tables)
    rows = re.findall(r"^\| m[01] .*$", summarise(tables, "demo"), re.MULTILINE)
    assert ["| deterministic" in row for row in rows] == [True, False] and "needs 2 runs" in rows[1]
    single = in_summary(tables)
    assert "one run per candidate allows no comparison" in single.lower() and "supported" not in single


def test_undecided_claims_about_the_ranking_give_their_reason():
    stated = study([[0.90, 0.89], [0.85, 0.85]])["claims"].set_index("sentence")["note"]
    ranking = "all replicates have this order, but neither candidate beats the other"
    assert stated["On digits, the ranking of all 2 candidates is stable."] == ranking
    winner = "On digits, one of these seeds per candidate is enough to name the same winner."
    assert stated[winner] == "no candidate is shown to be the best, so there is no winner to name"
    # m0 and m1 overlap, and both are far above m2.
    three = study([[0.90, 0.91, 0.89], [0.899, 0.91, 0.888], [0.1, 0.11, 0.105]])["claims"].set_index("sentence")[
        "note"
    ]
    reason = "in 1 of 3 pairs neither beats the other, least clearly m0 (full) and m1 (full)"
    assert three["On digits, the ranking of all 3 candidates is stable."] == reason
