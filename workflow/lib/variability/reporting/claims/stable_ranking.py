"""Would another study rank the candidates alike?"""

from variability.reporting.claims import REFUSED, SUPPORTED, UNDECIDED, Claim


class StableRanking(Claim):
    """Per task, three sentences about the ranking by means, from the analyses ``ranks`` and ``pairwise``.

    The leader is the best: supported where it is so in at least ``level`` of the replicates of ``ranks`` and differs
    from every other candidate by its test of ``pairwise``, and never refused. A second study of this size would rank
    all candidates alike: supported where even the lower end of the interval of Kendall's tau-b between a replicate's
    ranking and the study's is 1 and every two candidates differ by their test, refused where even the upper end is
    below TAU. The replicates alone would be too sure of themselves: of two equal candidates, in 14 % of studies of 5
    seeds one is the best in 95 % of the replicates. Where all tests have to reject, the largest p-value needs no
    adjustment, and a leader that was picked because it leads none either (Gutmann & Maymin 1987).

    One of these seeds of each is enough to name the same winner: a cut-off on what these runs themselves say, without
    an interval; refused where more than 1 - level of the studies that could be made of one run each name another.
    """

    ANALYSES = ("ranks", "pairwise")
    #: Kendall's tau below which rankings are not called alike: fewer than nine in ten pairs keep their order.
    TAU = 0.8

    def findings(self, tables):
        from variability.reporting.claims import _pairs

        ranks, pairs = tables["ranks"].dropna(subset=["rank", "study_rank"]), _pairs.both_ways(tables["pairwise"])
        found = []
        for task, of_task in ranks.groupby("task", sort=False):
            if of_task["candidates"].iloc[0] < 2:
                continue
            leader = of_task.sort_values("study_rank", kind="stable").iloc[0]
            few = of_task["n"].min() < 2
            about = {key: leader[key] for key in ("estimator", "interval", "level", "scope")} | {"task": task}
            about["n"] = f"{of_task['n'].min():g}"
            every = pairs[pairs["task"] == task]
            own = every[(every["model"] == leader["model"]) & (every["method"] == leader["method"])]
            for said in (_leads(task, leader, own), self._alike(task, leader, every), _one_seed(task, leader)):
                # The bootstrap takes a candidate's only run for its true mean.
                found.append(about | said | ({"verdict": UNDECIDED} if few else {}))
        return found

    def _alike(self, task, row, pairs):
        low, high, p = row["kendall_tau_low"], row["kendall_tau_high"], _largest_p(pairs)
        sure = low >= 1 and p <= 1 - row["level"]
        return {
            "sentence": f"On {task}, the ranking of all {row['candidates']:g} candidates is stable.",
            "verdict": SUPPORTED if sure else REFUSED if high < self.TAU else UNDECIDED,
            **{"effect": row["kendall_tau"], "low": low, "high": high, "unit": "of Kendall's tau-b"},
            **{"p": p, "p_adjusted": p, "family": f"task {task}: all pairs of candidates have to differ"},
        }


def _largest_p(pairs):
    """NaN where one is missing: then not all differences are shown."""
    return pairs["p"].max(skipna=False)


def _leads(task, row, pairs):
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
        "sentence": f"On {task}, one of these seeds of each candidate is enough to name the same winner.",
        "verdict": SUPPORTED if row["wrong_winner"] <= 1 - row["level"] else REFUSED,
        **{"effect": row["wrong_winner"], "unit": "of such studies name another"},
    }
