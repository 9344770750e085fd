"""Claim that training more than the head improves over a linear probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.claims import MARGIN, Claim

if TYPE_CHECKING:
    import pandas as pd


class GainOverProbe(Claim):
    """For every network and task, each method that trains more against the linear probe of the same network."""

    ANALYSES = ("gain", "decisions")
    OPTIONS: ClassVar[dict[str, dict]] = {"margin": MARGIN}

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting import claimed_pairs

        pairs = claimed_pairs.both_ways(tables["decisions"], self.options.get("margin"))
        controlled = claimed_pairs.with_controls(pairs, tables["gain"], "linear_probe", "method_b")
        findings = []
        for _, row in controlled.iterrows():
            gain = f"the gain of {claimed_pairs.name(row)} over its {row['method_b']}"
            findings.append(claimed_pairs.finding(row, f"On {row['task']}, {gain} exceeds seed noise."))
        return findings
