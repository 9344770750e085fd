"""Claims over all tasks: the leader beats the others, is the best, and among which candidates the best is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.advice import plural
from variability.reporting import display_names, rank_words
from variability.reporting.claims import EQUIVALENT, REFUSED, SUPPORTED, UNDECIDED, Claim

if TYPE_CHECKING:
    import pandas as pd

    from variability.reporting.claims import Verdict


class Overall(Claim):
    """Over all tasks, as ``overall`` decides.

    The candidate that is ahead is the best (refused if another is equivalent within the margin); it beats each other
    model with its best method, or both are equivalent; candidates of which one is the best, and limits of ranks, as in
    ``shared_ranks``.
    """

    ANALYSES = ("overall",)
    OPTIONS: ClassVar[dict[str, dict]] = {
        "candidates": {
            "type": "integer",
            "minimum": 0,
            "default": 3,
            "description": "number of candidates, from the one that is ahead on, whose ranks are stated",
        }
    }

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting.claims import shared_ranks

        pairs = tables["overall"]
        if pairs.empty:
            return []
        leader, first, where = _of_leader(pairs), pairs.iloc[0], over(pairs)
        sentence = f"{where}, {_name(first, '')} is the best of {field(first)}."
        verdict, rival = best(pairs)
        findings = [_finding(rival, sentence) | {"verdict": verdict, "against": _name(rival, "_b")}]
        if left_out(first):
            findings[0]["note"] = "; ".join(filter(None, [findings[0]["note"], left_out(first)]))
        others = leader[leader["model_b"] != first["leader"]]
        for _, rows in others.groupby("model_b", sort=False):
            row = rows.sort_values("difference", kind="stable").iloc[0]
            findings.append(_finding(row, f"{where}, {_name(row, '')} beats {_name(row, '_b')}."))
        return findings + shared_ranks.of_pairs(
            where, None, pairs, self.option("candidates"), units(first, first["groups"])
        )


def best(pairs: pd.DataFrame) -> tuple[Verdict, pd.Series]:
    """Return the verdict on the claim that the leader is the best over all tasks, and the pair that is its evidence."""
    from variability.reporting.equivalent_pairs import EQUIVALENT as WITHIN_MARGIN

    leader = _of_leader(pairs)
    rivals = leader.sort_values("p_adjusted", ascending=False, na_position="first", kind="stable")
    equivalent = leader[leader["decision"] == WITHIN_MARGIN]
    if pairs["is_best"].iloc[0]:
        return SUPPORTED, rivals.iloc[0]
    return (REFUSED, equivalent.iloc[0]) if len(equivalent) else (UNDECIDED, rivals.iloc[0])


def _of_leader(pairs):
    pairs = rank_words.with_ranks(pairs)
    return pairs[(pairs["model"] == pairs["leader"]) & (pairs["method"] == pairs["leader_method"])]


def over(pairs: pd.DataFrame) -> str:
    """Return the start of a sentence about all tasks. pairs: the table ``overall``."""
    first = pairs.iloc[0]
    groups = f" in {plural(first['groups'], 'group')}" if first["groups"] < first["tasks"] else ""
    if first["tasks"] < first["all_tasks"]:
        return f"Over {first['tasks']} of {plural(first['all_tasks'], 'task')}{groups}"
    return f"Over {'both tasks' if first['tasks'] == 2 else 'all ' + plural(first['tasks'], 'task')}{groups}"


def field(first: pd.Series) -> str:
    """Return the candidates that have ranks, with their number. first: row of ``overall``."""
    ranked = plural(first["candidates"], "candidate")
    return f"the {ranked} with results on all of them" if "not ranked" in left_out(first) else ranked


def left_out(first: pd.Series) -> str:
    """Return the note on tasks and candidates that are left out. first: row of ``overall``."""
    # An empty text is missing after a table was stored.
    return first["left_out"] if isinstance(first["left_out"], str) else ""


def _name(row, side):
    return display_names.candidate(row[f"model{side}"], row[f"method{side}"])


def _finding(row, sentence):
    from variability.reporting import text_format
    from variability.reporting.equivalent_pairs import BEATS
    from variability.reporting.equivalent_pairs import EQUIVALENT as WITHIN_MARGIN

    equivalent = row["decision"] == WITHIN_MARGIN
    meaning = f"equivalent within ±{row['margin']:.3g}, adjusted p {text_format.p_value(row['p_equivalent'])}"
    return {
        "sentence": sentence,
        "verdict": SUPPORTED if row["decision"] == BEATS else EQUIVALENT if equivalent else UNDECIDED,
        "meaning": meaning if equivalent else None,
        **{key: row[key] for key in ("margin", "p_equivalent")},
        **{"effect": row["difference"], "low": row["low"], "high": row["high"]},
        **{key: row[key] for key in ("p", "p_adjusted", "family", "estimator", "interval", "level", "scope")},
        "n": counted(row),
        "note": row["note"] or None,
    }


def units(row: pd.Series, count: float) -> str:
    """Return a number of tasks, or of groups where tasks of a group count once. row: of ``overall``."""
    return plural(count, "group" if row["groups"] < row["tasks"] else "task")


def counted(row: pd.Series) -> str:
    """Return the number of tasks, or groups, of a pair, and on how many the first is better, equal and worse."""
    counts = f"{row['wins']:g} better, {row['ties']:g} equal, {row['losses']:g} worse"
    return f"{units(row, row['n_tasks'])}: {counts}"
