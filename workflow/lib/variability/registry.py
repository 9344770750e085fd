"""Finds plug-ins by file name.

A plug-in is one file in one of the families' folders (``datasets/digits.py`` is the data set ``digits``) that holds
one subclass of the family's base class, which stands in the folder's ``__init__``. There is no list to add it to.
Names are known without importing anything; a plug-in is imported when it is asked for.
"""

import difflib
import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path

from variability.errors import UserError

FAMILIES = {
    "datasets": "Dataset",
    "modalities": "Modality",
    "kinds": "Kind",
    "providers": "Provider",
    "frameworks": "Framework",
    "methods": "Method",
    "metrics": "Metric",
    "analyses": "Analysis",
    "plots": "Plot",
    "claims": "Claim",
}


@cache
def names(family: str) -> tuple[str, ...]:
    """Names of all plug-ins of a family, sorted; imports none of them."""
    folder = Path(__file__).parent / family
    return tuple(sorted(found.name for found in pkgutil.iter_modules([str(folder)]) if not found.name.startswith("_")))


def module_name(family: str, name: str) -> str:
    """Dotted name of the module that holds a plug-in.

    Raises UserError naming the nearest known plug-in if there is none of this name.
    """
    if name not in names(family):
        raise UserError(unknown(family, name))
    return f"variability.{family}.{name}"


def name_of(plugin: type) -> str:
    """The name a plug-in's class is found by: that of its file."""
    return plugin.__module__.rpartition(".")[2]


def unknown(family: str, name: str) -> str:
    """The sentence that says a plug-in does not exist and which one may have been meant."""
    return f"unknown {FAMILIES[family].lower()} {name!r}; {suggest(name, names(family))}"


def suggest(name: object, known: tuple[str, ...] | list[str]) -> str:
    """``did you mean 'x'?`` with the nearest of the known names, or all of them where none is near."""
    lowered = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.5)
    if near:
        return f"did you mean {lowered[near[0]]!r}?"
    return f"known: {', '.join(known)}" if known else "there are none"


@cache
def find(family: str, name: str) -> type:
    """The plug-in's class.

    Raises UserError for an unknown name, and for a file that does not hold exactly one subclass of the base class.
    """
    module = importlib.import_module(module_name(family, name))
    base = getattr(importlib.import_module(f"variability.{family}"), FAMILIES[family])
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, base) and member.__module__ == module.__name__ and not inspect.isabstract(member)
    ]
    if len(found) != 1:
        raise UserError(f"{module.__file__} must define exactly one subclass of {base.__name__}, not {len(found)}")
    return found[0]
