"""Repeated runs: runs under different names that agree in everything that determines their result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.results.columns import RUN, STREAM_SEEDS

if TYPE_CHECKING:
    import pandas as pd

#: Columns that determine a run's result. In imported runs they are unknown, and an unknown value equals no other.
DETERMINANTS = [
    *("task", "provider", "architecture", "weights", "model_options", "preprocess"),
    *("method_kind", "method_options", "recipe_hash", "n_train"),
    *STREAM_SEEDS,
]
# Only a network that was pretrained here has a pretraining seed, and its backbone matters; weights name any other.
_PRETRAINED = ["_seed_pretrain", "_backbone"]


def repeated(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that were made more than once: the columns RUN, and ``same``, a number that equal runs share."""
    # The earlier of two equal runs is the first by name, whatever the order of the table.
    all_runs = runs.drop_duplicates(RUN).sort_values(["task", *RUN])
    known = all_runs[all_runs[DETERMINANTS].notna().all(axis=1)]
    pretrained = known["seed_pretrain"].notna()
    known = known.assign(
        _seed_pretrain=known["seed_pretrain"].where(pretrained, -1).astype(float),
        _backbone=known["backbone"].where(pretrained, ""),
    )
    same = known.groupby([*DETERMINANTS, *_PRETRAINED], sort=False).ngroup()
    return known.assign(same=same).loc[same.duplicated(keep=False), [*RUN, "same"]].reset_index(drop=True)


def pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return every two equal runs of different cells: the columns RUN, repeat_model, repeat_method and repeat_seed."""
    equal = repeated(runs)
    names = {name: f"repeat_{name}" for name in ("model", "method", "seed")}
    repeats = equal.drop(columns="task").rename(columns=names)
    both = equal.merge(repeats, on="same").drop(columns="same")
    later = both["repeat_model"] > both["model"]
    later |= (both["repeat_model"] == both["model"]) & (both["repeat_method"] > both["method"])
    return both[later].reset_index(drop=True)


def without_repeats(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the first of equal runs alone, by name: a run that was made twice counts once."""
    repeats = repeated(runs)
    repeats = repeats[repeats["same"].duplicated()]
    if repeats.empty:
        return runs
    marked = runs.merge(repeats.assign(_repeat=True), on=RUN, how="left")["_repeat"].notna()
    return runs[~marked.to_numpy()]
