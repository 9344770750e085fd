"""Optional parts of the environment (extras) that plug-ins need.

An extra is a file envs/<name>.in with its lock. ``make study`` installs the extras of a study, see
``config.required_extras``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from variability.advice import agree, listed
from variability.errors import UserError


class WithExtras:
    """A plug-in that may need more than the core environment."""

    #: The extra that it needs: envs/<extra>.in.
    EXTRA: ClassVar[str | None] = None
    #: Modules of the extra that it imports.
    NEEDS: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def extras(cls, entry: Mapping[str, Any]) -> list[str]:
        """Return the names of the extras that an entry of a config for this plug-in needs."""
        return [cls.EXTRA] if cls.EXTRA else []


def missing(plugin: type[WithExtras]) -> str | None:
    """Return which modules of a plug-in are not installed, and how to install them; None if all are.

    Imports nothing.
    """
    modules = [name for name in plugin.NEEDS if find_spec(name) is None]
    if not modules:
        return None
    names = listed(modules, last=" and ")
    return f"{names} {agree(len(modules), 'is', 'are')} not installed here; `make .venv/.{plugin.EXTRA}` installs it"


def smallest_environment(names: Iterable[str], folder: Path) -> str:
    """Return the name of the smallest environment that has all the named extras: ``core`` if there are none.

    folder: with the .in files of the environments, which include one another by ``-r``. Raises UserError if no
    environment has all of them.
    """
    required, parts = {"core", *names}, {path.stem: _included(path) for path in folder.glob("*.in")}
    sufficient = [name for name in sorted(parts) if parts[name] >= required]
    if not sufficient:
        raise UserError(f"no environment in {folder} has {' and '.join(sorted(required - {'core'}))}; add one that has")
    return min(sufficient, key=lambda name: len(parts[name]))


@cache
def _included(path: Path) -> frozenset[str]:
    names = re.findall(r"^-r (\S+)\.in$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset({path.stem}.union(*(_included(path.with_name(f"{name}.in")) for name in names)))
