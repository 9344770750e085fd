"""Tests of the summary: it states what the numbers support, each with its n and estimator, and no more."""

import re

import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import run_counts
from variability.reporting.summary import summarise, with_answer

pytestmark = pytest.mark.slow

MODELS = ("cnn", "cnn-scratch", "vit")
#: Analyses whose tables the summary reports.
SUMMARISED = [name for name in registry.names("analyses") if registry.find("analyses", name).SUMMARISED]


def summarised(**options):
    """Return the summary, and its findings in one line."""
    text = summarise(synthetic.tables(SUMMARISED, **({"models": MODELS} | options)), "demo")
    return text, " ".join(text.partition("## Findings")[2].split())


def test_the_best_model_is_named_with_mean_sd_and_n():
    _, findings = summarised()
    assert re.search(r"On digits, cnn \(full\) has the best mean: 0\.\d{4} ± 0\.00\d{2} \(mean ± SD, n = 5\)", findings)


def test_candidates_with_exactly_equal_means_share_the_best():
    runs = synthetic.runs(models=("a", "b", "c"), methods=("full",))
    first = runs[runs["model"] == "a"]
    # The values of b are those of a in another order of the seeds, those of c are worse.
    runs.loc[runs["model"] == "b", "value"] = first["value"].to_numpy().reshape(5, -1)[::-1].ravel()
    runs.loc[runs["model"] == "c", "value"] = first["value"].to_numpy() - 0.2
    text = summarise(synthetic.analysed({"runs": runs}, ["spread", "decisions"]), "demo")
    findings = " ".join(text.partition("## Findings")[2].split())
    assert re.search(
        r"On digits, (a \(full\) and b|b \(full\) and a) \(full\) share the best mean; [ab] \(full\):", findings
    )
    assert "has the best mean" not in findings


def test_equal_means_that_differ_in_their_last_bits_do_not_differ():
    runs = synthetic.runs(models=("a", "b"), methods=("full",), seeds=range(3))
    values = {"a": [0.1, 0.2, 0.3], "b": [0.3, 0.2, 0.1]}
    for model, of_seeds in values.items():
        runs.loc[runs["model"] == model, "value"] = [
            of_seeds[seed] for seed in runs.loc[runs["model"] == model, "seed"]
        ]
    assert runs.groupby("model")["value"].mean().nunique() == 2, "the sums are rounded differently"
    text = summarise(synthetic.analysed({"runs": runs}, ["spread", "decisions"]), "demo")
    assert "models differ by 0.00, 0.0 times as much" in " ".join(text.split())
    assert "e-17" not in text


def test_mean_sd_and_interval_of_a_row_have_the_same_decimals():
    text, _ = summarised(sd=0.0002)
    rows = re.findall(r"([\d.]+) ± ([\d.]+) *\| \[([\d.]+), ([\d.]+)\]", text)
    assert rows
    for row in rows:
        assert len({len(number.partition(".")[2]) for number in row}) == 1, row
        assert len(row[1].partition(".")[2].lstrip("0")) == 2, row


def test_equal_runs_are_reported_as_equal_without_an_interval_of_zero_width():
    text, findings = summarised(sd=0.0)
    assert "all runs equal" in text
    assert re.search(r"^\| cnn +\| full +\| 5 +\| 0 +\| 0\.900 \(all 5 runs equal\) +\|", text, re.M)
    assert "cnn (full) has the best mean: 0.900 (all 5 runs equal); " in findings
    assert "All runs of every cell are equal (6 cells, n = 5 runs each); the best and the worst" in findings
    assert "±" not in text.replace("mean ± SD", "")
    assert not re.search(r"\[(0\.\d+), \1\]", text.partition("## Findings")[0])


def test_a_difference_above_seed_noise_is_reported_as_such():
    _, findings = summarised(sd=0.001)
    assert "That it is the best of 6 candidates is supported: it beats each of the others." in findings
    assert re.search(
        r"That it beats cnn-scratch \(full\) is supported \(effect \+0\.0\d+; 95 % Welch t, adjusted", findings
    )


def test_a_difference_within_seed_noise_is_reported_as_such():
    _, findings = summarised(sd=0.08)
    assert re.search(
        r"That it is the best of 6 candidates is undecided: the best is one of cnn \(full\), .*\.", findings
    )
    assert re.search(r"That it beats [\w-]+ \(\w+\) is undecided \(effect", findings)


def test_a_single_seed_supports_no_verdict():
    text, findings = summarised(seeds=(0,))
    assert re.search(r"cnn \(full\) has the best value: 0\.\d+ \(a single run\)", findings)
    assert "One run per candidate allows no comparison." in findings
    assert "tie" not in findings and "undecided" not in findings and "supported" not in findings
    assert "it has neither intervals nor verdicts" in findings
    assert "needs 2 runs" in text


