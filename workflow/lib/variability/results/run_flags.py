"""Completed runs that are at chance or outlying: the definition that all tables, counts and figures use.

A run is *at chance* if it is no better than a constant prediction:

- its accuracy is at most two binomial standard errors of the test set above the share of the most frequent class;
- or its primary metric is not better than the metric's declared ``reference``, or its R² is not above 0;
- or it *collapsed*: several runs of its cell have exactly its value, and the better ones are clearly better.

A run is *outlying* if its value is worse than the median of its cell's runs that are not at chance, by more scaled MADs
than ``stats.outlier_thresholds`` allows for their number (in 1 % of cells of normal values any run is), by more than
POINTS of the metric's length (of the median where no range is declared) and by more than STEPS steps of the metric's
resolution. Without the latter two, runs that nearly agree would make outliers of harmless ones. A run that is better
than the median by as much is *far above*: it did not fail, but a mistake in the data would look like that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from variability.results import metric_scales, run_status
from variability.results.columns import CELL_VALUE, RUN
from variability.stats import outlier_thresholds

if TYPE_CHECKING:
    import pandas as pd

#: Flags of a run, the first of which is reported where several apply.
FLAGS = ["incomplete", "chance", "outlier"]
POINTS, STEPS = 0.03, 5
#: Largest size of a test set that is recognised by the values of a metric, all multiples of its inverse.
RECOGNISED = 100


def flagged(
    primary: pd.DataFrame, runs: pd.DataFrame, mads: float | None = None, points: float = POINTS
) -> pd.DataFrame:
    """Return the rows of ``primary`` with the columns of FLAGS, and the limits that they follow from.

    primary: one row per run, its primary metric on a split after fine-tuning. runs: the runs table, which may also have
    the accuracy of these runs. mads: distance of an outlier from the median in scaled MADs; None for the distance that
    depends on the number of runs. chance_limit: largest accuracy that guessing explains, NaN if unknown. collapsed_at:
    the value of the cell's collapsed runs, NaN without any. chance_known: whether a run at chance could be recognised.
    outlier_limit: value beyond which a run is outlying, NaN if unknown. above: whether a completed run is better than
    the median by more than an outlying one is worse; such a run has none of the FLAGS. mad, mads: of the cell's runs
    that are not at chance, their MAD, and the distance of an outlier in scaled MADs. judged: whether a flag is possible
    at all.
    """
    rows = primary.merge(_guessing(runs, primary), on=RUN, how="left", validate="many_to_one").set_index(primary.index)
    sign = rows["higher_is_better"].map({True: 1.0, False: -1.0}).astype(float)
    score, reference = sign * rows["value"], sign * rows["reference"]
    rows = rows.assign(_score=score, _resolution=_resolutions(rows))
    rows = rows.assign(collapsed_at=sign * _collapse_levels(rows, points))
    completed = ~run_status.incomplete(rows)
    chance = (rows["accuracy"] <= rows["chance_limit"]) | (score <= reference) | (rows["r2"] <= 0)
    collapsed = rows["value"] == rows["collapsed_at"]
    rows["incomplete"] = ~completed
    rows["chance"] = completed & (chance | collapsed)
    rows["chance_known"] = (
        (rows[["accuracy", "chance_limit"]].notna().all(axis=1) | rows["collapsed_at"].notna())
        | (reference.notna() & score.notna())
        | rows["r2"].notna()
    )
    rows[["outlier_limit", "mad", "mads", "_mirrored"]] = _outlier_limits(rows, sign, mads, points)
    rows["outlier"] = completed & ~rows["chance"] & (score < sign * rows["outlier_limit"])
    rows["above"] = completed & ~rows["chance"] & (score > sign * rows["_mirrored"])
    # A run whose metric is undefined may be at chance nevertheless, if it has an accuracy.
    rows["judged"] = rows["value"].notna() | rows["incomplete"] | (rows["chance_known"] & rows["accuracy"].notna())
    return rows.drop(columns=["_score", "_resolution", "_mirrored"])


def with_separate(primary: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``primary`` with the column ``separate``: runs that are far from the others of their cell.

    They are at chance or outlying, or better than the median by as much as an outlying run is worse, in a cell of which
    other runs are not. What the cell is compared with, and how far its mean is from that of others, has no influence.
    Arguments: see ``flagged``.
    """
    import pandas as pd

    rows = flagged(primary, runs)
    groups = [rows[key] for key in CELL_VALUE]
    far = rows[["chance", "outlier", "above"]].any(axis=1) & rows["value"].notna()
    near = (~far & rows["value"].notna()).groupby(groups, sort=False).transform("any")
    return primary.assign(separate=pd.Series(far & near, index=primary.index))


