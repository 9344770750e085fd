"""Tests that counts agree with their nouns and verbs in all that users read."""

import ast
import re
from pathlib import Path

import pytest
import synthetic_study as synthetic

from variability import advice
from variability.data import duplicates
from variability.data.datasets import UnreadableExamples
from variability.errors import ConfigError, Problem
from variability.io import image_headers
from variability.reporting import data_notes, run_counts
from variability.stages import _blocks

LIBRARY = Path(advice.__file__).parent
#: Expressions that are counts.
COUNT = re.compile(
    r"^(len|int|sum)\(|\.(sum|count|nunique)\(\)$|count_nonzero\(|^(n|count|total|number|missing|tries|copies|hidden)$"
)
NOUNS = re.compile(r" (?!of |is |has |was |does |as |leaves )(?:[a-z-]+ ){0,2}?[a-z]{3,}(?<!ss)s\b")
#: Counts that are never 1, because the sentence is only written for more.
SEVERAL = {
    *{"plain_values.py: int(math.log10(abs(value))) + 1 digits", "yaml_files.py: len(node.value) characters"},
    *{"interactions.py: len(examples.items) interactions", "archive_members.py: sum(sizes) bytes"},
    *{"weight_files.py: len(name) characters", "torchvision.py: count parameters", "entry_checks.py: count times"},
    *{"delimited.py: count such rows", "imported_values.py: len(rows) such rows", "text_format.py: n runs"},
    *{"decision_words.py: len(verdicts) cells", "summary.py: len(models) models"},
    *{"robust.py: len(shown) highest interquartile means", "share_words.py: int(first['n']) results"},
    *{"followers.py: len(self._devices) processes", "gpu_lease.py: count needs"},
    # Probabilities are of two classes at least.
    "imported_labels.py: count classes",
}


def test_no_plural_stands_behind_a_count_that_may_be_one():
    found = set()
    for path in LIBRARY.rglob("*.py"):
        for text in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)):
            for value, after in zip(text.values, text.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
                    expression = ast.unparse(value.value)
                    if COUNT.search(expression) and (nouns := NOUNS.match(str(after.value))):
                        found.add(f"{path.name}: {expression}{nouns[0]}")
    assert found == SEVERAL, "use advice.plural, or add a count that is never 1 to SEVERAL"


@pytest.mark.parametrize(
    ("count", "run", "is_are"), [(0, "0 runs", "are"), (1, "1 run", "is"), (2, "2 runs", "are"), (1.0, "1 run", "is")]
)
def test_counts_and_verbs_agree(count, run, is_are):
    assert advice.plural(count, "run") == run and advice.agree(count, "is", "are") == is_are
    assert (
        advice.plural(count, "entry is", "entries are")
        == f"{count:g} {'entry is' if is_are == 'is' else 'entries are'}"
    )


def equal_examples(count):
    return duplicates.in_words(
        {
            **{"examples": count, "contents": 0, "contents_with_two_labels": count, "listed": []},
            **{"test_in_training": count, "test_in_validation": 0, "validation_in_training": 0},
        }
    )


def refused_overlap(count):
    counted = {"examples": count, "contents": 1, "listed": [["a", "b"]], "test_in_training": count}
    with pytest.raises(Exception, match="correct the partitions") as error:
        duplicates.require_separate(
            "refuse", {**counted, "test_in_validation": 0, "validation_in_training": 0}, {"test": count}, ""
        )
    return [str(error.value).partition(" (")[0]]


def counts_of_runs(diverged):
    runs = synthetic.runs()
    seeds = sorted(set(runs["seed"]))
    cell = (runs["model"] == runs["model"].iloc[0]) & (runs["task"] == runs["task"].iloc[0])
    runs["status"], runs["fail_reason"] = "completed", None
    lost = cell & (runs["method"] == runs["method"].iloc[0]) & runs["seed"].isin(seeds[:diverged])
    runs.loc[lost, ["status", "value"]] = "diverged", float("nan")
    return [run_counts.in_words(runs).partition(". ")[2].partition(" (")[0]] if diverged else []


def left_out(count):
    return data_notes.notes({"t": {"remarks": [], "left_out": {"a link without a target": count}}})


def problems(count):
    return [str(ConfigError([Problem("key", "is wrong")] * count)).partition(":")[0]]


def unreadable(count):
    reasons = {row: "cut off" for row in range(count)}
    files = image_headers.unreadable_message(Path("p"), {f"{row}.png": "cut off" for row in reasons}, count)
    return [str(UnreadableExamples("t", reasons, count)).partition(";")[0], files.partition(":")[0]]


def seeds_failed(count):
    return [_blocks._failure_message(dict.fromkeys(range(count), "out of memory"), count)]


@pytest.mark.parametrize(
    ("make", "one", "two"),
    [
        (
            equal_examples,
            [
                "1 example has the same content as another ().",
                "1 of the test examples also occurs in training.",
                "Several labels are given to the same content: 1 time.",
            ],
            [
                "2 examples have the same content as another ().",
                "2 of the test examples also occur in training.",
                "Several labels are given to the same content: 2 times.",
            ],
        ),
        (
            refused_overlap,
            ["1 of the 1 test example also occurs in training"],
            ["2 of the 2 test examples also occur in training"],
        ),
        (
            counts_of_runs,
            ["The diverged run is counted but is in no mean"],
            ["Diverged runs are counted but are in no mean"],
        ),
        (
            left_out,
            ["t: 1 example left out: a link without a target."],
            ["t: 2 examples left out: a link without a target."],
        ),
        (problems, ["the config has 1 problem"], ["the config has 2 problems"]),
        (
            unreadable,
            ["t: 1 of 1 example cannot be read", "1 of 1 image cannot be read"],
            ["t: 2 of 2 examples cannot be read", "2 of 2 images cannot be read"],
        ),
        (seeds_failed, ["1 of 1 seed failed: out of memory"], ["2 of 2 seeds failed: out of memory"]),
    ],
)
def test_sentences_about_one_and_two(make, one, two):
    assert make(1) == one
    assert make(2) == two


def test_sentences_about_none():
    assert left_out(0) == ["t: 0 examples left out: a link without a target."]
    assert duplicates.in_words({}) == []
    assert counts_of_runs(0) == []
