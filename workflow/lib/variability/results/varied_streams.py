"""Which streams of random numbers varied between the runs of a cell, and which of them varied together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from variability.results.columns import CELL, STREAM_SEED, STREAM_SEEDS

if TYPE_CHECKING:
    import pandas as pd


class Layout(NamedTuple):
    """Groups of streams that varied together within cells.

    crossed: groups that are the same in several runs of a cell, so that their part can be told from the rest's. every:
    the group that differs in every run of a cell, if there is one.
    """

    crossed: list[tuple[str, ...]]
    every: tuple[str, ...]

    @property
    def groups(self) -> list[tuple[str, ...]]:
        return [*self.crossed, *([self.every] if self.every else [])]


def layout(runs: pd.DataFrame) -> Layout:
    """Of runs, one row each: model, task, method and the streams' seeds, which are missing in imported runs."""
    runs = runs.dropna(subset=STREAM_SEEDS)
    counts = runs.groupby(CELL, sort=False)[STREAM_SEEDS].nunique().max()
    varied = [stream for stream, column in STREAM_SEED.items() if counts[column] > 1]
    parts = {stream: runs.groupby([*CELL, STREAM_SEED[stream]], sort=False, dropna=False).ngroup() for stream in varied}
    groups: list[list[str]] = []
    for stream in varied:
        alike = [group for group in groups if _same(parts[group[0]], parts[stream])]
        if alike:
            alike[0].append(stream)
        else:
            groups.append([stream])
    every = [group for group in groups if parts[group[0]].nunique() == len(runs)]
    return Layout([tuple(group) for group in groups if group not in every], tuple(every[0]) if every else ())


def _same(one: pd.Series, other: pd.Series) -> bool:
    both = (one * (other.max() + 1) + other).nunique()
    return both == one.nunique() == other.nunique()


def levels(runs: pd.DataFrame, group: tuple[str, ...]) -> pd.Series:
    """The number of each run's level of a group within its cell: 0, 1, ... in the order of the seeds."""
    seeds = runs.groupby(CELL, sort=False)[STREAM_SEED[group[0]]]
    return seeds.rank(method="dense").astype(int) - 1
