"""Sentences about how many runs a study has, and why some of them are in no mean."""

from collections.abc import Sequence
from itertools import product

import pandas as pd

from variability.advice import agree, listed, plural
from variability.reporting import primary_rows
from variability.results import run_flags, run_status
from variability.results.columns import CELL, RUN
from variability.results.runs_table import TRAINED_HERE, first_runs

#: Largest number of cells that a sentence names, and what separates them.
NAMED, SEPARATOR = 8, "; "
#: Largest number of seeds of a cell that a sentence names; more are counted.
SEEDS = 3


def in_words(runs: pd.DataFrame, failures: pd.DataFrame | None = None) -> str:
    """Describe how many runs there are, which of them are in no mean, and which are in the means but did not work.

    failures: table of the analysis ``failures``; computed with its default options if None.
    """
    first = first_runs(runs)
    all_runs = first.drop_duplicates(RUN)
    incomplete = all_runs[run_status.incomplete(all_runs)]
    failed, diverged = all_runs[run_status.failed(all_runs)], all_runs[run_status.diverged(all_runs)]
    counts = [f"{len(all_runs) - len(incomplete)} completed"]
    if len(diverged) or trained_here(all_runs):
        counts.append(f"{len(diverged)} diverged")
    if len(failed) or not trained_here(all_runs):
        counts.append(f"{len(failed)} failed{_reasons(failed)}")
    sentences = [f"{plural(len(all_runs), 'run')}: {', '.join(counts)}."]
    if len(incomplete):
        words = " and ".join(word for word, of in (("failed", failed), ("diverged", diverged)) if len(of))
        which = agree(len(incomplete), f"The {words} run is", f"{words.capitalize()} runs are")
        sentences.append(
            f"{which} counted but {agree(len(incomplete), 'is', 'are')} in no mean ({_by_cell(incomplete)})."
        )
    sentences += _flagged(first, failures)
    primary = primary_rows.select(first)
    undefined = primary[run_status.undefined(primary)]
    if count := len(undefined):
        sentences.append(
            f"{plural(count, 'completed run has', 'completed runs have')} no value of the primary metric, which is "
            f"undefined on these test examples, and {agree(count, 'is', 'are')} in no mean ({_by_cell(undefined)})."
        )
    seeds = all_runs.groupby(CELL, sort=False).size()
    if seeds.min() < seeds.max():
        sentences.append(f"The cells have {seeds.min()} to {seeds.max()} runs.")
    if missing := _missing_cells(all_runs):
        patterns = _patterns(missing, _axes(all_runs[all_runs["source"] != TRAINED_HERE]))
        names = listed(patterns, NAMED, SEPARATOR)
        sentences.append(
            f"{plural(len(missing), 'combination')} of model, task and method {agree(len(missing), 'is', 'are')} "
            f"missing ({names})."
        )
    repeated = runs[runs["repeats"].notna()].drop_duplicates(RUN)
    if len(repeated):
        was = agree(len(repeated), "was", "were")
        sentences.append(
            f"{plural(len(repeated), 'further run')} {was} made to check whether the same seed gives the "
            f"same result ({_by_cell(repeated)}) and {was} left out of all other results."
        )
    return " ".join(sentences)


def _flagged(first: pd.DataFrame, failures: pd.DataFrame | None) -> list[str]:
    """Return a sentence about the completed runs that are at chance or outlying, none if there are none."""
    if failures is not None and not failures[["n_chance", "n_outlier", "n_above"]].fillna(0).any(axis=None):
        return []
    flags = run_flags.flagged(primary_rows.select(first), first, **_options(failures))
    parts = []
    for flag, words in (("chance", "at chance, no better than a constant prediction"), ("outlier", "outlying")):
        if count := int(flags[flag].sum()):
            parts.append(f"{count} {agree(count, 'is', 'are')} {words} ({_by_cell(flags[flags[flag]])})")
    sentences = [f"Of the completed runs, {' and '.join(parts)}; the means include them."] if parts else []
    if count := int(flags["above"].sum()):
        sentences.append(
            f"{plural(count, 'run')} {agree(count, 'is', 'are')} far better than the others of "
            f"{agree(count, 'its cell', 'their cells')} ({_by_cell(flags[flags['above']])}), which may be a mistake in "
            f"the data; the means include {agree(count, 'it', 'them')}."
        )
    return sentences


def _options(failures: pd.DataFrame | None) -> dict[str, float]:
    """Return the options with which the table ``failures`` was computed."""
    if failures is None:
        return {}
    stated = failures["false_alarms"].isna().all()
    return {"points": failures["points"].iloc[0]} | ({"mads": failures["mads"].max()} if stated else {})


def trained_here(runs: pd.DataFrame) -> bool:
    """Return True if this study trained all runs, which then fail only by diverging.

    Imported runs can fail in other ways.
    """
    return bool((runs["source"] == TRAINED_HERE).all())


def incomplete_word(runs: pd.DataFrame) -> str:
    """Return the word for runs without a result: ``diverged`` or ``failed``, or both if there are both."""
    if trained_here(runs):
        return "diverged"
    return "failed or diverged" if run_status.diverged(runs).any() else "failed"


def _reasons(failed: pd.DataFrame) -> str:
    counts = failed["fail_reason"].value_counts()
    return f" ({', '.join(f'{count} {reason}' for reason, count in counts.items())})" if len(counts) else ""


def _by_cell(runs: pd.DataFrame) -> str:
    """Return the cells and seeds of runs."""
    of_cells = runs.groupby(CELL, sort=False)["seed"]
    names = [f"{'/'.join(map(str, cell))}: {_seeds(sorted(seeds))}" for cell, seeds in of_cells]
    return listed(names, NAMED, SEPARATOR)


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > SEEDS:
        return plural(len(seeds), "run")
    return f"{agree(len(seeds), 'seed', 'seeds')} {listed(seeds, SEEDS, last=' and ')}"


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
