"""Specs: what the result of a stage depends on, as one plain dict with sorted keys per job.

Snakemake compares specs to decide which jobs to run again, and jobs make fingerprints of them. A spec therefore holds
neither more nor less than its stage uses, and reads the same whatever the order of keys in the config.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from variability import registry
from variability.config import recipe
from variability.config.sections import Pretraining
from variability.config.study import Study
from variability.io.files import digest
from variability.results import task_groups
from variability.training import frameworks


def sorted_keys(value: Any) -> Any:
    """Return a plain value with the keys sorted at every depth, so that equal values have equal reprs."""
    return json.loads(json.dumps(value, sort_keys=True))


# Data ---------------------------------------------------------------------------------------------------------------


def dataset_key(study: Study, task: str) -> str:
    """Return the name of the folder of a downloaded data set, which all tasks with the same data share."""
    entry = study.task_entry(task)
    return f"{entry['dataset']}-{digest(entry['options'])[:12]}"


def datasets(study: Study) -> dict[str, dict[str, Any]]:
    """Return the specs of ``download`` by data set key, for all tasks and pretrainings of the config."""
    tasks = [*study.config.get("tasks", {}), *study.config.get("pretraining", {})]
    keys = ("dataset", "options")
    return {dataset_key(study, task): sorted_keys({key: study.task_entry(task)[key] for key in keys}) for task in tasks}


def prepare(study: Study, task: str) -> dict[str, Any]:
    """Return the spec of ``prepare`` for a task, or for the task of a pretraining."""
    entry = study.task_entry(task)
    keys = ("dataset", "options", "kind", "modality", "input", "split")
    return sorted_keys({"name": task} | {key: entry[key] for key in keys})


# Weights, and other files that networks are built from --------------------------------------------------------------


def weights_key(study: Study, model: str) -> str:
    """Return the file name of downloaded or converted weights, which all models with the same backbone share."""
    return _readable_key(_weights_spec(study, model))


def weights(study: Study) -> dict[str, dict[str, Any]]:
    """Return the specs of ``download_weights`` by weights key."""
    return {weights_key(study, model): _weights_spec(study, model) for model in _models_with_fetched_weights(study)}


def assets_key(study: Study, model: str) -> str | None:
    """Return the name of the folder of a model's assets; None if its provider needs none."""
    spec = _assets_spec(study, model)
    return _readable_key(spec) if spec else None


def assets(study: Study) -> dict[str, dict[str, Any]]:
    """Return the specs of ``download_assets`` by assets key."""
    specs = [_assets_spec(study, model) for model in study.config.get("models", {})]
    return {_readable_key(spec): spec for spec in specs if spec}


def assets_of_weights(study: Study) -> dict[str, str | None]:
    """Return the assets key of every weights key."""
    return {weights_key(study, model): assets_key(study, model) for model in _models_with_fetched_weights(study)}


def tokens(study: Study) -> list[tuple[str, str]]:
    """Return (assets key, task) of every job of ``tokenize``."""
    pairs = [(model, task) for model, task, _ in study.seeds]
    pairs += [(model, pretraining) for model in study.models if (pretraining := study.pretraining_of(model))]
    keys = [(assets_key(study, model), task) for model, task in pairs if study.tokenized(task)]
    return list(dict.fromkeys((key, task) for key, task in keys if key))


def pretrain(study: Study, model: str) -> dict[str, Any]:
    """Return the spec of ``pretrain`` for a model whose weights are ``pretrain:<name>``."""
    name = study.pretraining_of(model)
    entry = Pretraining.defaults() | study.config["pretraining"][name]
    return sorted_keys(
        {
            "model": study.model_entry(model),
            "pretraining": name,
            "seed": entry["seed"],
            "recipe": recipe.resolve(entry.get("recipe")),
        }
    )


def _models_with_fetched_weights(study: Study) -> list[str]:
    return [model for model in study.config.get("models", {}) if study.weights_kind(model) in ("file", "named")]


def _weights_spec(study: Study, model: str) -> dict[str, Any]:
    return _fetched(study, model, "weights", "sha256")


def _assets_spec(study: Study, model: str) -> dict[str, Any] | None:
    provider = study.model_entry(model)["provider"]
    return _fetched(study, model) if registry.find("providers", provider).ASSETS else None