def _guessing(runs: pd.DataFrame, primary: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy and R² of each run, and the largest accuracy that guessing explains.

    Where that limit is 1 or more, no accuracy could be distinguished from chance, and the limit is unknown.
    """
    split = primary["split"].iloc[0] if len(primary) else "test"
    rows = runs[(runs["split"] == split) & (runs["phase"] == "after") & runs["metric"].isin(["accuracy", "r2"])]
    is_accuracy = rows["metric"] == "accuracy"
    majority, n_test = rows["majority"].astype(float), rows["n_test"].astype(float)
    limit = majority + 2 * np.sqrt(majority * (1 - majority) / n_test.where(n_test > 0))
    facts = rows[RUN].assign(
        accuracy=rows["value"].where(is_accuracy),
        chance_limit=limit.where(is_accuracy & (limit < 1)),
        r2=rows["value"].where(~is_accuracy),
    )
    return facts.groupby(RUN, sort=False).first().reset_index()


def _resolutions(rows: pd.DataFrame) -> pd.Series:
    """Return the smallest difference that each row's metric can have on its task, as far as it is known."""
    length = metric_scales.length(rows)
    known = (length / rows["n_test"].where(rows["n_test"] > 0)).astype(float)
    of_values = {
        key: _resolution_of(part["value"].dropna().to_numpy(), float(length.loc[part.index].max()))
        for key, part in rows.groupby(["task", "metric"], sort=False)
    }
    rest = [of_values[key] for key in zip(rows["task"], rows["metric"], strict=True)]
    return known.where(known.notna(), rest)


def _resolution_of(values: np.ndarray, length: float) -> float:
    """Return the resolution that values show: their last decimal, or one example of a small test set."""
    if not len(values):
        return 0.0
    decimals = next((d for d in range(10) if np.array_equal(np.round(values, d), values)), None)
    rounding = 0.0 if decimals is None else 10.0**-decimals
    if length == length:
        shares = values / length
        for size in range(1, RECOGNISED + 1):
            off = np.abs(shares * size - np.round(shares * size))
            if (off <= size * (rounding / length / 2 + 1e-9)).all() and rounding / length * size < 0.5:
                return max(length / size, rounding)
    return rounding


def _collapse_levels(rows: pd.DataFrame, points: float) -> pd.Series:
    """Return for each row the score (more is better) of collapsed runs of its cell, NaN if it has none.

    The most frequent score of a cell is that of collapsed runs if the better runs are better by more than they differ
    among themselves, by more than ``points`` and by more than STEPS steps of the resolution. A run of another cell of
    the task with exactly the same score is collapsed too.
    """
    import pandas as pd

    levels = pd.Series(np.nan, index=rows.index)
    scored = rows[rows["_score"].notna() & ~run_status.incomplete(rows)]
    for _, part in scored.groupby(CELL_VALUE, sort=False):
        scores = part["_score"].to_numpy()
        values, counts = np.unique(scores, return_counts=True)
        at = int(np.argmax(counts))
        better, worse = scores[scores > values[at]], int((scores < values[at]).sum())
        # Two equal runs are a coincidence unless two others agree on a better value.
        if counts[at] < 2 or not len(better) or counts[at] + min(len(better), 2) < 4 or worse > counts[at] / 3:
            continue
        centre = pd.Series(np.median(better))
        floor = metric_scales.distance(points, metric_scales.length(part.iloc[:1]).reset_index(drop=True), centre)
        floor = np.nan_to_num(float(floor.iloc[0]))
        if better.min() - values[at] > max(np.ptp(better), floor, STEPS * part["_resolution"].max()):
            levels.loc[part.index] = values[at]
    for _, part in scored.groupby(["task", "metric"], sort=False):
        of_task = levels.loc[part.index]
        same = part["_score"].isin(of_task.dropna().unique()) & of_task.isna()
        levels.loc[part.index[same]] = part.loc[same, "_score"]
    return levels


def _outlier_limits(rows: pd.DataFrame, sign: pd.Series, mads: float | None, points: float) -> pd.DataFrame:
    """Return each row's outlier_limit, MAD and threshold of its cell, of runs that are not at chance.

    _mirrored: the value that is better than the median by as much as outlier_limit is worse.
    """
    import pandas as pd

    working = rows["value"].mask(rows["chance"])
    groups = [rows[key] for key in CELL_VALUE]
    median = working.groupby(groups, sort=False).transform("median")
    mad = (working - median).abs().groupby(groups, sort=False).transform("median")
    floor = metric_scales.distance(points, metric_scales.length(rows), median)
    resolution = (STEPS * rows["_resolution"]).where(rows["_resolution"] > 0)
    floor = floor.fillna(resolution).combine(resolution.fillna(0), max)
    n = working.groupby(groups, sort=False).transform("count")
    thresholds = pd.Series(outlier_thresholds.of(n) if mads is None else mads, index=rows.index, dtype=float)
    margin = thresholds * outlier_thresholds.MAD_TO_SD * mad
    # With a median and a MAD of 0 and no declared range there is no scale.
    margin = margin.where(margin > floor.fillna(0), floor)
    limits = {"outlier_limit": median - sign * margin, "mad": mad, "mads": thresholds}
    return pd.DataFrame(limits | {"_mirrored": median + sign * margin})
