"""What a study has, as far as its config tells: what analyses, figures and claims can be made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from variability.data import kinds

if TYPE_CHECKING:
    from variability.config.study import Study

BASE_TABLES = ("runs", "predictions", "per_class", "history")
#: What a plug-in may presume of the runs, by the name it does so, and the words for it.
DESCRIPTIONS = {
    "before": "values from before fine-tuning",
    "probabilities": "a task of classification",
    "seconds": "the seconds that runs took",
    "repeated_runs": "runs made twice (see `repeats`)",
    "seeds": "more than one seed of anything",
    "tasks": "more than one task",
    "candidates": "two models or methods on the same task",
    "three": "three models or methods on the same task",
}
#: Exports of trackers say how long a run took.
TIMED = ("wandb", "mlflow")


def base_tables(study: Study) -> tuple[str, ...]:
    """Which base tables the study has: of imported runs nothing is known but their results."""
    return BASE_TABLES if study.config.get("models") else BASE_TABLES[:1]


def met_by(study: Study) -> frozenset[str]:
    """Return the names of the base tables, and of those DESCRIPTIONS that are true of the study.

    What an imported file may contain counts as true: the file is not read.
    """
    files, trained = list(study.imports.values()), bool(study.seeds)
    cells = [cell for cell in study.seeds if study.repeated(cell[2]) == cell[2]]
    tasks = {task for _, task, _ in cells} | {file.get("constants", {}).get("task", "task") for file in files}
    most = max(Counter(task for _, task, _ in cells).values(), default=0)
    facts = {
        "before": trained or any(_has_before(file) for file in files),
        "probabilities": any(kinds.find(study.task_entry(task)["kind"]).PROBABILITIES for task in study.tasks),
        "seconds": trained or any(_says(file, "seconds") or file.get("format") in TIMED for file in files),
        "repeated_runs": _has_repeated_runs(study),
        "seeds": bool(files) or any(len(seeds) > 1 for seeds in study.seeds.values()),
        "tasks": len(tasks) > 1 or any("task" in file.get("columns", {}) for file in files),
        "candidates": bool(files) or most >= 2,
        "three": bool(files) or most >= 3,
    }
    return frozenset([*base_tables(study), *(name for name, holds in facts.items() if holds)])


def _says(file: Mapping[str, Any], role: str) -> bool:
    return any(role in file.get(key, {}) for key in ("columns", "constants"))


def _has_before(file: Mapping[str, Any]) -> bool:
    facts = [file.get("constants", {}), *(facts or {} for facts in file.get("metrics", {}).values())]
    return "phase" in file.get("columns", {}) or any(each.get("phase") == "before" for each in facts)


def _has_repeated_runs(study: Study) -> bool:
    """Whether two cells agree in all but their names, and have a seed in common."""
    seen: set[str] = set()
    for (model, task, method), seeds in study.seeds.items():
        decides = [
            {key: value for key, value in entry.items() if key != "name"}
            for entry in (study.model_entry(model), study.method_entry(method))
        ]
        what = json.dumps([*decides, task, study.recipe(model, task, method)], sort_keys=True)
        runs = {f"{what} {seed}" for seed in seeds}
        if runs & seen:
            return True
        seen |= runs
    return False
