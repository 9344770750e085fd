"""Where the mean lies, where the next run would fall, and what one run's test set leaves open."""

from typing import ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.results.columns import CELL, CELL_VALUE
from variability.stats import confusion_scores

COLUMNS = [
    *(*CELL_VALUE, "primary", "target", "estimate", "low", "high"),
    *("n", "n_failed", "n_undefined", "n_test", "n_groups"),
]
F1 = "f1_macro"
#: What accuracy is among the functions of a confusion matrix's margins.
AS_MARGINS = {"accuracy": "f1_micro"}


class Intervals(Analysis):
    """Three intervals per cell, told apart by ``target``.

    mean: Student's t, of the mean over seeds. next_run: t prediction interval of one more run with a new seed.
    one_run: of a single model's value, which holds the noise of the finite test set and none of the seed's; the model
    is the one with the median value (the lower of two), not the luckiest. For accuracy, Wilson's score interval. It
    does not apply to F1, which is no share of examples: for macro F1, and for a primary metric that is another
    function of the confusion matrix, the percentile interval of a bootstrap over examples (Efron 1981), on the test
    split after fine-tuning. Where examples come in groups, groups are drawn as a whole, for accuracy too. A bootstrap
    sample can lack a rare class, which then counts as 0 in the macro average: with few examples of a class the interval
    lies low. The t intervals rest on the completed runs: where runs fail often, they promise too much (see n_failed).
    """

    SUMMARISED = True
    USES = ("predictions",)
    CAPTION = (
        "Per cell: where the mean over seeds lies (t), where the next run would fall (t prediction), and what the "
        "finite test set leaves open about one model's accuracy (Wilson) or F1 (bootstrap over examples)."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}

    def table(self, tables):
        from variability.reporting.analyses import _cells
        from variability.stats import intervals

        runs, level = tables["runs"], self.option("level")
        cells = _cells.moments(runs)
        cells["n_test"] = runs.groupby(CELL_VALUE, sort=False)["n_test"].max().to_numpy()
        # Known where predictions are read: of how many units one run's bootstrap is.
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
        """Rows of one run's macro F1 where there are predictions, of primary metrics other than accuracy, and of
        accuracy where examples come in groups."""
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells

        known = [] if predictions is None else predictions.cells
        here = (grouped["phase"] == "after") & (grouped["split"] == primary_rows.SPLIT)
        of_accuracy = cells[cells.index.isin(grouped.index[here])]
        wanted = _cells.stacked([_wanted(cells, known), of_accuracy])
        wanted = wanted.assign(**dict.fromkeys(("estimate", "low", "high"), np.nan))
        for cell, rows in wanted.groupby(CELL, sort=False):
            found = self._resampled(predictions, cell, rows["metric"]) if cell in known else {}
            for at, metric in rows["metric"].items():
                for column, value in found.get(metric, {}).items():
                    wanted.loc[at, column] = value
        of_groups = wanted["task"].isin(grouped["task"])
        drawn = np.where(of_groups, "bootstrap over groups of examples", "bootstrap over examples")
        interval = np.where(wanted["low"].notna(), drawn, "none")
        of_median = wanted["metric"] + " of the run with the median " + wanted["metric"]
        ends = wanted["low"], wanted["high"]
        return _part(wanted, "one_run", wanted["estimate"], ends, of_median, interval).assign(ddof=float("nan"))

    def _resampled(self, predictions, cell, metrics):
        """{metric: estimate, ends and number of examples} of those metrics that there are bootstrap intervals of."""
        from variability.reporting.analyses import _confusion_bootstrap

        runs = list(predictions.runs(cell, probabilities=False))
        known = {metric: AS_MARGINS.get(metric, metric) for metric in metrics}
        known = {metric: name for metric, name in known.items() if name in confusion_scores.METRICS}
        if not (runs and known):
            return {}
        classes = next(iter(predictions.runs(cell))).probabilities.shape[1]
        given = classes, self.option("resamples"), self.option("level")
        # The same resamples of examples for all metrics of a cell, where they are of the same run.
        found = {}
        for metric, name in known.items():
            found[metric] = _confusion_bootstrap.of_median_run(name, runs, self.generator(*cell), *given)
        return found


def _grouped(predictions):
    """The tasks whose test examples come in groups."""
    found = set()
    for task in [] if predictions is None else predictions.tasks:
        runs = (run for cell in predictions.cells_of(task) for run in predictions.runs(cell, probabilities=False))
        first = next(runs, None)
        if first is not None and first.clusters is not None:
            found.add(task)
    return found


def _part(cells, target, estimate, ends, estimator, interval):
    part = cells.assign(target=target, estimate=estimate, low=ends[0], high=ends[1])
    return part[COLUMNS].assign(estimator=estimator, interval=interval, ddof=1.0)


def _wanted(cells, known):
    """Those of the cells' rows that a bootstrap is for; where macro F1 was not scored, of the predictions' own."""
    import pandas as pd

    from variability.reporting import primary_rows
    from variability.reporting.analyses import _cells

    after = cells[(cells["phase"] == "after") & (cells["split"] == primary_rows.SPLIT)]
    other = after[after["primary"].astype(bool) & ~after["metric"].isin(["accuracy", F1])]
    here = pd.MultiIndex.from_frame(after[CELL]).isin(known)
    scored = after[(after["metric"] == F1) & (here | after["primary"].astype(bool))]
    # Whatever is classified has an accuracy.
    told = after[(after["metric"] == "accuracy") & here].assign(metric=F1, primary=False, n_undefined=0)
    f1 = _cells.stacked([scored, told]).drop_duplicates(CELL)
    return _cells.stacked([f1, other])


def _note(table):
    from variability.reporting.analyses import _notes

    some, of_run = table["n"] > 0, table["target"] == "one_run"
    counted, without = table["interval"] == "Wilson", table["interval"] == "none"
    possible = table["metric"].isin(confusion_scores.METRICS)
    return _notes.notes(
        table,
        {
            "no completed run": ~some & (table["n_failed"] > 0),
            "metric undefined": ~some & (table["n_failed"] == 0),
            "a single run: no spread": (table["n"] == 1) & ~of_run,
            "all runs agree: without width, which is true of deterministic runs only": (table["n"] > 1)
            & ~of_run
            & (table["low"] == table["high"]),
            "number of test examples unknown": some & of_run & counted & table["n_test"].isna(),
            "no predictions to draw from": some & without & possible,
            "no bootstrap over examples of this metric": some & without & ~possible,
        },
    )


def _median_of_accuracy(runs):
    values = runs[runs["metric"] == "accuracy"].groupby(CELL_VALUE, sort=False)["value"]
    # Cells are in the order in which they first appear, as in their moments.
    return values.quantile(0.5, interpolation="lower").to_numpy()
