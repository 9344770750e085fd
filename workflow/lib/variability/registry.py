"""Finds plug-ins by file name.

A plug-in is one file in one of the families' folders (``datasets/digits.py`` is the data set ``digits``) that holds
one subclass of the family's base class, which stands in the folder's ``__init__``. There is no list to add it to.
Names are known without importing anything; a plug-in is imported when it is asked for.
"""

import importlib
import inspect
import pkgutil
from functools import cache
from pathlib import Path

from variability.advice import suggest
from variability.errors import UserError

#: The package that holds a family's plug-ins, and its base class, which the package's ``__init__`` defines.
FAMILIES = {
    "datasets": ("variability.data.datasets", "Dataset"),
    "modalities": ("variability.data.modalities", "Modality"),
    "kinds": ("variability.data.kinds", "Kind"),
    "providers": ("variability.models.providers", "Provider"),
    "methods": ("variability.models.methods", "Method"),
    "frameworks": ("variability.training.frameworks", "Framework"),
    "metrics": ("variability.results.metrics", "Metric"),
    "analyses": ("variability.reporting.analyses", "Analysis"),
    "plots": ("variability.reporting.plots", "Plot"),
    "claims": ("variability.reporting.claims", "Claim"),
}


@cache
def names(family: str) -> tuple[str, ...]:
    """Names of all plug-ins of a family, sorted; imports none of them."""
    folder = Path(__file__).parents[1].joinpath(*FAMILIES[family][0].split("."))
    return tuple(sorted(found.name for found in pkgutil.iter_modules([str(folder)]) if not found.name.startswith("_")))


def module_name(family: str, name: str) -> str:
    """Dotted name of the module that holds a plug-in.

    Raises UserError naming the nearest known plug-in if there is none of this name.
    """
    if name not in names(family):
        raise UserError(unknown(family, name))
    return f"{FAMILIES[family][0]}.{name}"


def name_of(plugin: type) -> str:
    """The name a plug-in's class is found by: that of its file."""
    return plugin.__module__.rpartition(".")[2]


def unknown(family: str, name: str) -> str:
    """The sentence that says a plug-in does not exist and which one may have been meant."""
    return f"unknown {FAMILIES[family][1].lower()} {name!r}; {suggest(name, names(family))}"


@cache
def find(family: str, name: str) -> type:
    """The plug-in's class.

    Raises UserError for an unknown name, and for a file that does not hold exactly one subclass of the base class.
    """
    module = importlib.import_module(module_name(family, name))
    package, base_name = FAMILIES[family]
    base = getattr(importlib.import_module(package), base_name)
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, base) and member.__module__ == module.__name__ and not inspect.isabstract(member)
    ]
    if len(found) != 1:
        raise UserError(f"{module.__file__} must define exactly one subclass of {base.__name__}, not {len(found)}")
    return found[0]
