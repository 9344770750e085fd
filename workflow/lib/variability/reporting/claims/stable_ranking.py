"""Claims that a task has a best candidate, and that another study would rank the candidates in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.advice import plural
from variability.reporting import display_names
from variability.reporting.claims import MARGIN, REFUSED, SUPPORTED, UNDECIDED, Claim

if TYPE_CHECKING:
    import pandas as pd


#: Reasons of claims that are undecided.
NEITHER = "neither candidate beats the other"
NO_WINNER = "no candidate is shown to be the best, so there is no winner to name"


class StableRanking(Claim):
    """Per task, three sentences about the ranking by means, from ``decisions`` and ``ranks``.

    The leader is the best: supported if ``decisions`` says so, that is, if it beats each other candidate; refused if
    its advantage over one of them is shown to be smaller than the margin, see ``meaning``; otherwise undecided.

    The ranking of all candidates is stable: supported if of every two candidates one beats the other, so that the order
    is known, and the lower end of the interval of Kendall's tau-b between the rankings of replicates and the study is
    1; refused if its upper end is below TAU. Not stated if all means are equal, since there is no ranking.

    One of these seeds per candidate is enough to name the same winner: a cut-off on these runs, without an interval;
    refused if more than 1 - level of the studies that consist of one run per candidate name another. Undecided unless
    the leader is the best: without a winner there is none to name.

    If no candidate has a second run, only the first of them is stated, as undecided, with the reason.
    """

    ANALYSES = ("ranks", "decisions")
    OPTIONS: ClassVar[dict[str, dict]] = {"margin": MARGIN}
    #: Kendall's tau below which rankings do not count as similar: fewer than nine in ten pairs keep their order.
    TAU = 0.8

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting import claimed_pairs

        ranks, decisions = tables["ranks"].dropna(subset=["rank", "study_rank"]), tables["decisions"]
        findings = []
        for task, of_task in ranks.groupby("task", sort=False):
            pairs = decisions[decisions["task"] == task]
            if pairs.empty:
                continue
            # Every row of a task has the numbers that belong to the task.
            row = of_task.iloc[0]
            facts = {key: row[key] for key in ("estimator", "interval", "level", "scope")} | {"task": task}
            facts["n"] = claimed_pairs.per_candidate(of_task["n"])
            # The bootstrap treats a candidate's only run as its true mean.
            single = of_task[(of_task["n"] < 2).mask(_constant(of_task, pairs), False)]
            undecided = {"verdict": UNDECIDED, "note": _single(single.iloc[0])} if len(single) else {}
            findings.append(facts | _leader(task, pairs, self.options.get("margin")))
            if row["kendall_tau"] == row["kendall_tau"]:
                findings.append(facts | self._ranking(task, row, pairs) | undecided)
            if row["wrong_winner"] == row["wrong_winner"]:
                findings.append(facts | _one_seed(task, row, bool(pairs["is_best"].iloc[0])) | undecided)
        return findings

    def _ranking(self, task, row, pairs):
        low, high, p = row["kendall_tau_low"], row["kendall_tau_high"], _largest_p(pairs)
        known = p <= 1 - row["level"]
        reason = _reason(pairs) if p != p else None if known or high < self.TAU else _no_order(pairs, low)
        return {
            "sentence": f"On {task}, the ranking of all {row['candidates']:g} candidates is stable.",
            "verdict": SUPPORTED if low >= 1 and known else REFUSED if high < self.TAU else UNDECIDED,
            **{"effect": row["kendall_tau"], "low": low, "high": high, "unit": "of Kendall's tau-b"},
            **{"p": p, "p_adjusted": p, "family": f"task {task}: all pairs of candidates have to differ"},
            "note": reason,
        }


def _constant(ranks, pairs):
    """Return which rows of ``ranks`` are about a candidate that is a constant, see ``decisions``: one run says all."""
    sides = [
        pairs.loc[pairs[f"deterministic{side}"], [f"model{side}", f"method{side}"]].itertuples(index=False, name=None)
        for side in ("", "_b")
    ]
    constants = {candidate for side in sides for candidate in side}
    return [candidate in constants for candidate in zip(ranks["model"], ranks["method"], strict=True)]


def _largest_p(pairs):
    """Return the largest p-value that decides; NaN if one is missing, because then not all differences are shown."""
    return pairs["p_adjusted"].max(skipna=False)


def _reason(pairs):
    """Return why a pair is not tested, first of all that one of its candidates has a single run."""
    untested = pairs[pairs["p_adjusted"].isna()]
    fewest, most = untested[["n", "n_b"]].min(axis=1), untested[["n", "n_b"]].max(axis=1)
    return untested.loc[most[fewest == fewest.min()].idxmax(), "note"]


def _no_order(pairs, low):
    """Return why the order of all candidates is not known. low: lower end of the interval of Kendall's tau."""
    from variability.reporting import claimed_pairs
    from variability.reporting.equivalent_pairs import BEATS

    is_open = pairs[pairs["decision"] != BEATS].sort_values("p_adjusted", ascending=False, kind="stable")
    least = " and ".join(claimed_pairs.name(is_open.iloc[0], side) for side in ("", "_b"))
    where = f"{len(is_open)} of {plural(len(pairs), 'pair')}"
    reason = f"in {where} neither beats the other, least clearly {least}" if len(pairs) > 1 else NEITHER
    return f"all replicates have this order, but {reason}" if low >= 1 else reason


def _single(row):
    """Return the reason of a candidate with a single run. row: of ``ranks``."""
    return f"{display_names.candidate(row['model'], row['method'])} has a single run, which allows no comparison"


def _leader(task, pairs, margin):
    """Return the finding about the best candidate, with the evidence against the rival that it beats least clearly."""
    from variability.reporting import claimed_pairs

    first = pairs.iloc[0]
    leader = display_names.candidate(first["leader"], first["leader_method"])
    of_leader = pairs[(pairs["model"] == first["leader"]) & (pairs["method"] == first["leader_method"])]
    rival = _least_clear(of_leader)
    return {
        "sentence": f"On {task}, {leader} is the best of {first['candidates']:g} candidates.",
        **dict(zip(("verdict", "meaning"), claimed_pairs.best(pairs, margin), strict=True)),
        "effect": rival["difference"],
        **{key: rival[key] for key in ("low", "high", "p", "interval", "estimator", "level", "scope")},
        "against": claimed_pairs.name(rival, "_b"),
        "family": f"task {task}: the leader has to beat every other candidate",
        "n": claimed_pairs.numbers(rival),
        **claimed_pairs.of_test(rival),
    }


def _least_clear(of_leader):
    """Return the leader's pair that stands most in the way: not decided and tested, then not tested, then decided.

    Of those that are not tested the one with the smallest difference.
    """
    from variability.reporting.equivalent_pairs import BEATS

    is_open, tested = of_leader["decision"] != BEATS, of_leader["p_adjusted"].notna()
    order = of_leader.assign(_open=is_open, _tested=tested)
    order = order.sort_values(["_open", "_tested", "p_adjusted", "difference"], ascending=[False, False, False, True])
    return of_leader.loc[order.index[0]]


def _one_seed(task, row, winner):
    same = row["wrong_winner"] <= 1 - row["level"]
    return {
        "sentence": f"On {task}, one of these seeds per candidate is enough to name the same winner.",
        "verdict": (SUPPORTED if winner else UNDECIDED) if same else REFUSED,
        **{"effect": row["wrong_winner"], "unit": "of such studies name another"},
        "note": NO_WINNER if same and not winner else None,
    }
