"""Problems of single entries of a config: a model, a task, a method, an analysis, a plot, a claim."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability import advice, extras, registry
from variability.config import plugin_advice, plugin_choice, schema_messages
from variability.config.outputs import Outputs
from variability.config.recipe import Recipe
from variability.config.study import Study, complete_task
from variability.data import duplicates, modalities, splits
from variability.data.datasets import Examples
from variability.errors import Problem, UserError
from variability.io.mirrors import find_file, missing_file
from variability.models.weights_source import pretraining_of, refused_file, weights_kind
from variability.results.columns import CELL
from variability.results.metrics import scalar_names, scalars


def check_model(study: Study, name: str, mirrors: Sequence[Path], refused: Collection[str] = ()) -> Iterator[Problem]:
    """Yield the problems of an entry of ``models``. refused: names of pretrainings that have problems of their own."""
    key, model = f"models.{name}", study.model_entry(name)
    kind = weights_kind(model["weights"])
    if kind == "pretrain":
        known = list(study.config.get("pretraining", {}))
        pretraining = pretraining_of(model["weights"])
        if pretraining not in {*known, *refused}:
            hint = advice.suggest(pretraining, known)
            yield Problem(f"{key}.weights", f"no pretraining is named {pretraining!r}; {hint}")
    if kind == "file" and not find_file(model["weights"], mirrors):
        yield Problem(f"{key}.weights", missing_file(model["weights"], mirrors))
    if "sha256" in model and kind != "file":
        yield Problem(f"{key}.sha256", f"applies to weights from a file, but weights is {model['weights']!r}")
    if model["provider"] not in registry.names("providers"):
        yield Problem(f"{key}.provider", plugin_advice.unknown("providers", model["provider"]))
        return
    provider = registry.find("providers", model["provider"])
    yield from check_options(f"{key}.options", model["options"], provider.OPTIONS, open_ended=not provider.OPTIONS)
    if "head" in model and not getattr(provider, "USES_HEAD", False):
        yield Problem(f"{key}.head", "applies to networks of your own (architecture: my_nets.py:build); remove it")
    if missing := extras.missing(provider):
        yield Problem(f"{key}.provider", missing)
    else:
        not_a_file = refused_file(model["weights"])
        if not_a_file:
            yield Problem(f"{key}.weights", not_a_file)
        # It is not a release with an unknown name, too.
        problems = [each for each in provider(model).check() if not (not_a_file and each.key == "weights")]
        yield from below(key, problems)
        yield from below(key, provider(model).check_source(mirrors))


def check_task(key: str, entry: Mapping[str, Any], mirrors: Sequence[Path]) -> Iterator[Problem]:
    """Yield the problems of a task. key: of the entry, in ``tasks`` or below an entry of ``pretraining``."""
    task = complete_task(entry)
    yield from _check_primary_metric(key, task)
    if task["dataset"] not in registry.names("datasets"):
        yield Problem(f"{key}.dataset", plugin_advice.unknown("datasets", task["dataset"]))
        return
    plugin = registry.find("datasets", task["dataset"])
    problems = list(check_options(f"{key}.options", task["options"], plugin.OPTIONS, plugin.REQUIRED))
    yield from problems
    if problems:
        return
    if missing := extras.missing(plugin):
        yield Problem(f"{key}.dataset", missing)
        return
    dataset = plugin(task["options"])
    problems = list(below(f"{key}.options", dataset.check(mirrors)))
    yield from problems
    yield from _check_modality(key, task["modality"], entry)
    if task["kind"] not in dataset.kinds():
        kinds = " or ".join(dataset.kinds())
        message = f"{task['kind']!r} does not fit the data set {task['dataset']}, whose labels are for {kinds}"
        yield Problem(f"{key}.kind", message)
    yield from _check_split(f"{key}.split", task["split"], dataset.size())
    if not problems and (examples := dataset.planned()):
        yield from _check_duplicates(f"{key}.split.duplicates", task, examples)


def _check_primary_metric(key: str, task: Mapping[str, Any]) -> Iterator[Problem]:
    metric, known = task["metric"], scalar_names(task["kind"])
    if metric not in known:
        plugin = scalars().get(metric)
        why = f"is a metric of {plugin.KIND}, but the task is {task['kind']}" if plugin else "is not a metric"
        yield Problem(f"{key}.metric", f"{metric!r} {why}; {advice.suggest(metric, known)}")


def _check_modality(key: str, modality: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    for other in registry.names("modalities"):
        if other in entry and other != modality:
            message = f"the examples of the data set {entry['dataset']} are of another modality: {modality}"
            yield Problem(f"{key}.{other}", message)
    plugin = registry.find("modalities", modality)
    if missing := [name for name in plugin.REQUIRED if name not in entry.get(modality, {})]:
        yield Problem(f"{key}.{modality}", schema_messages.missing(missing, plugin.OPTIONS))


def _check_split(key: str, split: Mapping[str, Any], sizes: Mapping[str, int] | None) -> Iterator[Problem]:
    if split["test"] == 0:
        yield Problem(f"{key}.test", "0 examples: nothing could be measured; ask for at least one")
    if sizes is not None:
        yield from below(key, splits.check(split, sizes))
    elif split["train"] == 0:
        yield Problem(f"{key}.train", "0 examples: nothing could be trained; ask for at least one per class")


def _check_duplicates(key: str, task: Mapping[str, Any], examples: Examples) -> Iterator[Problem]:
    modality = modalities.find(task["modality"])
    contents = [modality.content(examples.read(row)) for row in range(len(examples))]
    source = examples.source or str
    try:
        duplicates.check_partitions(task["split"]["duplicates"], examples.partition, contents, source)
    except UserError as error:
        yield Problem(key, str(error))


def check_method(study: Study, name: str) -> Iterator[Problem]:
    """Yield the problems of an entry of ``methods``."""
    key, entry = f"methods.{name}", study.config["methods"][name] or {}
    if "repeats" in entry:
        yield from _check_repeat(key, entry, study.config["methods"])
        return
    kind = study.method_entry(name)["kind"]
    if kind not in registry.names("methods"):
        message, meant = plugin_advice.unknown("methods", kind), plugin_advice.meant("methods", kind)
        if "kind" in entry:
            yield Problem(f"{key}.kind", message)
        elif meant:
            yield Problem(key, f"{message} A name of your own needs its kind: write {name}: {{kind: {meant}}}")
        else:
            yield Problem(key, f"{message}; a name of your own needs one of these as its kind, as in `kind: full`")
        return
    plugin = registry.find("methods", kind)
    if missing := extras.missing(plugin):
        yield Problem(key, missing)
    # The schema has checked the values of these keys; here they are what a misspelt key may have meant.
    common_keys = {"kind": {}, "recipe": {"properties": {name: {} for name in Recipe.model_fields}}}
    yield from check_options(key, entry, common_keys | plugin.OPTIONS, plugin.REQUIRED)


def _check_repeat(
    key: str, entry: Mapping[str, Any], methods: Mapping[str, Mapping[str, Any] | None]
) -> Iterator[Problem]:
    known = [name for name, other in methods.items() if "repeats" not in (other or {})]
    repeated = entry["repeats"]
    if repeated not in known:
        message = f"must be a method that is not a repeat itself, not {repeated!r}; {advice.suggest(repeated, known)}"
        yield Problem(f"{key}.repeats", message)
    for extra in [name for name in entry if name != "repeats"]:
        yield Problem(f"{key}.{extra}", f"a repeat takes everything from {repeated!r}; remove this key")


def check_plugins(outputs: Outputs, family: str, complete: bool = True) -> Iterator[Problem]:
    """Yield the problems of one of the sections ``analyses``, ``plots`` and ``claims``.

    complete: False if entries of the study are left out, so that what it lacks is not known.
    """
    entries = plugin_choice.entries(outputs.study.config.get(family, {}))
    for name, count in Counter(name for name, _ in entries).items():
        if count > 1:
            yield Problem(f"{family}.{name}", f"is listed {times(count)}; list it once")
    for name, options in entries:
        key = f"{family}.{name}"
        if name not in registry.names(family):
            yield Problem(key, registry.unknown(family, name))
            continue
        if options:
            refused = list(check_options(key, options, registry.find(family, name).OPTIONS))
            yield from refused
            if family == "analyses" and not refused:
                names = {of: list(outputs.study.config.get(f"{of}s") or {}) for of in CELL}
                for option, message in registry.find(family, name).problems(options, names):
                    yield Problem(f"{key}.{option}", message)
        if options is not False and complete and (unmet := outputs.unmet(family, name)):
            yield Problem(key, f"requires {' and '.join(unmet)}, which the study does not have; remove it")


def check_options(
    key: str,
    options: Mapping[str, Any],
    schemas: Mapping[str, dict],
    required: Iterable[str] = (),
    open_ended: bool = False,
) -> Iterator[Problem]:
    """Yield the problems of a plug-in's options. schemas: JSON schema by option. open_ended: accept unknown options."""
    schema = {"type": "object", "properties": dict(schemas), "required": list(required)}
    return schema_messages.problems(options, schema | {"additionalProperties": open_ended}, key)


def below(key: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield problems whose keys are relative to ``key`` with their full keys."""
    for problem in problems:
        yield Problem(f"{key}.{problem.key}" if problem.key else key, problem.message)


def times(count: int) -> str:
    """Return ``twice``, or the count with the word ``times``."""
    return "twice" if count == 2 else f"{count} times"
