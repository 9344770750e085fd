"""Churn: how often two runs of the same cell, or of two cells, disagree on the same test example."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL
from variability.results.predictions import SCORES, is_discrete
from variability.stats import rounding

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = [f"{key}_reference" for key in ("model", "method")]
COLUMNS = [
    *(*CELL, "quantity", "quantile", *REFERENCE, "kind", "estimate", "low", "high", "n", "n_reference"),
    *(
        "n_failed",
        "n_failed_reference",
        "n_examples",
        "n_groups",
        "se_examples",
        "estimator",
        "interval",
        "level",
        "ddof",
        "note",
    ),
]
#: Quantiles of the flip rates of a cell's examples, one per twentieth of the examples.
QUANTILES = np.arange(1, 21) / 20
#: Largest number of examples x classes whose votes are counted at a time.
VOTES = 2**22
JACKKNIFE = "t, delete-one-run jackknife, truncated to possible values"
#: Estimators of discrete predictions (True) and of numbers (False).
ESTIMATORS = {
    True: {
        "disagreement": "mean over pairs of runs of the share of examples with different predictions",
        "between": "mean over pairs of a run of each of the share of examples with different predictions",
        "minimum": "mean over pairs of runs of |difference of accuracy|, the least churn that these allow",
        "consistency": "share of examples on which all runs agree",
        "flip_rate": "quantile over examples of the share of pairs of runs with different predictions",
    },
    False: {
        "disagreement": "mean over pairs of runs of the mean absolute difference of predictions",
        "between": "mean over pairs of a run of each of the mean absolute difference of predictions",
        "minimum": "mean over pairs of runs of |difference of MAE|, the least churn that these allow",
        "consistency": "share of examples on which all runs agree",
        "flip_rate": "quantile over examples of the mean absolute difference of pairs of runs",
    },
}


class Churn(Analysis):
    """Disagreement of runs on single test examples (Milani Fard et al. 2016), within a cell and between cells.

    disagreement is the mean over all pairs of different runs, a U-statistic, with the delete-one-run jackknife (Arvesen
    1969) and a t interval with n - 1 degrees of freedom, because pairs that share a run are not independent, cut at 0
    and, for a share, at 1. It needs three runs. Between two cells, every run of one is compared with every run of the
    other, without an interval. The flip_rate of an example is its share of disagreeing pairs; their mean is the
    disagreement. consistency decreases as runs are added. minimum is the disagreement that unequal accuracies alone
    would cause. In regression, and of scores, absolute differences replace disagreement. The intervals
    treat the test examples as fixed; se_examples is the standard error of a cell's disagreement over other test
    examples, or, where they are grouped, over other groups (``stats.clustered``).
    """

    NEEDS = ("runs", "predictions")
    CAPTION = (
        "How often two fine-tuned runs predict different classes for the same test example (in regression: how far "
        "apart): between seeds of a cell, example by example, and between cells of a task. Runs with equal accuracy "
        "may still disagree on many examples."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _example_losses, _reference_scopes

        runs = primary_rows.select(tables["runs"])
        predictions, failures = tables["predictions"], _example_losses.failures(runs)
        rows = []
        for _, of_task in runs.groupby("task", sort=False):
            cells = [*dict.fromkeys(of_task[CELL].itertuples(index=False, name=None))]
            cells = [_Cell(cell, _cube(predictions, cell), failures[cell]) for cell in cells]
            kind = next((cell.kind for cell in cells if cell.n), "classification")
            for cell in cells:
                cell.kind = cell.kind or kind
            rows += [row for cell in cells for row in self._within(cell)]
            rows += _between(cells)
        return _reference_scopes.with_scopes(_framed(rows, self.option("level")), runs, CELL)

    def _within(self, cell):
        from variability.stats import intervals

        n, facts = cell.n, {**dict(zip(CELL, cell.name, strict=True)), "interval": "none", **cell.facts()}
        too_few = "fewer than two completed runs: no pair" if n < 2 else None
        minimum = _mean_difference(cell.error) if n > 1 else np.nan
        disagreement, low, high = np.nan, np.nan, np.nan
        if n > 1:
            disagreement = cell.distances.sum() / (n * (n - 1))
        if n > 2:
            left_out = (cell.distances.sum() - 2 * cell.distances) / ((n - 1) * (n - 2))
            # The SD of the pseudo-values over the root of n is the jackknife's standard error.
            pseudo = n * disagreement - (n - 1) * left_out
            spread = 0.0 if rounding.is_rounding(np.ptp(cell.distances), cell.distances.max()) else pseudo.std(ddof=1)
            ends = intervals.t_interval(disagreement, spread, n, self.option("level"))
            largest = 1 if is_discrete(cell.kind) else np.inf
            low, high = (float(np.clip(end, 0, largest)) for end in ends)
        ends = {"low": low, "high": high, "interval": JACKKNIFE if n > 2 else "none"}
        note = "two runs: leaving out one leaves no pair, so there is no interval" if n == 2 else too_few
        if n > 2 and spread == 0:
            note = "every run is equally far from the others: the interval is a point"
        over_examples = {"n_groups": cell.n_groups, "se_examples": cell.se_examples}
        row = {"quantity": "disagreement", "estimate": disagreement, "note": note, "ddof": 1.0}
        yield facts | row | ends | over_examples
        yield facts | {"quantity": "minimum", "estimate": minimum, "note": too_few}
        consistency = float((cell.flips == 0).mean()) if n > 1 else np.nan
        yield facts | {"quantity": "consistency", "estimate": consistency, "note": too_few}
        # Without interpolation, so that each value is the flip rate of one of the examples.
        rates = np.quantile(cell.flips, QUANTILES, method="inverted_cdf") if n > 1 else np.full(len(QUANTILES), np.nan)
        for quantile, rate in zip(QUANTILES, rates, strict=True):
            yield facts | {"quantity": "flip_rate", "quantile": quantile, "estimate": float(rate), "note": too_few}


class _Cell:
    """Summary of a cell's predictions: sums instead of runs x examples, where there are classes.

    n: runs. distances (n,): sum over the other runs of the mean difference from them. flips (examples,): mean
    difference over pairs of runs. error (n,): 1 - accuracy, MAE, or the mean score. examples: bytes that identify the
    test examples.
    """

    def __init__(self, name, cube, failed):
        from variability.stats import clustered

        self.name, self.failed = name, failed
        self.n, self.examples, self.n_examples, self.kind = 0, None, 0, None
        self.n_groups, self.se_examples = 0, np.nan
        if cube is None:
            return
        order = np.argsort(cube.example_ids, kind="stable")
        self.examples = cube.example_ids[order].tobytes()
        predicted, truth = cube.y_pred[:, order], cube.y_true[order]
        self.n, self.n_examples = predicted.shape
        self.kind = cube.kind
        clusters = None if cube.clusters is None else cube.clusters[order]
        if cube.discrete:
            self.error = (predicted != truth).mean(axis=1)
            self.votes, self.distances, self.flips = _classes(predicted)
        else:
            self.error = (predicted if cube.scored else np.abs(predicted - truth)).mean(axis=1)
            self.sorted, self.distances, self.flips = _numbers(predicted)
        of_flips = clustered.mean(self.flips, clusters)
        self.n_groups, self.se_examples = of_flips.units, of_flips.se if self.n > 1 else np.nan

    def facts(self) -> dict[str, Any]:
        return {"kind": self.kind, "n": self.n, "n_failed": self.failed, "n_examples": self.n_examples}


def _cube(predictions, cell):
    """Return a cell's predictions; None for an imported cell or one without a completed run."""
    return predictions.cube(cell) if cell in predictions.cells else None


