"""What analyses share whose rows may be about two things: one, and another that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from variability.reporting.analyses import _cells

if TYPE_CHECKING:
    import pandas as pd


def with_scopes(table: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The table with ``scope``, of both sides where they differ; those of a reference stand in ``<key>_reference``."""
    scopes = _cells.scopes(runs, by).set_index(list(by))["scope"]
    own = scopes.reindex(table.set_index(list(by)).index)
    # A reference may be on the same task, which is then said once.
    beside = [f"{key}_reference" if f"{key}_reference" in table else key for key in by]
    other = scopes.reindex(table.set_index(beside).index)
    said = [
        first if not isinstance(second, str) or first == second else f"{first}; reference {second}"
        for first, second in zip(own, other, strict=True)
    ]
    return table.assign(scope=said)
