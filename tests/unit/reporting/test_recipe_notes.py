"""Tests of what the summary says of recipes."""

import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import recipe_notes
from variability.reporting.summary import summarise

pytestmark = pytest.mark.slow

SUMMARISED = [name for name in registry.names("analyses") if registry.find("analyses", name).SUMMARISED]


def summary(value, **study):
    base = synthetic.base_tables(**study)
    base["reference_probe"] = synthetic.probes(base["runs"], value)
    return summarise(synthetic.analysed(base, SUMMARISED), "demo")


def one_line(text):
    return " ".join(text.split())


def test_a_linear_probe_that_leaves_something_unused_is_named_with_interval_and_n():
    text = summary(0.95, models=("cnn",), methods=("full", "linear_probe"), sd=0.001)
    findings = one_line(text.partition("## Findings")[2])
    assert "The recipe of cnn (linear_probe) on digits leaves 0.0998 [0.0987, 0.1009] of accuracy unused" in findings
    assert "of accuracy unused: a logistic regression on the same features reaches 0.950 (n = 5)" in findings
    assert "cnn (full) on digits is 0.0" in findings and "worse than a logistic regression on its frozen" in findings
    row = next(line for line in text.splitlines() if line.startswith("| cnn") and "linear_probe" in line)
    assert "0.950, 0.0998 [" in row
    opening = one_line(text.partition("\n## ")[0])
    assert "A linear model of the frozen features is better than cnn (linear_probe)" in opening


def test_a_gap_whose_interval_includes_0_is_undecided():
    # The mean is 0.043 below the probe, and the SD of 5 runs is 0.072: the interval is ± 0.09.
    findings = one_line(summary(0.97, models=("cnn",), methods=("linear_probe",), sd=0.1).partition("## Findings")[2])
    assert (
        "That a linear model of the frozen features is better on digits is undecided for cnn (linear_probe)" in findings
    )
    assert " unused: a logistic regression" not in findings and "its recipe loses" not in findings


def test_a_single_run_decides_nothing_about_its_recipe():
    findings = one_line(summary(0.99, models=("cnn",), seeds=(0,)).partition("## Findings")[2])
    assert "is better on digits than the single runs of cnn (" in findings and "of accuracy, n = 1)" in findings
    assert "undecided" not in findings and "leaves" not in findings


def test_good_recipes_are_only_in_the_table():
    text = summary(0.80, models=("cnn",), sd=0.001)
    assert "unused:" not in text and "logistic regression" not in text
    assert "0.800, -0.1" in text and "reference probe" in text


def test_networks_without_a_reference_probe_are_named_with_the_reason():
    findings = one_line(summary(0.8, models=("cnn", "cnn-scratch")).partition("## Findings")[2])
    assert (
        "There is no reference probe for cnn-scratch (full), cnn-scratch (linear_probe): every run has its own "
        "backbone." in findings
    )


def test_a_single_run_has_no_interval():
    base = synthetic.base_tables(seeds=(0,), models=("cnn",))
    table = registry.find("analyses", "recipe_gap")({}).table(base)
    row = table[(table["split"] == "test") & (table["metric"] == "accuracy")].iloc[0]
    assert "[" not in recipe_notes.in_table(row)


def test_equal_runs_are_named_after_the_metric():
    findings = one_line(
        summary(0.95, models=("cnn",), methods=("full", "linear_probe"), sd=0.0).partition("## Findings")[2]
    )
    assert "of accuracy unused in all runs: a logistic regression" in findings
    assert "of accuracy worse in all runs than a logistic regression" in findings
