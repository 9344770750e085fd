"""How many runs a study has, and what became of those that are in no mean, in words."""

from collections.abc import Sequence
from itertools import product

import pandas as pd

from variability.reporting import primary_rows, text_format
from variability.results.columns import CELL, RUN
from variability.results.runs_table import HERE, first_runs

#: Cells that a sentence names, the first of all it is about.
NAMED = 8


def in_words(runs: pd.DataFrame) -> str:
    """How many runs there are, and what became of those that are in no mean."""
    first = first_runs(runs)
    each = first.drop_duplicates(RUN)
    failed = each[each["status"] != "completed"]
    others = failed[failed["status"] != "diverged"]
    counts = [f"{len(each) - len(failed)} completed"]
    if len(failed) > len(others) or trained_here(each):
        counts.append(f"{len(failed) - len(others)} diverged")
    if not trained_here(each):
        counts.append(f"{len(others)} failed{_reasons(others)}")
    said = [f"{text_format.plural(len(each), 'run')}: {', '.join(counts)}."]
    if len(failed):
        word = "Failed" if len(others) else "Diverged"
        said.append(f"{word} runs are counted, and are in no mean ({_by_cell(failed)}).")
    shown = primary_rows.select(first)
    undefined = shown[shown["value"].isna() & (shown["status"] == "completed")]
    if count := len(undefined):
        has, are = ("has", "is") if count == 1 else ("have", "are")
        said.append(
            f"{text_format.plural(count, 'completed run')} {has} no value of the primary metric (undefined), and {are} "
            f"in no mean either ({_by_cell(undefined)})."
        )
    seeds = each.groupby(CELL, sort=False).size()
    if seeds.min() < seeds.max():
        said.append(f"The cells have {seeds.min()} to {seeds.max()} runs.")
    if holes := _holes(each):
        verb = "is" if len(holes) == 1 else "are"
        named = _listed(_patterns(holes, _axes(each[each["source"] != HERE])))
        said.append(
            f"{text_format.plural(len(holes), 'combination')} of model, task and method {verb} not there ({named})."
        )
    again = runs[runs["repeats"].notna()].drop_duplicates(RUN)
    if len(again):
        was = "was" if len(again) == 1 else "were"
        said.append(
            f"{text_format.plural(len(again), 'further run')} {was} made to see whether the same seed gives the same "
            f"result ({_by_cell(again)}), and {was} left out of all else."
        )
    return " ".join(said)


def trained_here(runs: pd.DataFrame) -> bool:
    """Whether all runs are the study's own, which fail by diverging; those from elsewhere have ways of their own."""
    return bool((runs["source"] == HERE).all())


def _reasons(failed: pd.DataFrame) -> str:
    counts = failed["fail_reason"].value_counts()
    return f" ({', '.join(f'{count} {reason}' for reason, count in counts.items())})" if len(counts) else ""


def _by_cell(runs: pd.DataFrame) -> str:
    counts = runs.groupby(CELL, sort=False).size()
    return _listed([f"{'/'.join(cell)}: {count}" for cell, count in counts.items()])


def _listed(cells: Sequence[str]) -> str:
    more = [f"and {len(cells) - NAMED} more"] if len(cells) > NAMED else []
    return "; ".join([*cells[:NAMED], *more])


def _holes(each: pd.DataFrame) -> set[tuple[str, ...]]:
    """Cells missing from imported runs; of its own the study leaves out what its grid says."""
    others = each[each["source"] != HERE]
    return set(product(*_axes(others))) - set(others[CELL].itertuples(index=False, name=None))


def _axes(runs: pd.DataFrame) -> list[list[str]]:
    return [list(dict.fromkeys(runs[key])) for key in CELL]


def _patterns(cells: set[tuple[str, ...]], axes: Sequence[Sequence[str]]) -> list[str]:
    """The cells as model/task/method, with * for every task (or else model, or method) where all of them are meant."""
    found, rest = [], set(cells)
    for at in (1, 0, 2):
        for cell in sorted(rest):
            of_axis = {(*cell[:at], name, *cell[at + 1 :]) for name in axes[at]}
            if len(of_axis) > 1 and of_axis <= rest:
                found.append("/".join((*cell[:at], "*", *cell[at + 1 :])))
                rest -= of_axis
    return [*found, *("/".join(cell) for cell in sorted(rest))]
