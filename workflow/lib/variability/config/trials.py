"""Problems that show only when a network is built and computes: found by trials in a process of their own.

The answers are stored in the user's cache folder, by what they depend on. So torch is imported, in that process, only
for models and methods that are new, and planning a study again takes no time.
"""

import importlib.metadata
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from variability import provenance, registry
from variability.config.recipe import resolve
from variability.config.study import Study
from variability.errors import Problem
from variability.io import files, library_facts
from variability.io.artefacts import read_cached, write_record
from variability.models import methods
from variability.models.weights_source import weights_kind
from variability.results.run_selection import matches

_log = logging.getLogger(__name__)

#: By framework: the module whose ``main`` answers requests.
_PROGRAMS = {"pytorch": "variability.models.trial", "keras": "variability.models.keras_trial"}
_TIMEOUT_SECONDS = 900

Request = dict[str, Any]


def check(study: Study) -> Iterator[Problem]:
    """Yield the problems of a study's networks, and of its methods applied to them. The study has no other problems."""
    asked = list(_requests(study))
    answers = _answers([request for request, _ in asked])
    models_by_problem: dict[tuple[str, str], list[str]] = {}
    pairs = list(zip(asked, answers, strict=True))
    # No method can train a network that cannot compute: that is one problem.
    unusable = {where["model"] for (request, where), answer in pairs if answer and request["method"] is None}
    for (request, where), answer in pairs:
        if answer is not None and (request["method"] is None or where["model"] not in unusable):
            key = _key(answer["key"], where)
            models_by_problem.setdefault((key, answer["message"]), []).append(where["model"])
    for (key, message), names in models_by_problem.items():
        of_model = key.startswith("models.")
        yield Problem(key, message if of_model else f"{message} (models: {', '.join(dict.fromkeys(names))})")


def _key(kind: str, where: Mapping[str, str]) -> str:
    """Return the config's key for the key of an answer.

    where: the model, and the keys of its method, of the size of its batches, and of its number of processes.
    """
    if kind in ("method", "batch", "gpus"):
        return where[kind]
    key = f"models.{where['model']}"
    return f"{key}.preprocess.size" if kind == "size" else f"{key}.{kind}" if kind else key


def _requests(study: Study) -> Iterator[tuple[Request, dict[str, str]]]:
    """Yield all trials of a study, each with the names of what is tried."""
    for (model, task, method), _ in study.seeds.items():
        entry, recipe = study.method_entry(method), study.recipe(model, task, method)
        keys = {name: _key_of_recipe(study, (model, task, method), name) for name in (_batch(recipe), "gpus_per_run")}
        where = {
            "model": model,
            "method": f"methods.{method}",
            "batch": keys[_batch(recipe)],
            "gpus": keys["gpus_per_run"],
        }
        yield from _requests_of_fit(study, model, study.task_entry(task), entry, recipe, where)
    for model in study.models:
        if name := study.pretraining_of(model):
            pretraining = study.config["pretraining"][name]
            key = f"pretraining.{name}"
            recipe = resolve(pretraining.get("recipe"))
            of_recipe = {"batch": f"{key}.recipe.{_batch(recipe)}", "gpus": f"{key}.recipe.gpus_per_run"}
            where = {"model": model, "method": key, **of_recipe}
            yield from _requests_of_fit(study, model, study.task_entry(name), methods.PRETRAINING, recipe, where)


def _batch(recipe: Mapping[str, Any]) -> str:
    """Return the key of a recipe that decides how many examples a network trains on at a time."""
    return "batch_size" if recipe["micro_batch"] in (None, recipe["batch_size"]) else "micro_batch"


def _key_of_recipe(study: Study, cell: tuple[str, str, str], name: str) -> str:
    """Return the config's key for a setting of a cell's recipe: that of the recipe whose value is used."""
    model, task, method = cell
    config, method = study.config, study.fitted_method(method)
    entries = {f"methods.{method}": config["methods"][method], f"models.{model}": config["models"][model]}
    entries[f"tasks.{task}"] = config["tasks"][task]
    for number, entry in enumerate(config.get("overrides", [])):
        if matches(entry, model, task, method):
            entries[f"overrides.{number}"] = entry
    stating = [key for key, entry in entries.items() if name in ((entry or {}).get("recipe") or {})]
    return f"{stating[-1]}.recipe.{name}" if stating else f"recipe.{name}"


