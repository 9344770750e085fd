"""The right form of a mapping, for messages about values that are not one, and for entries without a name."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import yaml

from variability.config import key_advice
from variability.results.run_selection import as_list

#: Longest mapping in characters that a message shows.
LONGEST = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,40}")
#: A key and its value without a blank, or with another sign between them.
_PAIR = re.compile(r"([a-z_]+)\s*[:=]\s*(\S.{0,60})")

#: Tells whether a value has the form of a schema.
Valid = Callable[[Any, Mapping[str, Any]], bool]


def remedy(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any], valid: Valid) -> str:
    """Return how to write a value as the mapping that a schema expects; empty if the schema expects something else.

    The form is made from the value where that is possible, otherwise it is the schema's example.
    """
    if value is None or "object" not in as_list(schema.get("type", [])):
        return ""
    entry, properties = schema.get("additionalProperties"), schema.get("properties", {})
    entry = key_advice.resolve(entry, definitions) if isinstance(entry, Mapping) else {}
    if entry.get("properties"):
        forms = _named(value, entry)
    else:
        forms = _with_key(value, schema, valid) if properties else iter(())
    for form in (*forms, *schema.get("examples", [])):
        if len(text := flow(form)) <= LONGEST:
            return f"; write, for example, {text}"
    if properties:
        return f"; write {{key: value}} with keys of {', '.join(properties)}"
    return "; write {name: value}"


def _named(value: Any, entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield named entries, made from one or more names, or from entries without a name."""
    required, several = entry.get("required", []), as_list(value)
    mappings = [each for each in several if isinstance(each, Mapping)]
    names = [str(each) for each in several if isinstance(each, (str, int)) and not isinstance(each, bool)]
    if mappings:
        # The text that describes an entry is often its name.
        first = mappings[0]
        texts = [str(first[key]) for key in ("name", *required) if isinstance(first.get(key), str)]
        name = next((stem for text in texts if _is_name(stem := PurePath(text).stem)), "my_entry")
        keys = {key: each for key, each in first.items() if key != "name"}
        yield {name: keys}
        yield {name: {key: keys[key] for key in required if key in keys}}
    elif names and len(names) == len(several) and len(required) <= 1:
        yield {
            name if _is_name(name) else "my_entry": dict.fromkeys(required, name)
            for name in (names if all(map(_is_name, names)) else names[:1])
        }


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def _with_key(value: Any, schema: Mapping[str, Any], valid: Valid) -> Iterator[dict[str, Any]]:
    """Yield a mapping with the key that the value names, or that may have the value; of several mappings one."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if isinstance(value, str) and valid(True, properties.get(value, {"type": "null"})):
        yield {value: True}
    if isinstance(value, str) and (pair := _PAIR.fullmatch(value.strip())) and pair[1] in properties:
        yield {pair[1]: _scalar(pair[2])}
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        merged = {key: each for part in value for key, each in part.items()}
        if merged.keys() <= properties.keys():
            yield merged
    key = next((key for key in required[:1] or properties if valid(value, properties[key])), None)
    if key is not None and len(required) < 2:
        yield {key: value}


def _scalar(text: str) -> Any:
    """Return what YAML reads a text as, or the text if that is no plain value."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, (str, int, float)) else text


def flow(mapping: Mapping[str, Any]) -> str:
    """Return a mapping as YAML in one line."""
    return yaml.safe_dump(dict(mapping), default_flow_style=True, sort_keys=False, width=10_000).strip()


def unnamed_sections(config: Any, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the sections of named entries that hold the keys of one entry instead, and what to write."""
    definitions = schema.get("$defs", {})
    for section, of_section in schema.get("properties", {}).items() if isinstance(config, Mapping) else ():
        entries, entry = config.get(section), of_section.get("additionalProperties")
        if not isinstance(entries, Mapping) or not isinstance(entry, Mapping):
            continue
        properties = key_advice.resolve(entry, definitions).get("properties", {})
        if any(key in properties and not isinstance(value, Mapping | None) for key, value in entries.items()):
            keys = ", ".join(f"{key}: ..." for key in entries)
            yield section, f"the entry has no name; write {section}: {{my_{section.rstrip('s')}: {{{keys}}}}}"
