"""Intervals of the mean, of the next run, and of one run's value on a finite test set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.results.columns import CELL, CELL_VALUE
from variability.stats import confusion_scores

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    *(*CELL_VALUE, "primary", "target", "estimate", "low", "high"),
    *("n", "n_failed", "n_undefined", "n_test", "n_groups"),
]
F1 = "f1_macro"
NO_SPREAD = "no interval: the resamples of these examples are all equal, or nearly all lack a rare class"
#: Names under which metrics are computed from the confusion matrix, where they differ.
CONFUSION_NAMES = {"accuracy": "f1_micro"}


class Intervals(Analysis):
    """Three intervals per cell, distinguished by ``target``.

    mean: Student's t, of the mean over seeds. next_run: t prediction interval of one more run with a new seed. one_run:
    of a single model's value, which includes the noise of the finite test set but not that of the seed; the model is
    the one with the median value (the lower of two), not the best one.

    one_run uses Wilson's score interval for accuracy. It does not apply to F1, which is not a share of examples: macro
    F1, and a primary metric that is another function of the confusion matrix, have the percentile interval of a
    bootstrap over examples (Efron 1981), on the test split after fine-tuning. If examples come in groups, whole groups
    are resampled, also for accuracy. A bootstrap sample can lack a rare class, which then counts as 0 in the macro
    average: with few examples of a class the interval is too low, and there is none if it would exclude the value. The
    t intervals are based on the completed runs: if runs fail often, they are too optimistic (see n_failed).
    """

    SUMMARISED = True
    USES = ("predictions",)
    CAPTION = (
        "Per cell: intervals of the mean over seeds (t), of the next run (t prediction), and of one model's accuracy "
        "(Wilson) or F1 (bootstrap over examples), which includes the noise of the finite test set."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting.analyses import _cells
        from variability.stats import intervals

        runs, level = tables["runs"], self.option("level")
        cells = _cells.moments(runs)
        cells["n_test"] = runs.groupby(CELL_VALUE, sort=False)["n_test"].max().to_numpy()
        # Filled where predictions are read: the number of units of one run's bootstrap.
        cells["n_groups"] = np.nan
        moments = cells["mean"], cells["sd"], cells["n"]
        over = "mean over completed runs"
        mean = _part(cells, "mean", cells["mean"], intervals.t_interval(*moments, level), over, "t")
        ends = intervals.prediction_interval(*moments, level)
        next_run = _part(cells, "next_run", cells["mean"], ends, over, "t prediction")

        accuracy = cells[cells["metric"] == "accuracy"]
        median = _median_of_accuracy(runs)
        ends = intervals.wilson_interval(np.round(median * accuracy["n_test"]), accuracy["n_test"], level)
        of_median = "accuracy of the run with the median accuracy"
        one_run = _part(accuracy, "one_run", median, ends, of_median, "Wilson").assign(ddof=float("nan"))
        predictions = tables.get("predictions")
        grouped = one_run["task"].isin(_grouped(predictions))
        others = self._without_wilson(cells, predictions, one_run[grouped])
        table = _cells.stacked([mean, next_run, one_run[~grouped], others]).assign(level=level)
        table["note"] = _note(table)
        return _cells.with_scope(table, runs)

    def _without_wilson(self, cells, predictions, grouped):
        """Return the rows of one run's value that have no Wilson interval.

        These are macro F1 if there are predictions, primary metrics other than accuracy, and accuracy if examples come
        in groups.
        """
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells

        known_cells = _predicted(predictions)
        on_test = (grouped["phase"] == "after") & (grouped["split"] == primary_rows.SPLIT)
        of_accuracy = cells[cells.index.isin(grouped.index[on_test])]
        table = _cells.stacked([_bootstrapped(cells, known_cells), of_accuracy])
        table = table.assign(**dict.fromkeys(("estimate", "low", "high"), np.nan))
        for cell, rows in table.groupby(CELL, sort=False):
            results = self._resampled(predictions, cell, rows["metric"]) if cell in known_cells else {}
            for index, metric in rows["metric"].items():
                for column, value in results.get(metric, {}).items():
                    table.loc[index, column] = value
        of_groups = table["task"].isin(grouped["task"])
        bootstrap = np.where(of_groups, "bootstrap over groups of examples", "bootstrap over examples")
        interval = np.where(table["low"].notna(), bootstrap, "none")
        of_median = table["metric"] + " of the run with the median " + table["metric"]
        ends = table["low"], table["high"]
        return _part(table, "one_run", table["estimate"], ends, of_median, interval).assign(ddof=float("nan"))

    def _resampled(self, predictions, cell, metrics):
        """Return {metric: estimate, ends and number of examples} of the metrics that have a bootstrap interval."""
        from variability.reporting.analyses import _confusion_bootstrap

        runs = list(predictions.runs(cell, probabilities=False))
        names = {metric: CONFUSION_NAMES.get(metric, metric) for metric in metrics}
        names = {metric: name for metric, name in names.items() if name in confusion_scores.METRICS}
        if not (runs and names):
            return {}
        classes = next(iter(predictions.runs(cell))).classes
        settings = classes, self.option("resamples"), self.option("level")
        # The same resamples of examples for all metrics of a cell that refer to the same run.
        results = {}
        for metric, name in names.items():
            results[metric] = _confusion_bootstrap.of_median_run(name, runs, self.generator(*cell), *settings)
        return results


def _predicted(predictions):
    """Return the cells whose predictions are known, and not only the scores of their examples."""
    if predictions is None:
        return []
    tasks = [task for task in predictions.tasks if predictions.scored(task) is None]
    return [cell for task in tasks for cell in predictions.cells_of(task)]


def _grouped(predictions):
    """Return the tasks whose test examples come in groups."""
    grouped = set()
    for task in [] if predictions is None else predictions.tasks:
        runs = (run for cell in predictions.cells_of(task) for run in predictions.runs(cell, probabilities=False))
        first = next(runs, None)
        if first is not None and first.clusters is not None:
            grouped.add(task)
    return grouped


def _part(cells, target, estimate, ends, estimator, interval):
    part = cells.assign(target=target, estimate=estimate, low=ends[0], high=ends[1])
    return part[COLUMNS].assign(estimator=estimator, interval=interval, ddof=1.0)


def _bootstrapped(cells, known_cells):
    """Return the rows of the cells that need a bootstrap.

    Where macro F1 was not scored, its row is made from that of accuracy.
    """
    import pandas as pd

    from variability.reporting import primary_rows
    from variability.reporting.analyses import _cells

    after = cells[(cells["phase"] == "after") & (cells["split"] == primary_rows.SPLIT)]
    other = after[after["primary"].astype(bool) & ~after["metric"].isin(["accuracy", F1])]
    has_predictions = pd.MultiIndex.from_frame(after[CELL]).isin(known_cells)
    scored = after[(after["metric"] == F1) & (has_predictions | after["primary"].astype(bool))]
    # Every classified task has an accuracy.
    unscored = after[(after["metric"] == "accuracy") & has_predictions].assign(metric=F1, primary=False, n_undefined=0)
    f1 = _cells.stacked([scored, unscored]).drop_duplicates(CELL)
    return _cells.stacked([f1, other])


def _note(table):
    from variability.reporting.analyses import _notes

    has_runs, of_run = table["n"] > 0, table["target"] == "one_run"
    counted, without = table["interval"] == "Wilson", table["interval"] == "none"
    has_bootstrap = table["metric"].isin(confusion_scores.METRICS)
    return _notes.notes(
        table,
        {
            "no completed run": ~has_runs & (table["n_failed"] > 0),
            "metric undefined": ~has_runs & (table["n_failed"] == 0),
            "a single run: no spread": (table["n"] == 1) & ~of_run,
            "all runs are equal: a zero width is plausible for deterministic runs only": (table["n"] > 1)
            & ~of_run
            & (table["low"] == table["high"]),
            "number of test examples unknown": has_runs & of_run & counted & table["n_test"].isna(),
            "no predictions to resample": has_runs & without & has_bootstrap & table["estimate"].isna(),
            NO_SPREAD: has_runs & without & has_bootstrap & table["estimate"].notna(),
            "no bootstrap over examples of this metric": has_runs & without & ~has_bootstrap,
        },
    )


def _median_of_accuracy(runs):
    values = runs[runs["metric"] == "accuracy"].groupby(CELL_VALUE, sort=False)["value"]
    # Cells are in the order of their first appearance, as in their moments.
    return values.quantile(0.5, interpolation="lower").to_numpy()