def _fetched(study: Study, model: str, *more: str) -> dict[str, Any]:
    """Return the part of a model's entry that decides which files are fetched."""
    entry = study.model_entry(model)
    relevant = registry.find("providers", entry["provider"]).DOWNLOAD_OPTIONS
    options = {key: value for key, value in entry["options"].items() if relevant is None or key in relevant}
    keys = ("provider", "architecture", "options", "head", "code", *more)
    return sorted_keys({key: entry[key] for key in keys if key in entry} | {"options": options})


def _readable_key(fetched: dict[str, Any]) -> str:
    """Return a name that is safe in paths and short enough for files, whatever the architecture is called."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", fetched["architecture"]).lstrip("-._")[:150]
    return f"{readable}-{digest(fetched)[:12]}".lstrip("-")


# Runs ---------------------------------------------------------------------------------------------------------------


def finetune(study: Study, model: str, task: str, method: str, chunk: int) -> dict[str, Any]:
    """Return the spec of ``finetune`` for one chunk of a cell's seeds."""
    return sorted_keys(predict(study, model, task, method, chunk) | {"recipe": study.recipe(model, task, method)})


def predict(study: Study, model: str, task: str, method: str, chunk: int) -> dict[str, Any]:
    """Return the spec of ``predict`` for one chunk of a cell's seeds."""
    return sorted_keys(
        {
            "model": study.model_entry(model),
            "task": {"name": task, "kind": study.task_entry(task)["kind"]},
            "method": study.method_entry(method),
            "seeds": list(study.seed_chunks[model, task, method][chunk]),
        }
    )


# Results ------------------------------------------------------------------------------------------------------------


def aggregate(study: Study) -> dict[str, Any]:
    """Return the spec of ``aggregate``: the facts of models, tasks and methods that the runs table has columns for."""
    return sorted_keys(
        {
            "models": {name: _model_facts(study, name) for name in study.models},
            "tasks": {name: {key: study.task_entry(name)[key] for key in ("kind", "metric")} for name in study.tasks},
            "methods": {name: _method_facts(study, name) for name in study.config.get("methods", {})},
            "imports": {
                # The order, which sorting the keys loses, decides which metric is the primary one.
                name: {key: value for key, value in entry.items() if key != "groups"}
                | {"position": position, "metrics_order": list(entry.get("metrics", {}))}
                for position, (name, entry) in enumerate(study.config.get("imports", {}).items())
            },
            "pairing": study.pairing,
            "grid": study.config.get("grid", {}) if study.imports else {},
            "scales": study.config.get("scales", {}),
            "task_groups": task_groups.of_config(study.config),
        }
    )


def _model_facts(study: Study, name: str) -> dict[str, Any]:
    entry = study.model_entry(name)
    pretrained_here = study.weights_kind(name) == "pretrain"
    return {key: entry[key] for key in ("provider", "architecture", "weights", "options")} | {
        "framework": registry.find("providers", entry["provider"]).FRAMEWORK,
        "seeded": frameworks.of(entry).SEEDED,
        "family": study.family(name),
        "backbone": study.backbone(name),
        "seed_pretrain": pretrain(study, name)["seed"] if pretrained_here else None,
    }


def _method_facts(study: Study, name: str) -> dict[str, Any]:
    entry, fitted = study.method_entry(name), study.fitted_method(name)
    options = {key: value for key, value in entry.items() if key not in ("name", "kind")}
    return {"kind": entry["kind"], "options": options, "repeats": fitted if fitted != name else None}


def page(study: Study, analyses: Iterable[str]) -> dict[str, Any]:
    """Return the spec of ``page``: captions of the analyses, and the recipes of all cells, each different one once."""
    recipes: list[dict[str, Any]] = []
    cells: dict[str, int] = {}
    positions: dict[str, int] = {}
    for model, task, method in study.seeds:
        entry = sorted_keys(study.recipe(model, task, method))
        position = positions.setdefault(digest(entry), len(recipes))
        if position == len(recipes):
            recipes.append(entry)
        cells[f"{model}|{task}|{method}"] = position
    captions = {name: registry.find("analyses", name).CAPTION for name in analyses}
    return {"captions": captions, "recipes": {"cells": cells, "entries": recipes}, "study": study.name}
