"""Uncertainty of the ranking of models and methods on a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from variability.advice import plural
from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.reporting.claims import ONE_RUN
from variability.results.columns import CANDIDATE, CELL, CELL_VALUE, RUN

if TYPE_CHECKING:
    import pandas as pd

#: Largest number of candidates of a task with rows, the best ones; all of them are ranked.
LISTED = 30
SHIFTED = "the percentile interval of the rank is widened to the rank in the study, which it would exclude"
_AGREEMENT = ("same_order", "kendall_tau", "kendall_tau_low", "kendall_tau_high")
COLUMNS = [
    *(*CELL_VALUE, "primary", "mean", "study_rank", "rank", "probability"),
    *("median_rank", "low", "high", "check_p_best", "candidates"),
    *("same_order", "kendall_tau", "kendall_tau_low", "kendall_tau_high", "wrong_winner"),
    *("n", "n_failed", "n_undefined", "resampling", "estimator", "interval", "level", "ddof", "note"),
]


class Candidate(NamedTuple):
    """A model with a method on one task: seeds and scores of its completed runs; larger scores are better."""

    model: str
    method: str
    seeds: np.ndarray
    scores: np.ndarray


class Ranks(Analysis):
    """Per task, the probability of every rank of a candidate (model, method) by the mean of the primary test metric.

    Bootstrap over seeds (Efron 1979), independently within every candidate; if runs of equal seeds are pairs for all
    candidates (the same splits, or ``pairing: seed``), the same seeds for all of them. Because the bootstrap mean of n
    runs has a variance that is too small by (n-1)/n, its deviation from the mean is scaled by sqrt(n / (n-1)) (Davison
    & Hinkley 1997); with two or three runs it is still overconfident. Tied candidates share their ranks: each has every
    one of them with the same probability, and their mean as its rank. A candidate with a single run has no deviation
    and keeps its rank; if all have a single run, nothing can be resampled.

    median_rank, low and high: median and percentile interval of the rank over replicates. The interval is widened to
    study_rank where it would exclude it: a candidate with little spread that is just ahead of many that vary comes
    behind one of them in nearly every replicate, as the best of many varying means is too high.

    same_order: share of the replicates with the study's ranking. kendall_tau: median, and percentile interval, of
    Kendall's tau-b (1945) between the ranking of a replicate and that of the study. A mean would not do: tau is at most
    1, and where 98 % of the replicates have the study's ranking, the interval is the point 1 and the mean below it.
    wrong_winner: probability that a study with one of the runs of each candidate names another winner than
    the study of all of them, whose winner may be wrong as well; exact over all such studies, with ties broken at
    random.
    """

    REQUIRES = ("candidates",)
    CAPTION = (
        "Probability of every rank on a task, by bootstrap over seeds; the agreement of the rankings of "
        "replicates with that of the study (Kendall's tau-b); and how often a study with one seed per candidate names "
        "another winner. A check of the decisions, which are in the table decisions."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells

        primary = primary_rows.select(tables["runs"])
        # A fixed order, so that sums do not depend on the order of the runs, to the last bit.
        runs = primary.sort_values(RUN)
        cells = _cells.moments(runs)
        completed = runs[runs["value"].notna()].groupby("task", sort=False)
        ranked = [
            self._task(task, of_task).merge(cells, on=CELL, validate="many_to_one") for task, of_task in completed
        ]
        without_runs = cells[cells["n"] == 0].assign(resampling="none", note="no completed run")
        table = _cells.stacked([*ranked, without_runs]).reindex(columns=COLUMNS)
        table["estimator"] = (
            f"shares of {self.option('resamples')} bootstrap replicates of the ranking by means, deviations scaled by "
            "sqrt(n / (n-1))"
        )
        table = table.assign(interval="bootstrap percentile", level=self.option("level"))
        return _cells.with_scope(table, primary, by=["task"])

    def _task(self, task, completed):
        """Return one row per rank of a listed candidate, from the completed runs of a task."""
        import pandas as pd

        from variability.reporting import paired_cells

        candidates, jointly = _candidates(completed), paired_cells.shared_by_all(completed)
        # Equal means may differ in their last bits: values that are equal to 12 digits are ties.
        unit = max(np.abs(one.scores).max() for one in candidates) or 1.0
        means = np.array([[one.scores.mean() for one in candidates]])
        replicates = self._jointly(task, candidates) if jointly else self._independently(task, candidates)
        (lowest,), (highest,) = _rank_ranges(means / unit)
        study = (lowest + highest) / 2
        lowest, highest = _rank_ranges(replicates / unit)
        ranks = (lowest + highest) / 2
        low, median, high = np.quantile(ranks, _quantiles(self.option("level")), axis=0)
        probability = _probabilities(lowest, highest)
        shifted = (study < low) | (study > high)
        listed = np.argsort(study, kind="stable")[:LISTED]
        count = len(candidates)
        names = [(candidates[index].model, task, candidates[index].method) for index in listed]
        table = pd.DataFrame(names, columns=CELL).assign(
            study_rank=study[listed],
            median_rank=median[listed],
            low=np.minimum(low, study)[listed],
            high=np.maximum(high, study)[listed],
            check_p_best=probability[listed, 0],
            note=[_note(candidates[index], index, study, shifted[index]) for index in listed],
        )
        table = table.loc[table.index.repeat(count)].assign(
            rank=np.tile(np.arange(1.0, count + 1), len(listed)), probability=probability[listed].ravel()
        )
        tau = _agreement(ranks, study, self.option("level"))
        best = np.flatnonzero(study == study.min())
        rounded = [one._replace(scores=np.round(one.scores / unit, 12)) for one in candidates]
        wrong_winner = _wrong_winner_jointly(rounded, best) if jointly else _wrong_winner(rounded, best)
        table = table.assign(
            candidates=count,
            **dict(zip(_AGREEMENT, tau, strict=True)),
            wrong_winner=wrong_winner,
            resampling="the same seeds for all candidates" if jointly else "seeds within candidates",
        )
        if count > 1 and max(len(one.scores) for one in candidates) < 2:
            numbers = ["probability", "median_rank", "low", "high", "check_p_best", *_AGREEMENT, "wrong_winner"]
            return table.assign(**dict.fromkeys(numbers, np.nan), resampling="none", note=ONE_RUN)
        return table

    def _independently(self, task, candidates):
        """Return (resamples, candidates) replicates of the means, independent between candidates."""
        replicates = []
        for one in candidates:
            n, mean = len(one.scores), one.scores.mean()
            rng = self.generator(task, one.model, one.method)
            means = one.scores[rng.integers(0, n, (n, self.option("resamples")))].mean(axis=0)
            replicates.append(mean + _inflation(n) * (means - mean))
        return np.stack(replicates, axis=1)

    def _jointly(self, task, candidates):
        """Return (resamples, candidates) replicates of the means over seeds that all candidates share.

        A candidate without a completed run among the sampled seeds keeps its mean, like one with a single run.
        """
        from variability.stats import resampling

        seeds = np.unique(np.concatenate([one.seeds for one in candidates]))
        deviations, present = np.zeros((2, len(seeds), len(candidates)))
        for column, one in enumerate(candidates):
            rows = np.searchsorted(seeds, one.seeds)
            deviations[rows, column] = one.scores - one.scores.mean()
            present[rows, column] = 1
        counts = resampling.bootstrap_counts(self.generator(task), len(seeds), self.option("resamples"))
        moved = (counts @ deviations) / np.maximum(counts @ present, 1)
        means = np.array([one.scores.mean() for one in candidates])
        return means + np.array([_inflation(len(one.scores)) for one in candidates]) * moved


def _candidates(completed):
    sign = 1.0 if bool(completed["higher_is_better"].iloc[0]) else -1.0
    return [
        Candidate(*names, cell["seed"].to_numpy(), sign * cell["value"].to_numpy(dtype=float))
        for names, cell in completed.groupby(CANDIDATE)
    ]


def _inflation(n):
    return np.sqrt(n / (n - 1)) if n > 1 else 1.0


def _quantiles(level):
    """Return the probabilities of the ends of the interval, with that of the median between them."""
    return (1 - level) / 2, 0.5, (1 + level) / 2


def _rank_ranges(scores):
    """Return the first and the last rank that each score shares with its ties, (rows, candidates) each."""
    count = scores.shape[1]
    losses = np.round(-scores, 12)
    order = np.argsort(losses, axis=1, kind="stable")
    losses = np.take_along_axis(losses, order, axis=1)
    differs = np.ones((len(scores), count + 1), dtype=bool)
    differs[:, 1:-1] = losses[:, 1:] != losses[:, :-1]
    ranks = np.arange(1, count + 1)
    first = np.maximum.accumulate(np.where(differs[:, :-1], ranks, 0), axis=1)
    last = np.minimum.accumulate(np.where(differs[:, 1:], ranks, count)[:, ::-1], axis=1)[:, ::-1]
    original_order = np.argsort(order, axis=1, kind="stable")
    return np.take_along_axis(first, original_order, axis=1), np.take_along_axis(last, original_order, axis=1)


def _probabilities(lowest, highest):
    """Return (candidates, ranks): mean over rows of a candidate's share in each rank."""
    rows, count = lowest.shape
    offset = np.arange(count) * (count + 1)
    share = (1 / (highest - lowest + 1)).ravel()
    begins = np.bincount((offset + lowest - 1).ravel(), share, count * (count + 1))
    ends = np.bincount((offset + highest).ravel(), share, count * (count + 1))
    shares = np.cumsum((begins - ends).reshape(count, count + 1), axis=1)[:, :count] / rows
    # Sums of thirds have rounding errors.
    return np.clip(np.round(shares, 12), 0, 1)


