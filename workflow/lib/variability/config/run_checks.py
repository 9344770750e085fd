"""Problems of the runs that a config asks for: models, tasks, frameworks and recipes that do not fit together."""

from collections.abc import Iterator, Mapping
from typing import Any

from variability import registry
from variability.advice import plural
from variability.config import shared_runs
from variability.config.recipe import resolve
from variability.config.study import Study
from variability.data.augmentation_spec import augments
from variability.errors import Problem
from variability.models import methods
from variability.training import frameworks

Recipe = Mapping[str, Any]


def check(study: Study) -> Iterator[Problem]:
    """Yield all problems of a study's runs."""
    models = [name for name in study.config.get("models", {}) if _provider_is_known(study, name)]
    yield from _check_fit(study, models)
    yield from _check_frameworks(study, models)
    yield from _check_families(study, models)
    yield from _check_views(study)
    yield from _check_validation_examples(study)
    yield from _check_micro_batches(study)
    yield from shared_runs.check(study, models)
    yield from _check_recipes_without_effect(study)
    yield from _check_identical_runs(study, models)


def _provider_is_known(study: Study, model: str) -> bool:
    return study.model_entry(model)["provider"] in registry.names("providers")


def _check_fit(study: Study, models: list[str]) -> Iterator[Problem]:
    """Models that cannot take any task of the study, and tasks that no model can take. models: of a known provider."""
    entries = {name: study.task_entry(name) for name in study.config.get("tasks", {})}
    tasks = [name for name, entry in entries.items() if entry["dataset"] in registry.names("datasets")]
    fitting = {(model, task) for model in models for task in tasks if study.fits(model, task)}
    for name in models if tasks else ():
        if name not in {model for model, _ in fitting}:
            provider = registry.find("providers", study.model_entry(name)["provider"])
            kinds = f"{provider.MODALITY} tasks of {' or '.join(provider.KINDS)}"
            message = f"its networks are for {kinds}, and the study has no such task; add one, or remove the model"
            yield Problem(f"models.{name}.provider", message)
    for name in tasks if models else ():
        if name not in {task for _, task in fitting}:
            entry = entries[name]
            message = f"no model of the study is for {entry['modality']} tasks of {entry['kind']}; add one"
            yield Problem(f"tasks.{name}", message)


def _check_frameworks(study: Study, models: list[str]) -> Iterator[Problem]:
    """Methods and recipes that the framework of a model does not support. models: of a known provider."""
    fits = [
        (f"methods.{method}", model, study.method_entry(method), study.recipe(model, task, method), "")
        for model, task, method in study.seeds
    ]
    for name, recipe in _pretraining_recipes(study).items():
        key = f"pretraining.{name}"
        pretrained = [model for model in models if study.pretraining_of(model) == name]
        fits += [(key, model, methods.PRETRAINING, recipe, f"{key}.") for model in pretrained]
    affected: dict[tuple[str, str], list[str]] = {}
    for method_key, model, method, recipe, prefix in fits:
        if model in models and method["kind"] in registry.names("methods"):
            framework = frameworks.of(study.model_entry(model))
            for problem in framework.problems(methods.from_entry(method), recipe):
                key = method_key if problem.key == "method" else f"{prefix}{problem.key}"
                affected.setdefault((key, problem.message), []).append(model)
    for (key, message), names in affected.items():
        yield Problem(key, f"{message} (models: {', '.join(dict.fromkeys(names))})")


def _check_families(study: Study, models: list[str]) -> Iterator[Problem]:
    """Two models of the same family and framework: they would be treated as one network.

    Only the seed of their pretraining may differ.
    """
    first_of: dict[tuple[str, type], str] = {}
    for name in study.models:
        if name in models:
            first = first_of.setdefault((study.family(name), frameworks.of(study.model_entry(name))), name)
            if study.backbone(first) != study.backbone(name):
                message = f"{first!r} has the same family and framework; a family has one model per framework"
                yield Problem(f"models.{name}.family", message)


def _check_views(study: Study) -> Iterator[Problem]:
    recipes = [*_run_recipes(study).values(), *_pretraining_recipes(study).values()]
    augmentations = [recipe["augmentation"] for recipe in recipes]
    if any(augmentation["views"] and not augments(augmentation) for augmentation in augmentations):
        message = "views of images that no augmentation changes; add flip, crop or randaugment, or remove views"
        yield Problem("recipe.augmentation.views", message)


