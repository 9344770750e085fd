"""Values of the column ``decision`` of the table ``decisions``, and equivalence within a margin as one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.results import equivalence_margins

if TYPE_CHECKING:
    import pandas as pd

    from variability.stats.equivalence import OneSided

#: Values of the column ``decision``, about the sentence "the candidate beats candidate b". Pairs are not tested if
#: nothing varies or a side has a single run; ``note`` gives the reason. If several apply, the first in this order is
#: the decision: a difference that is shown may at the same time be shown to be within the margin, see ``note``.
BEATS, EQUIVALENT, UNDECIDED, NOT_TESTED = "beats", "equivalent", "undecided", "not tested"
#: In ``overall``: a candidate that lacks a task is compared with the one that is ahead on the tasks that both have,
#: without a decision.
NOT_RANKED = "not ranked"
#: Values of ``margin_from``: the config's ``margins``, or a fraction of the metric's length or of the mean.
DECLARED, OF_LENGTH, OF_MEAN = "margins of the config", "fraction of the metric's length", "fraction of the mean"
WITHIN = "the difference is shown to be less than the margin, too"


def decided(pairs: pd.DataFrame, fraction: float, margins: Mapping[str, Any]) -> pd.DataFrame:
    """Return pairs of one task with their margins, the p-values of equivalence, and the decisions that follow.

    fraction: margin of metrics without one in ``margins``, see ``metric_scales.length``; without a length, of the
    smaller |mean| of the two candidates.
    """
    first = pairs.iloc[:1]
    declared = None
    if len(first):
        declared = equivalence_margins.declared(margins, str(first["task"].iloc[0]), first["metric"].iloc[0])
    if declared is not None:
        pairs = pairs.assign(margin=float(declared), margin_from=DECLARED)
    else:
        centre = pairs[["mean", "mean_b"]].abs().min(axis=1, skipna=False)
        of_length = pairs["unit_length"] > 0
        lengths = pairs["unit_length"].astype(float)
        sizes = fraction * lengths.where(of_length, centre)
        pairs = pairs.assign(margin=sizes, margin_from=np.where(of_length, OF_LENGTH, OF_MEAN))
    return _with_tests(pairs)


def with_margin(decisions: pd.DataFrame, fraction: float | None) -> pd.DataFrame:
    """Return the table ``decisions`` as it would be with another margin where the config declares none.

    fraction: as in ``decided``; None for the margins of the table.
    """
    import pandas as pd

    if fraction is None or decisions.empty:
        return decisions
    parts = [
        of_task if (of_task["margin_from"] == DECLARED).all() else decided(of_task, fraction, {})
        for _, of_task in decisions.groupby("task", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)


def _where(chosen: np.ndarray, one: OneSided, other: OneSided) -> OneSided:
    """Return the p-values of one for the pairs that are chosen, and of the other for the rest."""
    return type(one)(*(np.where(chosen, *sides) for sides in zip(one, other, strict=True)))


def _with_tests(pairs: pd.DataFrame) -> pd.DataFrame:
    from variability.reporting import seeds_to_decide
    from variability.stats import equivalence

    tests = equivalence.one_sided(pairs["difference"], pairs["se"], pairs["df"], pairs["margin"])
    # The difference of two constants is known, and no part of the family.
    known = (pairs["deterministic"] & pairs["deterministic_b"]).to_numpy(dtype=bool)
    exact = equivalence.of_known(pairs["difference"], pairs["margin"])
    adjusted = _where(known, exact, equivalence.adjusted(tests))
    tests = _where(known, exact, tests)
    p = adjusted.p_equivalent()
    equivalent, beats = p <= 1 - pairs["level"], pairs["decision"] == BEATS
    within = equivalent & beats
    # The table may be one that was decided with another margin.
    undecided = pairs["decision"].isin([UNDECIDED, EQUIVALENT])
    notes = pairs["note"].fillna("").str.removesuffix(WITHIN).str.removesuffix("; ")
    decision = pairs["decision"].mask(undecided, np.where(equivalent, EQUIVALENT, UNDECIDED))
    is_open = decision == UNDECIDED
    more = decision.map({BEATS: 0.0, EQUIVALENT: 0.0}).astype(float)
    more[is_open] = seeds_to_decide.to_decide(pairs[is_open])
    return pairs.assign(
        p_tost=tests.p_equivalent(),
        p_not_worse=adjusted.not_worse,
        p_not_worse_b=adjusted.not_worse_b,
        p_equivalent=p,
        decision=decision,
        n_more=more,
        note=np.where(within, notes + np.where(notes != "", "; ", "") + WITHIN, notes),
    )
