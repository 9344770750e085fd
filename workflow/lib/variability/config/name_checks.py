"""Names that would be one: of folders on file systems that ignore case, and of imported runs for readers."""

from collections.abc import Iterator, Mapping
from typing import Any

from variability.config.import_checks import Contents
from variability.errors import Problem
from variability.results import imported_names
from variability.results.columns import CELL


def check_folders(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield names that differ only in case, and would share a folder of results on many file systems."""
    first: dict[tuple[str, str], str] = {}
    for section in ("models", "tasks", "methods", "pretraining"):
        # Tasks of pretrainings are prepared in the folder of the other tasks.
        folder = "tasks" if section == "pretraining" else section
        for name in config.get(section, {}):
            if (other := first.setdefault((folder, name.casefold()), name)) != name:
                message = (
                    f"differs from {other!r} only in case, which file systems of macOS and Windows ignore; rename it"
                )
                yield Problem(f"{section}.{name}", message)


def check_imports(config: Mapping[str, Any], contents: Mapping[str, Contents]) -> Iterator[Problem]:
    """Yield imports with names that differ only in spelling from those of the study or of another import."""
    names = {"this study": {key: set(config.get(f"{key}s", {})) for key in CELL}}
    for name, of_import in contents.items():
        runs = of_import.runs
        names[f"imports.{name}"] = {key: {str(run[index]) for run in runs} for index, key in enumerate(CELL)}
    exact = {f"imports.{name}" for name, entry in config["imports"].items() if entry.get("spelling") == "exact"}
    for key, message in imported_names.across(names, exact):
        yield Problem(key, message)
