"""The column ``scope`` of tables whose rows may compare a candidate with a reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from variability.reporting.analyses import _cells

if TYPE_CHECKING:
    import pandas as pd


def with_scopes(table: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Add the column ``scope``, of both sides where they differ; reference columns are ``<key>_reference``."""
    scopes = _cells.scopes(runs, by).set_index(list(by))["scope"]
    candidate_scopes = scopes.reindex(table.set_index(list(by)).index)
    # A reference on the same task has no task column.
    reference_keys = [f"{key}_reference" if f"{key}_reference" in table else key for key in by]
    reference_scopes = scopes.reindex(table.set_index(reference_keys).index)
    texts = [
        scope if not isinstance(reference, str) or scope == reference else f"{scope}; reference {reference}"
        for scope, reference in zip(candidate_scopes, reference_scopes, strict=True)
    ]
    return table.assign(scope=texts)
