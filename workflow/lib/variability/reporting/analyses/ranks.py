"""How sure the ranking of models and methods on a task is."""

from typing import ClassVar, NamedTuple

import numpy as np

from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.results.columns import CELL, CELL_VALUE, RUN

#: So many candidates of a task, the best ones, have rows; all of them are ranked.
LISTED = 30
COLUMNS = [
    *(*CELL_VALUE, "primary", "mean", "study_rank", "rank", "probability"),
    *("expected_rank", "low", "high", "p_best", "candidates"),
    *("kendall_tau", "kendall_tau_low", "kendall_tau_high", "wrong_winner"),
    *("n", "n_failed", "n_undefined", "resampling", "estimator", "interval", "level", "ddof", "note"),
]


class Candidate(NamedTuple):
    """A model with a method on one task: seeds and scores of its completed runs; more is better."""

    model: str
    method: str
    seeds: np.ndarray
    scores: np.ndarray


class Ranks(Analysis):
    """Per task, the probability of every rank of a candidate (model, method) by the mean of the primary test metric.

    Bootstrap over seeds (Efron 1979), independently within every candidate; where the seed also drew the split, and
    alike for all candidates, the same seeds for all of them. As a bootstrap mean of n runs has a variance (n-1)/n
    times too small, its deviation from the mean is scaled by sqrt(n / (n-1)) (Davison & Hinkley 1997); at
    two or three runs it is still too sure of itself. low and high: percentile interval of the rank. Tied candidates
    share their ranks: each has every one of them with the same probability, and their mean as its rank. A candidate
    with a single run has no deviation and stays where it is.

    kendall_tau: mean, and percentile interval, of Kendall's tau-b (1945) between a replicate's ranking and the study's.
    wrong_winner: probability that a study with one of the runs of each candidate names another winner than the study
    of all of them, whose own winner may be wrong too; exact over all such studies, a tie drawn by lot.
    """

    REQUIRES = ("candidates",)
    CAPTION = (
        "Probability of every rank on a task, by bootstrap over seeds; how far rankings of such replicates agree with "
        "the study's (Kendall's tau-b); and how often a study with one seed per candidate names another winner."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}

    def table(self, tables):
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells

        shown = primary_rows.select(tables["runs"])
        # In one order, so that sums are the same to the last bit in whatever order the runs come.
        runs = shown.sort_values(RUN)
        cells = _cells.moments(runs)
        done = runs[runs["value"].notna()].groupby("task", sort=False)
        ranked = [self._task(task, of_task).merge(cells, on=CELL, validate="many_to_one") for task, of_task in done]
        lost = cells[cells["n"] == 0].assign(resampling="none", note="no completed run")
        table = _cells.stacked([*ranked, lost]).reindex(columns=COLUMNS)
        table["estimator"] = (
            f"shares of {self.option('resamples')} bootstrap replicates of the ranking by means, deviations scaled by "
            "sqrt(n / (n-1))"
        )
        table = table.assign(interval="bootstrap percentile", level=self.option("level"))
        return _cells.with_scope(table, shown, by=["task"])

    def _task(self, task, done):
        """One row per rank of a listed candidate, from the completed runs of a task."""
        import pandas as pd

        candidates, jointly = _candidates(done), _drawn_jointly(done)
        # Equal means differ in their last bits: what is equal to 12 digits is a tie.
        unit = max(np.abs(one.scores).max() for one in candidates) or 1.0
        means = np.array([[one.scores.mean() for one in candidates]])
        replicates = self._jointly(task, candidates) if jointly else self._one_by_one(task, candidates)
        (lowest,), (highest,) = _places(means / unit)
        study = (lowest + highest) / 2
        lowest, highest = _places(replicates / unit)
        ranks = (lowest + highest) / 2
        low, high = np.quantile(ranks, _ends(self.option("level")), axis=0)
        probability = _probabilities(lowest, highest)
        listed = np.argsort(study, kind="stable")[:LISTED]
        count = len(candidates)
        names = [(candidates[at].model, task, candidates[at].method) for at in listed]
        table = pd.DataFrame(names, columns=CELL).assign(
            study_rank=study[listed],
            expected_rank=ranks.mean(axis=0)[listed],
            low=low[listed],
            high=high[listed],
            p_best=probability[listed, 0],
            note=[_note(candidates[at], at, study, count) for at in listed],
        )
        table = table.loc[table.index.repeat(count)].assign(
            rank=np.tile(np.arange(1.0, count + 1), len(listed)), probability=probability[listed].ravel()
        )
        tau = _agreement(ranks, study, self.option("level"))
        best = np.flatnonzero(study == study.min())
        rounded = [one._replace(scores=np.round(one.scores / unit, 12)) for one in candidates]
        wrong = _wrong_winner_jointly(rounded, best) if jointly else _wrong_winner(rounded, best)
        return table.assign(
            candidates=count,
            **dict(zip(("kendall_tau", "kendall_tau_low", "kendall_tau_high"), tau, strict=True)),
            wrong_winner=wrong,
            resampling="the same seeds for all candidates" if jointly else "seeds within candidates",
        )

    def _one_by_one(self, task, candidates):
        """(resamples, candidates): replicates of the means, every candidate's own."""
        replicates = []
        for one in candidates:
            n, mean = len(one.scores), one.scores.mean()
            rng = self.generator(task, one.model, one.method)
            drawn = one.scores[rng.integers(0, n, (n, self.option("resamples")))].mean(axis=0)
            replicates.append(mean + _inflation(n) * (drawn - mean))
        return np.stack(replicates, axis=1)

    def _jointly(self, task, candidates):
        """(resamples, candidates): replicates of the means over seeds that are drawn for all candidates together.

        A candidate none of whose completed runs is drawn keeps its mean, as one with a single run does.
        """
        from variability.stats import resampling

        seeds = np.unique(np.concatenate([one.seeds for one in candidates]))
        deviations, present = np.zeros((2, len(seeds), len(candidates)))
        for at, one in enumerate(candidates):
            places = np.searchsorted(seeds, one.seeds)
            deviations[places, at] = one.scores - one.scores.mean()
            present[places, at] = 1
        counts = resampling.bootstrap_counts(self.generator(task), len(seeds), self.option("resamples"))
        moved = (counts @ deviations) / np.maximum(counts @ present, 1)
        means = np.array([one.scores.mean() for one in candidates])
        return means + np.array([_inflation(len(one.scores)) for one in candidates]) * moved


