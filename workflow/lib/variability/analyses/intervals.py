"""Where the mean lies, where the next run would fall, and what one run's test set leaves open."""

from typing import ClassVar

import numpy as np

from variability.analyses import CELL, LEVEL, Analysis

COLUMNS = [*CELL, "primary", "target", "estimate", "low", "high", "n", "n_failed", "n_undefined", "n_test"]


class Intervals(Analysis):
    """Three intervals per cell, told apart by ``target``.

    mean: Student's t, of the mean over seeds. next_run: t prediction interval of one more run with a new seed.
    one_run: Wilson's score interval of a single model's accuracy, which holds the noise of the finite test set and
    none of the seed's; the model is the one with the median accuracy (the lower of two), not the luckiest. The t
    intervals rest on the completed runs: where runs fail often, they promise too much (see n_failed).
    """

    CAPTION = (
        "Per cell: where the mean over seeds lies (t), where the next run would fall (t prediction), and what the "
        "finite test set leaves open about one model's accuracy (Wilson)."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables):
        from variability import intervals
        from variability.analyses import _cells

        runs, level = tables["runs"], self.option("level")
        cells = _cells.moments(runs)
        cells["n_test"] = runs.groupby(CELL, sort=False)["n_test"].max().to_numpy()
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
        return _cells.with_scope(_cells.stacked([mean, next_run, one_run]).assign(level=level), runs)


def _part(cells, target, estimate, ends, estimator, interval):
    part = cells.assign(target=target, estimate=estimate, low=ends[0], high=ends[1])
    return part[COLUMNS].assign(estimator=estimator, interval=interval, ddof=1.0)


def _median_of_accuracy(runs):
    values = runs[runs["metric"] == "accuracy"].groupby(CELL, sort=False)["value"]
    # Cells are in the order in which they first appear, as in their moments.
    return values.quantile(0.5, interpolation="lower").to_numpy()
