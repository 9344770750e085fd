"""Optional parts of the environment: which of them the plug-ins of a study need, and whether they are installed.

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


def missing(plugin: type[WithExtras]) -> str | None:
    """What a plug-in needs and is not installed, and how to install it; None if all is there. Nothing is imported."""
    missing = [name for name in plugin.NEEDS if find_spec(name) is None]
    if not missing:
        return None
    there = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {there} not installed here; `make .venv/.{plugin.EXTRA}` installs it"


def smallest_environment(names: Iterable[str], folder: Path) -> str:
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


def extras_of(config: Any) -> Iterator[str]:
    """Names of the extras that the plug-ins of a config ask for; what is wrong in it is left to the config's check."""
    config = _mapping(config)
    models, tasks, methods = (_mapping(config.get(family)) for family in ("models", "tasks", "methods"))
    pretraining = [_mapping(entry).get("task") for entry in _mapping(config.get("pretraining")).values()]
    chosen = [("providers", _mapping(entry), "provider", "torchvision") for entry in models.values()]
    chosen += [("datasets", _mapping(entry), "dataset", None) for entry in [*tasks.values(), *pretraining]]
    chosen += [("methods", _mapping(entry), "kind", name) for name, entry in methods.items()]
    for family, entry, key, usual in chosen:
        if (name := entry.get(key, usual)) in registry.names(family):
            yield from registry.find(family, name).extras(entry)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def main() -> None:
    """Prints the extras of the studies named on the command line; without one, of none."""
    import yaml

    found: set[str] = set()
    for path in sys.argv[1:]:
        try:
            found.update(extras_of(yaml.safe_load(Path(path).read_text(encoding="utf-8"))))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            sys.exit(f"{path} cannot be read as a study: {error}")
    print("\n".join(sorted(found)))


if __name__ == "__main__":
    main()