def _framed(rows, level):
    import pandas as pd

    table = pd.DataFrame(rows).reindex(columns=COLUMNS).astype({"ddof": float}).assign(level=level)
    labels = [
        (kind, "between" if isinstance(reference, str) else quantity)
        for kind, quantity, reference in zip(table["kind"], table["quantity"], table["model_reference"], strict=True)
    ]
    return table.assign(estimator=[_estimator(kind, quantity) for kind, quantity in labels])


def _estimator(kind, quantity):
    text = ESTIMATORS[is_discrete(kind)][quantity]
    return text.replace("predictions", "scores").replace("MAE", "the mean score") if kind == SCORES else text


def _between(cells):
    """Yield one row for each two cells of a task, the one with the earlier name first."""
    cells = sorted(cells, key=lambda cell: cell.name)
    agreements = _agreements(cells)
    for one, other in combinations(cells, 2):
        model, _, method = other.name
        row = dict(zip(CELL, one.name, strict=True)) | dict(zip(REFERENCE, (model, method), strict=True))
        row |= {"quantity": "disagreement", **one.facts(), "interval": "none", "note": None}
        row |= {"n_reference": other.n, "n_failed_reference": other.failed, "estimate": np.nan}
        if not (one.n and other.n):
            row["note"] = "no completed run on one side"
        elif one.examples != other.examples:
            row["note"] = "the two cells did not see the same test examples"
        elif is_discrete(one.kind):
            row["estimate"] = 1 - agreements[one.name, other.name] / (one.n * other.n * one.n_examples)
        else:
            row["estimate"] = _mean_distance(one, other)
        yield row


