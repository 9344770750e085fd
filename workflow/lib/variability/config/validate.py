"""Checks a config before the first job: the schema, then everything a schema cannot say. All problems at once."""

import fnmatch
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability import advice, extras, registry
from variability.config import import_checks, plugin_choice, schema_messages
from variability.config.study import Study, with_model_defaults, with_task_defaults
from variability.data import splits
from variability.errors import ConfigError, Problem, UserError
from variability.io import tabular
from variability.io.mirrors import find_file, missing_file
from variability.models import methods
from variability.models.weights_source import pretraining_of, weights_kind
from variability.recipe import augments, resolve
from variability.results.metrics import scalar_names, scalars
from variability.results.run_selection import as_list
from variability.training import frameworks

FAMILIES = ("models", "tasks", "methods")


def check(config: dict[str, Any], schema: dict[str, Any], mirrors: Sequence[Path] = ()) -> Study:
    """The study a config describes. Quick, offline and without importing torch.

    Raises ConfigError with every problem found. What has not the shape that the cross-checks rely on is left out of
    them, as if it had not been said.
    """
    problems = list(schema_messages.problems(config, schema))
    sound = schema_messages.without_errors(config, schema) if problems else config
    if not any(schema_messages.problems(sound, schema)):
        problems += _cross_problems(sound, mirrors)
    if problems:
        raise ConfigError(problems)
    return Study(config)


# What a schema cannot say ---------------------------------------------------------------------------------------


def _cross_problems(config: dict[str, Any], mirrors: Sequence[Path]) -> Iterator[Problem]:
    yield from _duplicate_seeds(config.get("seeds", []))
    for name, model in config.get("models", {}).items():
        yield from _model_problems(f"models.{name}", with_model_defaults(name, model), config, mirrors)
    for name, task in config.get("tasks", {}).items():
        yield from _task_problems(f"tasks.{name}", task, mirrors)
    for name, method in config.get("methods", {}).items():
        yield from _method_problems(f"methods.{name}", name, method or {}, config["methods"])
    yield from _unfit_problems(config)
    yield from _framework_problems(config)
    yield from _unused_metrics(config)
    for name, entry in config.get("pretraining", {}).items():
        yield from _task_problems(f"pretraining.{name}.task", entry["task"], mirrors)
        if name in config.get("tasks", {}):
            yield Problem(f"pretraining.{name}", "a task has this name too; rename one of them")
    for name in config.get("metrics", []):
        if name not in registry.names("metrics"):
            yield Problem(f"metrics.{name}", registry.unknown("metrics", name))
    for family in ("analyses", "plots", "claims"):
        yield from _plugin_problems(config, family)
    imported: dict[str, import_checks.Found | None] = {}
    for name, entry in config.get("imports", {}).items():
        problems, imported[name] = _import_problems(config, entry, mirrors)
        yield from _under(f"imports.{name}", problems)
    yield from _override_problems(config)
    # Where a file could not be read nobody knows what it holds.
    if None not in imported.values():
        yield from _grid_problems(config, imported)
    yield from _recipe_problems(config)
    yield from _idle_problems(config)
    yield from _unseeded_problems(config)


def _import_problems(
    config: dict[str, Any], entry: dict[str, Any], mirrors: Sequence[Path]
) -> tuple[list[Problem], import_checks.Found | None]:
    """What is wrong with an import, and what is in its file: None if that is not known before the first job."""
    path = find_file(entry["path"], mirrors)
    if path is None:
        return [Problem("path", missing_file(entry["path"], mirrors))], None
    try:
        names = tabular.header(path, entry.get("quotes"))
    except (OSError, ValueError) as error:
        return [Problem("path", f"{path} cannot be read: {error}")], None
    if problems := [*tabular.check_quotes(entry, entry["path"]), *import_checks.check(entry, names)]:
        return problems, None
    tasks = {name: {"metric": with_task_defaults(task)["metric"]} for name, task in config.get("tasks", {}).items()}
    try:
        return [], import_checks.found(path, entry, tasks, config.get("grid", {}))
    except UserError as error:
        return [Problem("path", str(error))], None


