"""Common parts of the files of lm-evaluation-harness: seeds, names and directions of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Seeds of Python, NumPy, torch and the few-shot examples if the command line names none.
_SEEDS = {"random_seed": 0, "numpy_seed": 1234, "torch_seed": 1234, "fewshot_seed": 1234}
#: Filter that is not part of the name of a metric.
NO_FILTER = "none"


def seed_of(config: Mapping[str, Any]) -> str:
    """Return one seed for the four of a run: the one they share, 0 for the defaults, or all of them as a label."""
    seeds = {name: config.get(name, default) for name, default in _SEEDS.items()}
    if seeds == _SEEDS:
        return "0"
    return str(seeds["random_seed"]) if len(set(seeds.values())) == 1 else "_".join(map(str, seeds.values()))


def shots_of(results: Mapping[str, Any], task: str) -> str | None:
    """Return the number of examples in the prompts of a task, as text."""
    shots = (results.get("n-shot") or {}).get(task)
    return None if shots is None else str(shots)


def metric_name(key: str) -> str:
    """Return the name of a metric ``name,filter`` of the results: without the filter if it is none."""
    metric, _, used = key.partition(",")
    return metric if used in ("", NO_FILTER) else key


def directions(results: Mapping[str, Any], task: str) -> dict[str, dict[str, Any]]:
    """Return ``label`` and ``higher_is_better`` of the metrics of a task whose direction the results state."""
    known = {**(results.get("higher_is_better") or {}).get(task, {})}
    facts = {}
    for key in (results.get("results") or {}).get(task, {}):
        higher = known.get(key.partition(",")[0])
        if higher is not None:
            facts[metric_name(key)] = {"label": metric_name(key), "higher_is_better": bool(higher)}
    return facts
