"""The same run, made twice: is it the same to the bit, and if not, how far apart?"""

import hashlib
from typing import ClassVar

import numpy as np

from variability.data import kinds
from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import VALUE

PAIR = ["task", "model", "method", "repeat_model", "repeat_method"]
KEYS = [*PAIR, "seed", "repeat_seed"]
PREDICTED = ["predictions_equal", "differing", "n_examples"]
#: Facts that do not decide a result but may change its last bits.
BESIDE = {"device": "device", "versions": "software"}
COLUMNS = [
    *("model", "task", "method", "repeat_model", "repeat_method", "metric", "n", "n_failed"),
    *("bit_equal", "n_bit_equal", "compared", "largest_difference", "sd", "sd_low", "sd_high"),
    *("n_examples", "differing", "differing_most", "estimator", "interval", "level", "ddof", "note", "scope"),
]


class Nondeterminism(Analysis):
    """Pairs of runs that agree in all that decides their result, under two names of a model or a method.

    That is provider, architecture, weights, pretraining seed, options, preprocessing, task, kind and options of the
    method, recipe (by its hash), number of training examples and the seeds of all streams. What is unknown agrees with
    nothing, so imported runs have no repeats. One row per two cells; n is the number of pairs that both completed.

    bit_equal: all metrics of both phases and splits are equal, and where there are predictions, those and their
    probabilities on the test split too. sd is that of one run about what it and its repeats have in common: root of
    the mean of d^2 / 2 over the pairs' differences d of the primary metric on the test split, with n degrees of freedom
    and a chi-square interval, which leans on normality. differing: share of test examples whose predicted class
    differs, mean and largest over the pairs.
    """

    USES = ("predictions",)
    REPEATS = True
    REQUIRES = ("repeated_runs",)
    CAPTION = (
        "Runs that were made twice with the same seeds, recipe and data, under different names: whether metrics and "
        "predictions are equal to the bit, the spread between the two, and the share of test examples on which they "
        "disagree. Empty where the study repeats no run."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables):
        import pandas as pd

        from variability.results import repeated_runs

        runs = tables["runs"]
        pairs = _with_differences(repeated_runs.pairs(runs), runs)
        found = tables.get("predictions")
        said = [row for _, group in pairs.groupby(PAIR) for row in _predicted(found, group)]
        pairs = pairs.merge(pd.DataFrame(said, columns=[*KEYS, *PREDICTED]), on=KEYS, how="left")
        rows = [self._row(dict(zip(PAIR, names, strict=True)), group) for names, group in pairs.groupby(PAIR)]
        return pd.DataFrame(rows, columns=COLUMNS)

    def _row(self, names, group):
        from variability.stats import intervals

        both = group[group["completed"]]
        n, differences = len(both), both["difference"].dropna()
        sd = np.sqrt(np.square(differences).mean() / 2) if len(differences) else np.nan
        # One degree of freedom per pair, for each has a mean of its own.
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
    """The pairs, with what their metrics say: completed, metric, difference, metrics_equal and what else differs."""
    run, repeat = ["task", "model", "method", "seed"], ["task", "repeat_model", "repeat_method", "repeat_seed"]
    kept = runs[[*run, *VALUE, "value", "status", "primary", *BESIDE]]
    first = pairs.merge(kept, on=run)
    second = kept.rename(columns=dict(zip(run, repeat, strict=True)))
    both = first.merge(second, on=[*repeat, *VALUE], suffixes=("", "_repeat"))
    completed = (both["status"] == "completed") & (both["status_repeat"] == "completed")
    values = both["value"], both["value_repeat"]
    both = both.assign(
        completed=completed,
        lone=both["status"] != both["status_repeat"],
        metrics_equal=(values[0] == values[1]) | (values[0].isna() & values[1].isna()),
        difference=values[1] - values[0],
        **{fact: (both[fact] != both[f"{fact}_repeat"]) for fact in BESIDE},
    )
    each = both.groupby(KEYS)[["completed", "metrics_equal"]].all().join(both.groupby(KEYS)[["lone", *BESIDE]].any())
    shown = both[both["primary"].astype(bool) & (both["phase"] == "after") & (both["split"] == "test")]
    return each.reset_index().merge(shown[[*KEYS, "metric", "difference"]], on=KEYS)


def _predicted(predictions, group):
    """What the predictions of the pairs of two cells say, a row per pair of runs that have some."""
    task, model, method, repeat_model, repeat_method = group[PAIR].iloc[0]
    cells = (model, task, method), (repeat_model, task, repeat_method)
    if predictions is None or not set(cells) <= set(predictions.cells):
        return []
    repeats = {run.seed: (_bits(run), run.y_pred) for run in predictions.runs(cells[1])}
    rows = []
    for run in predictions.runs(cells[0]):
        bits = _bits(run)
        for repeat_seed in group.loc[group["seed"] == run.seed, "repeat_seed"]:
            if repeat_seed in repeats:
                keys = [task, model, method, repeat_model, repeat_method, run.seed, repeat_seed]
                rows.append([*keys, *_compared(run, bits, *repeats[repeat_seed])])
    return rows


def _bits(run):
    """What stands for a run's examples and for its predictions; probabilities of many runs would fill the memory."""
    shares = b"" if run.probabilities is None else np.ascontiguousarray(run.probabilities).tobytes()
    given = run.example_ids.tobytes() + run.y_true.tobytes()
    return hashlib.sha256(given).digest(), hashlib.sha256(run.y_pred.tobytes() + shares).digest()


def _compared(run, bits, other_bits, other_classes):
    if bits[0] != other_bits[0]:
        return False, np.nan, np.nan
    # Nearly every number differs by a rounding: a share of them says nothing.
    share = np.mean(run.y_pred != other_classes) if kinds.find(run.kind).DISCRETE else np.nan
    return bits[1] == other_bits[1], share, len(run.y_true)


def _note(group, n, alike, level):
    said = [] if n else ["no pair completed"]
    if n and alike:
        # Clopper and Pearson's one-sided limit of a share of which none was seen.
        most = 1 - (1 - level) ** (1 / n)
        said.append(f"no pair differed, which at this level leaves up to {100 * most:.0f} % of pairs that do")
    said += [f"in {group['lone'].sum()} pairs one run completed and the other did not"] if group["lone"].any() else []
    said += [f"the {fact} differs between some repeated runs" for column, fact in BESIDE.items() if group[column].any()]
    return "; ".join(said) or None


def _scope(group):
    varied = [fact for column, fact in BESIDE.items() if group[column].any()]
    fixed = [fact for fact in BESIDE.values() if fact not in varied]
    same = ["all streams", "recipe", *fixed, "weights", "training and test examples"]
    return f"varied: {', '.join(varied) or 'nothing but the time'}; fixed: {', '.join(same)}"
