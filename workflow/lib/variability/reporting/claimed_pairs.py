"""Pairs of candidates for claims about them, oriented so that the claim is in favour of the first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from variability.advice import listed, plural
from variability.reporting import display_names, equivalent_pairs, seeds_to_decide, text_format
from variability.reporting.claims import EQUIVALENT, REFUSED, SUPPORTED, UNDECIDED
from variability.reporting.equivalent_pairs import BEATS
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd

    from variability.reporting.claims import Verdict

SIDE = ["model", "method", "mean", "sd", "n", "p_not_worse", "deterministic", "separate"]
#: Columns of a pair that a finding has, too.
FACTS = ("family", "estimator", "interval", "level", "scope")


def both_ways(pairs: pd.DataFrame, margin: float | None = None) -> pd.DataFrame:
    """Return the table ``decisions`` with every pair twice: A against B and B against A.

    An effect above 0 favours the first of the two; ``turned`` is True where the table has the pair the other way round.
    margin: the option of a claim, which applies where the config declares none; None for that of ``decisions``.
    """
    import pandas as pd

    pairs = equivalent_pairs.with_margin(pairs, margin).dropna(subset=["mean", "mean_b"]).assign(turned=False)
    swap = {name: f"{name}_b" for name in SIDE} | {f"{name}_b": name for name in SIDE}
    ends = {"difference": -pairs["difference"], "low": -pairs["high"], "high": -pairs["low"]}
    turned = pairs.rename(columns=swap).assign(**ends, turned=True)
    return pd.concat([pairs, turned], ignore_index=True)


def name(row: pd.Series, side: str = "") -> str:
    """Format a candidate as model (method). side: "" or "_b"."""
    return display_names.candidate(row[f"model{side}"], row[f"method{side}"])


def known(row: pd.Series) -> bool:
    """Return whether both candidates of a pair are constants, whose difference is known and not tested."""
    return bool(row["deterministic"] and row["deterministic_b"])


def verdict_of(row: pd.Series) -> Verdict:
    """Return the verdict on the claim that the first candidate of a pair is better by more than its noise.

    It is that of the decision, see ``decisions``. A claim about a pair that is undecided is refused, too, if its first
    candidate is shown to be better by less than the margin.
    """
    if row["decision"] == BEATS:
        return REFUSED if row["turned"] else SUPPORTED
    if row["decision"] == equivalent_pairs.EQUIVALENT:
        return EQUIVALENT
    return REFUSED if row["p_not_worse_b"] <= 1 - row["level"] else UNDECIDED


def meaning_of(row: pd.Series) -> str | None:
    """Return what the verdict on a pair means where that is not clear from the word."""
    margin = f"{row['margin']:.3g}"
    p = _p(row, row["p_equivalent"])
    if row["decision"] == BEATS:
        within = f"the difference is less than the margin of {margin}{p}"
        within = within if row["p_equivalent"] <= 1 - row["level"] else None
        return f"the opposite is supported{f'; {within}' if within else ''}" if row["turned"] else within
    if row["decision"] == equivalent_pairs.EQUIVALENT:
        return f"equivalent within ±{margin}{p}"
    if verdict_of(row) == REFUSED:
        return f"better by less than the margin of {margin}{_p(row, row['p_not_worse_b'])}"
    return None


def _p(row: pd.Series, p: float) -> str:
    """Return an adjusted p-value as the end of a phrase; nothing for a pair that is not tested."""
    return "" if known(row) else f", adjusted p {text_format.p_value(p)}"


def best(pairs: pd.DataFrame, margin: float | None = None) -> tuple[Verdict, str | None]:
    """Return the verdict on the claim that the leader of a task is the best, and its meaning.

    It is that the leader beats every other candidate: refused if its advantage over one of them is shown to be less
    than the margin. pairs: the task's rows of ``decisions``; margin: as in ``both_ways``.
    """
    first = pairs.iloc[0]
    if first["is_best"]:
        return SUPPORTED, None
    pairs = both_ways(pairs, margin)
    of_leader = pairs[(pairs["model"] == first["leader"]) & (pairs["method"] == first["leader_method"])]
    for _, row in of_leader.iterrows():
        if verdict_of(row) in (REFUSED, EQUIVALENT):
            return REFUSED, f"compared with {name(row, '_b')}: {meaning_of(row)}"
    return UNDECIDED, None


def with_controls(pairs: pd.DataFrame, gain: pd.DataFrame, comparison: str, other: str) -> pd.DataFrame:
    """Return the pairs of a network with its control, from one comparison of the table ``gain``.

    other: column that the gain's ``reference`` refers to, "model_b" or "method_b"; the other of the two is the same on
    both sides.
    """
    shown = gain[gain["primary"].astype(bool) & (gain["split"] == "test") & (gain["comparison"] == comparison)]
    keys = [*CELL, other]
    same = "method" if other == "model_b" else "model"
    return pairs[pairs[same] == pairs[f"{same}_b"]].merge(shown.rename(columns={"reference": other})[keys], on=keys)


def finding(row: pd.Series, sentence: str) -> dict[str, Any]:
    """Return the finding that the first candidate of a pair is better by more than its noise.

    row: of ``both_ways``.
    """
    decision = verdict_of(row)
    facts = {
        **{"task": row["task"], "sentence": sentence, "verdict": decision},
        **{"effect": row["difference"], "low": row["low"], "high": row["high"]},
        **{key: row[key] for key in (*FACTS, "p", "margin", "p_equivalent")},
        "meaning": meaning_of(row),
        "n": numbers(row),
        **of_test(row),
    }
    return facts | (_more(row, row["n_more"]) if decision == UNDECIDED else {})


def _more(row, more):
    """Return the further seeds that would decide, and the candidate that they are for if the other is a constant."""
    sides = [name(row, side) for side in ("", "_b") if not row[f"deterministic{side}"]]
    return {"n_more": float(more), "n_more_of": sides[0] if len(sides) == 1 else None}


def of_test(row: pd.Series) -> dict[str, Any]:
    """Return the p-value that decides a pair, and the note on its test or on why there is none."""
    untested = known(row) or row["p_adjusted"] != row["p_adjusted"]
    return {
        "p_adjusted": math.nan if known(row) else row["p_adjusted"],
        "note": row["note"] if untested else on_test(row),
    }


def on_test(row: pd.Series) -> str | None:
    """Return what a reader has to know of the test of a pair; None if it is the usual one."""
    sides = [name(row, side) for side in ("", "_b") if row[f"separate{side}"]]
    parts = []
    if row["permuted"]:
        parts.append(f"runs of {listed(sides, last=' and ')} collapsed or are outlying, so the runs were rearranged")
    if constants := [name(row, side) for side in ("", "_b") if row[f"deterministic{side}"]]:
        parts.append(f"{listed(constants)} is deterministic and counts as a constant")
    return "; ".join(parts) or None


def verdict_not_worse(row: pd.Series) -> Verdict:
    """Return the verdict on the claim that the first candidate of a pair is worse by less than the margin.

    row: of ``both_ways``. It is refused if a one-sided test, adjusted over both directions of all pairs of the task
    (Bonferroni), shows that the candidate is worse by more than the margin.
    """
    if row["p_not_worse"] <= 1 - row["level"] or (row["decision"] == BEATS and not row["turned"]):
        return SUPPORTED
    return REFUSED if _p_worse(row) <= 1 - row["level"] else UNDECIDED


def _p_worse(row):
    """Return the adjusted p-value of "the first candidate is worse by the margin at most, or better"."""
    from variability.stats import equivalence

    if known(row):
        return float(1 - equivalence.of_known(row["difference"], row["margin"]).not_worse)
    test = equivalence.one_sided(row["difference"], row["se"], row["df"], row["margin"])
    return min(1.0, float(2 * row["tests"] * (1 - test.not_worse)))


def not_worse(row: pd.Series, candidate: str) -> dict[str, Any]:
    """Return the finding that the first candidate of a pair is worse by less than the margin.

    row: of ``both_ways``; candidate: words for its first candidate.
    """
    verdict, margin = verdict_not_worse(row), f"{row['margin']:.3g}"
    worse = f"worse by more than {margin}{_p(row, _p_worse(row))}"
    return {
        **{"task": row["task"], "verdict": verdict},
        "sentence": f"On {row['task']}, {candidate} is at most {margin} worse than {name(row, '_b')}.",
        # The interval of the pair is adjusted for differences from 0, and would not agree with this test.
        "effect": row["difference"],
        **{key: row[key] for key in (*FACTS, "margin", "p_equivalent")},
        "interval": "none",
        "p_adjusted": math.nan if known(row) else row["p_not_worse"],
        "meaning": worse if verdict == REFUSED else None,
        "n": numbers(row),
        "note": row["note"] if row["p"] != row["p"] else None,
    } | (_more(row, seeds_to_decide.not_worse(row)) if verdict == UNDECIDED else {})


def numbers(row: pd.Series) -> str:
    """Format the numbers of runs of the two candidates of a pair."""
    return f"{row['n']:g}" if row["n"] == row["n_b"] else f"{row['n']:g} against {row['n_b']:g}"


def per_candidate(counts: Iterable[float]) -> str:
    """Format the numbers of runs of several candidates: ``10 runs per candidate``, or from the fewest to the most."""
    counts = [int(count) for count in counts]
    fewest, most = min(counts), max(counts)
    return f"{'' if fewest == most else f'{fewest} to '}{plural(most, 'run')} per candidate"
