"""Differences between runs with equal seeds, recipe and data: nondeterminism."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import plural
from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import VALUE
from variability.results.predictions import is_discrete

if TYPE_CHECKING:
    import pandas as pd

PAIR = ["task", "model", "method", "repeat_model", "repeat_method"]
KEYS = [*PAIR, "seed", "repeat_seed"]
PREDICTED = ["predictions_equal", "differing", "n_examples"]
#: Facts that do not determine a result but may change its last bits.
MINOR_FACTS = {"device": "device", "versions": "software"}
COLUMNS = [
    *("model", "task", "method", "repeat_model", "repeat_method", "metric", "n", "n_failed"),
    *("bit_equal", "n_bit_equal", "compared", "largest_difference", "sd", "sd_low", "sd_high"),
    *("n_examples", "differing", "differing_most", "estimator", "interval", "level", "ddof", "note", "scope"),
]


class Nondeterminism(Analysis):
    """Pairs of runs that agree in everything that determines their result, under two names of a model or a method.

    These are provider, architecture, weights, pretraining seed, options, preprocessing, task, kind and options of the
    method, recipe (by its hash), number of training examples and the seeds of all streams. Unknown facts agree with
    nothing, so imported runs have no repeated runs. One row per two cells; n is the number of pairs that both
    completed.

    bit_equal: all metrics of both phases and splits are equal, and if there are predictions, those and their
    probabilities on the test split. sd is the SD of one run around what a pair has in common: root of the mean of d^2 /
    2 over the differences d of the pairs in the primary metric on the test split, with n degrees of freedom and a
    chi-square interval, which depends on normality. differing: share of test examples whose predicted class differs,
    mean and largest over the pairs.
    """

    USES = ("predictions",)
    REPEATS = True
    REQUIRES = ("repeated_runs",)
    CAPTION = (
        "Repeated runs, with the same seeds, recipe and data under different names: whether metrics and predictions "
        "are bit-identical, the spread between the two, and the share of test examples on which they disagree. Empty "
        "if the study repeats no run."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.results import repeated_runs

        runs = tables["runs"]
        pairs = _with_differences(repeated_runs.pairs(runs), runs)
        predictions = tables.get("predictions")
        compared = [row for _, group in pairs.groupby(PAIR) for row in _predicted(predictions, group)]
        pairs = pairs.merge(pd.DataFrame(compared, columns=[*KEYS, *PREDICTED]), on=KEYS, how="left")
        rows = [self._row(dict(zip(PAIR, names, strict=True)), group) for names, group in pairs.groupby(PAIR)]
        return pd.DataFrame(rows, columns=COLUMNS)

    def _row(self, names, group):
        from variability.stats import intervals

        both = group[group["completed"]]
        n, differences = len(both), both["difference"].dropna()
        sd = np.sqrt(np.square(differences).mean() / 2) if len(differences) else np.nan
        # One degree of freedom per pair, because each pair has its own mean.
        low, high = intervals.sd_interval(sd, len(differences) + 1, self.option("level"))
        with_predictions = both["predictions_equal"].notna()
        equal = both["metrics_equal"] & (both["predictions_equal"] != False)  # noqa: E712 - may be missing
        compared = "metrics and predictions" if n and with_predictions.all() else "metrics"
        return names | {
            **{"metric": group["metric"].iloc[0], "n": n, "n_failed": len(group) - n, "compared": compared},
            **{"bit_equal": bool(equal.all()) if n else None, "n_bit_equal": int(equal.sum())},
            **{"largest_difference": differences.abs().max(), "sd": sd, "sd_low": float(low), "sd_high": float(high)},
            **{"n_examples": both["n_examples"].max()},
            **{"differing": both["differing"].mean(), "differing_most": both["differing"].max()},
            "estimator": "root of half the mean squared difference of pairs with equal seeds and recipe hash",
            **{"interval": "chi-square, of the SD", "level": self.option("level"), "ddof": 1.0},
            "note": _note(group, n, bool(equal.all()), self.option("level")),
            "scope": _scope(group),
        }


def _with_differences(pairs, runs):
    """Add what the metrics of the pairs show: completed, metric, difference, metrics_equal and other differences."""
    run, repeat = ["task", "model", "method", "seed"], ["task", "repeat_model", "repeat_method", "repeat_seed"]
    values_of_runs = runs[[*run, *VALUE, "value", "status", "primary", *MINOR_FACTS]]
    first = pairs.merge(values_of_runs, on=run)
    second = values_of_runs.rename(columns=dict(zip(run, repeat, strict=True)))
    both = first.merge(second, on=[*repeat, *VALUE], suffixes=("", "_repeat"))
    completed = (both["status"] == "completed") & (both["status_repeat"] == "completed")
    values = both["value"], both["value_repeat"]
    both = both.assign(
        completed=completed,
        lone=both["status"] != both["status_repeat"],
        metrics_equal=(values[0] == values[1]) | (values[0].isna() & values[1].isna()),
        difference=values[1] - values[0],
        **{fact: (both[fact] != both[f"{fact}_repeat"]) for fact in MINOR_FACTS},
    )
    by_pair = (
        both.groupby(KEYS)[["completed", "metrics_equal"]].all().join(both.groupby(KEYS)[["lone", *MINOR_FACTS]].any())
    )
    primary = both[both["primary"].astype(bool) & (both["phase"] == "after") & (both["split"] == "test")]
    return by_pair.reset_index().merge(primary[[*KEYS, "metric", "difference"]], on=KEYS)


def _predicted(predictions, group):
    """Return one row per pair of runs of two cells that have predictions, with how these differ."""
    task, model, method, repeat_model, repeat_method = group[PAIR].iloc[0]
    cells = (model, task, method), (repeat_model, task, repeat_method)
    if predictions is None or not set(cells) <= set(predictions.cells):
        return []
    repeats = {run.seed: (_digests(run), run.y_pred) for run in predictions.runs(cells[1])}
    rows = []
    for run in predictions.runs(cells[0]):
        digests = _digests(run)
        for repeat_seed in group.loc[group["seed"] == run.seed, "repeat_seed"]:
            if repeat_seed in repeats:
                keys = [task, model, method, repeat_model, repeat_method, run.seed, repeat_seed]
                rows.append([*keys, *_compared(run, digests, *repeats[repeat_seed])])
    return rows


def _digests(run):
    """Return digests of a run's examples and of its predictions, because probabilities would fill the memory."""
    probabilities = b"" if run.probabilities is None else np.ascontiguousarray(run.probabilities).tobytes()
    examples = run.example_ids.tobytes() + run.y_true.tobytes()
    return hashlib.sha256(examples).digest(), hashlib.sha256(run.y_pred.tobytes() + probabilities).digest()


