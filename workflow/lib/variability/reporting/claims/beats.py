"""Does the best candidate of a task beat the others?"""

from typing import ClassVar

from variability.reporting.claims import MARGIN, Claim


class Beats(Claim):
    """On every task, the candidate with the best mean against each other model at its best method.

    Adjusted for all pairs of the task, because which one leads was seen in the same runs. Its own from-scratch control
    is another claim's (``pretraining_helps``).
    """

    ANALYSES = ("pairwise", "gain")
    OPTIONS: ClassVar[dict[str, dict]] = {"margin": MARGIN}

    def findings(self, tables):
        from variability.reporting.claims import _pairs

        pairs = _pairs.both_ways(tables["pairwise"])
        controls = _pairs.with_controls(pairs, tables["gain"], "from_scratch", "model_b")
        known = set(zip(controls["task"], controls["model"], controls["model_b"], strict=True))
        found = []
        for task, of_task in pairs.groupby("task", sort=False):
            # The leader is the one whose smallest difference to any other is the largest.
            model, method = of_task.groupby(["model", "method"], sort=False)["difference"].min().idxmax()
            own = of_task[(of_task["model"] == model) & (of_task["method"] == method) & (of_task["model_b"] != model)]
            for other, rows in own.groupby("model_b", sort=False):
                if (task, model, other) not in known:
                    row = rows.sort_values("difference", kind="stable").iloc[0]
                    sentence = f"On {task}, {_pairs.name(row)} beats {_pairs.name(row, '_b')}."
                    found.append(_pairs.finding(row, sentence, self.option("margin")))
        return found
