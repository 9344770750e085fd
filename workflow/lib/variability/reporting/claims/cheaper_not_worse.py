"""Claim that a candidate which takes less time than the one with the best mean is hardly worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.claims import MARGIN, SUPPORTED, Claim

if TYPE_CHECKING:
    import pandas as pd


class CheaperNotWorse(Claim):
    """Per task, one of the candidates that are cheaper than the one with the best mean.

    Cheaper: its runs take at most ``seconds`` of the other's time, because smaller differences may be other load of the
    machine. That is the cheapest one that is shown to be worse by less than the margin (``not_worse``), otherwise the
    one with the best mean. Choosing it is allowed for: the p-values of ``decisions`` are adjusted over all pairs. Not
    stated if seconds are not known or were measured on different devices, or if no candidate is cheaper.
    """

    ANALYSES = ("decisions", "cost")
    OPTIONS: ClassVar[dict[str, dict]] = {
        "margin": MARGIN,
        "seconds": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 0.8,
            "description": "largest share of the seconds of the candidate with the best mean that counts as cheaper",
        },
    }

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting import claimed_pairs

        pairs = claimed_pairs.both_ways(tables["decisions"], self.options.get("margin"))
        pairs = _with_seconds(pairs, tables["cost"])
        against_leader = (pairs["model_b"] == pairs["leader"]) & (pairs["method_b"] == pairs["leader_method"])
        cheaper = pairs[against_leader & (pairs["seconds"] <= self.option("seconds") * pairs["seconds_b"])]
        findings = []
        for _, of_task in cheaper.groupby("task", sort=False):
            of_task = of_task.sort_values("difference", ascending=False, kind="stable")
            shown = of_task[[claimed_pairs.verdict_not_worse(row) == SUPPORTED for _, row in of_task.iterrows()]]
            row = (shown.sort_values("seconds", kind="stable") if len(shown) else of_task).iloc[0]
            share = row["seconds"] / row["seconds_b"]
            share = f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"
            findings.append(claimed_pairs.not_worse(row, f"{claimed_pairs.name(row)}, with {share} of the seconds,"))
        return findings


def _with_seconds(pairs, cost):
    """Return pairs with the mean seconds of the runs of both sides, NaN where they cannot be compared."""
    from variability.reporting.analyses.cost import SEVERAL_DEVICES

    seconds = cost[(cost["quantity"] == "seconds") & ~cost["note"].fillna("").str.contains(SEVERAL_DEVICES)]
    for side in ("", "_b"):
        names = {"model": f"model{side}", "method": f"method{side}", "estimate": f"seconds{side}"}
        of_side = seconds[["task", "model", "method", "estimate"]].rename(columns=names)
        pairs = pairs.merge(of_side, how="left", on=["task", f"model{side}", f"method{side}"])
    return pairs
