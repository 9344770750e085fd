"""Which candidates differ on a task, by how much, and how sure that is."""

from typing import ClassVar, NamedTuple

import numpy as np

from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis

COLUMNS = [
    *("task", "model", "method", "model_b", "method_b", "split", "metric", "primary", "higher_is_better", "pairing"),
    *("difference", "low", "high", "difference_raw", "effect", "mean", "mean_b", "sd", "sd_b", "sd_difference"),
    *("n", "n_b", "n_failed", "n_failed_b", "p", "p_adjusted", "family", "p_exact", "p_floor", "exact"),
    *("probability", "probability_low", "probability_high", "probability_interval", "gamma", "verdict", "noether_n"),
    *("estimator", "interval", "level", "ddof", "seed_resampling", "scope", "note"),
]
TOO_FEW = "too few runs for the exact test to find anything at this level"
#: Differences that vary by no more than this share of the values do so by rounding.
ROUNDING = 1e-12


class Pairwise(Analysis):
    """All pairs of cells of a task, A and B, on its primary metric (test split, after fine-tuning).

    difference, low, high, effect and probability are turned so that more is better for A: a loss has its sign changed.
    difference_raw is mean - mean_b in the metric's own sign. n and n_b are the runs that the row rests on;
    sd_difference is the SD of the differences of pairs, which says what pairing gained.

    Runs are pairs where they share what makes them vary: those of one network under two methods, with equal streams;
    and those of two networks where the split of the data varies from seed to seed and is the same for both. Equal
    seeds of different networks are otherwise no pairs, and those of imported runs only where the option ``paired``
    says so (within one import). Where some run of the smaller cell has no partner, the cells count as unpaired.

    p, low, high: paired t (Student 1908) or Welch (1947). p_exact: sign flips of the paired differences (Fisher 1935)
    or permutation of the labels (Pitman 1937), enumerated where possible (see ``exact``), else Monte Carlo;
    p_floor is the least it could be. effect: difference / sqrt((sd^2 + sd_b^2) / 2), Cohen's d without Hedges'
    correction, which would take off 10 % at 5 against 5. probability: P(A better than B), ties half, over all pairs
    of runs with Newcombe's interval (2006, part 2, method 5), or over the true pairs with that of Clopper & Pearson
    (1934), which never calls significant what the sign test does not. verdict: Bouthillier et al. (2021) at ``gamma``,
    with these intervals in place of their bootstrap, which has no width where the runs separate completely; noether_n:
    runs of each that such a verdict asks for, with alpha = beta = 1 - level. p_adjusted: Holm (1979), the p of a task
    being one family; verdicts are not adjusted, and need a p_floor that reaches 1 - level.

    Without any spread t is not defined and p missing, since no spread in a few runs does not say that there is none;
    p_exact and probability stand.
    """

    CAPTION = (
        "Every two candidates of a task: difference of their means with t interval (paired where runs are truly "
        "pairs, else Welch), an exact test, Holm's adjustment over the task, and the probability that a run of one "
        "is better than a run of the other, with a verdict on whether that matters."
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
            "description": "whether imported runs with equal seeds are pairs (the same folds, say)",
        },
        "resamples": RESAMPLES,
        "seed": SEED,
    }

    def table(self, tables):
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
        from variability.reporting.analyses import _pairing
        from variability.stats import comparisons, sample_size

        cells = _pairing.cells_of(runs, self.option("paired"))
        a, b = np.triu_indices(len(cells.names), 1)
        higher = runs["higher_is_better"].iloc[0]
        table = self._reckoned(task, cells, a, b, sign=-1.0 if higher in (False, 0) else 1.0)
        if table.empty:
            return table
        level, gamma = self.option("level"), self.option("gamma")
        for side, at in (("", a), ("_b", b)):
            names = cells.names.iloc[at].set_axis(table.index)
            table[f"model{side}"], table[f"method{side}"] = names["model"], names["method"]
            table[f"n_failed{side}"] = cells.n_failed[at]
        table["p_adjusted"] = comparisons.holm(table["p"])
        table["verdict"] = comparisons.verdicts(table["probability_low"], table["probability_high"], gamma)
        # At 3 against 3 the interval at complete separation excludes 1/2, and the exact test cannot go below 0.1.
        too_few = table["p_floor"] > 1 - level
        table["verdict"] = table["verdict"].mask(too_few, comparisons.NOT_SIGNIFICANT)
        table["note"] = table["note"].mask(too_few, TOO_FEW + ("; " + table["note"]).where(table["note"] != "", ""))
        return table.assign(
            task=task,
            **{name: runs[name].iloc[0] for name in ("split", "metric", "primary", "higher_is_better")},
            family=f"task {task}: {table['p'].count()} pairs of candidates",
            gamma=gamma,
            noether_n=sample_size.for_probability_of_better(gamma, 1 - level, 1 - level),
            level=level,
            ddof=1,
            seed_resampling=self.option("seed"),
        )

    def _reckoned(self, task, cells, a, b, sign):
        """The numbers of all pairs of cells (a[i], b[i]), those of equally many runs together."""
        import pandas as pd

        from variability.reporting.analyses import _pairing

        kinds, both = _pairing.partners(cells, a, b)
        unpaired = kinds == _pairing.UNPAIRED
        both &= ~np.isnan(cells.matrix[a]) & ~np.isnan(cells.matrix[b])
        n, n_b = (np.where(unpaired, cells.n[side], both.sum(axis=1)) for side in (a, b))
        shape = pd.DataFrame({"kind": kinds, "n": n, "n_b": n_b})
        parts = []
        for (kind, n, n_b), group in shape.groupby(["kind", "n", "n_b"]):
            at = group.index.to_numpy()
            if kind == _pairing.UNPAIRED:
                part = self._unpaired(task, cells.packed[a[at], :n], cells.packed[b[at], :n_b], sign)
            else:
                values, values_b = (cells.matrix[side[at]][both[at]].reshape(len(at), n) for side in (a, b))
                left_out = (cells.n[a[at]] > n) | (cells.n[b[at]] > n)
                part = self._paired(task, values, values_b, sign, kind, left_out)
            parts.append(pd.DataFrame(part | {"pairing": kind, "n": n, "n_b": n_b}, index=at))
        return pd.concat(parts).sort_index() if parts else shape

    def _unpaired(self, task, values, values_b, sign):
        from variability.stats import comparisons, intervals

        n, n_b, level = values.shape[1], values_b.shape[1], self.option("level")
        own, other = _moments(values), _moments(values_b)
        found = _sides(own, other, sign) | {
            "estimator": "difference of means, unpaired",
            "interval": "Welch t",
            "probability_interval": "Newcombe 2006, method 5",
        }
        if min(n, n_b) < 2:
            return found | _nothing("fewer than two completed runs of one of them")
        low, high = intervals.welch_interval(sign * own.mean, own.sd, n, sign * other.mean, other.sd, n_b, level)
        share, ties = comparisons.superiority(sign * values, sign * values_b)
        rng = self.generator(task, "labels", str(n), str(n_b))
        test = comparisons.permutation(values, values_b, rng, self.option("resamples"))
        found |= {"low": low, "high": high}
        found |= {"p": comparisons.welch_p(own.mean, own.sd, n, other.mean, other.sd, n_b)}
        found |= _tested(test, "label permutations")
        found |= _probability(share, comparisons.superiority_interval(share, n, n_b, level))
        still = (own.sd == 0) & (other.sd == 0)
        return found | {"note": _notes({"ties count half": ties > 0, "no spread in either, so no t": still})}

    def _paired(self, task, values, values_b, sign, kind, left_out):
        from variability.stats import comparisons, intervals

        n, level = values.shape[1], self.option("level")
        own, other = _moments(values), _moments(values_b)
        found = _sides(own, other, sign) | {
            "estimator": f"mean of differences of pairs: {kind}",
            "interval": "t, of paired differences",
            "probability_interval": "Clopper-Pearson, of pairs",
        }
        if n < 2:
            return found | _nothing("fewer than two pairs of completed runs")
        differences = sign * (values - values_b)
        between = _moments(differences, within=ROUNDING * np.abs(values).max(axis=1))
        low, high = intervals.t_interval(found["difference"], between.sd, n, level)
        ties = (differences == 0).mean(axis=1)
        share = (differences > 0).mean(axis=1) + ties / 2
        rng = self.generator(task, "signs", str(n))
        found |= {"low": low, "high": high, "p": comparisons.paired_p(between.mean, between.sd, n)}
        found["sd_difference"] = between.sd
        found |= _tested(comparisons.sign_flip(differences, rng, self.option("resamples")), "sign flips")
        found |= _probability(share, comparisons.share_interval(share, n, level))
        said = {"ties count half": ties > 0, "all differences are equal, so no t": between.sd == 0}
        return found | {"note": _notes(said | {"runs whose partner has no value are left out": left_out})}


