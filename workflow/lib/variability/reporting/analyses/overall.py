"""Decisions about the candidates over all tasks together: which beats which, shared ranks, and which is the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import plural
from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.reporting.claims import MARGIN
from variability.reporting.equivalent_pairs import (
    BEATS,
    DECLARED,
    EQUIVALENT,
    NOT_TESTED,
    OF_LENGTH,
    OF_MEAN,
    UNDECIDED,
    WITHIN,
)

if TYPE_CHECKING:
    import pandas as pd

#: Value of the column ``over``.
ALL_TASKS = "all tasks"
NO_TASK = "no task has both"
TOO_FEW = "too few tasks to show any difference: even if one candidate is better on all of them, p is"
TOO_MANY = "ahead on all of them, but too few tasks for so many candidates"
COLUMNS = [
    *("over", "model", "method", "model_b", "method_b", "decision", "unit", "difference", "low", "high", "se"),
    *("wins", "ties", "losses", "n_tasks", "n", "n_b", "n_failed", "n_failed_b"),
    *("p", "p_floor", "p_all_pairs", "check_p_holm", "p_best", "p_adjusted", "tests", "family"),
    *("margin", "margin_from", "p_one_sided", "p_one_sided_b", "p_tost"),
    *("p_not_worse", "p_not_worse_b", "p_equivalent"),
    *("rank_low", "rank_high", "letters", "rank_low_b", "rank_high_b", "letters_b"),
    *("leader", "leader_method", "is_best", "ties_for_first", "candidates", "tasks", "groups", "all_tasks", "left_out"),
    *("estimator", "interval", "level", "ddof", "resamples", "scope", "note"),
]


class Overall(Analysis):
    """The rule of ``decisions`` for all tasks together: one row per two candidates, the first of them ahead.

    The unit is the task; tasks of one ``group`` count once, with the mean of their differences. difference: mean over
    tasks of the difference of the two means over completed runs (primary metric, test split, after fine-tuning; more is
    better), in ``unit``. low, high: t interval of it over tasks and seeds, not adjusted: the spread between tasks
    contains the noise of their own runs; what a seed has in common on several tasks is added, estimated from the seeds
    that completed everywhere. wins, ties, losses: tasks on which the first candidate's mean is better, equal, worse.

    p: Wilcoxon's signed-rank test (1945) of the differences, exact up to 50 tasks, zeros as Pratt (1959). p_all_pairs:
    adjusted over all pairs by step-down, where the signs of a task's differences are flipped together (Romano & Wolf
    2005); check_p_holm: by Holm's method, which needs more tasks. p_best: of the leader, adjusted for the comparisons
    with the best (Hsu 1984). A beats B by the rule of ``decisions``, if mean and signed ranks have one direction.
    p_floor: smallest p that this number of tasks can give. With fewer than FEWEST tasks there is no interval.

    Equivalence within ``margin``, in ``unit``: p_tost is the smallest level whose one-sided intervals, as above, do not
    contain the margin, on both sides (p_one_sided: of one); the others are adjusted as in ``decisions``.

    rank_low, rank_high: limits of each candidate's rank over tasks, 1 + the number of candidates that beat it and the
    number of candidates - those that it beats (Mogstad et al. 2024). letters: candidates with a common letter do not
    beat each other (Piepho 2004).

    tasks: those that all of the ``candidates`` have, of the ``all_tasks`` of the study, as ``stats.complete_tables``
    selects them. A candidate that lacks one has a row in the end: the one that is ahead against it, on the tasks that
    both have, without tests and without a rank.
    """

    REQUIRES = ("tasks", "candidates")
    SUMMARISED = True
    CAPTION = (
        "Every two candidates over all tasks: mean difference with interval, wins and losses, and whether one beats "
        "the other by the signed-rank test of the tasks' differences, adjusted for all pairs. Ranks are shared as far "
        "as nobody beats anybody."
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
        from variability.reporting.analyses import _all_tasks, _cells, _not_ranked
        from variability.stats import over_tasks, shared_ranks

        runs = primary_rows.select(tables["runs"])
        every = None if runs.empty else _all_tasks.collect(runs)
        if every is None:
            return pd.DataFrame(columns=COLUMNS)
        alpha = 1 - self.option("level")
        rng = self.generator(ALL_TASKS)
        result = over_tasks.decide(every.differences, alpha, rng, self.option("resamples"))
        if not len(result.a):
            return pd.DataFrame(columns=COLUMNS)
        names = (every.names["model"] + " (" + every.names["method"] + ")").to_numpy()
        pairs = (result.a, result.b, result.n, result.se)
        half = _all_tasks.half_widths(every, *pairs, 0.5 + self.option("level") / 2)
        tests = int(np.count_nonzero(~np.isnan(result.p)))
        leader, groups = result.order[0], every.differences.shape[2]
        table = pd.DataFrame({"over": ALL_TASKS}, index=range(len(result.a)))
        compared = np.isin(np.arange(len(names)), [result.a[result.n > 0], result.b[result.n > 0]])
        ranks = shared_ranks.of_decisions(result.a, result.b, result.beats, result.order, compared)
        counts = _all_tasks.counts_of_runs(runs, every.tasks, every.names)
        for side, index in (("", result.a), ("_b", result.b)):
            for key in ("model", "method"):
                table[f"{key}{side}"] = every.names[key].to_numpy()[index]
            table[f"n{side}"], table[f"n_failed{side}"] = (counts[key].to_numpy()[index] for key in ("n", "n_failed"))
            for key, of_candidates in ranks._asdict().items():
                table[f"{key}{side}"] = np.asarray(of_candidates)[index]
        tested = ~np.isnan(result.p) | result.beats
        keys = ("difference", "se", "wins", "ties", "losses", "p", "p_floor", "p_best", "p_adjusted")
        table = table.assign(
            decision=np.select([result.beats, tested], [BEATS, UNDECIDED], NOT_TESTED),
            **{key: getattr(result, key) for key in keys},
            **{"p_all_pairs": result.p_all, "check_p_holm": result.p_holm, "n_tasks": result.n},
            **{"low": result.difference - half, "high": result.difference + half},
            **{"tests": tests, "family": f"{ALL_TASKS}: {tests} pairs of candidates", "unit": every.unit},
            **{"leader": every.names["model"].iloc[leader], "leader_method": every.names["method"].iloc[leader]},
            **{"is_best": result.best, "candidates": len(names), "tasks": len(every.tasks), "groups": groups},
            **{"all_tasks": every.all_tasks, "left_out": every.left_out},
            ties_for_first="; ".join(names[index] for index in result.order if result.first[index]),
            estimator="mean over tasks of the difference of means; signed-rank test",
            interval="t over tasks and seeds",
            **{"level": self.option("level"), "ddof": 1, "resamples": result.flips, "scope": _cells.scope(runs)},
            note=_notes(result, alpha),
        )
        table = self._with_equivalence(table, every, result)
        return _not_ranked.added(table, every, runs)[COLUMNS]

    def _with_equivalence(self, table, every, result):
        """Return the pairs with their margin and the p-values and decisions of equivalence."""
        from variability.reporting.analyses import _all_tasks
        from variability.stats import equivalence

        margin, margin_from = self._margin(every)
        pairs = (result.a, result.b, result.n, result.se)
        tests = equivalence.of_half_width(
            result.difference, lambda tail: _all_tasks.half_widths(every, *pairs, tail), margin
        )
        adjusted = equivalence.adjusted(tests)
        p = adjusted.p_equivalent()
        equivalent, beats = p <= 1 - self.option("level"), table["decision"] == BEATS
        undecided = table["decision"] == UNDECIDED
        within = np.where(table["note"] != "", "; ", "") + np.array(WITHIN, dtype=object)
        return table.assign(
            **{"margin": margin, "margin_from": margin_from, "p_tost": tests.p_equivalent(), "p_equivalent": p},
            **{"p_one_sided": tests.not_worse, "p_one_sided_b": tests.not_worse_b},
            **{"p_not_worse": adjusted.not_worse, "p_not_worse_b": adjusted.not_worse_b},
            decision=table["decision"].mask(undecided & equivalent, EQUIVALENT),
            note=table["note"] + np.where(equivalent & beats, within, ""),
        )

    def _margin(self, every):
        """Return the margin in the unit of the differences, and where it comes from.

        It is the mean over tasks of those that the config declares, if it does for all of them.
        """
        from variability.reporting.analyses import _all_tasks
        from variability.results import equivalence_margins

        declared = [
            equivalence_margins.declared(self.options.get("margins", {}), task, every.metrics[task])
            for task in every.tasks
        ]
        if None not in declared and not any(np.isnan(every.lengths[task]) for task in every.tasks):
            sizes = [own / every.lengths[task] for own, task in zip(declared, every.tasks, strict=True)]
            return float(np.mean(sizes)), DECLARED
        return self.option("margin") * every.length, OF_MEAN if every.unit == _all_tasks.OF_MEAN else OF_LENGTH


def _notes(result, alpha):
    """Return why a pair is not tested, or cannot be decided however large its differences are."""
    from variability.reporting import text_format
    from variability.reporting.analyses._all_tasks import FEWEST

    few = np.where(result.n < FEWEST, f"; no interval from fewer than {FEWEST} tasks or groups", "")
    pairs = plural(int(np.count_nonzero(~np.isnan(result.p))), "pair")
    notes = np.where(result.n == 0, NO_TASK, "").astype(object)
    for index in np.flatnonzero(~result.beats & (result.n > 0)):
        floor, adjusted = result.p_floor[index], result.p_all[index]
        if floor > alpha:
            notes[index] = f"{TOO_FEW} {text_format.p_value(floor)}{few[index]}"
        elif result.p[index] <= floor:
            p = f"{text_format.p_value(adjusted)} adjusted for {pairs}"
            notes[index] = f"{TOO_MANY}: the p-value, the smallest of the test, is {p}"
    return notes