def _agreement(ranks, study, level):
    """Return the agreement between each row of ranks and the study's ranks.

    That is the share of rows with the same order, and median, low and high of Kendall's tau-b; NaN where all are tied.
    """
    concordance, untied, untied_study = np.zeros(len(ranks)), np.zeros(len(ranks)), 0
    for first in range(len(study) - 1):
        signs, study_signs = (
            np.sign(ranks[:, first + 1 :] - ranks[:, [first]]),
            np.sign(study[first + 1 :] - study[first]),
        )
        concordance += signs @ study_signs
        untied += np.abs(signs).sum(axis=1)
        untied_study += np.abs(study_signs).sum()
    known = untied * untied_study > 0
    if not known.any():
        return np.nan, np.nan, np.nan, np.nan
    tau = np.round(concordance[known] / np.sqrt(untied[known] * untied_study), 12)
    low, median, high = np.quantile(tau, _quantiles(level))
    return (tau == 1).mean(), median, low, high


def _wrong_winner(candidates, best):
    """Return how often a study with one run per candidate names none of the best; ties are broken at random.

    A value v wins against another candidate with probability F + zE, where F and E are the shares of that candidate's
    values below v and equal to v, and z, uniform in [0, 1], breaks all ties at once. Given z, the others are
    independent; the result is a polynomial in z, which Gauss-Legendre nodes integrate exactly.
    """
    nodes, weights = np.polynomial.legendre.leggauss(len(candidates) // 2 + 1)
    nodes, weights = (nodes + 1) / 2, weights / 2
    ordered = [np.sort(one.scores) for one in candidates]
    right = 0.0
    for winner in best:
        wins = np.ones((len(ordered[winner]), len(nodes)))
        for other, values in enumerate(ordered):
            if other != winner:
                below, at_most = (np.searchsorted(values, ordered[winner], side) for side in ("left", "right"))
                wins *= (below[:, None] + np.outer(at_most - below, nodes)) / len(values)
        right += (wins @ weights).mean()
    return _share(1 - right)


def _wrong_winner_jointly(candidates, best):
    """Return the same over studies whose one seed all candidates share; failed runs are not in their study."""
    seeds = np.unique(np.concatenate([one.seeds for one in candidates]))
    right = []
    for seed in seeds:
        values = {i: one.scores[one.seeds == seed][0] for i, one in enumerate(candidates) if seed in one.seeds}
        named = [i for i, value in values.items() if value == max(values.values())]
        right.append(np.isin(named, best).mean())
    return _share(1 - np.mean(right))


def _share(value):
    """Return a share that rounding may have moved out of [0, 1], or to a negative zero."""
    return max(0.0, min(float(np.round(value, 12)), 1.0))


def _note(candidate, index, study, shifted):
    notes, count = [], len(study)
    if count == 1:
        notes.append("the only candidate: nothing to rank")
    if len(candidate.scores) == 1:
        notes.append("a single run: its mean is taken as exact")
    if (study == study[index]).sum() > 1:
        notes.append("shares its rank in the study")
    if shifted:
        notes.append(SHIFTED)
    if count > LISTED:
        notes.append(f"the best {LISTED} of {plural(count, 'candidate')} are listed")
    return "; ".join(notes) or None
