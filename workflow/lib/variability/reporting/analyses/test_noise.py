"""Test noise: what the finite test set leaves open about scores and their differences, whatever the seeds."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd

#: Values of ``verdict``. They are about other test examples of the same kind, and never about other seeds.
BEYOND, WITHIN, NOT_TESTED = "beyond test noise", "within test noise", "not tested"
REFERENCE = ["model_reference", "method_reference"]
COLUMNS = [
    *(*CELL, *REFERENCE, "quantity", "split", "metric", "higher_is_better", "estimate", "se", "low", "high"),
    *("p", "p_adjusted", "mcnemar_p", "verdict", "examples_paired", "family", "n", "n_reference", "n_failed"),
    *("n_failed_reference", "n_examples", "n_groups", "estimator", "interval", "level", "ddof", "note"),
]
FROM_EXAMPLES, FROM_ERROR, FROM_COUNT = "examples", "the reported standard error", "the number of test examples"
T_INTERVAL, Z_INTERVAL = "t over examples, or groups of them", "normal, of the standard error"
WILSON, NEWCOMBE = "Wilson", "Newcombe, of two Wilson intervals"
NO_ERROR = "neither examples, nor a standard error, nor a number of test examples"
ONE_RUN = "one run: other seeds are not covered"
UNPAIRED = "examples not paired: too cautious if both sides had the same test examples"
NO_SPREAD = "the scores of all examples differ by the same: nothing to test"


class Side(NamedTuple):
    """The completed runs of a cell: mean score, and its standard error over test examples.

    source: FROM_EXAMPLES, FROM_ERROR, FROM_COUNT or None. scores, ids: (examples,) mean over the runs, by example, from
    examples. binary: True if they are those of a single run, and all 0 or 1. low, high: ends of the interval.
    """

    cell: tuple[str, str, str]
    n: int
    n_failed: int
    value: float
    se: float
    low: float
    high: float
    source: str | None
    n_examples: float
    n_groups: float
    ids: np.ndarray | None = None
    scores: np.ndarray | None = None
    clusters: np.ndarray | None = None
    binary: bool = False


class TestNoise(Analysis):
    """Scores and differences of candidates on the primary metric, with standard errors over test examples.

    The sample is that of the test examples, or of their groups: another test set of the same kind. Seeds are not
    sampled: with several runs of a cell, an example's score is its mean over them, and ``decisions`` says what other
    seeds would change. So the table also compares candidates of one run each, on test noise alone.

    score: the mean over examples with its cluster-robust standard error and Student's t (Miller 2024, "Adding error
    bars to evals", sections 2 and 3; see ``stats.clustered``). Scores such as F1 are replaced by their linear
    approximation, see ``noise_split``. Without examples, from the standard error that the file reports, or, for a share
    of examples, from their number (Wilson 1927).

    difference: the better candidate minus the other, oriented so that more is better. With the same examples on both
    sides the differences of single examples are averaged, with the same standard error (his paired differences): pairs
    remove what examples have in common. Otherwise the variances add up (or Newcombe 1998, Stat. Med. 17:873, method 10,
    and the pooled z test of two shares). p_adjusted: Holm over all pairs of a task. mcnemar_p: exact, with groups by
    the signs of whole groups, for single runs that are right or wrong on each example.
    """

    NEEDS = ("runs",)
    USES = ("predictions",)
    REQUIRES = ("test_noise",)
    SUMMARISED = True
    CAPTION = (
        "Scores and differences with standard errors over test examples, of groups where examples are grouped. They "
        "say what another test set of the same kind could change, and nothing about other seeds: with one run per "
        "candidate, this is all that can be compared."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _example_losses, _reference_scopes

        runs, predictions = primary_rows.select(tables["runs"]), tables.get("predictions")
        rows = []
        for task, of_task in runs.groupby("task", sort=False):
            facts = of_task.iloc[0]
            sides = [
                _side(cell, rows_of_cell, predictions, self.option("level"))
                for cell, rows_of_cell in of_task.groupby(CELL, sort=False)
            ]
            sides = [side for side in sides if side.n]
            of_task = [_score_row(side) for side in sides]
            of_task += [_difference_row(*pair, facts, self.option("level")) for pair in combinations(sides, 2)]
            stated = {"task": task, "split": facts["split"], "metric": facts["metric"]}
            rows += [row | stated | {"higher_is_better": facts["higher_is_better"]} for row in of_task]
        table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("p_adjusted", "family", "level")])
        table = table.astype({"p": float, "mcnemar_p": float})
        table["family"] = ("all pairs of " + table["task"].astype(str)).where(table["quantity"] == "difference", None)
        table["p_adjusted"] = _example_losses.holm(table["p"], table["family"].fillna("scores"))
        tested = table["p_adjusted"].notna()
        table["verdict"] = np.where(table["p_adjusted"] <= 1 - self.option("level"), BEYOND, WITHIN)
        table["verdict"] = table["verdict"].where(tested, NOT_TESTED).where(table["quantity"] == "difference", None)
        table = table.assign(level=self.option("level"))[COLUMNS]
        return _reference_scopes.with_scopes(table, runs, CELL)


def _side(cell, rows, predictions, level):
    """Return a cell's runs as a side of comparisons."""
    from variability.results import run_status
    from variability.stats import clustered, intervals

    values = rows["value"].dropna()
    n, failed = len(values), int(run_status.incomplete(rows).sum())
    nan = float("nan")
    unknown = Side(cell, n, failed, float(values.mean()) if n else nan, nan, nan, nan, None, nan, nan)
    if predictions is not None and cell in predictions.cells and n:
        side = _of_examples(unknown, rows["metric"].iloc[0], predictions, level)
        if side is not None:
            return side
    examples = rows["n_test"].max()
    unknown = unknown._replace(n_examples=examples, n_groups=examples)
    if n and (se := rows["stderr"].mean()) == se:
        low, high, _ = clustered.t_test(unknown.value, se, 10**9, level)
        return unknown._replace(se=se, low=low, high=high, source=FROM_ERROR)
    is_share = rows["unit"].iloc[0] == "fraction of examples"
    if n and is_share and examples > 1:
        low, high = intervals.wilson_interval(unknown.value * examples, examples, level)
        se = float(np.sqrt(unknown.value * (1 - unknown.value) / examples))
        return unknown._replace(se=se, low=float(low), high=float(high), source=FROM_COUNT)
    return unknown


