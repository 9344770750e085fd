"""Claims that another study would rank the candidates in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from variability.reporting.claims import REFUSED, SUPPORTED, UNDECIDED, Claim

if TYPE_CHECKING:
    import pandas as pd


class StableRanking(Claim):
    """Per task, three sentences about the ranking by means, from ``ranks`` and ``pairwise``.

    The leader is the best: supported if it is the best in at least ``level`` of the replicates of ``ranks`` and differs
    from every other candidate by the test of ``pairwise``; never refused.

    The ranking of all candidates is stable: supported if the lower end of the interval of Kendall's tau-b between the
    rankings of replicates and the study is 1 and every two candidates differ by their test; refused if the upper end is
    below TAU.

    The replicates alone are overconfident: of two equal candidates, in 14 % of studies of 5 seeds one is the best in 95
    % of the replicates. Where all tests have to reject, the largest p-value needs no adjustment, nor does a leader that
    was selected because it leads (Gutmann & Maymin 1987).

    One of these seeds per candidate is enough to name the same winner: a cut-off on these runs, without an interval;
    refused if more than 1 - level of the studies that consist of one run per candidate name another.
    """

    ANALYSES = ("ranks", "pairwise")
    #: Kendall's tau below which rankings do not count as similar: fewer than nine in ten pairs keep their order.
    TAU = 0.8

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting.claims import _pairs

        ranks, pairs = tables["ranks"].dropna(subset=["rank", "study_rank"]), _pairs.both_ways(tables["pairwise"])
        findings = []
        for task, of_task in ranks.groupby("task", sort=False):
            if of_task["candidates"].iloc[0] < 2:
                continue
            leader = of_task.sort_values("study_rank", kind="stable").iloc[0]
            few = of_task["n"].min() < 2
            facts = {key: leader[key] for key in ("estimator", "interval", "level", "scope")} | {"task": task}
            facts["n"] = f"{of_task['n'].min():g}"
            task_pairs = pairs[pairs["task"] == task]
            leader_pairs = task_pairs[
                (task_pairs["model"] == leader["model"]) & (task_pairs["method"] == leader["method"])
            ]
            for finding in (
                _leader(task, leader, leader_pairs),
                self._ranking(task, leader, task_pairs),
                _one_seed(task, leader),
            ):
                # The bootstrap treats a candidate's only run as its true mean.
                findings.append(facts | finding | ({"verdict": UNDECIDED} if few else {}))
        return findings

    def _ranking(self, task, row, pairs):
        low, high, p = row["kendall_tau_low"], row["kendall_tau_high"], _largest_p(pairs)
        sure = low >= 1 and p <= 1 - row["level"]
        return {
            "sentence": f"On {task}, the ranking of all {row['candidates']:g} candidates is stable.",
            "verdict": SUPPORTED if sure else REFUSED if high < self.TAU else UNDECIDED,
            **{"effect": row["kendall_tau"], "low": low, "high": high, "unit": "of Kendall's tau-b"},
            **{"p": p, "p_adjusted": p, "family": f"task {task}: all pairs of candidates have to differ"},
        }


def _largest_p(pairs):
    """Return the largest p-value; NaN if one is missing, because then not all differences are shown."""
    return pairs["p"].max(skipna=False)


def _leader(task, row, pairs):
    p = _largest_p(pairs)
    sure = row["p_best"] >= row["level"] and p <= 1 - row["level"]
    return {
        "sentence": f"On {task}, {row['model']} ({row['method']}) is the best of {row['candidates']:g} candidates.",
        "verdict": SUPPORTED if sure else UNDECIDED,
        **{"effect": row["p_best"], "unit": "of the replicates"},
        **{"p": p, "p_adjusted": p, "family": f"task {task}: the leader has to differ from every other candidate"},
    }


def _one_seed(task, row):
    return {
        "sentence": f"On {task}, one of these seeds per candidate is enough to name the same winner.",
        "verdict": SUPPORTED if row["wrong_winner"] <= 1 - row["level"] else REFUSED,
        **{"effect": row["wrong_winner"], "unit": "of such studies name another"},
    }
