"""Claim that the best candidate of a task beats the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.claims import MARGIN, Claim

if TYPE_CHECKING:
    import pandas as pd


class Beats(Claim):
    """On every task, the candidate with the best mean against each other model with its best method.

    As ``decisions`` decides. Its own from-scratch control is left to the claim ``pretraining_helps``.
    """

    ANALYSES = ("decisions", "gain")
    OPTIONS: ClassVar[dict[str, dict]] = {"margin": MARGIN}

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting import claimed_pairs

        pairs = claimed_pairs.both_ways(tables["decisions"], self.options.get("margin"))
        controls = claimed_pairs.with_controls(pairs, tables["gain"], "from_scratch", "model_b")
        own_controls = set(zip(controls["task"], controls["model"], controls["model_b"], strict=True))
        findings = []
        for task, of_task in pairs.groupby("task", sort=False):
            model, method = of_task[["leader", "leader_method"]].iloc[0]
            leading = of_task[
                (of_task["model"] == model) & (of_task["method"] == method) & (of_task["model_b"] != model)
            ]
            for other, rows in leading.groupby("model_b", sort=False):
                if (task, model, other) not in own_controls:
                    row = rows.sort_values("difference", kind="stable").iloc[0]
                    sentence = f"On {task}, {claimed_pairs.name(row)} beats {claimed_pairs.name(row, '_b')}."
                    findings.append(claimed_pairs.finding(row, sentence))
        return findings
