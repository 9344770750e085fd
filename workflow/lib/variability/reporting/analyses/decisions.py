"""Decisions about the candidates of a task: which beats which, which may be the best, and which is it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import plural
from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.reporting.claims import MARGIN
from variability.reporting.equivalent_pairs import BEATS, NOT_TESTED, UNDECIDED

if TYPE_CHECKING:
    import pandas as pd

FEW_PAIRS = "fewer than two pairs of runs completed, which allows no comparison"
#: Parts of notes.
BOTH_DETERMINISTIC = (
    "both are deterministic, and no seed changes either: no test is needed; the noise of the test examples is in "
    "the tables noise_split and test_noise"
)
IMPLIED = "it beats a candidate that beats the other"
CONSTANTS = "comparison of two constants"
SEPARATE = "runs collapsed or are outlying in"
UNKNOWN_SIZES = (
    "each run has a split of its own, but n_train and n_test are not known: the test is not corrected for the overlap"
)
COLUMNS = [
    *("task", "model", "method", "model_b", "method_b", "decision", "split", "metric", "primary", "higher_is_better"),
    *("unit_length", "pairing", "difference", "low", "high", "mean", "mean_b", "sd", "sd_b", "sd_difference"),
    *("n", "n_b", "n_failed", "n_failed_b", "se", "t", "df", "test", "permuted", "p", "p_all_pairs", "p_best"),
    *("p_adjusted", "p_study", "tests", "family", "deterministic", "deterministic_b", "separate", "separate_b"),
    *("test_share", "margin", "margin_from", "p_tost", "p_not_worse", "p_not_worse_b", "p_equivalent", "n_more"),
    *("rank_low", "rank_high", "letters", "rank_low_b", "rank_high_b", "letters_b"),
    *("leader", "leader_method", "is_best", "ties_for_first", "not_compared", "candidates"),
    *("estimator", "interval", "level", "ddof", "resamples", "scope", "note"),
]


class Decisions(Analysis):
    """The one rule that decides which candidate of a task beats which; summary, claims and figures read this table.

    One row per two candidates (model and method) that have a value of the primary metric on the test split after
    fine-tuning; the first has the better mean. difference is oriented so that more is better.

    Statistic: Student's t of the pairs where runs are pairs (see ``pairwise``), otherwise Welch's (1947); against a
    deterministic candidate, whose value no seed changes, that of one sample; where each run has a split of its own,
    with the variance of Nadeau & Bengio (2003), for test_share = n_test / n_train. ``test`` names what decides the
    pair. Where a side is ``separate``, with runs that are far from its others (``run_flags.with_separate``), the
    distribution of the same t over all assignments of runs to the two sides replaces that of t (Janssen 1997; Chung &
    Romano 2013), if so few runs can show anything with it; unpaired runs also have to differ in rank (Brunner & Munzel
    2000) or in the share of such runs (Fisher's exact test), so p is the larger one. The choice is made by the runs
    within each candidate, not by how they compare. p_all_pairs is adjusted over all pairs of the task by step-down
    (Romano & Wolf 2005), with the largest statistic sampled by a parametric bootstrap that allows for unequal spreads
    and numbers of runs; rearranged pairs count as independent in it (Sidak 1967). p_best is for the leader, adjusted
    for the comparisons with the best (Hsu 1984, 1996), two-sided. A beats B (p_adjusted of at most 1 - level) if
    p_all_pairs is at most 1 - level; if A is the leader and all its p_best are; and if A beats a candidate that beats
    B. p_adjusted is the smallest of these that applies. So a best candidate beats each other one, and there is a best
    one if and only if a single candidate is not beaten by any; ties_for_first lists those that nobody beats. Candidates
    that cannot be compared with any other for lack of runs do not tie: not_compared lists them.

    Both are equivalent within ``margin`` (in the unit of the metric; margin_from: where it comes from) if p_equivalent
    is at most 1 - level: p_tost, the p-value of two one-sided t tests (Schuirmann 1987), adjusted over the pairs of the
    task by Holm's method. p_not_worse: of "the first is worse by the margin or more", adjusted in the same family;
    p_not_worse_b: of the same for the other. A candidate that beats another is not also decided to be equivalent.

    n_more: further seeds per side that would decide an undecided pair with a power of 80 % at the level of its family,
    if the difference is the observed one: they show it, or that both are equivalent, whichever takes fewer
    (``seeds_to_decide``). 0 where the pair is decided, 10,000 means this many or more.

    rank_low, rank_high: limits of each candidate's rank, from 1 + the number of candidates that beat it to the number
    of candidates - those that it beats: simultaneous confidence sets (Mogstad, Romano, Shaikh & Wilhelm 2024).
    Candidates with the same rank_low share that rank; none of them beats another. letters: compact letter display,
    two candidates have a common letter if and only if neither beats the other (Piepho 2004).

    The error rate is controlled task by task: any false ``beats`` of a task has a probability of at most 1 - level, and
    so has any false statement within the margin (equivalent, not worse), which are a family of their own.
    p_study is for statements about several tasks: p, adjusted by Holm's method (1979) over all pairs of all tasks.

    Two deterministic candidates are not tested: no seed changes either, so the one with the better value beats the
    other, with a p_adjusted of 0 and without p and interval; equal values tie. Like all decisions it holds
    for these test examples, whose noise is in ``test_noise``. It is no part of the families.

    low and high belong to the critical value at which the steps stop: the interval excludes 0 exactly where the first
    candidate beats the second. Without any spread, and with fewer than two runs, nothing is tested.
    """

    ROWS = "two models or methods with values of the primary metric on the same task"
    SUMMARISED = True
    CAPTION = (
        "Every two candidates of a task, the better mean first, and whether it beats the other: p-values and intervals "
        "are adjusted for all comparisons of the task; or whether both are equivalent within a margin. The best is "
        "one of the candidates that nobody beats; a single one is the best. Summary, claims and figures follow "
        "this table."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "margin": MARGIN,
        "resamples": RESAMPLES | {"minimum": 1000, "default": 10_000},
        "seed": SEED,
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells
        from variability.results import run_flags
        from variability.stats import comparisons

        runs = run_flags.with_separate(primary_rows.select(tables["runs"]), tables["runs"])
        tasks = runs[runs["value"].notna()].groupby("task", sort=False)["task"].first()
        parts = [part for task in tasks if len(part := self._of_task(task, runs[runs["task"] == task]))]
        if not parts:
            return pd.DataFrame(columns=COLUMNS)
        table = _cells.stacked(parts)
        table["p_study"] = comparisons.holm(table["p"])
        return _cells.with_scope(table, runs, by=["task"])[COLUMNS]

    def _of_task(self, task, runs):
        import pandas as pd

        from variability.reporting import equivalent_pairs, paired_cells
        from variability.results import metric_scales
        from variability.stats import shared_ranks, simultaneous

        cells = paired_cells.cells_of(runs).with_values()
        kinds, constant = paired_cells.kinds(cells), cells.facts.constant
        kinds[constant] = kinds[:, constant] = paired_cells.UNPAIRED
        shares = cells.facts.held_out
        facts = cells.facts._replace(held_out=np.nan_to_num(shares))
        sign = -1.0 if runs["higher_is_better"].iloc[0] in (False, 0) else 1.0
        result = simultaneous.decide(
            sign * cells.matrix,
            kinds != paired_cells.UNPAIRED,
            1 - self.option("level"),
            self.generator(task),
            self.option("resamples"),
            facts,
        )
        pairs, names = result.pairs, (cells.names["model"] + " (" + cells.names["method"] + ")").to_numpy()
        pairing, leader = kinds[pairs.a, pairs.b], result.order[0]
        compared = _compared(pairs, cells.n)
        ranks = shared_ranks.of_decisions(pairs.a, pairs.b, result.beats, result.order, compared)
        table = pd.DataFrame({"task": task, "pairing": pairing}, index=range(len(pairs.a)))
        for side, index, moments in zip(("", "_b"), (pairs.a, pairs.b), _moments(cells, pairs, pairing), strict=True):
            table[f"model{side}"], table[f"method{side}"] = (
                cells.names[key].to_numpy()[index] for key in ("model", "method")
            )
            table[f"n_failed{side}"] = cells.n_failed[index]
            table[f"deterministic{side}"] = constant[index]
            table[f"separate{side}"] = facts.separate[index].any(axis=1)
            table[f"mean{side}"], table[f"sd{side}"] = moments
            for key, of_candidates in ranks._asdict().items():
                table[f"{key}{side}"] = of_candidates[index]
        paired, tested = pairing != paired_cells.UNPAIRED, ~np.isnan(pairs.p) | result.beats | pairs.known
        decision = np.select([result.beats, tested], [BEATS, UNDECIDED], NOT_TESTED)
        tests = _tests(result, paired, facts)
        # A few equal runs do not show that there is no noise, so they have no interval of width 0.
        low, high = (np.where(pairs.constant, np.nan, end) for end in (result.low, result.high))
        table = table.assign(
            **{name: runs[name].iloc[0] for name in ("split", "metric", "primary", "higher_is_better")},
            **{"decision": decision, "difference": pairs.difference},
            **{"low": low, "high": high, "se": pairs.se, "t": pairs.t, "df": pairs.df, "p": result.p},
            **{"p_all_pairs": result.p_all, "p_best": result.p_best, "p_adjusted": result.p_adjusted},
            **{"n": pairs.n, "n_b": pairs.n_b, "tests": int(np.count_nonzero(~np.isnan(pairs.p)))},
            sd_difference=np.where(paired, pairs.se * np.sqrt(pairs.n), np.nan),
            family=f"task {task}: {plural(np.count_nonzero(~np.isnan(pairs.p)), 'pair')} of candidates",
            **{"leader": cells.names["model"].iloc[leader], "leader_method": cells.names["method"].iloc[leader]},
            unit_length=metric_scales.length(runs.iloc[:1]).iloc[0],
            is_best=result.best,
            ties_for_first="; ".join(names[index] for index in result.order if (result.first & compared)[index]),
            not_compared="; ".join(names[index] for index in result.order if not compared[index]),
            candidates=len(names),
            estimator=np.where(paired, "mean of differences of pairs: " + pairing, "difference of means, unpaired"),
            **{"permuted": result.permuted, "test": tests},
            interval=np.where(pairs.known, "none", tests + ", adjusted"),
            test_share=np.where(np.isnan(pairs.p), np.nan, np.maximum(shares[pairs.a], shares[pairs.b])),
            **{"level": self.option("level"), "ddof": 1, "resamples": result.resamples},
            note=_notes(result, names, cells),
        )
        return equivalent_pairs.decided(table, self.option("margin"), self.options.get("margins", {}))


def _compared(pairs, n):
    """Return which candidates can be compared with any other, which takes two runs or a constant: (candidates,)."""
    compared = np.zeros(len(n), dtype=bool)
    enough = (np.minimum(pairs.n, pairs.n_b) >= 2) | ~np.isnan(pairs.p) | pairs.constant
    compared[pairs.a[enough]] = compared[pairs.b[enough]] = True
    return compared


def _tests(result, paired, facts):
    """Return the name of the test that decides each pair."""
    pairs = result.pairs
    constant = facts.constant[pairs.a] | facts.constant[pairs.b]
    own_split = (facts.held_out[pairs.a] > 0) | (facts.held_out[pairs.b] > 0)
    t = np.select([paired, constant], ["paired t", "one-sample t"], "Welch t").astype(object)
    t = np.where(own_split, t + ", corrected for overlapping splits", t)
    permuted = np.where(paired, "studentised sign flips", "studentised permutation")
    return np.select([pairs.known, result.permuted], [CONSTANTS, permuted], t)


def _moments(cells, pairs, pairing):
    """Return (mean, SD) of both sides of each pair, over the runs that the pair is based on."""
    from variability.reporting import paired_cells

    missing = np.isnan(cells.matrix)
    unpaired = (pairing == paired_cells.UNPAIRED)[:, None]
    left_out = (missing[pairs.a] | missing[pairs.b]) & ~unpaired
    return [_of_rows(np.where(left_out, np.nan, cells.matrix[index])) for index in (pairs.a, pairs.b)]


def _of_rows(values):
    """Return mean and SD (ddof 1) of each row, NaN with too few values."""
    import pandas as pd

    from variability.stats import rounding

    rows = pd.DataFrame(values).T
    mean = rows.mean()
    equal = rounding.is_rounding(rows.max() - rows.min(), mean)
    return mean.to_numpy(), rows.std(ddof=1).mask(equal, 0.0).where(rows.count() > 1)


def _notes(result, names, cells):
    from variability.reporting.claims import NO_SPREAD

    pairs = result.pairs
    direct = np.fmin(result.p_all, np.where(result.best, result.p_best, np.nan)) <= result.p_adjusted
    few = [_too_few(names, cells.n, *pair) for pair in zip(pairs.a, pairs.b, strict=True)]
    untested = np.select([result.beats, pairs.constant, np.isnan(pairs.p)], ["", NO_SPREAD, few], "")
    notes = np.select([pairs.known, result.beats & ~direct], [BOTH_DETERMINISTIC, IMPLIED], untested)
    tested = [_of_tested(result, names, cells.facts, row) for row in range(len(pairs.a))]
    texts = ["; ".join(filter(None, [note, *more])) for note, more in zip(notes, tested, strict=True)]
    return np.array(texts, dtype=object)


def _of_tested(result, names, facts, row):
    """Yield what a reader has to know of the test of a pair."""
    a, b = result.pairs.a[row], result.pairs.b[row]
    if np.isnan(result.pairs.p[row]):
        return
    if result.separate[row]:
        sides = [names[index] for index in (a, b) if facts.separate[index].any()]
        test = "decided by rearranging the runs" if result.permuted[row] else "so few runs that only t can decide"
        yield f"{SEPARATE} {' and '.join(sides)}: {test}"
    if np.isnan(facts.held_out[[a, b]]).any():
        yield UNKNOWN_SIZES


def _too_few(names, n, a, b):
    """Return why too few runs of two candidates allow no comparison."""
    from variability.reporting.claims import ONE_RUN

    if max(n[a], n[b]) < 2:
        return ONE_RUN
    single = names[a if n[a] < n[b] else b]
    return f"{single} has a single run, which allows no comparison" if min(n[a], n[b]) < 2 else FEW_PAIRS
