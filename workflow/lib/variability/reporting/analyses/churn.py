"""How often two runs of the same cell, or of two cells, say something different about the same test example."""

from itertools import combinations
from typing import ClassVar

import numpy as np

from variability.data import kinds
from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL

REFERENCE = [f"{key}_reference" for key in ("model", "method")]
COLUMNS = [
    *(*CELL, "quantity", "quantile", *REFERENCE, "kind", "estimate", "low", "high", "n", "n_reference"),
    *("n_failed", "n_failed_reference", "n_examples", "estimator", "interval", "level", "ddof", "note"),
]
#: Of the flip rates of a cell's examples; each twentieth of the examples has its own.
QUANTILES = np.arange(1, 21) / 20
#: Votes of examples x classes counted at a time.
VOTES = 2**22
JACKKNIFE = "t, delete-one-run jackknife"
#: Estimators, by whether predictions are discrete.
WHAT = {
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

    disagreement is a mean over all pairs of different runs, a U-statistic, with the delete-one-run jackknife (Arvesen
    1969) and t with n - 1 degrees of freedom: pairs that share a run are not independent, runs are. It needs three
    runs. Between two cells every run of one meets every run of the other; no interval is given. An example's
    flip_rate is its share of disagreeing pairs; their mean is the disagreement. consistency falls as runs are added.
    minimum is what unequal accuracies alone would force. In regression, absolute differences take the place of
    disagreement. The test examples are taken as fixed.
    """

    NEEDS = ("runs", "predictions")
    CAPTION = (
        "How often two fine-tuned runs predict different classes for the same test example (in regression: how far "
        "apart): between seeds of a cell, example by example, and between cells of a task. Runs with equal accuracy "
        "may still disagree on many examples."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables):
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

        n, about = cell.n, {**dict(zip(CELL, cell.name, strict=True)), "interval": "none", **cell.said()}
        few = "fewer than two completed runs: no pair" if n < 2 else "-"
        minimum = _mean_difference(cell.error) if n > 1 else np.nan
        disagreement, low, high = np.nan, np.nan, np.nan
        if n > 1:
            disagreement = cell.apart.sum() / (n * (n - 1))
        if n > 2:
            left_out = (cell.apart.sum() - 2 * cell.apart) / ((n - 1) * (n - 2))
            # The SD of the pseudo-values over root n is the jackknife's standard error.
            pseudo = n * disagreement - (n - 1) * left_out
            spread = 0.0 if np.ptp(cell.apart) == 0 else pseudo.std(ddof=1)
            low, high = (float(end) for end in intervals.t_interval(disagreement, spread, n, self.option("level")))
        ends = {"low": low, "high": high, "interval": JACKKNIFE if n > 2 else "none"}
        note = "two runs: leaving out one leaves no pair, so there is no interval" if n == 2 else few
        if n > 2 and spread == 0:
            note = "every run is equally far from the others: the interval is a point"
        yield about | {"quantity": "disagreement", "estimate": disagreement, **ends, "note": note, "ddof": 1.0}
        yield about | {"quantity": "minimum", "estimate": minimum, "note": few}
        consistency = float((cell.flips == 0).mean()) if n > 1 else np.nan
        yield about | {"quantity": "consistency", "estimate": consistency, "note": few}
        # Without interpolation: each is the flip rate of one of the examples.
        rates = np.quantile(cell.flips, QUANTILES, method="inverted_cdf") if n > 1 else np.full(len(QUANTILES), np.nan)
        for quantile, rate in zip(QUANTILES, rates, strict=True):
            yield about | {"quantity": "flip_rate", "quantile": quantile, "estimate": float(rate), "note": few}


class _Cell:
    """What is kept of a cell's predictions: sums, not runs x examples, where there are classes.

    n: runs; apart (n,): sum over the other runs of the mean difference from them; flips (examples,): mean difference
    over pairs of runs; error (n,): 1 - accuracy, or MAE; examples: what tells the test examples apart from others.
    """

    def __init__(self, name, cube, failed):
        self.name, self.failed = name, failed
        self.n, self.examples, self.n_examples, self.kind = 0, None, 0, None
        if cube is None:
            return
        order = np.argsort(cube.example_ids, kind="stable")
        self.examples = cube.example_ids[order].tobytes()
        said, truth = cube.y_pred[:, order], cube.y_true[order]
        self.n, self.n_examples = said.shape
        self.kind = cube.kind
        if cube.discrete:
            self.error = (said != truth).mean(axis=1)
            self.votes, self.apart, self.flips = _classes(said)
        else:
            self.error = np.abs(said - truth).mean(axis=1)
            self.sorted, self.apart, self.flips = _numbers(said)

    def said(self):
        return {"kind": self.kind, "n": self.n, "n_failed": self.failed, "n_examples": self.n_examples}


def _cube(predictions, cell):
    """None for a cell of which there are no predictions: imported, or without a completed run."""
    return predictions.cube(cell) if cell in predictions.cells else None


def _framed(rows, level):
    import pandas as pd

    table = pd.DataFrame(rows).reindex(columns=COLUMNS).astype({"ddof": float}).assign(level=level)
    told = [
        (kind, "between" if isinstance(reference, str) else quantity)
        for kind, quantity, reference in zip(table["kind"], table["quantity"], table["model_reference"], strict=True)
    ]
    return table.assign(estimator=[WHAT[kinds.find(kind).DISCRETE][quantity] for kind, quantity in told])


def _between(cells):
    """One row for each two cells of a task, the one of the earlier name first."""
    cells = sorted(cells, key=lambda cell: cell.name)
    agreements = _agreements(cells)
    for one, other in combinations(cells, 2):
        model, _, method = other.name
        row = dict(zip(CELL, one.name, strict=True)) | dict(zip(REFERENCE, (model, method), strict=True))
        row |= {"quantity": "disagreement", **one.said(), "interval": "none", "note": "-"}
        row |= {"n_reference": other.n, "n_failed_reference": other.failed, "estimate": np.nan}
        if not (one.n and other.n):
            row["note"] = "no completed run on one side"
        elif one.examples != other.examples:
            row["note"] = "the two cells did not see the same test examples"
        elif kinds.find(one.kind).DISCRETE:
            row["estimate"] = 1 - agreements[one.name, other.name] / (one.n * other.n * one.n_examples)
        else:
            row["estimate"] = _mean_distance(one, other)
        yield row


def _classes(said):
    """votes: (place, count) of each class that was said of an example; apart (runs,); flips (examples,)."""
    runs, examples = said.shape
    classes = int(said.max()) + 1
    alike, flips, votes = np.zeros(runs), np.empty(examples), []
    step = max(1, VOTES // classes)
    for start in range(0, examples, step):
        part = said[:, start : start + step]
        width = part.shape[1]
        cells = part + classes * np.arange(width)
        counts = np.bincount(cells.ravel(), minlength=classes * width)
        alike += (np.take(counts, cells) - 1).sum(axis=1)
        pairs = (counts * (counts - 1)).reshape(width, classes).sum(axis=1)
        flips[start : start + step] = 1 - pairs / max(runs * (runs - 1), 1)
        found = np.flatnonzero(counts)
        # By class first: a cell that never says the last class has the same places as the others.
        votes.append((found % classes * examples + found // classes + start, counts[found]))
    return tuple(map(np.concatenate, zip(*votes, strict=True))), (runs - 1) - alike / examples, flips


def _numbers(said):
    """The predictions (runs, examples) sorted by run, and as in ``_classes`` with absolute differences."""
    runs, examples = said.shape
    order = np.argsort(said, axis=0)
    values = np.take_along_axis(said, order, axis=0).astype(float)
    rank = np.arange(runs)[:, None]
    # Above the lowest, so that equal predictions are exactly 0 apart.
    above = values - values[0]
    upto = np.cumsum(above, axis=0)
    distances = (2 * rank + 2 - runs) * above + upto[-1] - 2 * upto
    apart = np.bincount(order.ravel(), weights=distances.ravel(), minlength=runs) / examples
    flips = ((2 * rank - runs + 1) * above).sum(axis=0) / max(runs * (runs - 1) / 2, 1)
    return values, np.maximum(apart, 0), np.maximum(flips, 0)


def _mean_difference(values):
    """Mean of |a - b| over pairs of different values (Gini's mean difference)."""
    n = len(values)
    values = np.sort(values) - values.min()
    return float((2 * np.arange(n) - n + 1) @ values / (n * (n - 1) / 2))


def _agreements(cells):
    """For every two names: the number of (run, run, example) on which the cells agree; a product of their votes."""
    from scipy import sparse

    cells = [cell for cell in cells if cell.n and kinds.find(cell.kind).DISCRETE]
    if not cells:
        return {}
    lengths = [len(cell.votes[0]) for cell in cells]
    places, counts = (np.concatenate([cell.votes[at] for cell in cells]) for at in range(2))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    votes = sparse.csr_array((counts.astype(float), places, starts), shape=(len(cells), places.max() + 1))
    product = (votes @ votes.T).toarray()
    return {
        (one.name, other.name): product[row, column]
        for row, one in enumerate(cells)
        for column, other in enumerate(cells)
    }


def _mean_distance(one, other):
    """Mean of |a - b| over runs a, b of the cells and over examples: sums over all pairs, less those within a cell."""
    both = np.sort(np.concatenate([one.sorted, other.sorted]), axis=0, kind="stable")
    both -= both[0].copy()
    runs = len(both)
    everything = float(((2 * np.arange(runs)[:, None] - runs + 1) * both).sum() / one.n_examples)
    within = (one.apart.sum() + other.apart.sum()) / 2
    return max(everything - within, 0.0) / (one.n * other.n)
