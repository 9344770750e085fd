"""Claims about shared ranks: which candidates of a task share first place, and between which ranks each is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.claims import COUNTED, NO_SPREAD, SUPPORTED, UNDECIDED, Claim

if TYPE_CHECKING:
    import pandas as pd

#: Most candidates that a sentence names.
NAMED = 8


class SharedRanks(Claim):
    """Per task, from the rank limits of ``decisions``.

    The best candidate is one of those that nobody beats: supported if some candidates are beaten, so that the others
    contain the best one with a probability of at least ``level``; otherwise none is shown not to be the best. That
    these are equally good is not shown, and not claimed: equivalence is. Not stated if a single one is not beaten,
    which is the claim of ``stable_ranking``.

    The limits of the ranks of the first candidates, where they exclude any rank: that a candidate has one of all ranks
    is no finding.
    """

    ANALYSES = ("decisions",)
    OPTIONS: ClassVar[dict[str, dict]] = {
        "candidates": {
            "type": "integer",
            "minimum": 0,
            "default": 1,
            "description": "number of candidates of a task, from the best mean on, whose ranks are stated",
        }
    }

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        return [
            finding
            for task, pairs in tables["decisions"].groupby("task", sort=False)
            for finding in of_pairs(f"On {task}", task, pairs, self.option("candidates"))
        ]


def of_pairs(
    where: str, task: str | None, pairs: pd.DataFrame, most: int, counted: str | None = None
) -> list[dict[str, Any]]:
    """Return the findings about one task, or about all of them.

    where: start of the sentences. counted: what their n counts; None for the runs of a candidate.
    """
    from variability.advice import listed, plural
    from variability.reporting import claimed_pairs, decision_words, rank_words

    candidates = [one for one in rank_words.ranked(pairs) if one.low == one.low]
    if len(candidates) < 2:
        return []
    first = pairs.iloc[0]
    facts = {key: first[key] for key in ("estimator", "level", "scope")} | {
        "task": task,
        "interval": "simultaneous limits of ranks",
        "family": first["family"],
        "n": counted or claimed_pairs.per_candidate(_runs(pairs)),
    }
    notes = [] if rank_words.decided(pairs) else [NO_SPREAD]
    # Over all tasks, the candidates that are not ranked are not in the table.
    if counted is None and (single := decision_words.not_compared(pairs)):
        notes.append(f"not ranked for lack of a second run: {listed(single, NAMED, last=' and ')}")
    facts["note"] = "; ".join(notes) or None
    findings, total = [], len(candidates)
    shared = rank_words.sharing_first(candidates)
    if len(shared) > 1:
        named = listed([one.name for one in shared], NAMED, last=" and ")
        best = f"{where}, the best of {plural(total, 'candidate')} is one of {named}, none of which beats another."
        # That the best is one of all is no finding.
        none = f"{where}, some of {plural(total, 'candidate')} can be ruled out as the best."
        sentence, verdict = (best, SUPPORTED) if len(shared) < total else (none, UNDECIDED)
        findings.append(facts | {"sentence": sentence, "verdict": verdict, "effect": len(shared), "unit": COUNTED[0]})
    for one in candidates[:most]:
        between = f"ranks {one.low:g}" if one.low == one.high else f"ranks between {one.low:g} and {one.high:g}"
        if one.high - one.low + 1 == total:
            continue
        findings.append(
            facts
            | {"sentence": f"{where}, {one.name} {between} of {plural(total, 'candidate')}."}
            | {"verdict": SUPPORTED, "effect": one.high - one.low + 1, "unit": COUNTED[1]}
        )
    return findings


def _runs(pairs):
    """Return the numbers of runs of the candidates that have a rank."""
    sides = [pairs.loc[pairs[f"rank_low{side}"].notna(), f"n{side}"] for side in ("", "_b")]
    return [count for side in sides for count in side]
