"""Claim that reporting the best seed overstates a candidate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting import display_names
from variability.reporting.claims import MARGIN, REFUSED, SUPPORTED, Claim
from variability.results import equivalence_margins, metric_scales

if TYPE_CHECKING:
    import pandas as pd


class BestSeedOptimism(Claim):
    """Per task, for the candidate with the best mean: how much its best seed on test overstates it.

    The distance of the best of these runs from their mean is above the margin or not: a cut-off. The margin is that of
    the config's ``margins``, otherwise the option. It is the U-statistic
    at the number of runs, which is correct on average; the V-statistic is a quarter too low with 5 seeds. It is a
    property of these runs and has no interval: the bootstrap of a maximum covers too little (Tang et al. 2020).
    """

    ANALYSES = ("best_of_n", "decisions")
    OPTIONS: ClassVar[dict[str, dict]] = {"margin": MARGIN}

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        best = tables["best_of_n"].dropna(subset=["optimism"])
        best = best[(best["statistic"] == "U") & (best["best_of"] == best["n"]) & (best["n"] > 1)]
        facts = tables["decisions"].drop_duplicates("task").set_index("task")
        higher, lengths = facts["higher_is_better"], facts["unit_length"]
        findings = []
        for task, of_task in best.groupby("task", sort=False):
            row = of_task.sort_values("mean", ascending=not higher.get(task, True), kind="stable").iloc[0]
            margin = metric_scales.margin(self.option("margin"), lengths.get(task, math.nan), row["mean"])
            declared = equivalence_margins.declared(self.options.get("margins", {}), task, row["metric"])
            margin = margin if declared is None else declared
            # The best run is on the better side of the mean, whichever that is.
            optimism = abs(row["optimism"])
            candidate = display_names.candidate(row["model"], row["method"])
            findings.append(
                {
                    "task": task,
                    "sentence": f"On {task}, reporting the best of {row['n']:g} seeds of {candidate} overstates it "
                    f"by more than {margin:.3g}.",
                    "verdict": SUPPORTED if optimism > margin else REFUSED,
                    **{"effect": optimism, "n": f"{row['n']:g}"},
                    **{key: row[key] for key in ("estimator", "interval", "scope")},
                }
            )
        return findings