def _duplicate_seeds(seeds: list[int]) -> Iterator[Problem]:
    for seed in sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        yield Problem("seeds", f"{seed} stands there {seeds.count(seed)} times; a repeated seed is not another run")


def _model_problems(
    key: str, model: dict[str, Any], config: dict[str, Any], mirrors: Sequence[Path]
) -> Iterator[Problem]:
    kind = weights_kind(model["weights"])
    if kind == "pretrain":
        known = list(config.get("pretraining", {}))
        name = pretraining_of(model["weights"])
        if name not in known:
            yield Problem(f"{key}.weights", f"no pretraining is named {name!r}; {advice.suggest(name, known)}")
    if kind == "file" and not find_file(model["weights"], mirrors):
        yield Problem(f"{key}.weights", missing_file(model["weights"], mirrors))
    if "sha256" in model and kind != "file":
        yield Problem(f"{key}.sha256", f"is for weights from a file, but weights is {model['weights']!r}")
    if model["provider"] not in registry.names("providers"):
        yield Problem(f"{key}.provider", registry.unknown("providers", model["provider"]))
        return
    provider = registry.find("providers", model["provider"])
    yield from _option_problems(
        f"{key}.options", model["options"], provider.OPTIONS, (), open_ended=not provider.OPTIONS
    )
    if missing := extras.lacking(provider):
        yield Problem(f"{key}.provider", missing)
    else:
        yield from _under(key, provider(model).check())
        yield from _under(key, provider(model).check_source(mirrors))


def _task_problems(key: str, entry: dict[str, Any], mirrors: Sequence[Path]) -> Iterator[Problem]:
    task = with_task_defaults(entry)
    yield from _metric_problems(key, task)
    if task["dataset"] not in registry.names("datasets"):
        yield Problem(f"{key}.dataset", registry.unknown("datasets", task["dataset"]))
        return
    plugin = registry.find("datasets", task["dataset"])
    wrong = list(_option_problems(f"{key}.options", task["options"], plugin.OPTIONS, plugin.REQUIRED))
    yield from wrong
    if wrong:
        return
    if missing := extras.lacking(plugin):
        yield Problem(f"{key}.dataset", missing)
        return
    dataset = plugin(task["options"])
    yield from _under(f"{key}.options", dataset.check(mirrors))
    yield from _modality_problems(key, task["modality"], entry)
    if task["kind"] not in dataset.kinds():
        kinds = " or ".join(dataset.kinds())
        yield Problem(f"{key}.kind", f"{task['kind']!r} does not fit {task['dataset']}, whose targets are for {kinds}")
    yield from _split_problems(f"{key}.split", task["split"], dataset.size())


def _modality_problems(key: str, modality: str, entry: dict[str, Any]) -> Iterator[Problem]:
    for other in set(registry.names("modalities")) & set(entry) - {modality}:
        yield Problem(f"{key}.{other}", f"the data set {entry['dataset']} has examples of another kind: {modality}")
    wanted = [name for name in registry.find("modalities", modality).REQUIRED if name not in entry.get(modality, {})]
    if wanted:
        yield Problem(f"{key}.{modality}", f"missing {', '.join(map(repr, wanted))}")


def _metric_problems(key: str, task: dict[str, Any]) -> Iterator[Problem]:
    metric, known = task["metric"], scalar_names(task["kind"])
    if metric not in known:
        other = scalars().get(metric)
        why = f"is a metric of {other.KIND}, but the task is {task['kind']}" if other else "is no metric"
        yield Problem(f"{key}.metric", f"{metric!r} {why}; {advice.suggest(metric, known)}")


