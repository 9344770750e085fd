"""The page with all keys of a config, from the JSON schema that configs are checked with.

The schema is generated from the pydantic models in ``variability.config``, with types, defaults and descriptions. The
introduction of a section is the docstring of its model.
"""

import ast
from pathlib import Path
from typing import Any

from site_builder import schema_words

HEAD = """\
# Config keys

All keys of a study's config, as the check before the first job knows them. `config.yaml` has an example of each with
comments; editors that read YAML schemas complete keys by `workflow/schemas/config.schema.yaml`. A key without a
default may be left out, and then depends on other keys, unless it is required.

Options of data sets, methods, analyses and other plug-ins are on pages of their own: [plug-ins](plug-ins.md),
[analyses](analyses.md), [plots](plots.md), [claims](claims.md).
"""


def page(schema: dict[str, Any], folder: Path) -> str:
    """Return the page in Markdown. folder: the package with the models, whose docstrings introduce the sections."""
    sections, introductions = schema["$defs"], docstrings(folder)
    parts = [HEAD, "## Study\n", _table(schema, sections)]
    for name, path in order(schema).items():
        parts += [f"\n## {name}\n", f"At `{path}`. {introductions.get(name, '')}\n", _table(sections[name], sections)]
    return "\n".join(parts) + "\n"


def _table(section: dict[str, Any], sections: dict[str, Any]) -> str:
    return schema_words.table(
        section["properties"],
        section.get("required", ()),
        lambda name: f"[{name}](#{name.lower()})" if name in sections else name,
    )


def order(schema: dict[str, Any]) -> dict[str, str]:
    """Return the sections in the order in which a reader meets them: {name: where it is first used}."""
    paths: dict[str, str] = {}

    def visit(node: Any, path: str) -> None:
        if isinstance(node, list):
            for entry in node:
                visit(entry, path)
        elif isinstance(node, dict):
            name = node.get("$ref", "").rpartition("/")[2]
            if name and name not in paths:
                paths[name] = path
                visit(schema["$defs"][name], path)
            for key, value in node.get("properties", {}).items():
                visit(value, f"{path}.{key}" if path else key)
            for key in ("anyOf", "oneOf", "items"):
                visit(node.get(key), path)
            visit(node.get("additionalProperties"), f"{path}.NAME" if path else "NAME")

    visit({key: value for key, value in schema.items() if key != "$defs"}, "")
    return paths


def docstrings(folder: Path) -> dict[str, str]:
    """Return the first paragraph of the docstring of every class of a package, read from the sources."""
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and (text := ast.get_docstring(node)):
                texts[node.name] = text.partition("\n\n")[0].replace("\n", " ").replace("``", "`")
    return texts