def _check_validation_examples(study: Study) -> Iterator[Problem]:
    """Recipes and ``checkpoints: best`` that need validation examples, on tasks without."""
    recipes: dict[str, list[Recipe]] = {}
    for (_, task, _), recipe in _run_recipes(study).items():
        recipes.setdefault(task, []).append(recipe)
    checks = [(f"tasks.{task}", task, recipes.get(task, []), True) for task in study.tasks]
    checks += [
        (f"pretraining.{name}.task", name, [recipe], False) for name, recipe in _pretraining_recipes(study).items()
    ]
    for key, task, of_task, makes_runs in checks:
        if study.task_entry(task)["split"]["validation"] != 0:
            continue
        if makes_runs and study.checkpoints == "best":
            message = "is 0, but checkpoints: best needs validation examples to choose a seed"
            yield Problem(f"{key}.split.validation", message)
        needing = {
            "checkpoint: best": any(recipe["checkpoint"] == "best" for recipe in of_task),
            "early_stopping": any(recipe["early_stopping"] for recipe in of_task),
        }
        for setting, needed in needing.items():
            if needed:
                yield Problem(f"{key}.split.validation", f"is 0, but the recipe's {setting} needs validation examples")


def _check_micro_batches(study: Study) -> Iterator[Problem]:
    """Micro-batches that are larger than the batches that they are parts of."""
    recipes = [("recipe", recipe) for recipe in _run_recipes(study).values()]
    recipes += [(f"pretraining.{name}.recipe", recipe) for name, recipe in _pretraining_recipes(study).items()]
    sizes = dict.fromkeys((key, recipe["micro_batch"], recipe["batch_size"]) for key, recipe in recipes)
    for key, micro_batch, batch_size in sizes:
        if micro_batch is not None and micro_batch > batch_size:
            message = f"{micro_batch} is more than the batch_size of {batch_size}, whose part it is; lower it"
            yield Problem(f"{key}.micro_batch", message)


def _check_recipes_without_effect(study: Study) -> Iterator[Problem]:
    """Settings of recipes that have no effect on any task of the study."""
    fits = [(study.task_entry(task), recipe) for (_, task, _), recipe in _run_recipes(study).items()]
    fits += [(study.task_entry(name), recipe) for name, recipe in _pretraining_recipes(study).items()]
    modalities = {task["modality"] for task, recipe in fits if augments(recipe["augmentation"])}
    if modalities and not any(registry.find("modalities", name).AUGMENTED for name in modalities):
        yield Problem("recipe.augmentation", f"has no effect on {' and '.join(sorted(modalities))}; remove it")
    kinds = {task["kind"] for task, recipe in fits if recipe["label_smoothing"]}
    if kinds and not any(registry.find("kinds", name).SMOOTHED for name in kinds):
        yield Problem("recipe.label_smoothing", f"has no effect on {' and '.join(sorted(kinds))}; remove it")


def _check_identical_runs(study: Study, models: list[str]) -> Iterator[Problem]:
    """Runs that would be identical in every bit, and so look like a method without any noise."""
    runs: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for (model, task, method), seeds in study.seeds.items():
        if model in models and not frameworks.of(study.model_entry(model)).SEEDED:
            runs.setdefault((model, task), []).extend((method, seed) for seed in seeds)
    first_task = {}
    for (model, _), of_task in runs.items():
        if len(of_task) > 1:
            first_task.setdefault(model, of_task)
    for model, of_task in first_task.items():
        axes = zip(("method", "seed"), zip(*of_task, strict=True), strict=True)
        more = {key: list(dict.fromkeys(values))[1:] for key, values in axes}
        exclude = ", ".join(f"{{model: {model}, {key}: {values}}}" for key, values in more.items() if values)
        yield Problem(
            f"models.{model}",
            f"depends on neither method nor seed, so its {plural(len(of_task), 'run')} of a task would be identical; "
            f"add to grid.exclude: {exclude}".replace("'", ""),
        )


def _run_recipes(study: Study) -> dict[tuple[str, str, str], Recipe]:
    return {cell: study.recipe(*cell) for cell in study.seeds}


def _pretraining_recipes(study: Study) -> dict[str, Recipe]:
    return {name: resolve(entry.get("recipe")) for name, entry in study.config.get("pretraining", {}).items()}
