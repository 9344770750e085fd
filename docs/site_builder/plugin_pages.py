"""Pages about plug-ins: what they compute, their options, and what they need, from their classes.

Docstrings are read from the sources, because the library itself never reads them.
"""

import ast
import inspect
import re
from collections.abc import Mapping
from pathlib import Path

from site_builder import schema_words
from variability import registry
from variability.config import prerequisites

#: Pages with one section for every plug-in of a family: {family: (title, introduction)}.
LONG = {
    "analyses": (
        "Analyses",
        "What each analysis computes; its table is `results/<study>/analyse/<name>.csv`. The explanation says when not "
        "to trust it. All analyses that a study has the data for run by default.",
    ),
    "plots": (
        "Plots",
        "Figures for papers: `results/<study>/plot/<name>.svg` and `.png`. All that a study has the data for are "
        "drawn by default.",
    ),
    "claims": (
        "Claims",
        "Sentences with a verdict, in `results/<study>/claim/claims.md` and `claims.csv`. All kinds that a study has "
        "the data for are made by default.",
    ),
}
#: Families on the page about plug-ins of data and training.
SHORT = {
    "datasets": "Data sets",
    "modalities": "Modalities",
    "kinds": "Kinds of tasks",
    "providers": "Providers",
    "frameworks": "Frameworks",
    "methods": "Methods",
    "metrics": "Metrics",
    "readers": "Readers of imported files",
    "questions": "Sections of the report page",
    "exporters": "Exporters: runs in the stores of other programs",
}


def long_page(family: str, columns: Mapping[str, list[str]], explained: Mapping[str, str]) -> str:
    """Return the page about a family.

    columns: those of the tables of analyses, by name. explained: links to the sections of the docs, by name.
    """
    title, introduction = LONG[family]
    parts = [f"# {title}\n", f"{introduction}\n"]
    for name in registry.names(family):
        parts += [f"## {name}\n", *section(family, name, columns.get(name, []), explained.get(name))]
    return "\n".join(parts)


def short_page() -> str:
    """Return the page about all other families."""
    parts = [
        "# Plug-ins\n",
        "Data sets, networks, methods and metrics that a config can name, with their options. Each is one file, and "
        "your own work like these.\n",
    ]
    for family, title in SHORT.items():
        parts.append(f"## {title}\n")
        for name in registry.names(family):
            parts += [f"### {name}\n", *section(family, name, [], None)]
    return "\n".join(parts)


def section(family: str, name: str, columns: list[str], explanation: str | None) -> list[str]:
    """Return the paragraphs about one plug-in."""
    plugin = registry.find(family, name)
    parts = [f"{markdown(docstring(plugin))}\n"]
    if explanation:
        parts.append(f"[Method, assumptions, and when not to trust it]({explanation}).\n")
    if not getattr(plugin, "DEFAULT", True):
        parts.append("Only made if the config names it.\n")
    facts = {
        "Requires": [prerequisites.DESCRIPTIONS[each] for each in getattr(plugin, "REQUIRES", ())],
        "Reads the tables": [f"`{each}`" for each in getattr(plugin, "ANALYSES", ())],
        "Extra": [f"`{each}`" for each in [getattr(plugin, "EXTRA", None)] if each],
        "Columns": [f"`{each}`" for each in columns],
    }
    parts += [f"**{label}:** {', '.join(values)}.\n" for label, values in facts.items() if values]
    options = getattr(plugin, "OPTIONS", {})
    if options:
        parts.append(schema_words.table(options, getattr(plugin, "REQUIRED", ())) + "\n")
    return parts


def docstring(plugin: type) -> str:
    """Return the docstring of a class, read from its source; that of its module if it has none."""
    tree = ast.parse(Path(inspect.getfile(plugin)).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == plugin.__name__]
    return ast.get_docstring(classes[0]) or ast.get_docstring(tree) or ""


def markdown(text: str) -> str:
    """Return a docstring as Markdown: names in double backquotes are code, and < is text."""
    parts = re.split(r"(``.+?``)", text, flags=re.DOTALL)
    return "".join(
        f"`{part[2:-2]}`" if at % 2 else part.replace("<", "&lt;").replace("*", r"\*") for at, part in enumerate(parts)
    )


def explanations(statistics: Path) -> dict[str, str]:
    """Return links from the reference to the sections about analyses: {name: address}.

    statistics: folder of the pages on statistics, whose headings of the second level are names.
    """
    return {
        name: f"../{statistics.name}/{path.name}#{name}"
        for path in sorted(statistics.glob("*.md"))
        for name in re.findall(r"^## (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
