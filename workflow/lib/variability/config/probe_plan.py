"""Models and tasks for which a linear model of frozen features is fitted as the reference probe of all recipes."""

from typing import Any

from variability import registry
from variability.config.feature_plan import FeaturePlan
from variability.config.specs import sorted_keys
from variability.config.study import Study


def has_probe(study: Study) -> bool:
    """Return whether a model of the study has a reference probe on some task."""
    return any(pair["features"] for pair in pairs(study))


def spec(study: Study) -> dict[str, Any]:
    """Return the spec of ``reference_probe``: the pairs of models and tasks, and the metrics of the tasks."""
    listed = pairs(study)
    tasks = dict.fromkeys(pair["task"] for pair in listed)
    return sorted_keys({"pairs": listed, "metrics": {task: study.metrics(task) for task in tasks}})


def pairs(study: Study) -> list[dict[str, Any]]:
    """Return {model, task, features, reason, seeds} of each model on each task whose kind has a probe.

    features: name of the stored activations, None with the reason if there are none. seeds: those with splits of their
    own, None if all runs have the same split.
    """
    plan, seeds = FeaturePlan(study), {}
    for (model, task, _), of_cell in study.seeds.items():
        if registry.find("kinds", study.task_entry(task)["kind"]).PROBE is not None:
            seeds.setdefault((model, task), set()).update(of_cell)
    return [
        {
            "model": model,
            "task": task,
            "features": plan.before_head(model, task),
            "reason": _reason(study, model),
            "seeds": sorted(of_pair) if study.task_entry(task)["split"]["resample"] else None,
        }
        for (model, task), of_pair in seeds.items()
    ]


def _reason(study: Study, model: str) -> str | None:
    """Return the reason why the activations of a model cannot be stored; None if they can."""
    if study.stores_features(model):
        return None
    provider = study.model_entry(model)["provider"]
    if study.weights_kind(model) == "none" or not registry.find("providers", provider).HAS_PREFIX:
        return "no reference probe: every run has its own backbone"
    return f"no reference probe: activations of networks of {provider} are not stored"