def test_a_single_run_is_compared_with_the_range_of_several_runs():
    runs = synthetic.runs(models=("cnn", "vit"), methods=("full",))
    selected = runs[(runs["model"] != "vit") | (runs["seed"] == 0)]
    text = " ".join(summarise(tables_of(selected), "demo").split())
    values = runs.query("phase == 'after' and split == 'test' and metric == 'accuracy'").set_index("model")["value"]
    low, high, one = values["cnn"].min(), values["cnn"].max(), values["vit"].iloc[0]
    where = "within" if low <= one <= high else "outside"
    assert f"The run of vit (full) is {where} the range of the 5 runs of cnn (full), {low:.4f} to {high:.4f}." in text


def test_the_summary_states_if_lower_is_better():
    text, _ = summarised()
    assert "+ is better" not in text
    tables = {name: table.assign(higher_is_better=False) for name, table in synthetic.tables(SUMMARISED).items()}
    summary = summarise(tables, "demo")
    assert "untrained head, 95 % t (+ is better, that is, lower) |" in summary
    gains = tables["gain"].query("comparison == 'before' and metric == 'accuracy' and split == 'test'")["gain"]
    assert (gains > 0).all(), "a loss that rises is a gain below 0:"
    assert re.search(r"\| -0\.\d+ \[-0\.\d+, -0\.", summary)


def test_candidates_no_better_than_the_most_frequent_class_are_named():
    runs = synthetic.runs(models=("cnn", "vit"), methods=("full",))
    assert "most frequent class" not in summarise(tables_of(runs), "demo")
    runs.loc[runs["model"] == "vit", "value"] = runs["majority"].max()
    text = " ".join(summarise(tables_of(runs), "demo").split())
    assert re.search(r"most frequent class has an accuracy of 0\.\d+; vit \(full\) is no better\.", text)


def tables_of(runs):
    return {"runs": runs, "spread": registry.find("analyses", "spread")({}).table({"runs": runs})}


def test_diverged_runs_are_counted_in_their_cells():
    text, _ = summarised(failed={("vit", "digits", "full", 1), ("vit", "digits", "full", 3)})
    assert "30 runs: 28 completed, 2 diverged." in text
    assert "vit/digits/full: seeds 1 and 3" in " ".join(text.split())
    row = next(line for line in text.splitlines() if line.startswith("| vit") and "| full" in line)
    assert [field.strip() for field in row.split("|")][3:5] == ["3", "2"]


def of_imported(change=lambda runs: runs, **study):
    """Return the summary of imported runs. change: applied to the runs first."""
    base = synthetic.base_tables(**({"models": MODELS} | study))
    runs = change(synthetic.as_imported(base["runs"]))
    tables = {name: registry.find("analyses", name)({}).table({"runs": runs}) for name in ("spread", "gain")}
    return summarise(tables | {"runs": runs}, "demo")


def one_line(text):
    return " ".join(text.split())


def test_imported_runs_fail_for_reported_reasons():
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
    assert "30 runs: 24 completed, 6 failed (4 reported as crashed, 2 reported as killed)." in one_line(text)
    assert "Failed runs are counted but are in no mean (vit/digits/full: seeds 0, 1 and 2;" in one_line(text)
    assert re.search(r"^\| model +\| method +\| n +\| failed +\| mean", text, re.M)
    assert "30 completed, 0 failed." in one_line(of_imported())


def test_undefined_scores_are_counted_and_their_cells_named():
    def undefine(runs):
        hit = (runs["model"] == "vit") & (runs["method"] == "full") & (runs["seed"] < 2)
        return runs.assign(value=runs["value"].mask(hit))

    text = of_imported(undefine)
    sentence = "2 completed runs have no value of the primary metric, which is undefined on these test examples, and"
    assert f"{sentence} are in no mean (vit/digits/full: seeds 0 and 1)." in one_line(text)
    row = next(line for line in text.splitlines() if line.startswith("| vit") and "| full" in line)
    assert [field.strip() for field in row.split("|")][3:6] == ["3", "0", "2"]
    assert "undefined" not in of_imported()


def test_missing_cells_are_named():
    def take_out(runs):
        return runs[~((runs["model"] == "vit") & (runs["task"] == "letters"))]

    text = one_line(of_imported(take_out, tasks=("digits", "letters")))
    assert "2 combinations of model, task and method are missing (vit/letters/*)." in text
    assert "missing" not in of_imported(tasks=("digits", "letters"))
    many = one_line(of_imported(lambda runs: runs[runs["model"] == "cnn"].iloc[:5], tasks=("digits", "letters")))
    assert "missing" not in many, "one cell is a whole grid"