def _of_examples(side, metric, predictions, level):
    """Return the side with the scores of its examples; None if the metric has none."""
    from variability.reporting.analyses import _example_losses
    from variability.stats import clustered, confusion_scores

    cube = predictions.cube(side.cell)
    if cube is None:
        return None
    classes = next(iter(predictions.runs(side.cell))).classes if metric in confusion_scores.METRICS else 0
    scores = _example_losses.contributions(metric, cube, classes)
    if scores is None:
        return None
    order = np.argsort(cube.example_ids, kind="stable")
    clusters = None if cube.clusters is None else cube.clusters[order]
    mean_scores = scores.mean(axis=0)[order]
    mean = clustered.mean(mean_scores, clusters)
    low, high, _ = clustered.t_test(mean.value, mean.se, mean.units, level)
    binary = len(scores) == 1 and bool(np.isin(scores, (0, 1)).all())
    return side._replace(
        **{"value": mean.value, "se": mean.se, "low": low, "high": high, "source": FROM_EXAMPLES},
        **{"n_examples": len(order), "n_groups": mean.units},
        **{"ids": cube.example_ids[order], "scores": mean_scores, "clusters": clusters, "binary": binary},
    )


def _keys(side, reference=None):
    model, _, method = side.cell
    row = {"model": model, "method": method, "n": side.n, "n_failed": side.n_failed}
    if reference is not None:
        other, _, method = reference.cell
        row |= dict(zip(REFERENCE, (other, method), strict=True))
        row |= {"n_reference": reference.n, "n_failed_reference": reference.n_failed}
    return row


