"""Properties of a study that analyses, plots and claims may require, as far as its config tells."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from variability.config import probe_plan
from variability.config.study import Study
from variability.data import kinds
from variability.results import imported_layout, readers

BASE_TABLES = ("runs", "predictions", "per_class", "history", "reference_probe")
#: Properties that a plug-in may name in ``REQUIRES``, with the description that error messages use.
DESCRIPTIONS = {
    "before": "values from before fine-tuning",
    "probabilities": "a task of classification, with probabilities",
    "seconds": "the duration of runs in seconds",
    "repeated_runs": "repeated runs (see `repeats`)",
    "seeds": "more than one seed of anything",
    "tasks": "more than one task",
    "candidates": "two models or methods on the same task",
    "test_noise": "imported examples, standard errors or numbers of test examples, or a single run of a model",
    "cells": "two models, tasks or methods",
    "three": "three models or methods on the same task",
}


def base_tables(study: Study) -> tuple[str, ...]:
    """Return the base tables that the study has: of imported runs only the results, or the predictions, are known."""
    if not study.config.get("models"):
        return BASE_TABLES[: 2 if any(map(imported_layout.examples, study.imports.values())) else 1]
    return BASE_TABLES if probe_plan.has_probe(study) else BASE_TABLES[:-1]


def met_by(study: Study) -> frozenset[str]:
    """Return the names of the study's base tables, and of the properties in DESCRIPTIONS that it has.

    A property that an imported file may have counts as met: the file is not read.
    """
    imports, trains = list(study.imports.values()), bool(study.seeds)
    cells = [cell for cell in study.seeds if study.fitted_method(cell[2]) == cell[2]]
    tasks = {task for _, task, _ in cells}.union(*map(_stated_tasks, imports))
    most_candidates = max(Counter(task for _, task, _ in cells).values(), default=0)
    properties = {
        "before": trains or any(_has_values_before(entry) for entry in imports),
        "probabilities": any(kinds.find(study.task_entry(task)["kind"]).PROBABILITIES for task in study.tasks)
        or any(map(_has_probabilities, imports)),
        "seconds": trains or any(_has_seconds(entry) for entry in imports),
        "repeated_runs": _has_repeated_runs(study),
        "seeds": _may_have_seeds(imports) or any(len(seeds) > 1 for seeds in study.seeds.values()),
        "tasks": len(tasks) > 1 or any("task" in _roles(entry) for entry in imports),
        "candidates": bool(imports) or most_candidates >= 2,
        "test_noise": any(map(_has_test_noise, imports)) or any(len(seeds) == 1 for seeds in study.seeds.values()),
        "cells": bool(imports) or len(cells) >= 2,
        "three": bool(imports) or most_candidates >= 3,
    }
    return frozenset([*base_tables(study), *(name for name, met in properties.items() if met)])


def _roles(entry: Mapping[str, Any]) -> set[str]:
    """Return the roles that a column of an import's files, or their names, may hold."""
    return {*entry.get("columns", {}), *imported_layout.path_groups(entry), *readers.of(entry).COLUMNS}


def _stated_tasks(entry: Mapping[str, Any]) -> set[str]:
    """Return the tasks that an import's config names, or implies."""
    default = imported_layout.constants(entry)["task"]
    of_metrics = [(facts or {}).get("task", default) for facts in entry.get("metrics", {}).values()]
    tasks = [*entry.get("tasks", {}).values()] or of_metrics or [default]
    # A mapping, a task for each task, is refused by another check.
    return {task for task in tasks if not isinstance(task, Mapping)}


def _may_have_seeds(imports: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether imported runs may have several seeds: not if one constant is the seed of all of them."""
    constants = {json.dumps(imported_layout.constants(entry).get("seed")) for entry in imports}
    in_files = any("seed" in _roles(entry) or "seeds" in entry for entry in imports)
    return in_files or len(constants) > 1


def _has_probabilities(entry: Mapping[str, Any]) -> bool:
    columns = {"probabilities", "logits"} & _roles(entry)
    return imported_layout.examples(entry) == "classification" and bool(columns or entry.get("probabilities"))


def _has_test_noise(entry: Mapping[str, Any]) -> bool:
    """Return whether more is known of an import than the value of each run: its test examples, or their number."""
    of_metrics = any("stderr" in (facts or {}) for facts in entry.get("metrics", {}).values())
    stated = {*_roles(entry), *entry.get("constants", {})}
    return imported_layout.examples(entry) is not None or of_metrics or bool({"stderr", "n_test"} & stated)


def _has_seconds(entry: Mapping[str, Any]) -> bool:
    stated = "seconds" in _roles(entry) or "seconds" in entry.get("constants", {})
    return stated or readers.of(entry).TIMED


def _has_values_before(entry: Mapping[str, Any]) -> bool:
    facts = [entry.get("constants", {}), *(facts or {} for facts in entry.get("metrics", {}).values())]
    return "phase" in _roles(entry) or any(fact.get("phase") == "before" for fact in facts)


def _has_repeated_runs(study: Study) -> bool:
    """Return whether two cells differ only in the names of model and method, and have a seed in common."""
    seen: set[str] = set()
    for (model, task, method), seeds in study.seeds.items():
        entries = [
            {key: value for key, value in entry.items() if key != "name"}
            for entry in (study.model_entry(model), study.method_entry(method))
        ]
        identity = json.dumps([*entries, task, study.recipe(model, task, method)], sort_keys=True)
        runs = {f"{identity} {seed}" for seed in seeds}
        if runs & seen:
            return True
        seen |= runs
    return False