def test_many_missing_cells_are_named_by_patterns():
    present = [("m0", "t0", "b"), ("m1", "t0", "a")] + [(f"m{at}", f"t{at}", "a") for at in range(2, 5)]

    def thin(runs):
        return runs[[cell in present for cell in zip(runs["model"], runs["task"], runs["method"], strict=True)]]

    names = [[f"{axis}{at}" for at in range(5)] for axis in "mt"]
    text = one_line(of_imported(thin, models=names[0], tasks=names[1], methods=("a", "b")))
    # 5 models x 4 tasks x 2 methods; five gaps cover all tasks, and 15 cells remain.
    assert "35 combinations of model, task and method are missing (m0/*/a; m1/*/b; m2/*/b; m3/*/b; m4/*/b;" in text
    assert "and 12 more)" in text


def test_repeated_runs_are_counted_and_are_in_no_other_number():
    tables = synthetic.tables(SUMMARISED, models=MODELS)
    repeated = tables["runs"][tables["runs"]["method"] == "full"].assign(method="full-again", repeats="full")
    text = summarise(tables | {"runs": pd.concat([tables["runs"], repeated.astype(tables["runs"].dtypes)])}, "demo")
    assert "30 runs: 30 completed, 0 diverged. 15 further runs were made" in one_line(text)
    cells = (f"{model}/digits/full-again: 5 runs" for model in ("cnn", "cnn-scratch", "vit"))
    assert f"({'; '.join(cells)})" in one_line(text)


def test_a_model_whose_runs_all_diverged_remains_in_the_table():
    text, findings = summarised(
        failed={("cnn", "digits", method, seed) for method in ("full", "linear_probe") for seed in range(5)}
    )
    assert re.search(r"\| cnn +\| full +\| 0 \| 5 +\| none", text)
    assert re.search(r"cnn-scratch \(\w+\) has the best mean", findings)


def test_a_study_whose_runs_all_diverged_is_reported_as_such():
    failed = {
        (model, "digits", method, seed) for model in MODELS for method in ("full", "linear_probe") for seed in range(5)
    }
    _, findings = summarised(failed=failed)
    assert "On digits no run completed." in findings


@pytest.mark.parametrize("reference", ["a linear probe", "from-scratch training"])
def test_gains_over_the_controls_come_with_their_estimator(reference):
    _, findings = summarised(sd=0.001)
    sentence = next(part for part in re.split(r"(?<=\.) ", findings) if reference in part)
    assert ("paired" if reference == "a linear probe" else "Welch") in sentence
    assert "n = 5" in sentence


def test_for_a_loss_the_lowest_value_is_the_best():
    tables = synthetic.tables(SUMMARISED, models=MODELS)
    for table in tables.values():
        if "metric" in table:
            table["primary"] = table["metric"] == "nll"
    findings = " ".join(summarise(tables, "demo").split())
    assert "cnn (full) has the best mean: 0.1" in findings


def test_columns_are_aligned_for_the_terminal():
    text, _ = summarised(tasks=("digits", "letter-case"))
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({len(line) for line in block.splitlines()}) == 1


def test_paragraphs_fit_a_terminal():
    text, _ = summarised()
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 100


def test_the_runs_alone_are_enough_for_a_summary():
    text = summarise({"runs": synthetic.runs()}, "demo")
    assert text.startswith("# demo") and "20 runs" in text


def claims_of(*rows):
    """Return a table of claims. rows: (number, (kind, verdict)) in order of strength."""
    facts = {"task": "digits", "effect": 0.1, "low": 0.05, "high": 0.15, "unit": None, "p_adjusted": 0.01, "n": 5}
    facts |= {"interval": "Welch t", "level": 0.95, "n_more": float("nan"), "against": None, "note": None}
    named = [{"kind": kind, "verdict": verdict, "sentence": f"On digits, {kind} {at}."} for at, (kind, verdict) in rows]
    return pd.DataFrame([row | facts for row in named])


def test_the_strongest_and_the_refused_claims_are_of_several_kinds():
    verdicts = ["supported"] * 4 + ["not supported", "undecided", "undecided", "undecided"]
    kinds = ["beats", "beats", "beats", "gains", "beats", "beats", "gains", "ranks"]
    tables = synthetic.tables(SUMMARISED, models=MODELS) | {
        "claims": claims_of(*enumerate(zip(kinds, verdicts, strict=True)))
    }
    text = " ".join(summarise(tables, "demo").split())
    claims = text[text.index("## Claims") :]
    assert claims.startswith("## Claims: 4 supported, 0 equivalent, 3 undecided, 1 not supported")
    strongest, others = claims.split("Equivalent, not supported or undecided:")
    assert [f"{kind} {at}" in strongest for at, kind in enumerate(kinds[:4])] == [True, True, False, True]
    assert [f"{kind} {at}" in others for at, kind in enumerate(kinds) if at > 3] == [True, False, True, True]
    assert "adjusted p 0.010" in claims and "n = 5" in claims