def _compared(run, digests, other_digests, other_classes):
    if digests[0] != other_digests[0]:
        return False, np.nan, np.nan
    # In regression nearly every number differs by a rounding error, so the share is not informative.
    share = np.mean(run.y_pred != other_classes) if is_discrete(run.kind) else np.nan
    return digests[1] == other_digests[1], share, len(run.y_true)


def _note(group, n, all_equal, level):
    notes = [] if n else ["no pair completed"]
    if n and all_equal:
        # Clopper and Pearson's one-sided upper limit of a share with no occurrence.
        limit = 1 - (1 - level) ** (1 / n)
        notes.append(f"no pair differed, which at this level leaves up to {100 * limit:.0f} % of pairs that do")
    notes += (
        [f"in {plural(group['lone'].sum(), 'pair')} one run completed and the other did not"]
        if group["lone"].any()
        else []
    )
    notes += [
        f"the {fact} differs between some repeated runs" for column, fact in MINOR_FACTS.items() if group[column].any()
    ]
    return "; ".join(notes) or None


def _scope(group):
    varied = [fact for column, fact in MINOR_FACTS.items() if group[column].any()]
    fixed = [fact for fact in MINOR_FACTS.values() if fact not in varied]
    same = ["all streams", "recipe", *fixed, "weights", "training and test examples"]
    return f"varied: {', '.join(varied) or 'nothing but the time'}; fixed: {', '.join(same)}"