def _classes(predicted):
    """Return the votes for each class, the distances (runs,) and the flips (examples,) of predicted classes.

    votes: (index, count) of each pair of class and example that occurs. predicted: (runs, examples).
    """
    runs, examples = predicted.shape
    classes = int(predicted.max()) + 1
    agreements, flips, votes = np.zeros(runs), np.empty(examples), []
    step = max(1, VOTES // classes)
    for start in range(0, examples, step):
        chunk = predicted[:, start : start + step]
        width = chunk.shape[1]
        cells = chunk + classes * np.arange(width)
        counts = np.bincount(cells.ravel(), minlength=classes * width)
        agreements += (np.take(counts, cells) - 1).sum(axis=1)
        pairs = (counts * (counts - 1)).reshape(width, classes).sum(axis=1)
        flips[start : start + step] = 1 - pairs / max(runs * (runs - 1), 1)
        voted = np.flatnonzero(counts)
        # Ordered by class first, so that a cell that never predicts the last class has the same indices as the others.
        votes.append((voted % classes * examples + voted // classes + start, counts[voted]))
    return tuple(map(np.concatenate, zip(*votes, strict=True))), (runs - 1) - agreements / examples, flips


def _numbers(predicted):
    """Return the predictions (runs, examples) sorted over runs, and distances and flips as in ``_classes``.

    Differences are absolute differences of the predictions.
    """
    runs, examples = predicted.shape
    order = np.argsort(predicted, axis=0)
    values = np.take_along_axis(predicted, order, axis=0).astype(float)
    rank = np.arange(runs)[:, None]
    # Measured from the lowest, so that equal predictions differ by exactly 0.
    above = values - values[0]
    cumulative = np.cumsum(above, axis=0)
    distances = (2 * rank + 2 - runs) * above + cumulative[-1] - 2 * cumulative
    mean_distances = np.bincount(order.ravel(), weights=distances.ravel(), minlength=runs) / examples
    flips = ((2 * rank - runs + 1) * above).sum(axis=0) / max(runs * (runs - 1) / 2, 1)
    return values, np.maximum(mean_distances, 0), np.maximum(flips, 0)


def _mean_difference(values):
    """Return the mean of |a - b| over pairs of different values (Gini's mean difference)."""
    n = len(values)
    values = np.sort(values) - values.min()
    return float((2 * np.arange(n) - n + 1) @ values / (n * (n - 1) / 2))


def _agreements(cells):
    """Return, for every two names, the number of (run, run, example) on which the cells agree.

    It is a product of their votes.
    """
    from scipy import sparse

    cells = [cell for cell in cells if cell.n and is_discrete(cell.kind)]
    if not cells:
        return {}
    lengths = [len(cell.votes[0]) for cell in cells]
    indices, counts = (np.concatenate([cell.votes[part] for cell in cells]) for part in range(2))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    votes = sparse.csr_array((counts.astype(float), indices, starts), shape=(len(cells), indices.max() + 1))
    product = (votes @ votes.T).toarray()
    return {
        (one.name, other.name): product[row, column]
        for row, one in enumerate(cells)
        for column, other in enumerate(cells)
    }


def _mean_distance(one, other):
    """Return the mean of |a - b| over runs a, b of the cells and over examples.

    Computed as the sum over all pairs minus those within a cell.
    """
    both = np.sort(np.concatenate([one.sorted, other.sorted]), axis=0, kind="stable")
    both -= both[0].copy()
    runs = len(both)
    all_pairs = float(((2 * np.arange(runs)[:, None] - runs + 1) * both).sum() / one.n_examples)
    within = (one.distances.sum() + other.distances.sum()) / 2
    return max(all_pairs - within, 0.0) / (one.n * other.n)
