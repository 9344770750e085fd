"""Scale of a metric: unit, range, normalisation and reference, as a plug-in or the config declares them.

Sizes of differences and scores that are comparable across tasks come from these declarations alone, never from the
values that happen to be observed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from variability import advice

if TYPE_CHECKING:
    import pandas as pd

#: Keys of a declaration in the config.
KEYS = ("unit", "range", "normalise", "reference")
#: Unit of errors in regression: that of the task's targets, or its square, so that it differs between tasks.
OF_TARGET = "unit of the target"
#: Columns of the runs table.
COLUMNS = ("unit", "range_low", "range_high", "normalise_low", "normalise_high", "reference")
_ENDS = ("low", "high")


def columns_of(declaration: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return the values of those of COLUMNS that a declaration determines for a task.

    declaration: ``unit``; ``range`` [low, high], an open end None; ``normalise`` {low, high} or {task: {low, high}};
    ``reference``, a number or {task: number}.
    """
    columns: dict[str, Any] = {}
    if declaration.get("unit") is not None:
        columns["unit"] = declaration["unit"]
    if declaration.get("range") is not None:
        columns |= dict(zip(("range_low", "range_high"), declaration["range"], strict=True))
    normalise = declaration.get("normalise")
    normalise = normalise if normalise is None or is_normalisation(normalise) else normalise.get(task)
    if normalise is not None:
        columns |= {f"normalise_{end}": float(normalise[end]) for end in _ENDS}
    reference = declaration.get("reference")
    reference = reference.get(task) if isinstance(reference, Mapping) else reference
    return columns if reference is None else columns | {"reference": float(reference)}


def is_normalisation(normalise: Mapping[str, Any]) -> bool:
    """Return whether this is one {low, high} for all tasks, not one per task."""
    return set(normalise) == set(_ENDS) and not any(isinstance(normalise[end], Mapping) for end in _ENDS)


def named_tasks(declaration: Mapping[str, Any]) -> set[str]:
    """Return the tasks that a declaration has values of its own for."""
    normalise, reference = declaration.get("normalise"), declaration.get("reference")
    names = set(normalise) if normalise is not None and not is_normalisation(normalise) else set()
    return names | (set(reference) if isinstance(reference, Mapping) else set())


def with_declared(runs: pd.DataFrame, declarations: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the runs table with COLUMNS, in which the declarations replace what the table has.

    declarations: {metric: declaration}.
    """
    pairs = runs[["task", "metric"]].drop_duplicates().itertuples(index=False, name=None)
    declared = {pair: columns_of(declarations[pair[1]], pair[0]) for pair in pairs if pair[1] in declarations}
    rows = list(zip(runs["task"], runs["metric"], strict=True))
    for column in COLUMNS:
        current = runs[column] if column in runs else [None] * len(runs)
        runs[column] = [declared.get(row, {}).get(column, value) for row, value in zip(rows, current, strict=True)]
    return runs.astype({column: object if column == "unit" else float for column in COLUMNS})


def length(runs: pd.DataFrame) -> pd.Series:
    """Return the length of one unit of each row's metric, of which margins are fractions; NaN if none is declared.

    It is the distance between the ends of the normalisation; otherwise that of a closed range, in which a metric of
    both signs, such as a correlation, is measured from 0; otherwise that of the perfect value from the reference.
    """
    import numpy as np

    low, high = runs["range_low"].astype(float), runs["range_high"].astype(float)
    signed = (low < 0) & (high > 0)
    closed = (high - low).where(~signed, np.maximum(-low, high))
    lengths = (runs["normalise_high"] - runs["normalise_low"]).abs().astype(float)
    lengths = lengths.fillna(closed).fillna((runs["perfect"] - runs["reference"]).abs())
    return lengths.where((lengths > 0) & np.isfinite(lengths))


def distance(fraction: float, lengths: pd.Series, centre: pd.Series) -> pd.Series:
    """Return a fraction of the metric's length; of |centre| where none is declared (NaN if that is 0 or missing)."""
    relative = fraction * centre.abs()
    return lengths.mul(fraction).fillna(relative.where(relative > 0)).where(centre.notna())


def margin(fraction: float, unit_length: float, centre: float) -> float:
    """Return the same as ``distance`` for one metric, but 0 where neither its length nor |centre| is a size."""
    return fraction * (unit_length if unit_length > 0 else abs(centre))


def outside(runs: pd.DataFrame) -> pd.Series:
    """Return which values are outside the declared range, by more than the rounding of their last digits."""
    low, high = runs["range_low"].astype(float), runs["range_high"].astype(float)
    tolerance = 1e-6 * low.abs().fillna(0).combine(high.abs().fillna(0), max).clip(lower=1)
    return (runs["value"] < low - tolerance) | (runs["value"] > high + tolerance)


def problems(declaration: Mapping[str, Any], tasks: Collection[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) of what a schema cannot express. tasks: of the study, None if they are not known."""
    low, high = declaration.get("range") or (None, None)
    if low is not None and high is not None and low >= high:
        yield "range", f"starts at {low:g} and ends at {high:g}; give the smaller end first"
    normalise = declaration.get("normalise")
    if normalise is not None:
        one = is_normalisation(normalise)
        for task, ends in {"": normalise}.items() if one else normalise.items():
            if ends["low"] == ends["high"]:
                at = f"normalise.{task}".removesuffix(".")
                yield at, "low and high are equal; low becomes the score 0 and high the score 1"
    unknown = named_tasks(declaration) - set(tasks) if tasks is not None else set()
    reference = declaration.get("reference")
    for task in sorted(unknown):
        key = "reference" if isinstance(reference, Mapping) and task in reference else "normalise"
        yield key, f"names a task {task!r} that no run has; {advice.suggest(task, sorted(tasks or ()))}"
