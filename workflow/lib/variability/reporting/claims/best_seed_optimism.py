"""How much does the best seed flatter?"""

from typing import ClassVar

from variability.reporting.claims import MARGIN, REFUSED, SUPPORTED, Claim


class BestSeedOptimism(Claim):
    """Per task, for the candidate with the best mean: what reporting its best seed on test overstates it by.

    How far the best of these runs lies from their mean, above the margin or not: a cut-off. It is the U-statistic at as
    many runs as there are, which is right on average, where the V-statistic is a quarter too low with 5 seeds and would
    call flattery harmless. It is a property of these runs and carries no interval: the bootstrap of a maximum covers
    too little (Tang et al. 2020).
    """

    ANALYSES = ("best_of_n", "pairwise")
    OPTIONS: ClassVar[dict[str, dict]] = {"margin": MARGIN}

    def findings(self, tables):
        best = tables["best_of_n"].dropna(subset=["optimism"])
        best = best[(best["statistic"] == "U") & (best["best_of"] == best["n"]) & (best["n"] > 1)]
        higher = tables["pairwise"].drop_duplicates("task").set_index("task")["higher_is_better"]
        found = []
        for task, of_task in best.groupby("task", sort=False):
            row = of_task.sort_values("mean", ascending=not higher.get(task, True), kind="stable").iloc[0]
            margin = self.option("margin") * (
                1 if 0 <= of_task["mean"].min() <= of_task["mean"].max() <= 1 else abs(row["mean"])
            )
            # The best lies on the better side of the mean, whichever that is.
            flattery = abs(row["optimism"])
            said = f"reporting the best of {row['n']:g} seeds of {row['model']} ({row['method']})"
            found.append(
                {
                    "task": task,
                    "sentence": f"On {task}, {said} overstates it by more than {margin:.3g}.",
                    "verdict": SUPPORTED if flattery > margin else REFUSED,
                    **{"effect": flattery, "n": f"{row['n']:g}"},
                    **{key: row[key] for key in ("estimator", "interval", "scope")},
                }
            )
        return found
