"""Comparison of every two candidates on a task: difference, tests and probability of being better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from variability.advice import plural
from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.reporting.claims import ONE_RUN
from variability.results import metric_scales
from variability.stats import rounding

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    *("task", "model", "method", "model_b", "method_b", "split", "metric", "primary", "higher_is_better", "pairing"),
    "unit_length",
    *("difference", "low", "high", "difference_raw", "effect", "mean", "mean_b", "sd", "sd_b", "sd_difference"),
    *("n", "n_b", "n_failed", "n_failed_b", "p", "check_p_holm", "family", "check_p_exact", "p_floor", "exact"),
    *(
        "probability",
        "probability_low",
        "probability_high",
        "probability_interval",
        "gamma",
        "check_verdict",
        "noether_n",
    ),
    *("estimator", "interval", "level", "ddof", "seed_resampling", "scope", "note"),
]
TOO_FEW = "too few runs for the exact test to find anything at this level"


class Pairwise(Analysis):
    """All pairs of cells of a task, A and B, on its primary metric (test split, after fine-tuning).

    This table describes the pairs. Which candidate beats which is decided in ``decisions`` alone; tests and verdicts
    whose columns start with ``check_`` are for comparison.

    difference, low, high, effect and probability are oriented so that more is better for A: the sign of a loss is
    reversed. difference_raw is mean - mean_b in the metric's own sign. n and n_b are the runs that the row is based on;
    sd_difference is the SD of the differences of pairs, which shows the benefit of pairing.

    Runs are pairs if they share what makes them vary: runs of one network with two methods and equal streams, and runs
    of two networks if the split of the data varies from seed to seed and is the same for both. Equal seeds of different
    networks are otherwise not pairs, unless the study declares it (``pairing: seed``, for all tables). If any run of
    the smaller cell has no partner, the cells are unpaired.

    p, low, high: paired t (Student 1908) or Welch (1947), not adjusted. check_p_exact: sign flips of the paired
    differences (Fisher 1935) or permutation of the labels (Pitman 1937), enumerated if possible (see ``exact``),
    otherwise Monte Carlo; p_floor is its smallest possible value. effect: difference / sqrt((sd^2 + sd_b^2) / 2),
    Cohen's d without Hedges' correction, which would subtract 10 % at 5 against 5. probability: P(A better than B),
    ties half, over all pairs of runs with Newcombe's interval (2006, part 2, method 5), or over the true pairs with
    that of Clopper & Pearson (1934), which is significant only if the sign test is. check_verdict: Bouthillier et al.
    (2021) at ``gamma``, with these intervals in place of their bootstrap, which has no width where the runs separate
    completely; noether_n: runs of each that such a verdict needs, with alpha = beta = 1 - level. check_p_holm: Holm
    (1979), with the p of a task as one family; verdicts are not adjusted, and require a p_floor of at most 1 - level.

    Without any spread t is not defined and p is missing, since no spread in a few runs does not mean that there is
    none; check_p_exact and probability remain valid.
    """

    ROWS = "two models or methods with values of the primary metric on the same task"
    CAPTION = (
        "Every two candidates of a task: difference of their means with t interval (paired where runs are true pairs, "
        "otherwise Welch), and the probability that a run of one is better than a run of the other. Exact test, Holm's "
        "adjustment and verdict are checks: which candidate beats which is decided in the table decisions."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "gamma": {
            "type": "number",
            "exclusiveMinimum": 0.5,
            "exclusiveMaximum": 1,
            "default": 0.75,
            "description": "probability of being better beyond which a difference is meaningful",
        },
        "paired": {
            "type": "boolean",
            "default": False,
            "description": "older name of the study's key: true is `pairing: seed`, for all analyses",
        },
        "resamples": RESAMPLES,
        "seed": SEED,
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells

        runs = primary_rows.select(tables["runs"])
        tasks = runs.groupby("task", sort=False)
        parts = [part for task, of_task in tasks if len(part := self._of_task(task, of_task))]
        if not parts:
            return pd.DataFrame(columns=COLUMNS)
        return _cells.with_scope(_cells.stacked(parts), runs, by=["task"])[COLUMNS]

    def _of_task(self, task, runs):
        from variability.reporting import paired_cells
        from variability.stats import comparisons, sample_size

        cells = paired_cells.cells_of(runs)
        a, b = np.triu_indices(len(cells.names), 1)
        higher = runs["higher_is_better"].iloc[0]
        table = self._statistics(task, cells, a, b, sign=-1.0 if higher in (False, 0) else 1.0)
        if table.empty:
            return table
        level, gamma = self.option("level"), self.option("gamma")
        for side, indices in (("", a), ("_b", b)):
            names = cells.names.iloc[indices].set_axis(table.index)
            table[f"model{side}"], table[f"method{side}"] = names["model"], names["method"]
            table[f"n_failed{side}"] = cells.n_failed[indices]
        table["check_p_holm"] = comparisons.holm(table["p"])
        table["check_verdict"] = comparisons.verdicts(table["probability_low"], table["probability_high"], gamma)
        # At 3 against 3 the interval at complete separation excludes 1/2, but the exact test cannot go below 0.1.
        too_few = table["p_floor"] > 1 - level
        table["check_verdict"] = table["check_verdict"].mask(too_few, comparisons.NOT_SIGNIFICANT)
        table["note"] = table["note"].mask(too_few, TOO_FEW + ("; " + table["note"]).where(table["note"] != "", ""))
        return table.assign(
            task=task,
            **{name: runs[name].iloc[0] for name in ("split", "metric", "primary", "higher_is_better")},
            unit_length=metric_scales.length(runs.iloc[:1]).iloc[0],
            family=f"task {task}: {plural(table['p'].count(), 'pair')} of candidates",
            gamma=gamma,
            noether_n=sample_size.for_probability_of_better(gamma, 1 - level, 1 - level),
            level=level,
            ddof=1,
            seed_resampling=self.option("seed"),
        )

    def _statistics(self, task, cells, a, b, sign):
        """Return the numbers of all pairs of cells (a[i], b[i]), computed together for equal numbers of runs."""
        import pandas as pd

        from variability.reporting import paired_cells

        kinds, both = paired_cells.partners(cells, a, b)
        unpaired = kinds == paired_cells.UNPAIRED
        both &= ~np.isnan(cells.matrix[a]) & ~np.isnan(cells.matrix[b])
        n, n_b = (np.where(unpaired, cells.n[side], both.sum(axis=1)) for side in (a, b))
        shape = pd.DataFrame({"kind": kinds, "n": n, "n_b": n_b})
        parts = []
        for (kind, n, n_b), group in shape.groupby(["kind", "n", "n_b"]):
            rows = group.index.to_numpy()
            if kind == paired_cells.UNPAIRED:
                part = self._unpaired(task, cells.packed[a[rows], :n], cells.packed[b[rows], :n_b], sign)
            else:
                values, values_b = (cells.matrix[side[rows]][both[rows]].reshape(len(rows), n) for side in (a, b))
                left_out = (cells.n[a[rows]] > n) | (cells.n[b[rows]] > n)
                part = self._paired(task, values, values_b, sign, kind, left_out)
            parts.append(pd.DataFrame(part | {"pairing": kind, "n": n, "n_b": n_b}, index=rows))
        return pd.concat(parts).sort_index() if parts else shape

    def _unpaired(self, task, values, values_b, sign):
        from variability.stats import comparisons, intervals

        n, n_b, level = values.shape[1], values_b.shape[1], self.option("level")
        # Equal runs that were computed in another order differ in their last bits.
        size = np.maximum(np.abs(values).max(axis=1, initial=0), np.abs(values_b).max(axis=1, initial=0))
        first, second = (_moments(side, within=rounding.ROUNDING * size) for side in (values, values_b))
        numbers = _side_statistics(first, second, sign) | {
            "estimator": "difference of means, unpaired",
            "interval": "Welch t",
            "probability_interval": "Newcombe 2006, method 5",
        }
        if min(n, n_b) < 2:
            return numbers | _missing("fewer than two completed runs of one of them" if max(n, n_b) > 1 else ONE_RUN)
        low, high = intervals.welch_interval(sign * first.mean, first.sd, n, sign * second.mean, second.sd, n_b, level)
        share, ties = comparisons.superiority(sign * values, sign * values_b)
        rng = self.generator(task, "labels", str(n), str(n_b))
        test = comparisons.permutation(values, values_b, rng, self.option("resamples"))
        numbers |= {"low": low, "high": high}
        numbers |= {"p": comparisons.welch_p(first.mean, first.sd, n, second.mean, second.sd, n_b)}
        numbers |= _test_columns(test, "label permutations")
        numbers |= _probability_columns(share, comparisons.superiority_interval(share, n, n_b, level))
        no_spread = (first.sd == 0) & (second.sd == 0)
        return numbers | {"note": _notes({"ties count half": ties > 0, "no spread in either, so no t": no_spread})}

    def _paired(self, task, values, values_b, sign, kind, left_out):
        from variability.stats import comparisons, intervals

        n, level = values.shape[1], self.option("level")
        size = np.maximum(np.abs(values).max(axis=1, initial=0), np.abs(values_b).max(axis=1, initial=0))
        first, second = (_moments(side, within=rounding.ROUNDING * size) for side in (values, values_b))
        numbers = _side_statistics(first, second, sign) | {
            "estimator": f"mean of differences of pairs: {kind}",
            "interval": "t, of paired differences",
            "probability_interval": "Clopper-Pearson, of pairs",
        }
        if n < 2:
            return numbers | _missing("fewer than two pairs of completed runs")
        differences = sign * (values - values_b)
        between = _moments(differences, within=rounding.ROUNDING * size)
        low, high = intervals.t_interval(numbers["difference"], between.sd, n, level)
        ties = (differences == 0).mean(axis=1)
        share = (differences > 0).mean(axis=1) + ties / 2
        rng = self.generator(task, "signs", str(n))
        numbers |= {"low": low, "high": high, "p": comparisons.paired_p(between.mean, between.sd, n)}
        numbers["sd_difference"] = between.sd
        numbers |= _test_columns(comparisons.sign_flip(differences, rng, self.option("resamples")), "sign flips")
        numbers |= _probability_columns(share, comparisons.share_interval(share, n, level))
        notes = {"ties count half": ties > 0, "all differences are equal, so no t": between.sd == 0}
        return numbers | {"note": _notes(notes | {"runs whose partner has no value are left out": left_out})}


class _Moments(NamedTuple):
    mean: np.ndarray
    sd: np.ndarray


def _moments(values, within=0.0):
    """Return mean and SD of each row; the SD is exactly 0 where its values differ by at most ``within``."""
    rows, n = values.shape
    if n == 0:
        return _Moments(np.full(rows, np.nan), np.full(rows, np.nan))
    if n == 1:
        return _Moments(values[:, 0], np.full(rows, np.nan))
    return _Moments(values.mean(axis=1), np.where(np.ptp(values, axis=1) <= within, 0, values.std(axis=1, ddof=1)))


def _side_statistics(first, second, sign):
    raw = first.mean - second.mean
    pooled = np.sqrt((np.square(first.sd) + np.square(second.sd)) / 2)
    return {
        **{"mean": first.mean, "sd": first.sd, "mean_b": second.mean, "sd_b": second.sd, "sd_difference": np.nan},
        **{"difference_raw": raw, "difference": sign * raw},
        "effect": sign * raw / np.where(pooled > 0, pooled, np.nan),
    }


def _test_columns(test, kind):
    description = f"{kind}, {'all' if test.exact else 'random'} {test.arrangements}"
    return {"check_p_exact": test.p, "p_floor": test.floor, "exact": description}


def _probability_columns(share, ends):
    return {"probability": share, "probability_low": ends[0], "probability_high": ends[1]}


def _missing(reason):
    missing = ("effect", "low", "high", "p", "check_p_exact", "p_floor")
    missing += ("probability", "probability_low", "probability_high")
    return dict.fromkeys(missing, np.nan) | {"exact": "none", "note": reason}


def _notes(conditions):
    """Join, for each row, the notes whose condition holds. conditions: {note: (rows,) booleans}."""
    rows = zip(*conditions.values(), strict=True)
    return ["; ".join(text for text, holds in zip(conditions, row, strict=True) if holds) for row in rows]