def _requests_of_fit(
    study: Study,
    model: str,
    task: Mapping[str, Any],
    method: Mapping[str, Any],
    recipe: Mapping[str, Any],
    where: dict[str, str],
) -> Iterator[tuple[Request, dict[str, str]]]:
    entry = study.model_entry(model)
    provider = registry.find("providers", entry["provider"])
    if not getattr(provider, "TRIED", False) or provider.FRAMEWORK not in _PROGRAMS:
        return
    smallest = min(recipe["batch_size"], recipe["micro_batch"] or recipe["batch_size"])
    # Another file or pretraining of the same network is no other trial.
    weights = entry["weights"] if weights_kind(entry["weights"]) == "named" else "none"
    keys = ("provider", "architecture", "options", "preprocess", "head", "code")
    network = {
        "model": {key: entry[key] for key in keys if key in entry} | {"weights": weights},
        "size": task["input"]["size"],
        "outputs": 1 if task["kind"] == "regression" else 2,
        "batch": 1 if smallest == 1 or _is_one(task["split"]["train"]) else 2,
    }
    options = {key: value for key, value in method.items() if key != "name"}
    trains = options["kind"] != "linear_probe"
    if provider.FRAMEWORK == "keras":
        if trains and network["batch"] == 1:
            yield network | {"method": options}, where
        return
    yield network | {"method": None, "batch": 2}, where
    if trains:
        yield network | {"method": options} | ({"shared": True} if recipe["gpus_per_run"] > 1 else {}), where


def _is_one(count: Any) -> bool:
    return isinstance(count, int) and count == 1


def _answers(requests: Sequence[Request]) -> list[dict[str, str] | None]:
    """Return the answers to requests, from the cache where possible."""
    # Most requests of a large study are the same: their keys, which depend on the code, are computed once.
    texts = [json.dumps(request, sort_keys=True) for request in requests]
    key_of = {text: _cache_key(request) for text, request in dict(zip(texts, requests, strict=True)).items()}
    keys = [key_of[text] for text in texts]
    known = {key: _read(_path(key)) for key in dict.fromkeys(keys)}
    for framework, program in _PROGRAMS.items():
        new = {
            key: request
            for key, request in zip(keys, requests, strict=True)
            if known[key] is None and _framework(request) == framework
        }
        if new:
            for key, answer in zip(new, _ask(program, list(new.values())), strict=True):
                known[key] = stored = {"answer": answer}
                _store(_path(key), stored)
    return [(known[key] or {"answer": None})["answer"] for key in keys]


def _framework(request: Request) -> str:
    return registry.find("providers", request["model"]["provider"]).FRAMEWORK


def _cache_key(request: Request) -> str:
    provider = registry.find("providers", request["model"]["provider"])
    modules = [_PROGRAMS[provider.FRAMEWORK], registry.module_name("providers", request["model"]["provider"])]
    if request["method"]:
        modules.append(registry.module_name("methods", request["method"]["kind"]))
    code = [provenance.read(path).meaning for path in provenance.closure(*modules)]
    libraries = ["torch", "torchvision", "timm", "keras", "peft"]
    return files.digest([request, code, {name: _version(name) for name in libraries}])


@cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _path(key: str) -> Path:
    return library_facts.cache_folder() / "trials" / f"{key[:32]}.json"


def _read(path: Path) -> dict[str, Any] | None:
    stored = read_cached(path, {"answer": (dict, type(None))})
    if stored.get("answer"):
        stored = read_cached(path, {"answer": {"key": str, "message": str}})
    return stored or None


def _store(path: Path, answer: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_record(path, answer)
    except OSError as error:
        _log.warning("%s cannot be written (%s), so networks are tried at every start", path, error)


def _ask(program: str, requests: list[Request]) -> list[dict[str, str] | None]:
    """Return the answers of a process that tries the networks; no problem where that process fails."""
    names = ", ".join(dict.fromkeys(request["model"]["architecture"] for request in requests))
    _log.warning("Trying %s; once for each new model and method, takes some seconds", names)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "requests.json"), Path(folder, "answers.json")
        files.write_json(source, requests)
        code = f"import sys; sys.path.insert(0, sys.argv.pop(1)); from {program} import main; main()"
        # -P: no module in the working directory replaces an installed one.
        command = [sys.executable, "-P", "-c", code, provenance.PACKAGE.parent, source, target]
        try:
            subprocess.run(
                command, check=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, timeout=_TIMEOUT_SECONDS,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                errors="replace",
            )  # fmt: skip
            return files.read_json(target)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            output = getattr(error, "stderr", None) or str(error)
            _log.warning(
                "The networks could not be tried, and their jobs will show problems: %s", output.strip()[-500:]
            )
            return [None] * len(requests)
