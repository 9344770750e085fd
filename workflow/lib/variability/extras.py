"""WithExtras parts of the environment: which of them the plug-ins of a study need, and whether they are installed.

An extra is a file envs/<name>.in with its lock; ``make study`` installs those that a study needs.

    python -m variability.extras study.yaml ...     prints their names, a line each
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from variability import registry
from variability.errors import UserError


class WithExtras:
    """A plug-in that may need more than the core environment."""

    #: The extra that it needs: envs/<extra>.in.
    EXTRA: ClassVar[str | None] = None
    #: Modules that it imports from there.
    NEEDS: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def extras(cls, entry: Mapping[str, Any]) -> list[str]:
        """Names of the extras that an entry of a config for this plug-in needs."""
        return [cls.EXTRA] if cls.EXTRA else []


def lacking(plugin: type[WithExtras]) -> str | None:
    """What a plug-in needs and is not installed, and how to install it; None if all is there. Nothing is imported."""
    missing = [name for name in plugin.NEEDS if find_spec(name) is None]
    if not missing:
        return None
    there = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {there} not installed here; `make .venv/.{plugin.EXTRA}` installs it"


def smallest(names: Iterable[str], folder: Path) -> str:
    """The smallest environment that has all the named extras, ``core`` if there are none.

    folder: holds the environments' .in files, which include one another by ``-r``. Raises UserError where none has all.
    """
    wanted, parts = {"core", *names}, {path.stem: _included(path) for path in folder.glob("*.in")}
    fitting = [name for name in sorted(parts) if parts[name] >= wanted]
    if not fitting:
        raise UserError(f"no environment in {folder} has {' and '.join(sorted(wanted - {'core'}))}; make one that has")
    return min(fitting, key=lambda name: len(parts[name]))


@cache
def _included(path: Path) -> frozenset[str]:
    named = re.findall(r"^-r (\S+)\.in$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset({path.stem}.union(*(_included(path.with_name(f"{name}.in")) for name in named)))


def of_config(config: Mapping[str, Any]) -> Iterator[str]:
    """Names of the extras that the plug-ins of a config ask for; what is not known is left to the config's check."""
    for family, default in (("models", "torchvision"), ("tasks", None), ("methods", None)):
        for name, entry in (config.get(family) or {}).items():
            yield from _of_entry(family, name, entry or {}, default)
    for entry in (config.get("pretraining") or {}).values():
        yield from _of_entry("tasks", "", entry.get("task") or {}, None)


def _of_entry(family: str, name: str, entry: Mapping[str, Any], default: str | None) -> Iterator[str]:
    plugins, chosen = {
        "models": ("providers", entry.get("provider", default)),
        "tasks": ("datasets", entry.get("dataset")),
        "methods": ("methods", entry.get("kind", name)),
    }[family]
    if chosen in registry.names(plugins):
        yield from registry.find(plugins, chosen).extras(entry)


def main() -> None:
    """Prints the extras of the studies named on the command line; without one, of none."""
    import yaml

    found = {extra for path in sys.argv[1:] for extra in of_config(yaml.safe_load(Path(path).read_text()) or {})}
    print("\n".join(sorted(found)))


if __name__ == "__main__":
    main()
