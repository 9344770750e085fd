"""Figures of a study with more models and tasks than any figure shows."""

import re

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import figure_style
from variability.reporting.plots import Plot

pytestmark = pytest.mark.slow

NAMES = registry.names("plots")


@pytest.fixture(scope="module")
def large():
    """Return tables of a study of 24 models on 20 tasks, which are copies of two: more than any figure shows."""
    rng = np.random.default_rng(0)
    models = [f"network_{at}.of-some-length" for at in rng.permutation(24)]
    tables = synthetic.tables(models=models, tasks=("one", "two"), methods=("full",), seeds=(0, 1))
    return {name: copied_tasks(table, 10) if "task" in table else table for name, table in tables.items()}


def copied_tasks(table, copies):
    """Return the table with copies of its rows, whose tasks have new names; rows of all tasks are not copied."""
    of_tasks = table["task"].isin(["one", "two"])
    parts = [table[of_tasks].assign(task=table["task"] + f"-{copy:02}") for copy in range(copies)]
    return pd.concat([table[~of_tasks], *parts], ignore_index=True)


def drawn_without_rendering(name, tables):
    plugin = registry.find("plots", name)({}, "demo")
    with figure_style.applied():
        return plugin.draw({need: tables[need] for need in (*plugin.NEEDS, *plugin.ANALYSES)})


@pytest.mark.parametrize("name", [name for name in NAMES if name != "nondeterminism"])
def test_no_figure_of_a_large_study_exceeds_4000_pixels_and_each_states_what_it_shows(name, large):
    figure = drawn_without_rendering(name, large)
    assert max(figure.get_size_inches()) * Plot.OPTIONS["dpi"]["default"] <= 4000
    note = " ".join(figure.get_supxlabel().split())
    if name not in (
        "across_tasks",
        "model_task_heatmap",
        "overall",
        "robust",
        "task_quality",
    ):  # which have room for all of these
        shown = re.search(r"Shown: (\d+) of (\d+) (\w+), those (.+?)\.", note) or re.search("Only the .* shown", note)
        assert shown or "highest" in note, note
