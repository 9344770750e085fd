"""Which runs failed, and why: what the table of failures counts and its figure marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from variability.reporting import primary_rows
from variability.results.columns import CELL, RUN

if TYPE_CHECKING:
    import pandas as pd

REASONS = ["incomplete", "chance", "outlier"]


def flagged(runs: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """The runs of which ``wording.shown`` speaks, with the columns of REASONS and ``chance_limit``.

    limits: per cell the ``outlier_limit`` beyond which a value is an outlier; NaN where none is. An incomplete run
    has no value, and is nothing else. chance_limit is the accuracy up to which a run is at chance, NaN if unknown.
    """
    found = primary_rows.select(runs).merge(_chance(runs), on=RUN, how="left", validate="many_to_one")
    found = found.merge(limits[[*CELL, "outlier_limit"]], on=CELL, how="left", validate="many_to_one")
    below, above = found["value"] < found["outlier_limit"], found["value"] > found["outlier_limit"]
    higher, lower = (found["higher_is_better"].eq(side).fillna(False).astype(bool) for side in (True, False))
    return found.assign(
        incomplete=found["status"] != "completed",
        chance=found["accuracy"] <= found["chance_limit"],
        outlier=(higher & below) | (lower & above),
    )


def _chance(runs):
    """Accuracy of each run, and the largest that guessing the most frequent class explains: two binomial SE above it.

    Where that is 1 or more no accuracy could be told from chance, and the limit is unknown.
    """
    rows = runs[(runs["metric"] == "accuracy") & (runs["split"] == primary_rows.SPLIT) & (runs["phase"] == "after")]
    majority, n_test = rows["majority"], rows["n_test"]
    limit = majority + 2 * np.sqrt(majority * (1 - majority) / n_test.where(n_test > 0))
    found = rows[RUN].assign(accuracy=rows["value"], chance_limit=limit.where(limit < 1))
    return found.drop_duplicates(RUN)
