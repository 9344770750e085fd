"""Noise of the test set next to noise of the seeds, by task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.reporting import display_names, figure_style, primary_rows, test_noise_words
from variability.reporting.plots import Plot, _labels, _panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Largest number of candidates, or of methods, with a look of their own.
NAMED = 6


class TestNoise(Plot):
    """One panel per task, one dot per candidate: its standard error over test examples, and over seeds."""

    NEEDS = ("runs",)
    REQUIRES = ("test_noise", "seeds")
    ANALYSES = ("test_noise", "spread")
    CAPTION = (
        "Standard errors of each candidate's mean: over test examples (across), as another test set would change it, "
        "and over seeds (up, SD divided by the root of the number of runs), as other seeds would. Below the line of "
        "equality the test set leaves more open, and more test examples help; above it, more seeds."
    )

    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        runs = primary_rows.select(tables["runs"])
        errors = test_noise_words.errors(tables["test_noise"], primary_rows.select(tables["spread"]))
        every = _labels.names(errors, "task")
        columns = figure_style.columns(_panels.COLUMNS)
        fits, _ = _panels.fitting(min(len(every), _panels.TASKS), 1, 2.8, 0, columns=columns)
        noisy = (errors["se_test"] > errors["se_seeds"]).groupby(errors["task"]).mean().to_dict()
        tasks = _panels.highest(every, noisy, fits)
        looks, names = _looks(errors)
        errors = errors.assign(look=names)
        across = min(max(len(tasks), 1), columns)
        figure = figure_style.figure(
            width=max(6.5, 0.6 + 2.9 * across),
            height=1.9 + 2.8 * -(-max(len(tasks), 1) // columns),
            title=self.option(
                "title",
                f"{self.study}: {_labels.metric_of(runs)} on the {primary_rows.SPLIT} split, test set and seeds",
            ),
            note="Dots: candidates with two completed runs or more. Line: both standard errors are equal. n: "
            f"completed runs; {_labels.incomplete(runs)}."
            + _panels.left_out(tasks, every, "tasks", "whose test sets leave most open, relative to the seeds"),
            legend=[figure_style.handle(name, look, linestyle="") for name, look in looks.items() if len(looks) > 1],
        )
        if not tasks:
            return _panels.placeholder(figure, "no candidate has two completed runs and a standard error over examples")
        for axes, task in zip(_panels.grid(figure, len(tasks)), tasks, strict=True):
            of_task = errors[errors["task"] == task]
            limit = 1.12 * of_task[["se_test", "se_seeds"]].max(axis=None) or 1
            axes.plot([0, limit], [0, limit], color=figure_style.SOFT, lw=0.8, zorder=0)
            for name, dots in of_task.groupby("look", sort=False):
                look = looks[name]
                axes.plot(dots["se_test"], dots["se_seeds"], look.marker, color=look.color, markersize=4.5, alpha=0.85)
            axes.set(
                xlim=(0, limit),
                ylim=(0, limit),
                xlabel="standard error over test examples",
                ylabel="standard error over seeds",
            )
            axes.set_title(figure_style.wrap(f"{task}: n = {of_task['n'].sum()}", 36), loc="left")
            axes.locator_params(nbins=4)
            axes.grid(True, color="#EEEEEE", lw=0.6)
            axes.set_axisbelow(True)
        return figure


def _looks(errors: pd.DataFrame) -> tuple[dict[str, figure_style.Look], list[str]]:
    """Return looks by name, and the name of each row: candidates if they are few, otherwise methods or nothing."""
    candidates = [display_names.candidate(*names) for names in zip(errors["model"], errors["method"], strict=True)]
    options = (candidates, list(errors["method"]), ["candidate"] * len(errors))
    names = next(names for names in options if len(set(names)) <= NAMED or names is options[-1])
    return figure_style.looks(dict.fromkeys(names)), names
