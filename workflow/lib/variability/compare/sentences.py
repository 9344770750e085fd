"""Sentences about the comparisons of old runs with new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from variability.advice import listed, plural
from variability.compare import gate
from variability.compare.gate import CANNOT_TELL, NOT_WORSE, WORSE, Comparison
from variability.compare.matching import Cell
from variability.reporting import paired_cells, seeds_to_decide, text_format


def of(each: Comparison, level: float) -> str:
    """Return the sentence about one comparison: verdict, reason and numbers."""
    parts = [f"{each.verdict}: on {each.old[1]}, {_candidate(each)}: {_reason(each, level)}"]
    if each.before.n and each.after.n:
        parts.append(_numbers(each, level))
    if not gate.fails_more(each) and each.after.runs and (text := _without_value(each)):
        parts.append(f"{text}; means leave them out")
    return "; ".join(parts) + "."


def overall(comparisons: Sequence[Comparison], only_new: Sequence[Cell]) -> str:
    """Return the sentence about all comparisons. only_new: cells that OLD lacks."""
    counts = Counter(each.verdict for each in comparisons)
    shares = ", ".join(f"{counts[verdict]} {verdict}" for verdict in (NOT_WORSE, WORSE, CANNOT_TELL) if counts[verdict])
    text = f"overall {gate.overall(comparisons)}: {shares} of {plural(len(comparisons), 'comparison')}"
    if only_new:
        names = [f"{model} ({method}) on {task}" for model, task, method in only_new]
        text += f"; not compared, because OLD has no such runs: {listed(names, 5)}"
    return text + "."


def _candidate(each: Comparison) -> str:
    old, new = (f"{model} ({method})" for model, _, method in (each.old, each.new))
    on = "" if each.old[1] == each.new[1] else f" on {each.new[1]}"
    return old if old == new and not on else f"{new}{on} against {old}"


def _reason(each: Comparison, level: float) -> str:
    if not each.after.runs:
        return "NEW has no such runs; add them, or leave the comparison out with --task, --model and --method"
    if gate.fails_more(each):
        counts = _without_value(each)
        if each.verdict == WORSE:
            return f"{counts}, which is more than chance ({_p(each.p_failures_adjusted)})"
        return f"{counts}, so the means may flatter the new runs"
    if not (each.before.n and each.after.n):
        return f"no {'old' if not each.before.n else 'new'} run has a value"
    margin = text_format.number(each.margin)
    if each.verdict == NOT_WORSE:
        if each.equal:
            return "all runs are equal"
        better = each.difference > 0 and each.p_adjusted <= 1 - level
        return (
            f"better beyond noise ({_p(each.p_adjusted)})"
            if better
            else f"a loss of more than the margin {margin} is excluded"
        )
    if each.verdict == WORSE:
        return f"worse beyond noise ({_p(each.p_adjusted)})"
    paired = each.pairing != paired_cells.UNPAIRED
    if (each.pairs if paired else min(each.before.n, each.after.n)) < 2:
        return "fewer than two pairs of runs have values" if paired else "needs two old and two new runs with a value"
    if each.constant:
        return "no run differs from another of its side, so the noise is not known"
    if each.high < 0:
        text = f"a loss that is within the noise of so many comparisons ({_p(each.p_adjusted)})"
    else:
        text = f"neither a loss of more than the margin {margin} nor its absence is shown"
    return text + (f"; {seeds_to_decide.in_words(each.more, 'run of each')}" if each.more == each.more else "")


def _without_value(each: Comparison) -> str:
    """Return how many runs of both sides have no value; empty if all have one."""
    if not each.after.without_value + each.before.without_value:
        return ""
    return (
        f"{each.after.without_value} of {plural(each.after.runs, 'new run')} and {each.before.without_value} of "
        f"{plural(each.before.runs, 'old run')} have no value"
    )


def _p(adjusted: float) -> str:
    text = text_format.p_value(adjusted)
    return f"p {text if text.startswith('<') else f'= {text}'}, adjusted for all comparisons"


def _numbers(each: Comparison, level: float) -> str:
    old, new = (text_format.with_spread(side.mean, side.sd, side.n) for side in (each.before, each.after))
    direction = "" if each.higher_is_better else ", less is better"
    text = f"{each.metric}{direction}: {new} (new, n = {each.after.n}) against {old} (old, n = {each.before.n})"
    if not (each.low == each.low and each.high == each.high):
        return text
    loss = text_format.with_interval(each.difference, each.low, each.high, "+")
    pairs = "" if each.pairing == paired_cells.UNPAIRED else f", {plural(each.pairs, 'pair')}: {each.pairing}"
    rearranged = ", of rearranged runs, as some collapsed or are outlying" if each.rearranged else ""
    return f"{text}, difference {loss} (+ is better; {text_format.percent(level)} interval{pairs}{rearranged})"
