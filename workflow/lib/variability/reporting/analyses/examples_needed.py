"""Pairs of numbers of runs and of test examples that show a given difference, and the cheapest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results import metric_scales
from variability.stats import confusion_scores

if TYPE_CHECKING:
    import pandas as pd

#: Numbers of runs of each candidate that are shown; the cheapest is among all up to the last.
RUNS = (2, 3, 5, 10, 20, 50)
COST = {"type": ["number", "null"], "exclusiveMinimum": 0, "default": None}
NO_MEAN = "no split of this metric, which is no function of counts or means over examples"
GROUPED = "examples come in groups, of which more would be needed, not of examples"
COLUMNS = [
    *("task", "split", "metric", "primary", "runs_each", "examples_needed", "cost", "cheapest", "goal", "power"),
    *("variance_runs", "variance_examples", "variance_crossed", "n_examples", "candidates", "n", "n_failed"),
    *("estimator", "interval", "level", "ddof", "note"),
]


class ExamplesNeeded(Analysis):
    """Test examples that show a difference between two candidates of a task, for each number of runs.

    With K runs of each candidate on the same M test examples, the difference of the means varies with other seeds and
    examples by variance_runs / K + variance_examples / M + variance_crossed / (K M): components of the difference of
    two runs, averaged over the pairs of candidates. The first and last are twice the seed's variance and the residual
    mean square of ``noise_split``; variance_examples is the variance between examples of the difference of two
    candidates' mean losses, corrected for the residual. A two-sided t test with Satterthwaite's degrees of freedom must
    detect a difference equal to the goal.

    cost: 2 K cost_run + M cost_label, in the unit of the two options; cheapest: the smallest cost of all K up to 50.
    """

    NEEDS = ("runs", "predictions")
    # Its answer, the cheapest pair, needs costs that only the user knows.
    DEFAULT = False
    CAPTION = (
        "Test examples that are needed to show a difference equal to the goal between two candidates of a task, for "
        "each number of runs, when seeds and examples both vary. Missing: so few runs do not show it on any test set. "
        "With the costs of a run and of a label, also the cheapest pair."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "power": LEVEL | {"default": 0.8, "description": "power to detect the difference"},
        "difference": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 0.01,
            "description": "difference to detect, as a fraction of the metric's declared range; of |mean| if none is "
            "declared",
        },
        "cost_run": COST | {"description": "cost of one run"},
        "cost_label": COST | {"description": "cost of one labelled test example, in the same unit"},
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells

        runs = primary_rows.select(tables["runs"])
        parts = [self._of_task(task, rows, tables["predictions"]) for task, rows in runs.groupby("task", sort=True)]
        table = pd.DataFrame([row for part in parts for row in part], columns=COLUMNS)
        return _cells.with_scope(table, runs, by=["task"])

    def _of_task(self, task, runs, predictions):
        from variability.stats import example_noise, sample_size

        metric, level = runs["metric"].iloc[0], self.option("level")
        losses, note = _losses(task, metric, runs, predictions)
        length = metric_scales.length(runs.iloc[:1]).iloc[0]
        goal = metric_scales.margin(self.option("difference"), length, runs["value"].mean())
        parts = example_noise.pair_parts(losses) if losses else (np.nan,) * 3
        if not note and np.isnan(parts[0]):
            note = "needs a candidate with two completed runs, and two examples"
        elif not note and np.isnan(parts[1]):
            note = "one candidate: how examples differ between two is not known"
        seeds = np.arange(2, RUNS[-1] + 1)
        examples = np.full(len(seeds), np.nan)
        if goal > 0 and not np.isnan(parts).any():
            examples = sample_size.examples_for_power(goal, parts, seeds, self.option("power"), level)
        costs = self._costs(seeds, examples)
        cheapest = int(seeds[np.nanargmin(costs)]) if not np.isnan(costs).all() else None
        of_task = {
            **{name: runs[name].iloc[0] for name in ("task", "split", "metric", "primary")},
            **{"goal": goal if goal > 0 else np.nan, "power": self.option("power"), "level": level, "ddof": 1},
            **dict(zip(("variance_runs", "variance_examples", "variance_crossed"), parts, strict=True)),
            **{"candidates": len(losses), "n_examples": losses[0].shape[1] if losses else np.nan},
            **{
                "n": sum(map(len, losses)),
                "n_failed": int((runs["status"] != "completed").sum()),
                "note": note or None,
            },
            "estimator": "crossed components of variance, t test with Satterthwaite's degrees of freedom",
            "interval": "none",
        }
        shown = sorted({*RUNS, *([cheapest] if cheapest else [])})
        return [
            of_task
            | {"runs_each": each, "examples_needed": examples[each - 2], "cost": costs[each - 2]}
            | {"cheapest": each == cheapest}
            for each in shown
        ]

    def _costs(self, seeds, examples):
        of_run, of_label = self.option("cost_run"), self.option("cost_label")
        if of_run is None or of_label is None:
            return np.full(len(seeds), np.nan)
        return 2 * seeds * of_run + examples * of_label


def _losses(task, metric, runs, predictions):
    """Return the (runs, examples) losses of the candidates of a task, on the examples of the first, and a note."""
    from variability.reporting.analyses import _example_losses

    losses, first = [], None
    cells = runs.drop_duplicates(["model", "method"])[["model", "method"]].itertuples(index=False, name=None)
    known = set(predictions.cells)
    for model, method in sorted(cells):
        cube = predictions.cube((model, task, method)) if (model, task, method) in known else None
        if cube is None:
            continue
        if cube.clusters is not None:
            return [], GROUPED
        classes = 0
        if metric in confusion_scores.METRICS:
            classes = next(iter(predictions.runs(cube.cell))).classes
        of_cell = _example_losses.contributions(metric, cube, classes)
        if of_cell is None:
            return [], NO_MEAN
        first = first or cube
        if np.array_equal(cube.example_ids, first.example_ids):
            losses.append(of_cell)
    return losses, "" if losses else "no predictions of completed runs"
