"""Flags of failed runs by reason, which the table ``failures`` counts and its figure marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from variability.reporting import primary_rows
from variability.results.columns import CELL, RUN

if TYPE_CHECKING:
    import pandas as pd

REASONS = ["incomplete", "chance", "outlier"]


def flagged(runs: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that ``primary_rows.select`` selects, with the columns of REASONS and ``chance_limit``.

    limits: per cell the ``outlier_limit`` beyond which a value is an outlier; NaN if unknown. An incomplete run has no
    value, and therefore no other reason. chance_limit is the accuracy up to which a run is at chance, NaN if unknown.
    """
    rows = primary_rows.select(runs).merge(_chance(runs), on=RUN, how="left", validate="many_to_one")
    rows = rows.merge(limits[[*CELL, "outlier_limit"]], on=CELL, how="left", validate="many_to_one")
    below, above = rows["value"] < rows["outlier_limit"], rows["value"] > rows["outlier_limit"]
    higher, lower = (rows["higher_is_better"].eq(side).fillna(False).astype(bool) for side in (True, False))
    return rows.assign(
        incomplete=rows["status"] != "completed",
        chance=rows["accuracy"] <= rows["chance_limit"],
        outlier=(higher & below) | (lower & above),
    )


def _chance(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of each run, and the largest accuracy that guessing explains.

    That is two binomial standard errors above the share of the most frequent class. Where it is 1 or more, no accuracy
    could be distinguished from chance, and the limit is unknown.
    """
    rows = runs[(runs["metric"] == "accuracy") & (runs["split"] == primary_rows.SPLIT) & (runs["phase"] == "after")]
    majority, n_test = rows["majority"], rows["n_test"]
    limit = majority + 2 * np.sqrt(majority * (1 - majority) / n_test.where(n_test > 0))
    accuracies = rows[RUN].assign(accuracy=rows["value"], chance_limit=limit.where(limit < 1))
    return accuracies.drop_duplicates(RUN)
