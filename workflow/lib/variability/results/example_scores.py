"""Metrics of imported runs, computed from their examples: the rows that a file of runs would have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from variability import registry
from variability.data import kinds
from variability.results import run_status, runs_table
from variability.results.columns import CELL, RUN, VALUE
from variability.results.predictions import SCORES

if TYPE_CHECKING:
    import pandas as pd

_KEYS = [*RUN, "phase", "split"]


def run_rows(examples: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per run, phase, split and metric, see ``imported_runs.rows_of_file``.

    examples: see ``imported_examples.rows``. The metrics of scores are their means; those of predictions are all that
    the plug-ins compute, the primary one first. Metrics of probabilities need them.
    """
    import pandas as pd

    if (examples["kind"] == SCORES).all():
        groups = examples.groupby([*_KEYS, "metric"], sort=False)["y_pred"]
        table = groups.agg(value="mean", n_test="size").reset_index().assign(majority=np.nan)
    else:
        rows = [
            dict(zip(_KEYS, keys, strict=True)) | row
            for keys, run in examples.groupby(_KEYS, sort=False)
            for row in _computed(run)
        ]
        table = pd.DataFrame(rows)
    table = table.assign(status=run_status.COMPLETED, fail_reason=None, seconds=np.nan, energy_j=np.nan)
    table = table.astype(dict.fromkeys((*CELL, *VALUE, "status"), "str"))
    return run_status.with_non_finite(runs_table.with_metric_facts(table, facts))


def _computed(run: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the metrics of one run on one split."""
    kind = kinds.find(run["kind"].iloc[0])
    y_true, y_pred, probabilities = run["y_true"].to_numpy(), run["y_pred"].to_numpy(), None
    has_probabilities = run["probabilities"].notna().all()
    if kind.PROBABILITIES:
        y_true, y_pred, classes = y_true.astype(int), y_pred.astype(int), int(run["classes"].iloc[0])
        probabilities = np.stack(run["probabilities"]) if has_probabilities else np.eye(classes)[y_pred]
        probabilities = probabilities.astype(float) / probabilities.sum(axis=1, keepdims=True, dtype=float)
    values: dict[str, float] = {}
    for name in registry.names("metrics"):
        plugin = registry.find("metrics", name)
        lacking = kind.PROBABILITIES and not has_probabilities and plugin.NEEDS_PROBABILITIES
        if registry.name_of(type(kind)) == plugin.KIND and not lacking:
            values |= plugin().compute(y_true, y_pred, probabilities)
    end = {"n_test": len(run), "majority": kind.majority(y_true)}
    first = dict.fromkeys([kind.PRIMARY, *values])
    return [{"metric": name, "value": float(values[name])} | end for name in first if name in values]