class _Moments(NamedTuple):
    mean: np.ndarray
    sd: np.ndarray


def _moments(values, within=0.0):
    """Of each row; the SD is exactly 0 where a row's values differ by no more than ``within``."""
    rows, n = values.shape
    if n == 0:
        return _Moments(np.full(rows, np.nan), np.full(rows, np.nan))
    if n == 1:
        return _Moments(values[:, 0], np.full(rows, np.nan))
    return _Moments(values.mean(axis=1), np.where(np.ptp(values, axis=1) <= within, 0, values.std(axis=1, ddof=1)))


def _sides(own, other, sign):
    raw = own.mean - other.mean
    pooled = np.sqrt((np.square(own.sd) + np.square(other.sd)) / 2)
    return {
        **{"mean": own.mean, "sd": own.sd, "mean_b": other.mean, "sd_b": other.sd, "sd_difference": np.nan},
        **{"difference_raw": raw, "difference": sign * raw},
        "effect": sign * raw / np.where(pooled > 0, pooled, np.nan),
    }


def _tested(test, what):
    said = f"{what}, {'all' if test.exact else 'random'} {test.arrangements}"
    return {"p_exact": test.p, "p_floor": test.floor, "exact": said}


def _probability(share, ends):
    return {"probability": share, "probability_low": ends[0], "probability_high": ends[1]}


def _nothing(why):
    missing = ("effect", "low", "high", "p", "p_exact", "p_floor")
    missing += ("probability", "probability_low", "probability_high")
    return dict.fromkeys(missing, np.nan) | {"exact": "none", "note": why}


def _notes(said):
    """For each row the texts whose condition holds."""
    rows = zip(*said.values(), strict=True)
    return ["; ".join(text for text, holds in zip(said, row, strict=True) if holds) for row in rows]
