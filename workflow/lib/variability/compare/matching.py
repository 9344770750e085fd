"""Cells of the old runs and the cells of the new runs that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from variability.advice import listed, suggest
from variability.errors import UserError
from variability.results.columns import CELL
from variability.results.run_selection import matches_name

if TYPE_CHECKING:
    import pandas as pd

#: Model, task and method of a cell.
Cell = tuple[str, str, str]


class Cells(NamedTuple):
    """Cells of both sides, in the order of their names.

    both: (old, new) that are compared. only_old: (old, name that the new one would have). only_new: the new ones.
    """

    both: list[tuple[Cell, Cell]]
    only_old: list[tuple[Cell, Cell]]
    only_new: list[Cell]


def match(old: pd.DataFrame, new: pd.DataFrame, entries: Mapping[str, Sequence[str]]) -> Cells:
    """Return the cells that are compared.

    entries: for ``task``, ``model`` and ``method``, names and patterns that select, and ``old=new`` for names that
    differ; without any, all names are compared with themselves. Raises UserError for a name that neither side has, and
    if no cells are left.
    """
    old_cells, new_cells = (sorted(set(side[CELL].itertuples(index=False, name=None))) for side in (old, new))
    renamed = {
        axis: _renamed(sorted(old[axis].unique()), sorted(new[axis].unique()), entries.get(axis, ()), axis)
        for axis in CELL
    }
    models, tasks, methods = (renamed[axis] for axis in CELL)
    selected: dict[Cell, Cell] = {
        (model, task, method): (models[model], tasks[task], methods[method])
        for model, task, method in old_cells
        if model in models and task in tasks and method in methods
    }
    targets = {axis: set(names.values()) for axis, names in renamed.items()}
    chosen_new = [
        cell for cell in new_cells if all(name in targets[axis] for axis, name in zip(CELL, cell, strict=True))
    ]
    both = [(cell, target) for cell, target in selected.items() if target in new_cells]
    if not both:
        raise UserError(_nothing_in_common(old_cells, new_cells))
    compared = {target for _, target in both}
    only_old = [(cell, target) for cell, target in selected.items() if target not in compared]
    return Cells(both, only_old, [cell for cell in chosen_new if cell not in compared])


def _renamed(old: list[str], new: list[str], entries: Sequence[str], axis: str) -> dict[str, str]:
    """Return {old name: new name} of the selected names; a name of the new side alone is there as itself."""
    if not entries:
        return {name: name for name in [*old, *new]}
    names: dict[str, str] = {}
    for entry in entries:
        if matching := [name for name in [*old, *new] if matches_name(name, entry)]:
            names |= {name: name for name in matching}
        elif "=" in entry:
            names |= dict([_pair(entry, old, new, axis)])
        else:
            raise UserError(f"--{axis}: no run has the {axis} {entry!r}; {suggest(entry, sorted({*old, *new}))}")
    repeated = [name for name in names.values() if list(names.values()).count(name) > 1]
    if repeated:
        raise UserError(f"--{axis}: several names of OLD are compared with {repeated[0]!r} of NEW; keep one of them")
    return names


def _pair(entry: str, old: list[str], new: list[str], axis: str) -> tuple[str, str]:
    """Return the two names of ``old=new``; names may contain = themselves."""
    splits = [(entry[:i], entry[i + 1 :]) for i, letter in enumerate(entry) if letter == "="]
    for first, second in splits:
        if first in old and second in new:
            return first, second
    first, second = next(((a, b) for a, b in splits if a in old), splits[0])
    side, name, known = ("NEW", second, new) if first in old else ("OLD", first, old)
    raise UserError(f"--{axis} {entry}: {side} has no {axis} {name!r}; {suggest(name, known)}")


def _nothing_in_common(old: list[Cell], new: list[Cell]) -> str:
    for position, axis in ((1, "task"), (0, "model"), (2, "method")):
        names, others = (sorted({cell[position] for cell in side}) for side in (old, new))
        if not set(names) & set(others):
            return (
                f"OLD and NEW have no {axis} in common ({listed(names, 5)}; {listed(others, 5)}); pair their names "
                f"with `--{axis} {names[0]}={others[0]}`"
            )
    return "no task, model and method of OLD is in NEW; pair their names with --task, --model and --method OLD=NEW"
