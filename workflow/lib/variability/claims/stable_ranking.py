"""Would another study rank the candidates alike?"""

from variability.claims import REFUSED, SUPPORTED, UNDECIDED, Claim


class StableRanking(Claim):
    """Per task, three sentences about the ranking by means, from the bootstrap of the analysis ``ranks``.

    The leader is the best: supported where it is so in at least ``level`` of the replicates, and never refused. A
    second study of this size would rank all candidates alike: supported where even the lower end of the interval of
    Kendall's tau-b between a replicate's ranking and the study's is 1, refused where even the upper end is below TAU.
    One seed of each would name the same winner: a cut-off on what these runs themselves say, without an interval;
    refused where more than 1 - level of the studies that could be made of one run each name another.
    """

    ANALYSES = ("ranks",)
    #: Kendall's tau below which rankings are not called alike: fewer than nine in ten pairs keep their order.
    TAU = 0.8

    def findings(self, tables):
        ranks = tables["ranks"].dropna(subset=["rank", "study_rank"])
        found = []
        for task, of_task in ranks.groupby("task", sort=False):
            if of_task["candidates"].iloc[0] < 2:
                continue
            leader = of_task.sort_values("study_rank", kind="stable").iloc[0]
            few = of_task["n"].min() < 2
            about = {key: leader[key] for key in ("estimator", "interval", "level", "scope")} | {"task": task}
            about["n"] = f"{of_task['n'].min():g}"
            for said in (_leads(task, leader), self._alike(task, leader), _one_seed(task, leader)):
                # The bootstrap takes a candidate's only run for its true mean.
                found.append(about | said | ({"verdict": UNDECIDED} if few else {}))
        return found

    def _alike(self, task, row):
        low, high = row["kendall_tau_low"], row["kendall_tau_high"]
        return {
            "sentence": f"On {task}, the ranking of all {row['candidates']:g} candidates is stable.",
            "verdict": SUPPORTED if low >= 1 else REFUSED if high < self.TAU else UNDECIDED,
            **{"effect": row["kendall_tau"], "low": low, "high": high, "unit": "of Kendall's tau-b"},
        }


def _leads(task, row):
    return {
        "sentence": f"On {task}, {row['model']} ({row['method']}) is the best of {row['candidates']:g} candidates.",
        "verdict": SUPPORTED if row["p_best"] >= row["level"] else UNDECIDED,
        **{"effect": row["p_best"], "unit": "of the replicates"},
    }


def _one_seed(task, row):
    return {
        "sentence": f"On {task}, a study with one seed of each candidate would name the same winner.",
        "verdict": SUPPORTED if row["wrong_winner"] <= 1 - row["level"] else REFUSED,
        **{"effect": row["wrong_winner"], "unit": "of such studies name another"},
    }
