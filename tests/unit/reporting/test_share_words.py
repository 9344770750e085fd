"""Tests of the sentence that a summary begins with."""

import re

import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import share_words
from variability.reporting.analyses import components
from variability.reporting.summary import summarise

_END = " (in parentheses: 95 % intervals)."


def words(runs, **options):
    return share_words.in_words(registry.find("analyses", "components")(options).table({"runs": runs}))


def test_the_summary_begins_with_the_shares():
    runs = synthetic.runs(models=("a", "b", "c"))
    tables = synthetic.analysed({"runs": runs}, ["spread", "components"])
    opening = " ".join(summarise(tables, "demo").split("\n\n")[1].split())
    assert opening == share_words.in_words(tables["components"])
    assert opening.startswith("Of the differences between the 30 results on digits (SD 0.0")
    for part in ("are due to the model, ", "to the method, ", "to their combination and ", f"to the seed{_END}"):
        assert part in opening


def test_the_percentages_are_those_of_the_table_and_add_up():
    runs = synthetic.runs(models=("a", "b", "c"))
    table = registry.find("analyses", "components")({}).table({"runs": runs})
    shares = table.loc[table["headline"] & (table["role"] != "sum"), "share"].tolist()
    whole = share_words.rounded(shares)
    assert sum(whole) == 100
    assert all(abs(100 * share - each) < 1 for share, each in zip(shares, whole, strict=True))
    assert share_words.rounded([0.335, 0.335, 0.33]) == [34, 33, 33]


def test_over_tasks_the_combinations_are_one_part():
    sentence = words(synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters")))
    assert "between the 60 results on 2 tasks" in sentence
    assert sentence.count("combinations of these") == 1 and " x " not in sentence


def test_with_one_run_each_the_combinations_are_one_part_too():
    runs = synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters"), seeds=(0,))
    sentence = words(runs)
    assert sentence.count(" to combinations of these and ") == 1 and sentence.count("combinations of these") == 2
    table = registry.find("analyses", "components")({}).table({"runs": runs})
    shares = table[table["headline"] & (table["role"] == "interaction")]["share"]
    of_all = [row["share"] for name, row in share_words.sources(table[table["headline"]]) if "combinations" in name]
    assert len(shares) == 3 and of_all[0] == pytest.approx(shares.sum())


def test_ranks_are_named_and_have_no_task():
    runs = synthetic.runs(tasks=("digits", "letters"))
    sentence = words(runs.assign(primary=(runs["metric"] == "nll") == (runs["task"] == "letters")))
    assert sentence.startswith("Of the differences in rank within a task between the 40 results on 2 tasks, ")
    assert "the task," not in sentence and "combinations with the task" in sentence


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"models": ("a",), "methods": ("full",)}, "All of the differences between the 5 results on digits (SD 0.0"),
        ({"seeds": (0,)}, "combinations of these or the seed, which cannot be separated (one run each: no intervals)."),
        ({"models": ("a", "a-scratch")}, "are due to the pretraining"),
    ],
)
def test_special_grids(options, expected):
    assert expected in words(synthetic.runs(**options))


@pytest.mark.parametrize(("gap", "sd"), [(0.2, "0.10"), (0.0002, "0.00010")])
def test_the_size_of_all_differences_is_their_sd(gap, sd):
    runs = synthetic.runs(methods=("full",))
    # Half a gap to either side of the mean, and runs that hardly vary.
    runs = runs.assign(value=0.9 + gap * (runs["model"] == "a") + gap * 1e-6 * runs["seed"])
    assert words(runs).startswith(f"Of the differences between the 10 results on digits (SD {sd}), 100 %")


def test_equal_results_and_a_single_one():
    assert words(synthetic.runs().assign(value=0.5)) == "The 20 results on digits are all equal."
    assert words(synthetic.runs(models=("a",), methods=("full",), seeds=(0,))) == ""


def test_factors_that_cannot_be_separated_are_named():
    runs = synthetic.runs()
    sentence = words(runs[(runs["model"] == "a") == (runs["method"] == "full")])
    assert sentence.endswith("it is not possible to separate the method from these.")


def test_what_the_words_read_is_in_the_table():
    assert {"share", "share_low", "share_high", "headline", "n_tasks", "scale"} <= set(components.COLUMNS)


def test_shares_that_depend_on_the_order_of_counting_are_named():
    runs = synthetic.runs(models=("a", "b", "c", "d"), methods=("full",), tasks=("digits", "letters", "signs", "marks"))
    runs = runs.assign(value=runs["value"] - 0.3 * runs["model"].isin(["c", "d"]))
    # Two groups of models on tasks of their own: the difference between them is due to the models or to the tasks.
    groups = runs[runs["model"].isin(["a", "b"]) == runs["task"].isin(["digits", "letters"])]
    sentence = words(groups)
    ends = r"([0-9]+) to ([0-9]+) % for the "
    match = re.search(f"because cells are missing, these shares depend .*first: {ends}model and {ends}task", sentence)
    low, high, *task = map(int, match.groups())
    assert high > 80 and high - low > 80 and task[1] - task[0] > 80
    # One hole leaves factors that overlap by less than the seeds show.
    assert "counted first" not in words(runs[(runs["model"] != "a") | (runs["task"] != "digits")])
