"""Verdicts on new runs against old ones: not worse, worse beyond noise, or neither can be told.

Statistic and families are those of the project's decisions: Student's t of pairs where runs are pairs, otherwise
Welch's, with its distribution over rearranged runs where some collapsed or are outlying; adjusted by Holm's method over
all comparisons. Not worse is non-inferiority by the end of the interval (Piaggio et al. 2012, JAMA 308). That all
comparisons are not worse needs no adjustment: each of them must be shown at the full level (intersection-union test,
Berger 1982, Technometrics 24).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from variability.compare.matching import Cell
from variability.errors import UserError
from variability.reporting import paired_cells, seeds_to_decide
from variability.results import metric_scales
from variability.results import pairing as declared_pairing
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd

    from variability.stats.pair_tests import RunFacts

Verdict = Literal["not worse", "worse", "cannot tell"]
NOT_WORSE: Verdict = "not worse"
WORSE: Verdict = "worse"
CANNOT_TELL: Verdict = "cannot tell"
#: The order in which they are reported; the first that occurs is that of all comparisons.
FIRST_WORST: tuple[Verdict, ...] = (WORSE, CANNOT_TELL, NOT_WORSE)
_NAN = float("nan")
#: Why the runs are pairs where the study does not say it.
AS_ARGUED = "equal seeds, as --paired says"
#: Random assignments of runs to the two sides where there are too many to enumerate them.
RESAMPLES = 10_000


@dataclass(frozen=True)
class Side:
    """Runs of one side. runs: all of them; n: those with a value, of which mean and SD are, in the metric's sign."""

    runs: int = 0
    n: int = 0
    mean: float = _NAN
    sd: float = _NAN

    @property
    def without_value(self) -> int:
        return self.runs - self.n


@dataclass(frozen=True)
class Comparison:
    """New runs against old ones on a task.

    difference, low, high: new minus old, more is better; the interval is not adjusted. margin: the largest loss that
    counts as not worse, in the metric's unit. p: of the t test; p_failures: of more runs without a value (Fisher's
    exact test); NaN where not tested. p_adjusted, p_failures_adjusted: Holm's over all comparisons. constant: nothing
    varies. rearranged: runs are far from the others of their side, so the distribution of t over all assignments of the
    runs decides. equal: the same values, seed by seed, or nothing but one value. more: runs that each side needs in
    addition. pairing: see ``paired_cells``. sd_difference: of pairs.
    """

    old: Cell
    new: Cell
    metric: str = ""
    higher_is_better: bool = True
    before: Side = Side()
    after: Side = Side()
    difference: float = _NAN
    low: float = _NAN
    high: float = _NAN
    margin: float = _NAN
    pairing: str = paired_cells.UNPAIRED
    pairs: int = 0
    sd_difference: float = _NAN
    constant: bool = False
    rearranged: bool = False
    equal: bool = False
    p: float = _NAN
    p_failures: float = _NAN
    p_adjusted: float = _NAN
    p_failures_adjusted: float = _NAN
    more: float = _NAN
    verdict: Verdict = CANNOT_TELL


def missing(cells: tuple[Cell, Cell]) -> Comparison:
    """Return the comparison of an old cell that has no new runs."""
    return Comparison(*cells)


def compare(
    old: pd.DataFrame,
    new: pd.DataFrame,
    cells: Sequence[tuple[Cell, Cell]],
    level: float,
    margin: float,
    paired: bool = False,
) -> list[Comparison]:
    """Return the comparisons of (old, new) cells.

    old, new: rows of the runs table, see ``sides.read``. margin: a fraction of the metric's length, see
    ``metric_scales``. paired: runs of equal seeds are pairs. Raises UserError if the two sides of a task have different
    metrics.
    """
    sides = [dict(list(side.groupby(CELL, sort=False))) for side in (old, new)]
    measured = [_measured(pair, sides[0][pair[0]], sides[1][pair[1]], level, margin, paired) for pair in cells]
    return decide(measured, level)


def decide(measured: Sequence[Comparison], level: float) -> list[Comparison]:
    """Return the comparisons with adjusted p-values and verdicts."""
    from variability.stats import comparisons

    adjusted = comparisons.holm([p for each in measured for p in (each.p, each.p_failures)]).reshape(-1, 2)
    tests = int(np.count_nonzero(~np.isnan(adjusted)))
    decided = []
    for each, (p, p_failures) in zip(measured, adjusted, strict=True):
        each = replace(each, p_adjusted=float(p), p_failures_adjusted=float(p_failures))
        each = replace(each, verdict=_verdict(each, 1 - level))
        decided.append(replace(each, more=_more(each, level, tests)) if each.verdict == CANNOT_TELL else each)
    return decided


def overall(comparisons: Sequence[Comparison]) -> Verdict:
    """Return the verdict on all comparisons: that of the worst."""
    verdicts = {each.verdict for each in comparisons}
    return next(verdict for verdict in FIRST_WORST if verdict in verdicts)


def fails_more(each: Comparison) -> bool:
    """Return whether a larger share of the new runs than of the old ones has no value."""
    return each.after.without_value * each.before.runs > each.before.without_value * each.after.runs


def _verdict(each: Comparison, alpha: float) -> Verdict:
    if fails_more(each):
        return WORSE if each.p_failures_adjusted <= alpha else CANNOT_TELL
    if each.low >= -each.margin or each.equal:
        return NOT_WORSE
    return WORSE if each.difference < 0 and each.p_adjusted <= alpha else CANNOT_TELL


