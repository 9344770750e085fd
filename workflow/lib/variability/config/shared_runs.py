"""Problems of runs that several processes train together (``gpus_per_run``)."""

from collections.abc import Iterator, Mapping
from typing import Any

from variability.config.recipe import resolve
from variability.config.study import Cell, Study
from variability.errors import Problem
from variability.results.run_selection import matches
from variability.training import frameworks

KEY = "gpus_per_run"


def check(study: Study, models: list[str]) -> Iterator[Problem]:
    """Yield the problems of a study's runs. models: those of a known provider."""
    fits = [("recipe", model, study.recipe(model, task, method)) for model, task, method in study.seeds]
    for name, entry in study.config.get("pretraining", {}).items():
        pretrained = [model for model in models if study.pretraining_of(model) == name]
        fits += [(f"pretraining.{name}.recipe", model, resolve(entry.get("recipe"))) for model in pretrained]
    shared = [fit for fit in fits if fit[2][KEY] > 1]
    yield from _check_frameworks(study, [(key, model) for key, model, _ in shared if model in models])
    for key, size, batch_size in dict.fromkeys((key, recipe[KEY], recipe["batch_size"]) for key, _, recipe in shared):
        if size > batch_size:
            message = f"{size} is more than the batch_size of {batch_size}, of which each process computes a part"
            yield Problem(f"{key}.{KEY}", f"{message}; lower it")
    if shared and study.compute["runs_per_gpu"] > 1:
        message = f"{study.compute['runs_per_gpu']} lets several runs share a GPU, and {KEY} gives a run several GPUs"
        yield Problem("compute.runs_per_gpu", f"{message}; use 1 for one of them")
    yield from _check_effect(study)


def _check_frameworks(study: Study, fits: list[tuple[str, str]]) -> Iterator[Problem]:
    """Models of frameworks that train a run in one process. fits: (key of the recipe, model)."""
    affected: dict[tuple[str, str], list[str]] = {}
    for key, model in dict.fromkeys(fits):
        framework = frameworks.of(study.model_entry(model))
        if not framework.SHARES_RUNS:
            affected.setdefault((key, framework.__name__), []).append(model)
    for (key, framework), names in affected.items():
        message = f"is not supported for {framework} networks, which train in one process; use 1 for them"
        yield Problem(f"{key}.{KEY}", f"{message} (models: {', '.join(names)})")


def _check_effect(study: Study) -> Iterator[Problem]:
    """Settings of several processes for runs that all train in one."""
    for key, recipe, cells in _levels(study):
        if recipe.get(KEY, 1) > 1 and cells and all(study.recipe(*cell)[KEY] == 1 for cell in cells):
            yield Problem(
                f"{key}.{KEY}",
                "has no effect: heads on stored activations, and models that compute on no GPU, train in one process, "
                "and later entries may set 1; remove it",
            )


def _levels(study: Study) -> Iterator[tuple[str, Mapping[str, Any], list[Cell]]]:
    """Yield the keys of all recipes of runs, the recipes, and the cells that each is for."""
    config, cells = study.config, list(study.seeds)
    yield "recipe", config.get("recipe") or {}, cells
    for position, section in enumerate(("models", "tasks", "methods")):
        for name, entry in config.get(section, {}).items():
            recipe = (entry or {}).get("recipe") or {}
            yield f"{section}.{name}.recipe", recipe, [cell for cell in cells if cell[position] == name]
    for index, entry in enumerate(config.get("overrides", [])):
        matching = [cell for cell in cells if matches(entry, *cell)]
        yield f"overrides.{index}.recipe", entry["recipe"], matching
