"""Options of plug-ins, compared with their schemas before any plug-in is made with them.

A plug-in may rely on the types of its options. So those that its schema refuses are removed for the other checks.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from variability import registry
from variability.config import schema_messages
from variability.config.study import provider_name
from variability.errors import Problem


def without_refused_options(config: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return a config without the options that their plug-ins' schemas refuse, and the problems of those.

    Options that are missing are left to the checks of the entries.
    """
    problems: list[Problem] = []
    sections = {name: dict(config[name]) for name in ("models", "tasks", "pretraining") if name in config}
    for section, name, options, plugin in _plugins(config):
        schema = {"type": "object", "properties": plugin.OPTIONS, "additionalProperties": not plugin.OPTIONS}
        key = f"{section}.{name}.{'task.' * (section == 'pretraining')}options"
        if of_entry := list(schema_messages.problems(options, schema, key)):
            problems += of_entry
            sections[section][name] = _with_options(
                config[section][name], schema_messages.without_errors(options, schema)
            )
    return config | sections, problems


def _plugins(config: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], type[Any]]]:
    """Yield section, name and options of each entry with options, and its plug-in if that is known."""
    entries = [("models", name, entry, "providers", provider_name(entry)) for name, entry in _items(config, "models")]
    entries += [("tasks", name, entry, "datasets", entry["dataset"]) for name, entry in _items(config, "tasks")]
    tasks = {name: entry["task"] for name, entry in _items(config, "pretraining")}
    entries += [("pretraining", name, task, "datasets", task["dataset"]) for name, task in tasks.items()]
    for section, name, entry, family, plugin in entries:
        if "options" in entry and plugin in registry.names(family):
            yield section, name, entry["options"], registry.find(family, plugin)


def _items(config: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    return list(config.get(section, {}).items())


def _with_options(entry: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return an entry with other options; those of a pretraining belong to its task."""
    if "task" in entry:
        return entry | {"task": _with_options(entry["task"], options)}
    return entry | {"options": options}
