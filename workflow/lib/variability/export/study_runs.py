"""The runs of a study as exporters take them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from variability.errors import UserError
from variability.export.exporters import ExportedRun
from variability.interactive import own_runs
from variability.io import artefacts
from variability.io.artefacts import require_listed
from variability.results import base_tables, study_folders
from variability.results.columns import RUN, STREAM_SEED
from variability.results.runs_table import SETUP, TRAINED_HERE
from variability.stages._records import RECORD

#: Columns of the runs table that are part of a run's config.
_CONFIG = (*SETUP, "recipe_hash", "micro_batch", "gpus_per_run", "n_train", "n_validation", "device", "versions")
_JSON = ("model_options", "method_options", "preprocess")


def runs_of(folder: Path) -> Iterator[ExportedRun]:
    """Yield all runs of a finished study, trained and imported ones, sorted by their keys."""
    table = own_runs.read_runs(folder)
    curves = _curves(folder / "aggregate" / "history.parquet")
    for keys, rows in table.groupby(RUN, sort=True):
        yield _run(folder, dict(zip(RUN, keys, strict=True)), rows, curves.get(keys))


def _run(folder: Path, keys: dict[str, Any], rows: pd.DataFrame, curve: pd.DataFrame | None) -> ExportedRun:
    first = rows.iloc[0]
    keys = keys | {"seed": int(keys["seed"])}
    path = folder.joinpath("finetune", *map(str, keys.values()), RECORD)
    record = artefacts.read_record(path, artefacts.RUN_RECORD) if first["source"] == TRAINED_HERE else {}
    config = {name: _plain(first[name]) for name in _CONFIG if name in rows}
    config |= {f"stream.{stream}": _plain(first[column]) for stream, column in STREAM_SEED.items()}
    for name in _JSON:
        if text := config.pop(name):
            config |= _flat(name, json.loads(text))
    config |= _flat("recipe", record.get("recipe", {}))
    names = rows["phase"] + "/" + rows["split"] + "/" + rows["metric"]
    metrics = {str(name): float(value) for name, value in zip(names, rows["value"], strict=True) if not pd.isna(value)}
    table = folder / study_folders.TABLE
    return ExportedRun(
        keys=keys,
        config={name: value for name, value in config.items() if value is not None},
        history={} if curve is None else _history(curve),
        metrics=metrics,
        status=str(first["status"]),
        fail_reason=_plain(first["fail_reason"]),
        seconds=_plain(first["seconds"]),
        ended=(path if path.is_file() else table).stat().st_mtime,
    )


def _curves(path: Path) -> dict[Any, pd.DataFrame]:
    if not path.is_file():
        raise UserError(f"{path} is missing, so the study is not finished; run it again")
    table = base_tables.read(require_listed(path))
    return dict(iter(table.groupby(RUN, sort=False)))


def _history(curve: pd.DataFrame) -> dict[int, dict[str, float]]:
    measured = [name for name in curve if name not in (*RUN, "status", "kind", "epoch") and curve[name].notna().any()]
    return {
        int(row["epoch"]): {name: float(row[name]) for name in measured if not pd.isna(row[name])}
        for _, row in curve.sort_values("epoch").iterrows()
    }


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Return the plain values of nested mappings by their dotted names; lists are JSON."""
    if isinstance(value, Mapping):
        return {name: each for key, entry in value.items() for name, each in _flat(f"{prefix}.{key}", entry).items()}
    return {prefix: json.dumps(value) if isinstance(value, list) else value}


def _plain(value: Any) -> Any:
    """Return a value of a table as Python's own; None if it is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