def _candidates(done):
    sign = 1.0 if bool(done["higher_is_better"].iloc[0]) else -1.0
    return [
        Candidate(*names, cell["seed"].to_numpy(), sign * cell["value"].to_numpy(dtype=float))
        for names, cell in done.groupby(["model", "method"])
    ]


def _drawn_jointly(done):
    """Whether the seed drew the split, and the same one for all candidates."""
    split = done["seed_split"]
    if split.isna().any() or (split == split.iloc[0]).all():
        return False
    return bool((split == split.groupby(done["seed"]).transform("first")).all())


def _inflation(n):
    return np.sqrt(n / (n - 1)) if n > 1 else 1.0


def _ends(level):
    return (1 - level) / 2, (1 + level) / 2


def _places(scores):
    """(rows, candidates), twice: the first and the last place that each candidate's score shares with its equals."""
    count = scores.shape[1]
    losses = np.round(-scores, 12)
    order = np.argsort(losses, axis=1, kind="stable")
    losses = np.take_along_axis(losses, order, axis=1)
    differs = np.ones((len(scores), count + 1), dtype=bool)
    differs[:, 1:-1] = losses[:, 1:] != losses[:, :-1]
    places = np.arange(1, count + 1)
    first = np.maximum.accumulate(np.where(differs[:, :-1], places, 0), axis=1)
    last = np.minimum.accumulate(np.where(differs[:, 1:], places, count)[:, ::-1], axis=1)[:, ::-1]
    back = np.argsort(order, axis=1, kind="stable")
    return np.take_along_axis(first, back, axis=1), np.take_along_axis(last, back, axis=1)


def _probabilities(lowest, highest):
    """(candidates, ranks): mean over rows of a candidate's share in each rank."""
    rows, count = lowest.shape
    own = np.arange(count) * (count + 1)
    share = (1 / (highest - lowest + 1)).ravel()
    begins = np.bincount((own + lowest - 1).ravel(), share, count * (count + 1))
    ends = np.bincount((own + highest).ravel(), share, count * (count + 1))
    found = np.cumsum((begins - ends).reshape(count, count + 1), axis=1)[:, :count] / rows
    # Sums of thirds leave traces of rounding.
    return np.clip(np.round(found, 12), 0, 1)


def _agreement(ranks, study, level):
    """Mean, low and high of Kendall's tau-b between each row of ranks and the study's; NaN where all are tied."""
    both, own, theirs = np.zeros(len(ranks)), np.zeros(len(ranks)), 0
    for at in range(len(study) - 1):
        here, there = np.sign(ranks[:, at + 1 :] - ranks[:, [at]]), np.sign(study[at + 1 :] - study[at])
        both += here @ there
        own += np.abs(here).sum(axis=1)
        theirs += np.abs(there).sum()
    known = own * theirs > 0
    if not known.any():
        return np.nan, np.nan, np.nan
    tau = both[known] / np.sqrt(own[known] * theirs)
    return tau.mean(), *np.quantile(tau, _ends(level))


def _wrong_winner(candidates, best):
    """Over all studies with one run per candidate: how often none of the best is named; a tie is drawn by lot.

    A value v wins against another candidate with probability F + zE, F and E being the shares of that one's values
    below v and equal to v, where z drawn from [0, 1] settles all ties at once. Given z, the others are independent;
    what is left is a polynomial in z, which Gauss-Legendre nodes integrate exactly.
    """
    nodes, weights = np.polynomial.legendre.leggauss(len(candidates) // 2 + 1)
    nodes, weights = (nodes + 1) / 2, weights / 2
    ordered = [np.sort(one.scores) for one in candidates]
    right = 0.0
    for winner in best:
        wins = np.ones((len(ordered[winner]), len(nodes)))
        for at, values in enumerate(ordered):
            if at != winner:
                below, upto = (np.searchsorted(values, ordered[winner], side) for side in ("left", "right"))
                wins *= (below[:, None] + np.outer(upto - below, nodes)) / len(values)
        right += (wins @ weights).mean()
    return float(np.clip(np.round(1 - right, 12), 0, 1))


def _wrong_winner_jointly(candidates, best):
    """The same over studies whose one seed all candidates share; one that failed with it is not in that study."""
    seeds = np.unique(np.concatenate([one.seeds for one in candidates]))
    right = []
    for seed in seeds:
        values = {at: one.scores[one.seeds == seed][0] for at, one in enumerate(candidates) if seed in one.seeds}
        named = [at for at, value in values.items() if value == max(values.values())]
        right.append(np.isin(named, best).mean())
    return float(1 - np.mean(right))


def _note(candidate, at, study, count):
    found = []
    if count == 1:
        found.append("the only candidate: nothing to rank")
    if len(candidate.scores) == 1:
        found.append("a single run: its mean is taken as exact")
    if (study == study[at]).sum() > 1:
        found.append("shares its rank in the study")
    if count > LISTED:
        found.append(f"the best {LISTED} of {count} candidates are listed")
    return "; ".join(found) or None
