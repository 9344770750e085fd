"""Status of a run: the definition of completed, failed, diverged and undefined that all tables, counts and figures use.

A run is ``completed``, ``failed`` (no result: it crashed, was killed, or has no value at all) or ``diverged`` (a loss,
a weight or a value is not finite, or training reports it). A run that is not completed has no value from after
fine-tuning. A value of a completed run is *undefined* if it is missing: the metric is not defined on these data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.results.columns import RUN

if TYPE_CHECKING:
    import pandas as pd

COMPLETED, FAILED, DIVERGED = "completed", "failed", "diverged"
STATUSES = (COMPLETED, FAILED, DIVERGED)
#: Reason of runs without any value.
NO_VALUE = "no value"
#: Largest size of a value; squares of larger ones are not finite, nor are variances.
LARGEST = 1e150


def incomplete(runs: pd.DataFrame) -> pd.Series:
    """Return which rows belong to runs that did not complete: failed or diverged."""
    return runs["status"] != COMPLETED


def failed(runs: pd.DataFrame) -> pd.Series:
    """Return which rows belong to runs that failed, but did not diverge."""
    return incomplete(runs) & (runs["status"] != DIVERGED)


def diverged(runs: pd.DataFrame) -> pd.Series:
    """Return which rows belong to runs that diverged."""
    return runs["status"] == DIVERGED


def undefined(runs: pd.DataFrame) -> pd.Series:
    """Return which rows are values of completed runs on whose data the metric is not defined."""
    return runs["value"].isna() & ~incomplete(runs)


def with_non_finite(runs: pd.DataFrame, written_nan: pd.Series | None = None) -> pd.DataFrame:
    """Return the runs table with completed runs that have a value that is not finite marked as diverged.

    The rule is the same for trained and imported runs: an infinite value from after fine-tuning (or one above LARGEST
    in size), of any metric and split, makes the run diverged, as does NaN of a loss (a metric for which less is
    better). The run then has no value from after fine-tuning, of any metric: they all come from the same weights. NaN
    of another metric is an undefined value, as is an infinite value from before fine-tuning.

    written_nan: rows whose value is NaN because the source states it, not because it is missing. Other missing values
    are undefined.
    """
    values, after = runs["value"], runs["phase"] == "after"
    infinite = values.abs() > LARGEST
    wrong = infinite
    if written_nan is not None:
        wrong = wrong | (written_nan & values.isna() & runs["higher_is_better"].eq(False).fillna(False).astype(bool))
    wrong = wrong & after & ~incomplete(runs)
    texts = values.map("{:g}".format).astype("str")
    reasons = (runs["metric"].astype(str) + " is " + texts)[wrong].groupby([runs[key] for key in RUN]).first()
    table = _marked(runs.assign(value=values.mask(infinite)), DIVERGED, reasons)
    return table.assign(value=table["value"].mask(after & incomplete(table)))


def with_no_value(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the table of imported runs with completed runs that have no value of any metric marked as failed."""
    counts = runs[~incomplete(runs)].groupby(RUN)["value"].count()
    return _marked(runs, FAILED, counts[counts == 0].map(lambda _: NO_VALUE))


def _marked(runs: pd.DataFrame, status: str, reasons: pd.Series) -> pd.DataFrame:
    """Return the table with a status and a fail_reason for all rows of the runs in ``reasons``, which is by run."""
    import pandas as pd

    if reasons.empty:
        return runs
    reason = reasons.reindex(pd.MultiIndex.from_frame(runs[RUN])).to_numpy(dtype=object)
    marked = pd.notna(reason)
    return runs.assign(
        status=runs["status"].mask(marked, status),
        fail_reason=runs["fail_reason"].astype(object).where(~marked, reason),
    )
