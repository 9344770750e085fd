"""Imported models, methods or tasks that are a statistic of the other rows, such as their mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from variability.advice import agree
from variability.errors import UserError
from variability.results.columns import CELL, RUN_VALUE
from variability.results.imported_files import Source
from variability.results.statistic_words import possible_statistic

if TYPE_CHECKING:
    import pandas as pd

Statistic = Callable[[np.ndarray], tuple[float, ...]]

_STATISTICS: dict[str, Statistic] = {
    "mean": lambda values: (values.mean(),),
    "median": lambda values: (float(np.median(values)),),
    "min": lambda values: (values.min(),),
    "max": lambda values: (values.max(),),
    # Tables call a mean "total", too.
    "sum": lambda values: (values.sum(), values.mean()),
    "std": lambda values: (values.std(), values.std(ddof=1)),
    "var": lambda values: (values.var(), values.var(ddof=1)),
    "error": lambda values: (values.std(ddof=1) / math.sqrt(len(values)),),
}
#: Probability below which it is no chance that all values of a name are the means of the others.
_CHANCE = 1e-6


def refuse_computed(table: pd.DataFrame, roles: Mapping[str, str], source: Source) -> None:
    """Raise UserError for a model, method or task whose values are all a statistic of the others.

    The statistic is that of the other models (methods, tasks) with equal task, metric and so on, either with the same
    seed or with all seeds; its value may be rounded. One with the name of a statistic needs no more; a baseline that
    predicts the mean has other values, and is a model. The name that a file has last needs means that cannot be chance.

    table: one row per value of a run, indexed by the file's rows. roles: {role: column}.
    """
    for role in CELL:
        keys = [key for key in RUN_VALUE if key != role]
        names = list(table[role].unique())
        for name in names if len(names) > 2 else ():
            kind = possible_statistic(name)
            statistic = _STATISTICS.get(kind or "mean")
            if statistic is None or not (kind or name == names[-1]):
                continue
            rows, others = table[table[role] == name], table[table[role] != name]
            most = 1.0 if kind else _CHANCE / len(names)
            if any(_chance(rows, others, by, statistic) <= most for by in (keys, [*set(keys) - {"seed"}])):
                _refuse(rows, role, str(name), named=bool(kind), roles=roles, source=source)


def _refuse(rows: pd.DataFrame, role: str, name: str, *, named: bool, roles: Mapping[str, str], source: Source) -> None:
    count = len(set(rows.index))
    it, value_is = agree(count, "it", "them"), agree(count, "its value is", "its values are")
    what = f"is named like a statistic, and {value_is} that" if named else f"may be a statistic: {value_is} the mean"
    otherwise = "give it another name" if named else "move it above the others"
    raise UserError(
        f"{source.at(rows.index)}: the {role} {name!r} {what} of the other rows; leave {it} out by "
        f"`where_not: {{{roles.get(role, role)}: {name}}}`, or {otherwise} if it is a {role}"
    )


def _chance(rows: pd.DataFrame, others: pd.DataFrame, by: list[str], statistic: Statistic) -> float:
    """Return how probable it is that values in the range of the others agree by chance; infinite if they do not.

    The value of each row is to be a statistic of two or more other rows that are equal in some columns.
    """
    groups = {key: part["value"].dropna().to_numpy() for key, part in others.groupby(by, sort=False)}
    chance = 1.0
    for key, value in zip(rows[by].itertuples(index=False, name=None), rows["value"], strict=True):
        values = groups.get(key if len(by) > 1 else key[0], np.array([]))
        if len(values) < 2 or not np.isfinite(value):
            return math.inf
        # Half a unit of the last decimal that is stated, and what binary numbers add.
        rounding = 0.5 * 10.0 ** -_decimals(value) + 1e-9 * max(1.0, abs(value))
        if not any(abs(value - of_others) <= rounding for of_others in statistic(values)):
            return math.inf
        chance *= 2 * rounding / (np.ptp(values) + 2 * rounding)
    return chance


def _decimals(value: float) -> int:
    """Return the number of decimals of a value, of which at most ten are stated; the rest is that of binary numbers."""
    return next((digits for digits in range(10) if abs(round(value, digits) - value) < 1e-11), 10)
