"""Calibration: agreement of a network's confidence with its accuracy, and the spread of that over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results import run_status
from variability.results.columns import CELL
from variability.stats import rounding

if TYPE_CHECKING:
    import pandas as pd

#: Scores of a run that metrics of these names compute from its predictions.
SCORES = ("brier", "nll")
NO_PROBABILITIES = "no probabilities"
COLUMNS = [
    *(*CELL, "quantity", "bin", "bin_low", "bin_high", "confidence", "estimate", "sd", "low", "high", "min", "max"),
    *("count", "count_min", "count_max", "n", "n_failed", "n_examples", "bins"),
    *("estimator", "interval", "level", "ddof", "note"),
]


class Calibration(Analysis):
    """Calibration of the predicted class on the test split after fine-tuning, one row per ``quantity``.

    ece: expected calibration error over ``bins`` bins of equal width, ((k-1)/bins, k/bins] (Guo et al. 2017, eq. 3).
    brier, nll: the metrics of these names. Each is computed for every run separately; the estimate is the mean over
    runs, with Student's t interval.

    bin: the reliability curve. The estimate is the share of correct predictions in a bin, averaged with equal weights
    over the n runs that have examples there; confidence is their mean confidence, count the mean number of examples per
    run. All runs have the same examples, so the spread is that of the seed alone.

    The ECE is biased upwards with few examples per bin, most for well calibrated networks (Nixon et al. 2019; Roelofs
    et al. 2022): compare it only at equal numbers of examples and bins.
    """

    NEEDS = ("runs", "predictions")
    REQUIRES = ("probabilities",)
    CAPTION = (
        "Per cell: expected calibration error (equal-width bins), Brier score and NLL, as means over runs with t "
        "intervals, and the reliability curve by bin. The ECE is biased upwards on small test sets."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "bins": {"type": "integer", "minimum": 2, "default": 15, "description": "bins of equal width over confidence"},
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells

        runs, predictions = tables["runs"], tables["predictions"]
        known = set(predictions.cells)
        parts = []
        for cell, rows in primary_rows.select(runs).groupby(CELL, sort=False):
            failed = int(run_status.incomplete(rows).sum())
            values, note = self._measured(predictions, cell) if cell in known else (None, "no predictions")
            part = self._missing(note) if values is None else self._rows(values)
            parts.append(part.assign(**dict(zip(CELL, cell, strict=True)), n_failed=failed))
        table = _cells.stacked(parts) if parts else pd.DataFrame(columns=COLUMNS)
        table = table.assign(bins=self.option("bins"), level=self.option("level"), ddof=1)
        return _cells.with_scope(table.reindex(columns=COLUMNS), runs)

    def _measured(self, predictions, cell):
        """Return the numbers of ``_measure`` stacked over the completed runs, or None and the reason."""
        measured = []
        for run in predictions.runs(cell):
            if run.probabilities is None:
                return None, NO_PROBABILITIES
            measured.append(_measure(run, self.option("bins")))
        if not measured:
            return None, "no completed run"
        return {key: np.array([of_run[key] for of_run in measured]) for key in measured[0]}, None

    def _missing(self, note):
        import pandas as pd

        rows = pd.DataFrame({"quantity": ["ece", *SCORES, "bin"], "n": 0, "note": note})
        return rows.assign(estimator=_estimators(rows["quantity"]), interval="none")

    def _rows(self, values):
        import pandas as pd

        from variability.reporting.analyses import _notes
        from variability.stats import intervals

        rows = pd.concat([self._scores(values), self._curve(values)], ignore_index=True)
        rows["low"], rows["high"] = intervals.t_interval(rows["estimate"], rows["sd"], rows["n"], self.option("level"))
        rows["interval"] = np.where(rows["n"] < 2, "none", "t")
        rows["estimator"] = _estimators(rows["quantity"])
        reasons = {"no run has examples in this bin": rows["n"] == 0, "a single run: no spread": rows["n"] == 1}
        return rows.assign(note=_notes.notes(rows, reasons))

    def _scores(self, values):
        import pandas as pd

        examples = values["count"].sum(axis=1).mean()
        rows = [_over_runs(values[name][:, None]) | {"quantity": [name]} for name in ("ece", *SCORES)]
        return pd.concat([pd.DataFrame(row) for row in rows], ignore_index=True).assign(n_examples=examples)

    def _curve(self, values):
        import pandas as pd

        bins, count = self.option("bins"), values["count"]
        edges = np.arange(bins + 1) / bins
        share, confidence = (_ratio(values[name], count) for name in ("correct", "confidence"))
        return pd.DataFrame(_over_runs(share)).assign(
            quantity="bin",
            bin=np.arange(1.0, bins + 1),
            bin_low=edges[:-1],
            bin_high=edges[1:],
            confidence=_over_runs(confidence)["estimate"],
            count=count.mean(axis=0),
            count_min=count.min(axis=0),
            count_max=count.max(axis=0),
            n_examples=count.sum(axis=1).mean(),
        )


def _measure(run, bins):
    """Return ECE and scores of a run, and per bin: numbers of examples and correct ones, summed confidence."""
    from variability import registry

    confidence = run.probabilities.max(axis=1)
    bin_of_example = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    correct = np.bincount(bin_of_example, weights=run.y_pred == run.y_true, minlength=bins)
    summed = np.bincount(bin_of_example, weights=confidence, minlength=bins)
    arguments = run.y_true, run.y_pred, run.probabilities
    scores = {name: registry.find("metrics", name)().compute(*arguments)[name] for name in SCORES}
    ece = np.abs(correct - summed).sum() / len(bin_of_example)
    return scores | {
        "ece": ece,
        "count": np.bincount(bin_of_example, minlength=bins),
        "correct": correct,
        "confidence": summed,
    }


def _ratio(total, count):
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _over_runs(values):
    """Return the moments of each column of (runs, columns), over the values that exist."""
    present = np.isfinite(values)
    n = present.sum(axis=0)
    low = np.where(present, values, np.inf).min(axis=0)
    high = np.where(present, values, -np.inf).max(axis=0)
    mean = _ratio(np.where(present, values, 0).sum(axis=0), n)
    squares = np.square(np.where(present, values - mean, 0)).sum(axis=0)
    sd = np.sqrt(_ratio(squares, np.maximum(n - 1, 0)))
    sd = np.where((n > 1) & rounding.is_rounding(high - low, mean), 0.0, sd)
    return {
        "estimate": mean,
        "sd": sd,
        "min": np.where(n > 0, low, np.nan),
        "max": np.where(n > 0, high, np.nan),
        "n": n,
    }


def _estimators(quantities):
    of_bin = "share of right predictions in a bin, mean over the runs with examples there"
    return np.where(quantities == "bin", of_bin, "mean over completed runs, each by itself")
