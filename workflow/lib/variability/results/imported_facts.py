"""Declarations of an import about its runs beyond their values: models without seed noise, and splits of each run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.advice import suggest
from variability.errors import UserError
from variability.results.columns import CELL_VALUE
from variability.results.run_selection import matches_name

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the runs table. deterministic: True if no seed changes the runs of the model. folds: number of folds of
#: which each run was tested on one; 0 if runs have splits of their own that are not folds; missing otherwise.
COLUMNS = ("deterministic", "folds")


def declared(table: pd.DataFrame, spec: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Return the runs of an import with what its keys ``deterministic`` and ``folds`` declare. name: of the import.

    Nothing is concluded from the number of runs: a single run may be one of many that seeds would change. Raises
    UserError for a pattern that matches no model, and for a deterministic model whose runs differ.
    """
    patterns, models = spec.get("deterministic", []), sorted(table["model"].unique())
    for pattern in patterns:
        if not any(matches_name(model, pattern) for model in models):
            raise UserError(f"{name}: deterministic: {pattern!r} matches no model; {suggest(pattern, models)}")
    chosen = [model for model in models if any(matches_name(model, pattern) for pattern in patterns)]
    deterministic = table["model"].isin(chosen)
    folds = spec.get("folds", False)
    if folds is False:
        _refuse_different(table[deterministic & table["value"].notna()], name)
    number = np.nan if folds is False else 0.0 if folds is True else float(folds)
    return table.assign(deterministic=deterministic, folds=number)


def _refuse_different(table: pd.DataFrame, name: str) -> None:
    for key, values in table.groupby(CELL_VALUE, sort=False)["value"]:
        if values.nunique() > 1:
            model, task, method, *_, metric = key
            raise UserError(
                f"{name}: deterministic: the runs of {model} ({method}) on task {task} have different values of "
                f"{metric}, such as {values.iloc[0]:g} and {values[values != values.iloc[0]].iloc[0]:g}; take the "
                "model off the list, or declare `folds` if each run has a split of its own"
            )
