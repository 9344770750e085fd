"""JSON schemas in words, for tables of keys and options."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
NAMES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}


def words(schema: Mapping[str, Any], link: Callable[[str], str] = str) -> str:
    """Return what values a schema allows. link: the words for a section, from its name in ``$defs``."""
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " or ".join(code(value) for value in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(words(option, link) for option in schema[key]))
    kinds = schema.get("type", "any value")
    return " or ".join(_kind(kind, schema, link) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _kind(kind: str, schema: Mapping[str, Any], link: Callable[[str], str]) -> str:
    if kind == "array":
        return f"list: {words(schema['items'], link)}" if schema.get("items") else "list"
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, Mapping):
            return f"mapping, name: {words(values, link)}"
        keys = ", ".join(code(key) for key in schema.get("properties", ()))
        return f"mapping with {keys}" if keys else "mapping"
    limits = [f"{sign} {schema[key]}" for key, sign in LIMITS.items() if key in schema]
    if kind in ("integer", "number") and limits:
        return f"{NAMES[kind]} {', '.join(limits)}"
    if kind == "string" and "title" in schema:
        return str(schema["title"])
    return NAMES.get(kind, kind)


def code(value: Any) -> str:
    """Return a value as it is written in a config, as code."""
    text = value if isinstance(value, str) and value else json.dumps(value)
    return f"`{text}`"


def table(
    properties: Mapping[str, Mapping[str, Any]], required: Iterable[str] = (), link: Callable[[str], str] = str
) -> str:
    """Return a table in Markdown: key, value, default and description. properties: {key: schema}."""
    lines = ["| key | value | default | description |", "|---|---|---|---|"]
    for key, schema in properties.items():
        default = "required" if key in required else code(schema["default"]) if "default" in schema else ""
        cells = (f"`{key}`", words(schema, link), default, schema.get("description", ""))
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
    return "\n".join(lines)
