"""Imported rows that are named like a model or method and hold a statistic of the other rows, such as their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from variability.advice import agree
from variability.errors import UserError
from variability.results.columns import CELL, RUN_VALUE
from variability.results.imported_files import Source

if TYPE_CHECKING:
    import pandas as pd

_STATISTICS: dict[str, Callable[[np.ndarray], tuple[float, ...]]] = {
    **dict.fromkeys(("mean", "avg", "average"), lambda values: (values.mean(),)),
    "median": lambda values: (float(np.median(values)),),
    **dict.fromkeys(("min", "minimum"), lambda values: (values.min(),)),
    **dict.fromkeys(("max", "maximum"), lambda values: (values.max(),)),
    **dict.fromkeys(("sum", "total"), lambda values: (values.sum(),)),
    **dict.fromkeys(("std", "stdev", "stddev", "sd"), lambda values: (values.std(), values.std(ddof=1))),
    **dict.fromkeys(("var", "variance"), lambda values: (values.var(), values.var(ddof=1))),
}


def refuse_computed(table: pd.DataFrame, roles: Mapping[str, str], source: Source) -> None:
    """Raise UserError for a model or method that has the name of a statistic, and its value in every row.

    The statistic is that of the other models (or methods) with equal task, metric and so on, either with the same seed
    or with all seeds; its value may be rounded. A baseline that predicts the mean has other values, and is a model.

    table: one row per value of a run, indexed by the file's rows. roles: {role: column}.
    """
    for role in CELL:
        if role == "task":
            continue
        keys = [key for key in RUN_VALUE if key != role]
        for name in table[role].unique():
            statistic = _STATISTICS.get(str(name).strip().lower().rstrip(".:"))
            rows, others = table[table[role] == name], table[table[role] != name]
            if statistic and any(_agree(rows, others, by, statistic) for by in (keys, [*set(keys) - {"seed"}])):
                count = len(set(rows.index))
                raise UserError(
                    f"{source.at(rows.index)}: the {role} {name!r} is named like a statistic, and "
                    f"{agree(count, 'its value is', 'its values are')} that of the other rows; leave "
                    f"{agree(count, 'it', 'them')} out by `where_not: {{{roles.get(role, role)}: {name}}}`, or give "
                    f"it another name if it is a {role}"
                )


def _agree(
    rows: pd.DataFrame, others: pd.DataFrame, by: list[str], statistic: Callable[[np.ndarray], tuple[float, ...]]
) -> bool:
    """Return whether the value of each row is a statistic of two or more other rows that are equal in some columns."""
    groups = {key: part["value"].dropna().to_numpy() for key, part in others.groupby(by, sort=False)}
    for key, value in zip(rows[by].itertuples(index=False, name=None), rows["value"], strict=True):
        values = groups.get(key if len(by) > 1 else key[0], np.array([]))
        if len(values) < 2 or not np.isfinite(value):
            return False
        # Half a unit of the last decimal that is stated, and what binary numbers add.
        rounding = 0.5 * 10.0 ** -_decimals(value) + 1e-9 * max(1.0, abs(value))
        if not any(abs(value - of_others) <= rounding for of_others in statistic(values)):
            return False
    return True


def _decimals(value: float) -> int:
    """Return the number of decimals of a value, of which at most ten are stated; the rest is that of binary numbers."""
    return next((digits for digits in range(10) if abs(round(value, digits) - value) < 1e-11), 10)
