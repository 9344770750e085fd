"""The summary says what the numbers support, each with its n and estimator, and no more."""

import re

import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.summary import summarise
from variability.wording import SUMMARISED

MODELS = ("cnn", "cnn-scratch", "vit")


def said(**options):
    """The summary in one line, and the paragraph of findings alone."""
    text = summarise(synthetic.tables(SUMMARISED, **({"models": MODELS} | options)), "demo")
    return text, " ".join(text.partition("## Findings")[2].split())


def test_the_best_model_is_named_with_mean_sd_and_n():
    _, findings = said()
    assert re.search(
        r"On digits the best mean is that of cnn \(full\): 0\.\d{3} ± 0\.\d{3} \(mean ± SD, n = 5\)", findings
    )


def test_runs_that_are_all_equal_are_said_to_be_so_and_not_given_an_interval_of_no_width():
    text, _ = said(sd=0.0)
    assert "all runs equal" in text
    assert not re.search(r"\[(0\.\d{3}), \1\]", text.partition("## Findings")[0])


def test_a_difference_well_above_the_seeds_noise_is_called_so():
    _, findings = said(sd=0.001)
    assert "Welch interval" in findings
    assert "is larger than seed noise explains" in findings


def test_a_difference_within_the_seeds_noise_is_called_so():
    _, findings = said(sd=0.08)
    assert "is no larger than seed noise explains" in findings


def test_a_single_seed_supports_no_verdict():
    text, findings = said(seeds=(0,))
    assert "cannot be said" in findings
    assert "seed noise explains" not in findings
    assert "needs 2 runs" in text


def test_diverged_runs_are_counted_where_they_are_missing():
    text, _ = said(failed={("vit", "digits", "full", 1), ("vit", "digits", "full", 3)})
    assert "30 runs: 28 completed, 2 diverged." in text
    assert "vit/digits/full: 2" in " ".join(text.split())
    row = next(line for line in text.splitlines() if line.startswith("| vit") and "| full" in line)
    assert [field.strip() for field in row.split("|")][3:5] == ["3", "2"]


def test_a_model_all_of_whose_runs_diverged_stays_in_the_table():
    text, findings = said(
        failed={("cnn", "digits", method, seed) for method in ("full", "linear_probe") for seed in range(5)}
    )
    assert re.search(r"\| cnn +\| full +\| 0 \| 5 +\| none", text)
    assert "best mean is that of cnn-scratch" in findings


def test_a_study_all_of_whose_runs_diverged_says_so():
    failed = {
        (model, "digits", method, seed) for model in MODELS for method in ("full", "linear_probe") for seed in range(5)
    }
    _, findings = said(failed=failed)
    assert "On digits no run completed." in findings


@pytest.mark.parametrize("reference", ["a linear probe", "from-scratch training"])
def test_gains_over_the_controls_come_with_their_estimator(reference):
    _, findings = said(sd=0.001)
    sentence = next(part for part in re.split(r"(?<=\.) ", findings) if reference in part)
    assert ("paired" if reference == "a linear probe" else "Welch") in sentence
    assert "n = 5" in sentence


def test_for_a_loss_the_lowest_value_is_the_best():
    tables = synthetic.tables(SUMMARISED, models=MODELS)
    for table in tables.values():
        if "metric" in table:
            table["primary"] = table["metric"] == "nll"
    findings = " ".join(summarise(tables, "demo").split())
    assert "best mean is that of cnn (full): 0.1" in findings


def test_columns_are_aligned_for_the_terminal():
    text, _ = said(tasks=("digits", "letter-case"))
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({len(line) for line in block.splitlines()}) == 1


def test_paragraphs_fit_a_terminal():
    text, _ = said()
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 100


def test_the_summary_does_with_the_runs_alone():
    text = summarise({"runs": synthetic.runs()}, "demo")
    assert text.startswith("# demo") and "20 runs" in text


def claims_of(*rows):
    """Claims as the table of them has them: (kind, verdict) in order of strength."""
    facts = {"task": "digits", "effect": 0.1, "low": 0.05, "high": 0.15, "unit": None, "p_adjusted": 0.01, "n": 5}
    facts |= {"interval": "Welch t", "level": 0.95, "n_more": float("nan")}
    named = [{"kind": kind, "verdict": verdict, "sentence": f"On digits, {kind} {at}."} for at, (kind, verdict) in rows]
    return pd.DataFrame([row | facts for row in named])


def test_the_strongest_and_the_refused_claims_are_of_several_kinds():
    verdicts = ["supported"] * 4 + ["not supported", "undecided", "undecided", "undecided"]
    kinds = ["beats", "beats", "beats", "gains", "beats", "beats", "gains", "ranks"]
    tables = synthetic.tables(SUMMARISED, models=MODELS) | {
        "claims": claims_of(*enumerate(zip(kinds, verdicts, strict=True)))
    }
    text = " ".join(summarise(tables, "demo").split())
    said = text[text.index("## Claims") :]
    assert said.startswith("## Claims: 4 supported, 3 undecided, 1 not supported")
    strongest, others = said.split("Not supported or undecided:")
    assert [f"{kind} {at}" in strongest for at, kind in enumerate(kinds[:4])] == [True, True, False, True]
    assert [f"{kind} {at}" in others for at, kind in enumerate(kinds) if at > 3] == [True, False, True, True]
    assert "adjusted p 0.010" in said and "n = 5" in said


def test_runs_of_which_nothing_is_known_from_before_have_no_column_for_it():
    base = synthetic.base_tables(models=MODELS)
    runs = base["runs"].query("phase == 'after'").assign(source="elsewhere")
    runs = runs[~((runs["model"] == MODELS[0]) & (runs["method"] == "full") & (runs["seed"] > 2))]
    tables = {name: registry.find("analyses", name)({}).table({"runs": runs}) for name in ("spread", "gain")}
    text = " ".join(summarise(tables | {"runs": runs}, "demo").split())
    assert "untrained head" not in text
    assert "The cells have 3 to 5 runs." in text
