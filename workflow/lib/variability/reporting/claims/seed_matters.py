"""Claim that the spread between seeds exceeds the noise of the test examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from variability.reporting import display_names
from variability.reporting.claims import REFUSED, SD_OF, SUPPORTED, UNDECIDED, Claim

if TYPE_CHECKING:
    import pandas as pd


class SeedMatters(Claim):
    """Per cell: runs with different seeds would also differ in the primary metric on infinitely many test examples.

    From the F test of the crossed analysis of variance (``noise_split``), adjusted over the cells of the task. Refused
    if the upper end of the seed's SD is below the SD of the test set. Not stated about metrics that have no such split.
    """

    ANALYSES = ("noise_split",)

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        table = tables["noise_split"].dropna(subset=["p_adjusted"])
        table = table[table["primary"].astype(bool)]
        return [self._finding(row) for _, row in table.iterrows()]

    def _finding(self, row):
        small = row["sd_seed_high"] ** 2 < row["variance_test_set"]
        verdict = SUPPORTED if row["p_adjusted"] <= 1 - row["level"] else REFUSED if small else UNDECIDED
        cell = display_names.candidate(row["model"], row["method"])
        return {
            "task": row["task"],
            "sentence": f"On {row['task']}, the seeds of {cell} differ by more than the noise of the test examples.",
            "verdict": verdict,
            **{
                "effect": row["sd_seed"],
                "low": row["sd_seed_low"],
                "high": row["sd_seed_high"],
                "unit": f"{SD_OF}{row['metric']}",
            },
            **{key: row[key] for key in ("p", "p_adjusted", "family", "estimator", "interval", "level", "scope")},
            "n": f"{row['n']:g}",
        }
