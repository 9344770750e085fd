"""Sentences about how many runs a study has, and why some of them are in no mean."""

from collections.abc import Sequence
from itertools import product

import pandas as pd

from variability.reporting import primary_rows, text_format
from variability.results.columns import CELL, RUN
from variability.results.runs_table import TRAINED_HERE, first_runs

#: Largest number of cells that a sentence names.
NAMED = 8


def in_words(runs: pd.DataFrame) -> str:
    """Describe how many runs there are, and which of them are in no mean."""
    first = first_runs(runs)
    all_runs = first.drop_duplicates(RUN)
    failed = all_runs[all_runs["status"] != "completed"]
    other_failures = failed[failed["status"] != "diverged"]
    counts = [f"{len(all_runs) - len(failed)} completed"]
    if len(failed) > len(other_failures) or trained_here(all_runs):
        counts.append(f"{len(failed) - len(other_failures)} diverged")
    if not trained_here(all_runs):
        counts.append(f"{len(other_failures)} failed{_reasons(other_failures)}")
    sentences = [f"{text_format.plural(len(all_runs), 'run')}: {', '.join(counts)}."]
    if len(failed):
        word = "Failed" if len(other_failures) else "Diverged"
        sentences.append(f"{word} runs are counted but are in no mean ({_by_cell(failed)}).")
    primary = primary_rows.select(first)
    undefined = primary[primary["value"].isna() & (primary["status"] == "completed")]
    if count := len(undefined):
        has, are = ("has", "is") if count == 1 else ("have", "are")
        sentences.append(
            f"{text_format.plural(count, 'completed run')} {has} no value of the primary metric (undefined) and {are} "
            f"in no mean ({_by_cell(undefined)})."
        )
    seeds = all_runs.groupby(CELL, sort=False).size()
    if seeds.min() < seeds.max():
        sentences.append(f"The cells have {seeds.min()} to {seeds.max()} runs.")
    if missing := _missing_cells(all_runs):
        verb = "is" if len(missing) == 1 else "are"
        names = _listed(_patterns(missing, _axes(all_runs[all_runs["source"] != TRAINED_HERE])))
        sentences.append(
            f"{text_format.plural(len(missing), 'combination')} of model, task and method {verb} missing ({names})."
        )
    repeated = runs[runs["repeats"].notna()].drop_duplicates(RUN)
    if len(repeated):
        was = "was" if len(repeated) == 1 else "were"
        sentences.append(
            f"{text_format.plural(len(repeated), 'further run')} {was} made to check whether the same seed gives the "
            f"same result ({_by_cell(repeated)}) and {was} left out of all other results."
        )
    return " ".join(sentences)


def trained_here(runs: pd.DataFrame) -> bool:
    """Return True if this study trained all runs, which then fail only by diverging.

    Imported runs can fail in other ways.
    """
    return bool((runs["source"] == TRAINED_HERE).all())


def _reasons(failed: pd.DataFrame) -> str:
    counts = failed["fail_reason"].value_counts()
    return f" ({', '.join(f'{count} {reason}' for reason, count in counts.items())})" if len(counts) else ""


def _by_cell(runs: pd.DataFrame) -> str:
    counts = runs.groupby(CELL, sort=False).size()
    return _listed([f"{'/'.join(cell)}: {count}" for cell, count in counts.items()])


def _listed(cells: Sequence[str]) -> str:
    more = [f"and {len(cells) - NAMED} more"] if len(cells) > NAMED else []
    return "; ".join([*cells[:NAMED], *more])


def _missing_cells(runs: pd.DataFrame) -> set[tuple[str, ...]]:
    """Return the cells that imported runs lack; cells that the grid of the study leaves out are not missing."""
    imported = runs[runs["source"] != TRAINED_HERE]
    return set(product(*_axes(imported))) - set(imported[CELL].itertuples(index=False, name=None))


def _axes(runs: pd.DataFrame) -> list[list[str]]:
    return [list(dict.fromkeys(runs[key])) for key in CELL]


def _patterns(cells: set[tuple[str, ...]], axes: Sequence[Sequence[str]]) -> list[str]:
    """Format cells as model/task/method, with * for every task (or model, or method) if all of them occur."""
    patterns, remaining = [], set(cells)
    for axis in (1, 0, 2):
        for cell in sorted(remaining):
            of_axis = {(*cell[:axis], name, *cell[axis + 1 :]) for name in axes[axis]}
            if len(of_axis) > 1 and of_axis <= remaining:
                patterns.append("/".join((*cell[:axis], "*", *cell[axis + 1 :])))
                remaining -= of_axis
    return [*patterns, *("/".join(cell) for cell in sorted(remaining))]
