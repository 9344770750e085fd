"""The user's own plug-in folders, which the config names (``plugins:``)."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability import registry
from variability.advice import suggest
from variability.errors import Problem, UserError


def use(folders: Sequence[str]) -> list[Problem]:
    """Make the plug-ins in the user's folders known, unless the folders have problems, which are returned.

    folders: absolute, or relative to the working directory.
    """
    problems = [problem for folder in folders for problem in _problems(folder)]
    registry.use_folders([] if problems else folders)
    return problems or list(_faults())


def of_config(config: Mapping[str, Any]) -> list[str]:
    """Return the folders of an unchecked config; none if the section has errors, which its schema reports."""
    folders = config.get("plugins", [])
    return folders if isinstance(folders, list) and all(isinstance(folder, str) for folder in folders) else []


def _problems(folder: str) -> Iterator[Problem]:
    path = Path(folder)
    if not path.is_dir():
        yield Problem("plugins", f"there is no folder {path.absolute()}")
        return
    if os.pathsep in str(path.resolve()):
        # Jobs get the folders in one environment variable.
        yield Problem("plugins", f"{path.resolve()} has a {os.pathsep!r} in its name; rename it")
    for file in sorted(path.glob("*.py")):
        yield Problem(
            "plugins", f"{file} must be in a subfolder named after its family: {', '.join(registry.FAMILIES)}"
        )
    subfolders = [
        child.name for child in sorted(path.iterdir()) if child.is_dir() and not child.name.startswith((".", "_"))
    ]
    for name in subfolders:
        if name not in registry.FAMILIES and any((path / name).glob("*.py")):
            hint = suggest(name, list(registry.FAMILIES))
            yield Problem("plugins", f"{path / name} is not named after a family of plug-ins; {hint}")
        for package in sorted((path / name).glob("*/__init__.py")) if name in registry.FAMILIES else ():
            yield Problem("plugins", f"{package.parent} is a package, and a plug-in is one file; make it {name}/*.py")
    if not set(subfolders) & set(registry.FAMILIES):
        yield Problem("plugins", f"{folder} has none of the subfolders {', '.join(registry.FAMILIES)}")


def _faults() -> Iterator[Problem]:
    """Yield the problems of the plug-ins themselves: names that are used twice, and files that define no plug-in."""
    for family in registry.FAMILIES:
        try:
            registry.names(family)
        except UserError as error:
            yield Problem("plugins", str(error))
            continue
        for folder in registry.family_folders(family)[1:]:
            for path in sorted(folder.glob("[!_]*.py")):
                try:
                    registry.find(family, path.stem)
                except UserError as error:
                    yield Problem("plugins", str(error))
