"""Random streams that varied between the runs of a cell, grouped by those that varied together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from variability.results.columns import CELL, STREAM_SEED, STREAM_SEEDS

if TYPE_CHECKING:
    import pandas as pd


class Layout(NamedTuple):
    """Groups of streams that varied together within cells.

    crossed: groups with equal seeds in several runs of a cell, so that their effect can be separated from the others'.
    unique: the group that differs between any two runs of a cell; empty if there is none.
    """

    crossed: list[tuple[str, ...]]
    unique: tuple[str, ...]

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """All groups."""
        return [*self.crossed, *([self.unique] if self.unique else [])]


def layout(runs: pd.DataFrame) -> Layout:
    """Return how streams varied. runs: one row per run, with the columns CELL and STREAM_SEEDS.

    Imported runs, whose streams are unknown, are left out.
    """
    runs = runs.dropna(subset=STREAM_SEEDS)
    counts = runs.groupby(CELL, sort=False)[STREAM_SEEDS].nunique().max()
    varied = [stream for stream, column in STREAM_SEED.items() if counts[column] > 1]
    parts = {stream: runs.groupby([*CELL, STREAM_SEED[stream]], sort=False, dropna=False).ngroup() for stream in varied}
    groups: list[list[str]] = []
    for stream in varied:
        group = next((group for group in groups if _same_partition(parts[group[0]], parts[stream])), None)
        if group is None:
            groups.append([stream])
        else:
            group.append(stream)
    unique = [group for group in groups if parts[group[0]].nunique() == len(runs)]
    return Layout([tuple(group) for group in groups if group not in unique], tuple(unique[0]) if unique else ())


def _same_partition(first: pd.Series, second: pd.Series) -> bool:
    """Return whether two numberings of the runs divide them in the same way."""
    combined = (first * (second.max() + 1) + second).nunique()
    return combined == first.nunique() == second.nunique()


def levels(runs: pd.DataFrame, group: tuple[str, ...]) -> pd.Series:
    """Return the level of a group of streams in each run: 0, 1, ... within its cell, in the order of the seeds."""
    seeds = runs.groupby(CELL, sort=False)[STREAM_SEED[group[0]]]
    return seeds.rank(method="dense").astype(int) - 1