def _unfit_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Models that can take no task of the study, and tasks that no model of it can take."""
    study = Study(config)
    models = [name for name, entry in config.get("models", {}).items() if _known("providers", entry, "torchvision")]
    tasks = [name for name, entry in config.get("tasks", {}).items() if _known("datasets", entry)]
    fitting = {(model, task) for model in models for task in tasks if study.fits(model, task)}
    takes = {name: registry.find("providers", study.model_entry(name)["provider"]) for name in models}
    for name in set(models) - {model for model, _ in fitting} if tasks else ():
        wanted = f"{takes[name].MODALITY} tasks of {' or '.join(takes[name].KINDS)}"
        yield Problem(
            f"models.{name}.provider", f"its networks are for {wanted}, and no task is; add one, or take it out"
        )
    for name in set(tasks) - {task for _, task in fitting} if models else ():
        entry = study.task_entry(name)
        yield Problem(f"tasks.{name}", f"no model of the study is for {entry['modality']} {entry['kind']}; add one")


def _framework_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """What the frameworks of models cannot do, and families of models that are none."""
    study = Study(config)
    known = [name for name, entry in config.get("models", {}).items() if _known("providers", entry, "torchvision")]
    fitted = [
        (f"methods.{method}", model, study.method_entry(method), study.recipe(model, task, method), "")
        for model, task, method in study.seeds
    ]
    for name, entry in config.get("pretraining", {}).items():
        models = [model for model in known if study.pretraining_of(model) == name]
        key = f"pretraining.{name}"
        fitted += [(key, model, methods.PRETRAINING, resolve(entry.get("recipe")), f"{key}.") for model in models]
    found: dict[tuple[str, str], list[str]] = {}
    for key, model, method, settings, above in fitted:
        if model in known and method["kind"] in registry.names("methods"):
            framework = frameworks.of(study.model_entry(model))
            for problem in framework.problems(methods.plugin(method), settings):
                place = key if problem.key == "method" else f"{above}{problem.key}"
                found.setdefault((place, problem.message), []).append(model)
    for (key, message), models in found.items():
        yield Problem(key, f"{message} (models: {', '.join(dict.fromkeys(models))})")
    yield from _family_problems(study, [name for name in study.models if name in known])


def _family_problems(study: Study, models: list[str]) -> Iterator[Problem]:
    """Two models of a family and a framework would be taken for the same; only the seed of a pretraining may differ."""
    seen: dict[tuple[str, type], str] = {}
    for name in models:
        first = seen.setdefault((study.family(name), frameworks.of(study.model_entry(name))), name)
        if study.backbone(first) != study.backbone(name):
            message = f"{first!r} is of this family and framework too; a family has one model for each framework"
            yield Problem(f"models.{name}.family", message)


def _known(family: str, entry: dict[str, Any], default: str | None = None) -> bool:
    return entry.get(family[:-1], default) in registry.names(family)


def _unused_metrics(config: dict[str, Any]) -> Iterator[Problem]:
    kinds = {with_task_defaults(task)["kind"] for task in config.get("tasks", {}).values()}
    for name in config.get("metrics", []):
        if name in registry.names("metrics") and registry.find("metrics", name).KIND not in kinds:
            wanted = registry.find("metrics", name).KIND
            yield Problem(f"metrics.{name}", f"is a metric of {wanted}, and no task is; take it out")


def _split_problems(key: str, split: dict[str, Any], size: dict[str, int] | None) -> Iterator[Problem]:
    if split["test"] == 0:
        yield Problem(f"{key}.test", "0 examples: nothing could be measured; ask for at least one")
    if size is not None:
        yield from _under(key, splits.check(split, size))
    elif split["train"] == 0:
        yield Problem(f"{key}.train", "0 examples: nothing could be trained; ask for at least one per class")


def _repeat_problems(key: str, entry: dict[str, Any], methods: dict[str, dict | None]) -> Iterator[Problem]:
    known = [name for name, other in methods.items() if "repeats" not in (other or {})]
    if entry["repeats"] not in known:
        hint = advice.suggest(entry["repeats"], known)
        yield Problem(f"{key}.repeats", f"no method that is not a repeat itself is named {entry['repeats']!r}; {hint}")
    for extra in set(entry) - {"repeats"}:
        yield Problem(f"{key}.{extra}", f"a repeat has all from {entry['repeats']!r}; take it out")


def _method_problems(key: str, name: str, entry: dict[str, Any], methods: dict[str, dict | None]) -> Iterator[Problem]:
    if "repeats" in entry:
        yield from _repeat_problems(key, entry, methods)
        return
    kind = entry.get("kind", name)
    if kind not in registry.names("methods"):
        yield Problem(f"{key}.kind" if "kind" in entry else key, registry.unknown("methods", kind))
        return
    # Of these the schema has seen what they hold; they are what a mistyped key may have meant.
    beside = {"kind": {}, "recipe": {}}
    plugin = registry.find("methods", kind)
    if missing := extras.lacking(plugin):
        yield Problem(key, missing)
    yield from _option_problems(key, entry, beside | plugin.OPTIONS, plugin.REQUIRED)


def _plugin_problems(config: dict[str, Any], family: str) -> Iterator[Problem]:
    study, named = Study(config), plugin_choice.entries(config.get(family, {}))
    for name, count in Counter(name for name, _ in named).items():
        if count > 1:
            yield Problem(f"{family}.{name}", f"stands there {count} times; name it once")
    for name, options in named:
        key = f"{family}.{name}"
        if name not in registry.names(family):
            yield Problem(key, registry.unknown(family, name))
            continue
        if options:
            yield from _option_problems(key, options, registry.find(family, name).OPTIONS, ())
        if options is not False and (lacking := study.lacking(family, name)):
            yield Problem(key, f"needs {' and '.join(lacking)}, of which the study has none; take it out")


def _override_problems(config: dict[str, Any]) -> Iterator[Problem]:
    for at, entry in enumerate(config.get("overrides", [])):
        yield from _unmatched(f"overrides.{at}", entry, [list(config.get(family, {})) for family in FAMILIES], [])


def _grid_problems(config: dict[str, Any], imported: Mapping[str, import_checks.Found]) -> Iterator[Problem]:
    """Selections that match nothing of what is trained or imported, and results that come from two places."""
    grid, runs = config.get("grid", {}), {run for found in imported.values() for run in found.runs}
    axes = [sorted({*config.get(family, {}), *(run[at] for run in runs)}) for at, family in enumerate(FAMILIES)]
    seeds = sorted({*config.get("seeds", []), *(run[3] for run in runs)})
    selections = {f"grid.{key}.{at}": entry for key in grid for at, entry in enumerate(grid[key])}
    problems = [problem for key, entry in selections.items() for problem in _unmatched(key, entry, axes, seeds)]
    yield from problems
    trained = {(*cell, seed) for cell, of_cell in Study(config).seeds.items() for seed in of_cell}
    if not problems and not trained and not any(found.values for found in imported.values()):
        yield Problem("grid", "include and exclude leave no run")
    elsewhere: dict[tuple, str] = {}
    for name, found in imported.items():
        twice = {value[:4]: f"comes from {elsewhere[value]!r}" for value in found.values if value in elsewhere}
        twice |= {
            value[:4]: "is trained here" for value in found.values if value[:4] in trained and value[6] in scalars()
        }
        elsewhere |= dict.fromkeys(found.values, name)
        if twice:
            first = min(twice)
            said = f"{len(twice)} of its runs are there twice: {'/'.join(map(str, first))} {twice[first]} too"
            yield Problem(f"imports.{name}", f"{said}; give one of them another method or model name")


def _unmatched(key: str, selection: dict[str, Any], axes: Sequence[list[str]], seeds: list[int]) -> Iterator[Problem]:
    for part, known in zip(("model", "task", "method"), axes, strict=True):
        for pattern in as_list(selection.get(part, [])):
            if not any(fnmatch.fnmatchcase(name, pattern) for name in known):
                yield Problem(f"{key}.{part}", f"{pattern!r} matches nothing; {advice.suggest(pattern, known)}")
    for seed in as_list(selection.get("seed", [])):
        if seed not in seeds:
            yield Problem(f"{key}.seed", f"{seed} is not among the seeds {seeds}")


def _recipe_problems(config: dict[str, Any]) -> Iterator[Problem]:
    study = Study(config)
    recipes = {f"tasks.{task}": (study.task_entry(task), []) for task in study.tasks}
    for model, task, method in study.seeds:
        recipes[f"tasks.{task}"][1].append(study.recipe(model, task, method))
    for name, entry in config.get("pretraining", {}).items():
        recipes[f"pretraining.{name}.task"] = (study.task_entry(name), [resolve(entry.get("recipe"))])
    augmentations = [each["augmentation"] for _, used in recipes.values() for each in used]
    if any(each["views"] and not augments(each) for each in augmentations):
        message = "views of images that nothing changes; switch on flip, crop or randaugment too, or take it out"
        yield Problem("recipe.augmentation.views", message)
    for key, (task, used) in recipes.items():
        if task["split"]["validation"] != 0:
            continue
        if config.get("checkpoints") == "best" and key.startswith("tasks."):
            yield Problem(f"{key}.split.validation", "is 0, but checkpoints: best chooses among seeds by validation")
        for wanting in ("checkpoint: best", "early_stopping"):
            if any(r["checkpoint"] == "best" if wanting == "checkpoint: best" else r["early_stopping"] for r in used):
                yield Problem(f"{key}.split.validation", f"is 0, but the recipe's {wanting} needs validation examples")


def _idle_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """What a recipe asks for and no task of the study has a use for."""
    study = Study(config)
    used = [(study.task_entry(task), study.recipe(model, task, method)) for model, task, method in study.seeds]
    for name, entry in config.get("pretraining", {}).items():
        used.append((study.task_entry(name), resolve(entry.get("recipe"))))
    modalities = {task["modality"] for task, settings in used if augments(settings["augmentation"])}
    if modalities and not any(registry.find("modalities", name).AUGMENTED for name in modalities):
        yield Problem("recipe.augmentation", f"changes nothing of {' and '.join(sorted(modalities))}; take it out")
    kinds = {task["kind"] for task, settings in used if settings["label_smoothing"]}
    if kinds and not any(registry.find("kinds", name).SMOOTHED for name in kinds):
        yield Problem("recipe.label_smoothing", f"changes nothing in {' and '.join(sorted(kinds))}; take it out")


def _unseeded_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Runs that would repeat each other to the last bit, and look like a method without any noise."""
    study = Study(config)
    runs: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for (model, task, method), seeds in study.seeds.items():
        known = _known("providers", config["models"][model], "torchvision")
        if known and not frameworks.of(study.model_entry(model)).SEEDED:
            runs.setdefault((model, task), []).extend((method, seed) for seed in seeds)
    for model in dict.fromkeys(model for (model, _), made in runs.items() if len(made) > 1):
        made = next(made for (name, _), made in runs.items() if name == model and len(made) > 1)
        methods, seeds = (list(dict.fromkeys(part)) for part in zip(*made, strict=True))
        excluded = [
            f"{{model: {model}, {key}: {of[1:]}}}" for key, of in (("method", methods), ("seed", seeds)) if of[1:]
        ]
        yield Problem(
            f"models.{model}",
            f"has neither a method nor a seed, so its {len(made)} runs of a task would be one and the same; "
            f"add to grid.exclude: {', '.join(excluded)}".replace("'", ""),
        )


def _option_problems(
    key: str, options: dict[str, Any], properties: dict[str, dict], required: Iterable[str], open_ended: bool = False
) -> Iterator[Problem]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return schema_messages.problems(options, schema | {"additionalProperties": open_ended}, key)


def _under(key: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    for problem in problems:
        yield Problem(f"{key}.{problem.key}" if problem.key else key, problem.message)
