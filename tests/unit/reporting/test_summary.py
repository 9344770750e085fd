"""The summary says what the numbers support, each with its n and estimator, and no more."""

import re

import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting.primary_rows import SUMMARISED
from variability.reporting.summary import summarise

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
    assert "no interval says" in findings
    assert "seed noise explains" not in findings
    assert "needs 2 runs" in text


def test_one_run_is_placed_beside_the_several_of_another():
    runs = synthetic.runs(models=("cnn", "vit"), methods=("full",))
    kept = runs[(runs["model"] != "vit") | (runs["seed"] == 0)]
    text = " ".join(summarise(tables_of(kept), "demo").split())
    values = runs.query("phase == 'after' and split == 'test' and metric == 'accuracy'").set_index("model")["value"]
    low, high, one = values["cnn"].min(), values["cnn"].max(), values["vit"].iloc[0]
    where = "within" if low <= one <= high else "outside"
    assert f"The one of vit (full) lies {where} the 5 of cnn (full), {low:.3f} to {high:.3f}." in text


def test_of_a_metric_that_is_better_when_lower_the_summary_says_so():
    text, _ = said()
    assert "below 0 is better" not in text
    tables = {name: table.assign(higher_is_better=False) for name, table in synthetic.tables(SUMMARISED).items()}
    assert "untrained head, 95 % t (below 0 is better) |" in summarise(tables, "demo")


def test_what_is_no_better_than_the_most_frequent_class_is_named():
    runs = synthetic.runs(models=("cnn", "vit"), methods=("full",))
    assert "most frequent class" not in summarise(tables_of(runs), "demo")
    runs.loc[runs["model"] == "vit", "value"] = runs["majority"].max()
    text = " ".join(summarise(tables_of(runs), "demo").split())
    assert re.search(r"most frequent class is right in 0\.\d+; vit \(full\) is no better\.", text)


def tables_of(runs):
    return {"runs": runs, "spread": registry.find("analyses", "spread")({}).table({"runs": runs})}


def test_diverged_runs_are_counted_where_they_are_missing():
    text, _ = said(failed={("vit", "digits", "full", 1), ("vit", "digits", "full", 3)})
    assert "30 runs: 28 completed, 2 diverged." in text
    assert "vit/digits/full: 2" in " ".join(text.split())
    row = next(line for line in text.splitlines() if line.startswith("| vit") and "| full" in line)
    assert [field.strip() for field in row.split("|")][3:5] == ["3", "2"]


def of_imported(change=lambda runs: runs, **study):
    """The summary of runs from elsewhere, its words in one line; change: what becomes of the runs before."""
    base = synthetic.base_tables(**({"models": MODELS} | study))
    runs = change(synthetic.as_imported(base["runs"]))
    tables = {name: registry.find("analyses", name)({}).table({"runs": runs}) for name in ("spread", "gain")}
    return summarise(tables | {"runs": runs}, "demo")


def words(text):
    return " ".join(text.split())


def test_imported_runs_fail_in_ways_of_their_own():
    def crash(runs):
        hit = (runs["model"] == "vit") & (runs["seed"] < 3)
        reason = runs["seed"].map({0: "reported as crashed", 1: "reported as crashed", 2: "reported as killed"})
        return runs.assign(
            status=runs["status"].mask(hit, "failed"),
            value=runs["value"].mask(hit),
            fail_reason=reason.where(hit, runs["fail_reason"]),
        )

    text = of_imported(crash)
    assert "diverged" not in text.lower()
    assert "30 runs: 24 completed, 6 failed (4 reported as crashed, 2 reported as killed)." in words(text)
    assert "Failed runs are counted, and are in no mean (vit/digits/full: 3;" in words(text)
    assert re.search(r"^\| model +\| method +\| n +\| failed +\| mean", text, re.M)
    assert "30 completed, 0 failed." in words(of_imported())


def test_undefined_scores_are_counted_and_their_cells_named():
    def undefine(runs):
        hit = (runs["model"] == "vit") & (runs["method"] == "full") & (runs["seed"] < 2)
        return runs.assign(value=runs["value"].mask(hit))

    text = of_imported(undefine)
    said = "2 completed runs have no value of the primary metric (undefined), and are in no mean either"
    assert f"{said} (vit/digits/full: 2)." in words(text)
    row = next(line for line in text.splitlines() if line.startswith("| vit") and "| full" in line)
    assert [field.strip() for field in row.split("|")][3:6] == ["3", "0", "2"]
    assert "undefined" not in of_imported()


def test_missing_cells_are_named():
    def take_out(runs):
        return runs[~((runs["model"] == "vit") & (runs["task"] == "letters"))]

    text = words(of_imported(take_out, tasks=("digits", "letters")))
    said = "2 combinations of model, task and method are not there (vit/letters/*)."
    assert said in text
    assert "not there" not in of_imported(tasks=("digits", "letters"))
    many = words(of_imported(lambda runs: runs[runs["model"] == "cnn"].iloc[:5], tasks=("digits", "letters")))
    assert "not there" not in many, "one cell is a whole grid"


def test_many_missing_cells_are_told_by_what_they_have_in_common():
    kept = [("m0", "t0", "b"), ("m1", "t0", "a")] + [(f"m{at}", f"t{at}", "a") for at in range(2, 5)]

    def thin(runs):
        return runs[[cell in kept for cell in zip(runs["model"], runs["task"], runs["method"], strict=True)]]

    names = [[f"{axis}{at}" for at in range(5)] for axis in "mt"]
    text = words(of_imported(thin, models=names[0], tasks=names[1], methods=("a", "b")))
    # Of 5 models x 4 tasks x 2 methods; five lacks are of all tasks, and 15 cells remain.
    assert "35 combinations of model, task and method are not there (m0/*/a; m1/*/b; m2/*/b; m3/*/b; m4/*/b;" in text
    assert "and 12 more)" in text


def test_runs_made_again_are_counted_and_are_in_no_number():
    tables = synthetic.tables(SUMMARISED, models=MODELS)
    again = tables["runs"][tables["runs"]["method"] == "full"].assign(method="full-again", repeats="full")
    text = summarise(tables | {"runs": pd.concat([tables["runs"], again.astype(tables["runs"].dtypes)])}, "demo")
    assert "30 runs: 30 completed, 0 diverged. 15 further runs were made" in words(text)
    assert "cnn/digits/full-again: 5; cnn-scratch/digits/full-again: 5; vit/digits/full-again: 5" in words(text)


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