def _more(each: Comparison, level: float, tests: int) -> float:
    if each.rearranged:
        return _NAN
    row = {"p": each.p, "level": level, "tests": tests, "difference": each.difference, "pairing": each.pairing}
    row |= {"sd": each.before.sd, "n": each.before.n, "sd_b": each.after.sd, "n_b": each.after.n}
    if each.pairing != paired_cells.UNPAIRED:
        row |= {"n": each.pairs, "n_b": each.pairs, "sd_difference": each.sd_difference}
    # The interval must clear the margin, or else exclude 0, whichever needs fewer runs.
    to_margin = each.difference + each.margin
    if to_margin >= -each.difference:
        row["tests"] = 1
    return float(seeds_to_decide.for_difference(row, max(abs(each.difference), to_margin)))


def _measured(
    pair: tuple[Cell, Cell], old: pd.DataFrame, new: pd.DataFrame, level: float, margin: float, paired: bool
) -> Comparison:
    from scipy import special

    from variability.stats import pair_tests, permuted_t, resampling

    metric, higher = _metric(pair, old, new)
    result = Comparison(*pair, metric=metric, higher_is_better=higher, before=_side(old), after=_side(new))
    result = replace(result, p_failures=_p_failures(result.before, result.after))
    if not min(result.before.n, result.after.n):
        return result
    cells, kind, facts = _cells(old, new, paired)
    values, pairs = (cells if higher else -cells), np.full((2, 2), kind != paired_cells.UNPAIRED)
    test = pair_tests.compare(values, pairs, facts)
    half = float(special.stdtrit(test.df[0], 0.5 + level / 2) * test.se[0])
    difference, n = float(test.difference[0]), int(test.n[0])
    low, high, p = difference - half, difference + half, float(test.p[0])
    rng = resampling.generator(0, "compare", *pair[0], *pair[1])
    permuted = permuted_t.of_separate(values, pairs, test, facts, 1 - level, rng, RESAMPLES)
    if rearranged := bool(permuted.p[0] == permuted.p[0]):
        p, (low, high) = float(permuted.p[0]), permuted.interval(test, 0, 1 - level)
    lengths = [metric_scales.length(side.iloc[:1]).iloc[0] for side in (old, new)]
    unit = next((length for length in lengths if length > 0), _NAN)
    return replace(
        result,
        **{"difference": difference, "low": low, "high": high, "rearranged": rearranged},
        margin=metric_scales.margin(margin, unit, result.before.mean),
        **{"pairing": kind, "pairs": n if kind != paired_cells.UNPAIRED else 0, "p": p},
        **{"sd_difference": float(test.se[0] * np.sqrt(n)), "constant": bool(test.constant[0])},
        equal=bool(n > 1 and (np.array_equal(*cells, equal_nan=True) or (test.constant[0] and difference == 0))),
    )


def _cells(old: pd.DataFrame, new: pd.DataFrame, paired: bool) -> tuple[np.ndarray, str, RunFacts]:
    """Return the values of new and old runs by seed, (2, seeds), why they are pairs, and facts of both."""
    import pandas as pd

    from variability.results import run_flags

    # As two methods of one model, whose runs are pairs by the same rule.
    rows = pd.concat([new.assign(method="0"), old.assign(method="1")], ignore_index=True)
    if paired:
        rows = rows.assign(pairing=declared_pairing.BY_SEED)
    cells = paired_cells.cells_of(run_flags.with_separate(rows, rows))
    order = np.argsort(cells.names["method"].to_numpy(), kind="stable")
    facts = cells.facts.of(order)
    kind = paired_cells.UNPAIRED if facts.constant.any() else str(paired_cells.kinds(cells)[0, 1])
    if paired and kind == paired_cells.AS_DECLARED:
        kind = AS_ARGUED
    return cells.matrix[order], kind, facts._replace(held_out=np.nan_to_num(facts.held_out))


def _side(rows: pd.DataFrame) -> Side:
    values = rows["value"].astype(float).to_numpy()
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if len(values) else _NAN
    return Side(len(rows), len(values), mean, float(values.std(ddof=1)) if len(values) > 1 else _NAN)


def _p_failures(before: Side, after: Side) -> float:
    """Return the p-value of equal shares of runs without a value (Fisher's exact test); NaN if all have one."""
    from scipy import stats

    if not before.without_value + after.without_value or not before.n + after.n:
        return _NAN
    table = [[before.without_value, before.n], [after.without_value, after.n]]
    return float(np.asarray(stats.fisher_exact(table), dtype=float)[1])


def _metric(pair: tuple[Cell, Cell], old: pd.DataFrame, new: pd.DataFrame) -> tuple[str, bool]:
    first, second = (side[["metric", "higher_is_better"]].iloc[0] for side in (old, new))
    task = pair[0][1]
    if first["metric"] != second["metric"]:
        raise UserError(
            f"the metric of task {task} is {first['metric']!r} in OLD and {second['metric']!r} in NEW; choose one that "
            "both have with --metric"
        )
    directions = [side["higher_is_better"] not in (False, 0) for side in (first, second)]
    if directions[0] != directions[1]:
        raise UserError(
            f"OLD and NEW do not agree whether more is better of {first['metric']!r}, the metric of task {task}; "
            "correct one of the two"
        )
    return str(first["metric"]), directions[0]
