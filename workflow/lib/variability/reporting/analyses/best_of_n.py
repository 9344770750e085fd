"""Expected result of the best of n runs, and how much of it is selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import Analysis
from variability.results.columns import CELL, CELL_VALUE, RUN

if TYPE_CHECKING:
    import pandas as pd

#: Ways of drawing n runs from the N that exist.
STATISTICS = {
    "V": "V-statistic: n runs drawn with replacement (Dodge et al. 2019)",
    "U": "U-statistic: n runs drawn without replacement (Tang et al. 2020)",
}
KEYS = [*CELL_VALUE, "primary"]
VALUES = (
    *("expected_best", "sd_best", "optimism"),
    *("expected_test", "sd_test", "expected_validation", "optimism_validation"),
)
COLUMNS = [
    *(*KEYS, "statistic", "best_of", "mean", *VALUES, "hours"),
    *("n", "n_failed", "n_undefined", "estimator", "interval", "level", "ddof", "note"),
]


class BestOfN(Analysis):
    """Expected best of n runs with different seeds, from the N completed runs of a cell, in two ways.

    V (Dodge et al., EMNLP 2019, 'Show your work'): n runs drawn with replacement, the expected maximum of their
    empirical distribution; too low on average. U (Tang et al., ACL 2020, 'Showing your work doesn't always work'): the
    mean over all subsets of n of the N runs; unbiased, and at n = N equal to the observed best. V varies less and can
    be closer to the truth (Dodge et al., Findings of EMNLP 2021).

    expected_best: the run with the best test value, which cannot be selected without looking at the test set; optimism
    is its distance from the mean. expected_test: test value of the run with the best validation value (ties: averaged),
    which is the real gain of selection. optimism_validation: how much more the selected run gains over the mean on
    validation, where it was selected, than on test. sd_*: SD of such a result over draws of n runs; at n = N, U has
    only one draw and therefore no SD. All values are in the metric's unit and sign; for a loss, the best is the lowest.
    The runs are treated as draws from one distribution; failed runs are left out. best_of takes every n up to 20, and
    then steps of about a tenth up to N.
    """

    CAPTION = (
        "Expected test value of the best of n runs, selected on validation (the real gain of selection) or on test "
        "(the apparent gain), with replacement (V) and without (U), and the hours that n runs take."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting.analyses import _cells

        test, validation = _splits(tables["runs"])
        cells = _cells.moments(test)
        cells["seconds"] = _mean_seconds(test, cells)
        both = test.merge(validation, on=RUN, how="left", validate="one_to_one")
        both = both[both["value"].notna()].merge(cells[[*CELL, "n"]], on=CELL)
        parts = [_of_size(n, part) for n, part in both.groupby("n")]
        parts += [_without_runs(cells[cells["n"] == 0])]
        rows = cells.drop(columns="primary").merge(_cells.stacked(parts), on=CELL, validate="one_to_many")
        rows = rows.assign(phase="after", split="test", primary=True)
        rows["hours"] = rows["best_of"] * rows["seconds"] / 3600
        rows["estimator"] = rows["statistic"].map(STATISTICS)
        rows["note"] = _reasons(rows)
        rows = rows.assign(interval="none", level="none", ddof=0)
        return _cells.with_scope(rows[COLUMNS], test)


def _splits(runs):
    """Return the primary metric after fine-tuning: all rows of the test split, and the values of validation."""
    from variability.reporting import primary_rows

    test = primary_rows.select(runs).sort_values(RUN)
    selected = runs["primary"].astype(bool) & (runs["phase"] == "after") & (runs["split"] == "validation")
    return test, runs.loc[selected, [*RUN, "value"]].rename(columns={"value": "validation"})


def _mean_seconds(test, cells):
    import pandas as pd

    # For imported runs only, the column may contain nothing but None.
    seconds = pd.to_numeric(test["seconds"]).where(test["value"].notna())
    known = test.assign(seconds=seconds).groupby(CELL)["seconds"].mean()
    return cells[CELL].merge(known.reset_index(), on=CELL, how="left")["seconds"].to_numpy()


def _of_size(n, runs):
    """Return the rows of all cells that have n completed runs; the runs are sorted by cell."""
    import pandas as pd

    sign = np.where(runs["higher_is_better"].astype(bool), 1.0, -1.0).reshape(-1, n)
    test, validation = (sign * runs[name].to_numpy(dtype=float).reshape(-1, n) for name in ("value", "validation"))
    names, sign = runs[CELL].iloc[::n], sign[:, :1]
    budgets = budgets_up_to(n)
    parts = []
    for statistic in STATISTICS:
        weights = shares(n, budgets, statistic)
        best, sd_best = _best(test, test, weights)
        selected, sd_selected = _best(validation, test, weights)
        apparent, _ = _best(validation, validation, weights)
        mean, mean_apparent = best[:, :1], apparent[:, :1]
        columns = {
            "expected_best": sign * best,
            "sd_best": sd_best,
            "optimism": sign * (best - mean),
            "expected_test": sign * selected,
            "sd_test": sd_selected,
            "expected_validation": sign * apparent,
            "optimism_validation": sign * ((apparent - mean_apparent) - (selected - mean)),
        }
        if statistic == "U" or n == 1:
            # There is only one way to draw all runs.
            sd_best[:, -1] = sd_selected[:, -1] = np.nan
        part = names.loc[names.index.repeat(len(budgets))].assign(statistic=statistic)
        part["best_of"] = np.tile(budgets, len(names))
        parts.append(part.assign(**{name: values.ravel() for name, values in columns.items()}))
    return pd.concat(parts, ignore_index=True)


def budgets_up_to(n: int) -> np.ndarray:
    """Return numbers of runs from 1 to n: all up to 20, then steps of about a tenth, and n itself."""
    budgets = list(range(1, min(n, 20) + 1))
    while budgets[-1] < n:
        budgets.append(min(n, round(budgets[-1] * 1.1)))
    return np.array(budgets)


def shares(n: int, budgets: np.ndarray, statistic: str) -> np.ndarray:
    """Return (budgets, n) probabilities that each of n runs, in ascending order, is the best of a draw.

    The best of k draws is among the lowest i runs with probability (i/n)^k with replacement, and C(i, k) / C(n, k)
    without; the increase from i - 1 to i is the share of run i.
    """
    lowest = np.arange(n + 1)
    if statistic == "V":
        cumulative = (lowest / n) ** budgets[:, None]
    else:
        product, by_budget = np.ones(n + 1), {}
        for draws in range(n):
            product = product * np.maximum(lowest - draws, 0) / (n - draws)
            by_budget[draws + 1] = product
        cumulative = np.stack([by_budget[budget] for budget in budgets])
    return np.diff(cumulative, axis=1)


def _best(key, value, weights):
    """Return (cells, budgets) mean and SD of the value of the run with the largest key; NaN where a key is missing."""
    middle = value.mean(axis=1, keepdims=True)
    order = np.argsort(key, axis=1, kind="stable")
    key, centred = (np.take_along_axis(array, order, axis=1) for array in (key, value - middle))
    mean = _tied_means(key, centred) @ weights.T
    variance = _tied_means(key, centred**2) @ weights.T - mean**2
    known = ~np.isnan(key).any(axis=1, keepdims=True)
    return np.where(known, middle + mean, np.nan), np.where(known, np.sqrt(np.maximum(variance, 0)), np.nan)


def _tied_means(key, value):
    """Average the value over neighbours in a row whose keys are equal."""
    starts = np.ones(key.shape, dtype=bool)
    starts[:, 1:] = key[:, 1:] != key[:, :-1]
    group = np.cumsum(starts.ravel()) - 1
    means = np.bincount(group, value.ravel()) / np.bincount(group)
    return means[group].reshape(key.shape)


def _without_runs(cells):
    import pandas as pd

    parts = [cells[CELL].assign(statistic=statistic, best_of=1) for statistic in STATISTICS]
    return pd.concat(parts, ignore_index=True).assign(**dict.fromkeys(VALUES, np.nan))


def _reasons(rows):
    from variability.reporting.analyses import _notes

    several = rows["n"] > 1
    reasons = {
        "no completed run": rows["n"] == 0,
        "a single run: nothing to choose from": rows["n"] == 1,
        "no validation value of every run to select by": several & rows["expected_validation"].isna(),
        "no interval: the bootstrap of a maximum covers too little (Tang et al. 2020)": several,
    }
    return _notes.notes(rows, reasons)