def _score_row(side):
    interval = {FROM_EXAMPLES: T_INTERVAL, FROM_ERROR: Z_INTERVAL, FROM_COUNT: WILSON, None: "none"}[side.source]
    notes = [ONE_RUN] if side.n == 1 else []
    notes += [NO_ERROR] if side.source is None else []
    return _keys(side) | {
        **{"quantity": "score", "estimate": side.value, "se": side.se, "low": side.low, "high": side.high},
        **{"n_examples": side.n_examples, "n_groups": side.n_groups, "ddof": 1.0},
        **{"estimator": f"mean, error from {side.source or 'nothing'}", "interval": interval},
        "note": "; ".join(notes) or None,
    }


def _difference_row(side, reference, facts, level):
    """Return the comparison of two sides, the better one first."""
    sign = -1.0 if facts["higher_is_better"] in (False, 0) else 1.0
    if sign * (side.value - reference.value) < 0:
        side, reference = reference, side
    notes = [ONE_RUN] if min(side.n, reference.n) == 1 else []
    row = _keys(side, reference) | {"quantity": "difference", "ddof": 1.0}
    estimate = sign * (side.value - reference.value)
    if _paired(side, reference):
        row |= _of_pairs(side, reference, sign, level)
        notes += [NO_SPREAD] if row["se"] == 0 else []
    elif side.source is None or reference.source is None:
        row |= {"estimate": estimate, "estimator": "difference of means", "interval": "none"}
        notes.append(NO_ERROR)
    else:
        row |= _of_errors(side, reference, estimate, sign, level)
        notes.append(UNPAIRED)
    return row | {"note": "; ".join(notes) or None}


def _paired(side, reference):
    return side.ids is not None and reference.ids is not None and np.array_equal(side.ids, reference.ids)


def _of_pairs(side, reference, sign, level):
    from variability.stats import clustered, rounding

    differences = sign * (side.scores - reference.scores)
    mean = clustered.mean(differences, side.clusters)
    se = 0.0 if rounding.is_rounding(mean.se, np.abs(side.scores).max()) else mean.se
    low, high, p = clustered.t_test(mean.value, se, mean.units, level)
    row = {"estimate": mean.value, "se": se, "low": low, "high": high, "p": p, "examples_paired": True}
    if side.binary and reference.binary:
        row["mcnemar_p"] = clustered.mcnemar_p(differences > 0, differences < 0, side.clusters)
    return row | {
        **{"n_examples": side.n_examples, "n_groups": mean.units},
        **{"estimator": "mean of differences of examples", "interval": T_INTERVAL},
    }


def _of_errors(side, reference, estimate, sign, level):
    from scipy import special

    from variability.stats import clustered

    se = float(np.hypot(side.se, reference.se))
    row = {"n_examples": np.fmin(side.n_examples, reference.n_examples), "examples_paired": False}
    row |= {"n_groups": np.fmin(side.n_groups, reference.n_groups), "estimator": "difference of means"}
    if side.source == reference.source == FROM_COUNT:
        counts = np.array([side.n_examples, reference.n_examples])
        pooled = float(np.array([side.value, reference.value]) @ counts / counts.sum())
        spread = np.sqrt(pooled * (1 - pooled) * (1 / counts).sum())
        p = 2 * special.ndtr(-abs(estimate) / spread) if spread > 0 else np.nan
        ends = (side, reference) if sign > 0 else (reference, side)
        low = estimate - np.hypot(ends[0].value - ends[0].low, ends[1].high - ends[1].value)
        high = estimate + np.hypot(ends[0].high - ends[0].value, ends[1].value - ends[1].low)
        numbers = {"low": low, "high": high, "p": p, "interval": NEWCOMBE}
    else:
        low, high, p = clustered.t_test(estimate, se, 10**9, level)
        numbers = {"low": low, "high": high, "p": p, "interval": Z_INTERVAL}
    return row | {"estimate": estimate, "se": se} | numbers
