"""Runs as the page stores them: one entry per run in every list, so that ten thousand runs are a few megabytes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from variability.reporting.page import columns
from variability.results.columns import CELL, RUN, STREAM_SEED, VALUE

#: Columns of the runs table that describe a run: name on the page -> column.
FACTS = {
    "status": "status",
    "reason": "fail_reason",
    "repeats": "repeats",
    "source": "source",
    "architecture": "architecture",
    "weights": "weights",
    "provider": "provider",
    "epochs": "epochs",
    "best epoch": "best_epoch",
    "seconds": "seconds",
    "peak memory in MB": "peak_memory_mb",
    "training examples": "n_train",
    "device": "device",
    "micro-batch": "micro_batch",
}
#: Columns of the learning curves; those of validation metrics follow.
CURVES = ("epoch", "train_loss", "validation_loss")
#: Largest numbers of values of learning curves and of confusion counts that the page holds.
MOST_CURVE_VALUES, MOST_COUNTS = 2_000_000, 400_000


def of_runs(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the runs: indices of their names, facts, streams, and their values by phase|split|metric.

    runs: the runs table.
    """
    first = runs.drop_duplicates(RUN)
    number = pd.Series(np.arange(len(first)), index=pd.MultiIndex.from_frame(first[RUN]))
    names = {key: list(dict.fromkeys(map(str, first[key]))) for key in CELL}
    indices = {key: [names[key].index(str(name)) for name in first[key].unique()] for key in CELL}
    codes = {key: first[key].map(dict(zip(first[key].unique(), indices[key], strict=True))).tolist() for key in CELL}
    values = {}
    for key, rows in runs.groupby(VALUE, sort=False, observed=True):
        of_value = np.full(len(first), np.nan)
        of_value[number.loc[pd.MultiIndex.from_frame(rows[RUN])].to_numpy()] = rows["value"].to_numpy(float)
        values["|".join(map(str, key))] = columns.numbers(of_value)
    facts = {name: first[column] for name, column in FACTS.items() if column in first and first[column].notna().any()}
    streams = {
        stream: columns.of_column(first[column])
        for stream, column in STREAM_SEED.items()
        if first[column].notna().any()
    }
    return {
        "names": names,
        **codes,
        "seed": [columns.plain(seed) for seed in first["seed"]],
        "facts": {name: columns.of_column(column) for name, column in facts.items()},
        "streams": streams,
        "values": values,
    }


def of_metrics(runs: pd.DataFrame) -> dict[str, Any]:
    """Return label and direction of each metric, and the primary metric of each task."""
    metrics = runs.drop_duplicates("metric")
    primary = runs[runs["primary"].astype(bool)].drop_duplicates("task")
    return {
        "metrics": {
            str(row["metric"]): {"label": str(row["label"]), "higher": bool(row["higher_is_better"])}
            for _, row in metrics.iterrows()
        },
        "primary": dict(zip(map(str, primary["task"]), map(str, primary["metric"]), strict=True)),
    }


def of_history(history: pd.DataFrame | None, runs: pd.DataFrame) -> dict[str, Any] | None:
    """Return the learning curves, run by run in the order of ``of_runs``; None if there are none, or too many."""
    if history is None or history.empty:
        return None
    metrics = [name for name in history if name.startswith("validation_") and history[name].notna().any()]
    shown = list(dict.fromkeys([*CURVES, *metrics]))
    if len(history) * len(shown) > MOST_CURVE_VALUES:
        return None
    of_run = {key: rows for key, rows in history.groupby(RUN, sort=False)}
    curves = []
    for key in runs.drop_duplicates(RUN)[RUN].itertuples(index=False, name=None):
        rows = of_run.get(key)
        curves.append(rows is not None and [columns.numbers(rows[name].to_numpy(float)) for name in shown])
    return {"names": shown, "curves": curves}


def has_confusion(per_class: pd.DataFrame) -> bool:
    """Return whether the table has counts of predicted classes."""
    return "predicted" in per_class and bool(per_class["predicted"].notna().any())


def of_confusion(per_class: pd.DataFrame | None, runs: pd.DataFrame) -> dict[str, Any] | None:
    """Return the confusion counts of the test split after fine-tuning, run by run in the order of ``of_runs``.

    A run's counts are [class, predicted class, count, ...] with the classes' indices. None if there are none, or too
    many.
    """
    if per_class is None or not has_confusion(per_class):
        return None
    rows = per_class[(per_class["phase"] == "after") & (per_class["split"] == "test") & per_class["predicted"].notna()]
    rows = rows[rows["value"] > 0]
    if rows.empty or len(rows) > MOST_COUNTS:
        return None
    names = list(dict.fromkeys([*map(str, rows["class"]), *map(str, rows["predicted"])]))
    index: Mapping[str, int] = {name: position for position, name in enumerate(names)}
    of_run = {
        key: [
            number
            for label, predicted, count in zip(of["class"], of["predicted"], of["value"], strict=True)
            for number in (index[str(label)], index[str(predicted)], int(count))
        ]
        for key, of in rows.groupby(RUN, sort=False)
    }
    keys = runs.drop_duplicates(RUN)[RUN].itertuples(index=False, name=None)
    return {"classes": names, "counts": [of_run.get(key) for key in keys]}
