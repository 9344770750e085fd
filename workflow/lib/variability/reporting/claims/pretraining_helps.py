"""Claim that pretraining improves over random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.claims import MARGIN, Claim

if TYPE_CHECKING:
    import pandas as pd


class PretrainingHelps(Claim):
    """For every pretrained network, task and method, against the same architecture with random weights."""

    ANALYSES = ("gain", "decisions")
    OPTIONS: ClassVar[dict[str, dict]] = {"margin": MARGIN}

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting import claimed_pairs

        pairs = claimed_pairs.both_ways(tables["decisions"], self.options.get("margin"))
        return [
            claimed_pairs.finding(
                row,
                f"On {row['task']}, pretraining helps {claimed_pairs.name(row)}: it beats {row['model_b']}.",
            )
            for _, row in claimed_pairs.with_controls(pairs, tables["gain"], "from_scratch", "model_b").iterrows()
        ]
