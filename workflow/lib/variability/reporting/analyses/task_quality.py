"""Quality of each task as an instrument that separates candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import plural
from variability.reporting.analyses import LEVEL, Analysis

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    *("task", "split", "metric", "primary", "order", "snr", "snr_low", "snr_high", "snr_if_equal"),
    *("decision_accuracy", "decision_accuracy_same_runs", "signal", "noise", "dispersion", "sd", "mean"),
    *("n", "n_failed", "candidates", "pairs", "estimator", "interval", "level", "ddof", "note"),
]


class TaskQuality(Analysis):
    """Signal-to-noise ratio and decision accuracy of every task; one row per task, the best instrument first.

    signal: largest difference between the means of two candidates (dispersion) over |mean|; noise: SD of the runs of a
    candidate, pooled over candidates (sd), over |mean|; snr = signal / noise (Heineman et al. 2025, with seeds in place
    of checkpoints). |mean| cancels in snr, which therefore does not depend on the unit. snr_low and snr_high contain
    the uncertainty of the noise alone (chi-square). snr_if_equal is the expected ratio of candidates that do not
    differ, which is not 0: the expected range of their means (Tippett 1925).

    decision_accuracy: probability that one run of each of two candidates orders them as the means of their other runs
    do, ties half, averaged over pairs of candidates; 0.5 is a coin. decision_accuracy_same_runs compares with the means
    of all runs, which contain the one run, and flatters: equal candidates with two runs each have 0.75, not 0.5.
    """

    CAPTION = (
        "How well each task separates the candidates: the largest difference between means in units of the SD of "
        "single runs (signal to noise), what that ratio would be without any difference, and how often one run of each "
        "of two candidates orders them as the means of their other runs do."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells, _notes

        runs = primary_rows.select(tables["runs"])
        tasks = [self._of_task(task, of_task) for task, of_task in runs.groupby("task", sort=True)]
        table = pd.DataFrame(tasks, columns=[name for name in COLUMNS if name not in ("order", "note")])
        # Ratios that differ by rounding keep the order of the names.
        table = table.iloc[np.argsort(-table["snr"].round(9).to_numpy(), kind="stable")].reset_index(drop=True)
        table["order"] = np.where(table["snr"].notna(), np.arange(1, len(table) + 1), np.nan)
        reasons = {
            "one candidate: nothing to separate": table["candidates"] == 1,
            "no run has a value": table["candidates"] == 0,
            "the noise needs two runs of a candidate": table["sd"].isna() & (table["candidates"] > 0),
            "no run differs from another of its candidate, so the noise is not known": table["sd"] == 0,
            "the mean is 0, so signal and noise are no shares of it": table["mean"] == 0,
        }
        table["note"] = _notes.notes(table, reasons)
        return _cells.with_scope(table[COLUMNS], runs, by=["task"])

    def _of_task(self, task, runs):
        from scipy import special

        from variability.reporting import paired_cells
        from variability.stats import task_quality

        cells, level = paired_cells.cells_of(runs), self.option("level")
        result = task_quality.quality(cells.matrix)
        means = cells.with_values().matrix
        mean = float(np.nanmean(means, axis=1).mean()) if len(means) else np.nan
        share = 1 / abs(mean) if mean else np.nan
        # chdtri takes the probability of the upper tail.
        low, high = (np.sqrt(special.chdtri(result.df, tail) / result.df) if result.df else np.nan
                     for tail in ((1 + level) / 2, (1 - level) / 2))  # fmt: skip
        return {
            **{name: runs[name].iloc[0] for name in ("split", "metric", "primary")},
            **{"task": task, "snr": result.snr, "snr_low": result.snr * low, "snr_high": result.snr * high},
            **{"snr_if_equal": result.snr_if_equal, "decision_accuracy": result.accuracy},
            "decision_accuracy_same_runs": result.accuracy_same_runs,
            **{"signal": result.dispersion * share, "noise": result.sd * share, "mean": mean},
            **{"dispersion": result.dispersion, "sd": result.sd, "pairs": result.pairs},
            **{"n": int(cells.n.sum()), "n_failed": int(cells.n_failed.sum()), "candidates": int((cells.n > 0).sum())},
            "estimator": f"range of means / pooled SD; decisions of {plural(result.pairs, 'pair')} of candidates",
            **{"interval": "chi-square, of the noise", "level": level, "ddof": 1},
        }
