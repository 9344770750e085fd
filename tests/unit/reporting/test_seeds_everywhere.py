"""Tests that table, claims, summary and page have one number of further seeds for the same pair."""

import re

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import seeds_to_decide, summary
from variability.reporting.questions.more_seeds import MoreSeeds
from variability.stages.claim import claims
from variability.stats import sample_size

pytestmark = pytest.mark.slow

MEANS = {("digits", "m0"): 0.9, ("digits", "m1"): 0.888, ("digits", "m2"): 0.85, ("digits", "m3"): 0.8499}
MEANS |= {("letters", "m0"): 0.6, ("letters", "m1"): 0.59, ("letters", "m2"): 0.6, ("letters", "m3"): 0.57}
NOISE = np.array([-2.0, 1.0, 0.0, -1.0, 2.0])


@pytest.fixture(scope="module")
def tables():
    runs = synthetic.runs(models=("m0", "m1", "m2", "m3"), tasks=("digits", "letters"), methods=("full",))
    cells = pd.MultiIndex.from_frame(runs[["task", "model"]])
    sds = runs["model"].map({"m0": 0.008, "m1": 0.012, "m2": 0.004, "m3": 0.0001})
    runs = runs.assign(value=pd.Series(MEANS)[cells].to_numpy() + sds * NOISE[runs["seed"]])
    made = {"runs": runs}
    # Equal means are not shown to be so close by any number of seeds.
    for name, options in {"spread": {}, "decisions": {"margin": 0.0001}, "gain": {}, "seeds_needed": {}}.items():
        made[name] = registry.find("analyses", name)(options).table(made)
    chosen = {"beats": {}, "not_worse": {"candidate": "*", "than": "*"}}
    return made | {"claims": claims(chosen, made)}


def both_ways(decisions):
    """Return {(task, candidate, candidate): number of further seeds} of the table."""
    names = [
        [f"{row[f'model{side}']} ({row[f'method{side}']})" for _, row in decisions.iterrows()] for side in ("", "_b")
    ]
    keys = zip(decisions["task"], *names, strict=True)
    numbers = dict(zip(keys, decisions["n_more"], strict=True))
    return numbers | {(task, other, one): more for (task, one, other), more in numbers.items()}


def test_claims_summary_and_page_have_the_numbers_of_the_table(tables):
    numbers, stated = both_ways(tables["decisions"]), tables["claims"]
    assert {0.0, float(sample_size.MOST)} < set(numbers.values()) and len(set(numbers.values())) > 3
    beats = stated[(stated["kind"] == "beats") & (stated["verdict"] == "undecided")]
    pairs = beats["sentence"].str.extract(r"On (.*), (.*) beats (.*)\.")
    assert len(beats) > 2
    assert beats["n_more"].tolist() == [numbers[tuple(pair)] for pair in pairs.to_numpy()]
    text = " ".join(summary.summarise(tables | {"claims": beats}, "demo").split())
    named = re.findall(r"(?:about \d+ more|10,000 or more further) seeds per side would(?: be needed to)? decide", text)
    assert set(named) == {seeds_to_decide.in_words(more) for more in beats["n_more"]}
    (chart,) = MoreSeeds().charts(tables)
    rows = chart.rows[chart.rows["label"] == "the next worse candidate"]
    # Every candidate but the last of each task.
    assert len(rows) == 6
    for _, row in rows.iterrows():
        more = numbers[row["task"], f"{row['model']} ({row['method']})", row["reference"]]
        assert row["n_needed"] == min(5 + more, sample_size.MOST)
        assert row["needed"] == ("10,000 or more" if more == sample_size.MOST else f"{5 + more:g}")
    reached = int((rows["n_needed"] == 5).sum())
    assert any(
        sentence.startswith("To decide between a candidate and the next worse one: 5 to 10,000 or more runs")
        and sentence.endswith(f"reached by {reached} of 6 pairs.")
        for sentence in MoreSeeds().sentences(tables)
    )


def test_a_pair_and_a_table_of_pairs_have_the_same_numbers(tables):
    decisions = tables["decisions"]
    undecided = decisions[decisions["decision"] == "undecided"]
    assert len(undecided) > 1
    for function in (seeds_to_decide.to_decide, seeds_to_decide.not_worse):
        one_by_one = [float(function(row)) for _, row in undecided.iterrows()]
        assert function(undecided).tolist() == one_by_one
    assert seeds_to_decide.to_decide(undecided).tolist() == undecided["n_more"].tolist()


def test_a_number_beyond_the_search_is_a_lower_limit():
    assert seeds_to_decide.in_words(9_998) == "about 9998 more seeds per side would decide"
    words = "10,000 or more further runs of each would be needed to decide"
    assert seeds_to_decide.in_words(10_000, "run of each") == words
