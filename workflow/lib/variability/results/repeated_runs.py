"""Runs that agree in everything that decides their result, under different names: the same run, made twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.results.columns import RUN, STREAM_SEEDS

if TYPE_CHECKING:
    import pandas as pd

#: What decides a run's result. Of imported runs all this is unknown, and what is unknown agrees with nothing.
DECIDES = [
    *("task", "provider", "architecture", "weights", "model_options", "preprocess"),
    *("method_kind", "method_options", "recipe_hash", "n_train"),
    *STREAM_SEEDS,
]
# Only a network that was pretrained here has a pretraining seed; the backbone of any other is its own name.
_PRETRAINED = ["_seed_pretrain", "_backbone"]


def reruns(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that were made more than once: task, model, method, seed, and ``same``, which numbers equal ones."""
    each = runs.drop_duplicates(RUN).sort_values(["task", *RUN])
    known = each[each[DECIDES].notna().all(axis=1)]
    pretrained = known["seed_pretrain"].notna()
    known = known.assign(
        _seed_pretrain=known["seed_pretrain"].where(pretrained, -1).astype(float),
        _backbone=known["backbone"].where(pretrained, ""),
    )
    same = known.groupby([*DECIDES, *_PRETRAINED], sort=False).ngroup()
    return known.assign(same=same).loc[same.duplicated(keep=False), [*RUN, "same"]].reset_index(drop=True)


def pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """Every two equal runs of different cells: task, model, method, seed and twin_model, twin_method, twin_seed."""
    found = reruns(runs)
    other = found.drop(columns="task").rename(columns={name: f"twin_{name}" for name in ("model", "method", "seed")})
    both = found.merge(other, on="same").drop(columns="same")
    later = both["twin_model"] > both["model"]
    later |= (both["twin_model"] == both["model"]) & (both["twin_method"] > both["method"])
    return both[later].reset_index(drop=True)


def without_reruns(runs: pd.DataFrame) -> pd.DataFrame:
    """The table without the second and later ones of equal runs, by name: what was made twice counts once."""
    again = reruns(runs)
    again = again[again["same"].duplicated()]
    if again.empty:
        return runs
    marked = runs.merge(again.assign(_again=True), on=RUN, how="left")["_again"].notna()
    return runs[~marked.to_numpy()]