def test_without_values_from_before_there_is_no_column_for_the_gain():
    base = synthetic.base_tables(models=MODELS)
    runs = base["runs"].query("phase == 'after'").assign(source="imported")
    runs = runs[~((runs["model"] == MODELS[0]) & (runs["method"] == "full") & (runs["seed"] > 2))]
    tables = {name: registry.find("analyses", name)({}).table({"runs": runs}) for name in ("spread", "gain")}
    text = " ".join(summarise(tables | {"runs": runs}, "demo").split())
    assert "untrained head" not in text
    assert "The cells have 3 to 5 runs." in text


def test_the_summary_reports_these_analyses():
    tables = ["components", "decisions", "failures", "gain", "intervals", "overall", "recipe_gap", "spread"]
    assert [*tables, "test_noise"] == SUMMARISED


def test_runs_at_chance_and_outlying_runs_are_those_of_the_analysis():
    runs = synthetic.runs(models=("cnn",), methods=("full",), seeds=range(7))
    at = (runs["phase"] == "after") & (runs["split"] == "test") & (runs["metric"] == "accuracy")
    runs.loc[at, "value"] = [0.9, 0.91, 0.1, 0.1, 0.6, 0.9, 0.92]
    sentence = (
        "7 runs: 7 completed, 0 diverged. Of the completed runs, 2 are at chance, no better than a constant prediction "
        "(cnn/digits/full: seeds 2 and 3) and 1 is outlying (cnn/digits/full: seed 4); the means include them."
    )
    failures = registry.find("analyses", "failures")({}).table({"runs": runs})
    assert run_counts.in_words(runs, failures) == run_counts.in_words(runs) == sentence
    for options in ({"points": 0.5}, {"mads": 100}):
        strict = registry.find("analyses", "failures")(options).table({"runs": runs})
        assert "cnn/digits/full: seeds 2 and 3)" in run_counts.in_words(runs, strict)
        assert "outlying" not in run_counts.in_words(runs, strict)


def test_runs_that_are_counted_apart_are_named_by_their_seeds_and_many_are_counted():
    failed = {("cnn", "digits", "full", seed) for seed in (3, 11)}
    failed |= {("cnn", "digits", "linear_probe", seed) for seed in range(4)}
    text = run_counts.in_words(synthetic.runs(models=("cnn",), seeds=range(12), failed=failed))
    assert "in no mean (cnn/digits/full: seeds 3 and 11; cnn/digits/linear_probe: 4 runs)." in text


def test_a_run_that_is_far_better_than_its_cell_is_named():
    runs = synthetic.runs(models=("cnn", "vit"), methods=("full",), seeds=range(4))
    at = (runs["phase"] == "after") & (runs["split"] == "test") & (runs["metric"] == "accuracy")
    runs.loc[at & (runs["model"] == "vit"), "value"] = [0.388, 0.391, 0.999, 0.402]
    failures = registry.find("analyses", "failures")({}).table({"runs": runs})
    sentence = (
        "8 runs: 8 completed, 0 diverged. 1 run is far better than the others of its cell (vit/digits/full: seed 2), "
        "which may be a mistake in the data; the means include it."
    )
    assert run_counts.in_words(runs, failures) == run_counts.in_words(runs) == sentence
    assert failures["n_flagged"].tolist() == [0, 0]
    runs.loc[at & (runs["model"] == "cnn"), "value"] = [0.999, 0.391, 0.388, 0.402]
    several = (
        "2 runs are far better than the others of their cells (cnn/digits/full: seed 0; vit/digits/full: seed 2), which"
    )
    assert several in run_counts.in_words(runs)


def test_failed_and_diverged_runs_are_counted_separately():
    runs = synthetic.runs(models=("cnn",), methods=("full",), failed=[("cnn", "digits", "full", 0)])
    runs = runs.assign(source="table", status=runs["status"].mask(runs["seed"] == 1, "failed"))
    runs = runs.assign(value=runs["value"].mask(runs["seed"] == 1), fail_reason=None)
    text = run_counts.in_words(runs)
    assert text.startswith("5 runs: 3 completed, 1 diverged, 1 failed. Failed and diverged runs are counted but")
    assert run_counts.incomplete_word(runs) == "failed or diverged"


@pytest.mark.parametrize(("tasks", "said"), [(("digits",), True), (("digits", "letters"), False)])
def test_the_answer_of_one_task_names_its_best_candidate(tasks, said):
    text, answer = with_answer(tables_of(synthetic.runs(tasks=tasks)), "demo")
    heading, *_, counts = answer.split("\n\n")
    assert heading == "# demo" and "completed" in counts
    assert ("On digits, a (full) has the best mean" in one_line(answer)) == said
    assert all(one_line(paragraph) in one_line(text) for paragraph in answer.split("\n\n"))
