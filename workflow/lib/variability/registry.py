"""Lookup of plug-ins by file name.

A plug-in is one file in one of the families' folders (``data/datasets/digits.py`` is the data set ``digits``) that
defines one subclass of the base class in the folder's ``__init__``. There is no list to add it to. Names are read from
the folders; a plug-in is imported when it is needed.

Plug-ins may also be in the user's own folders, named in the config (``plugins: [my_plugins]``), with a subfolder for
each family: ``my_plugins/metrics/within_two.py``. They are imported as modules of the package of their family.
"""

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from variability.advice import suggest
from variability.errors import UserError

#: By family: the package of its plug-ins, and the name of their base class in the package's ``__init__``.
FAMILIES = {
    "datasets": ("variability.data.datasets", "Dataset"),
    "modalities": ("variability.data.modalities", "Modality"),
    "kinds": ("variability.data.kinds", "Kind"),
    "providers": ("variability.models.providers", "Provider"),
    "methods": ("variability.models.methods", "Method"),
    "frameworks": ("variability.training.frameworks", "Framework"),
    "readers": ("variability.results.readers", "Reader"),
    "metrics": ("variability.results.metrics", "Metric"),
    "analyses": ("variability.reporting.analyses", "Analysis"),
    "plots": ("variability.reporting.plots", "Plot"),
    "questions": ("variability.reporting.questions", "Question"),
    "claims": ("variability.reporting.claims", "Claim"),
    "exporters": ("variability.export.exporters", "Exporter"),
}
#: Environment variable with the user's plug-in folders, which jobs inherit from the Snakemake that starts them.
FOLDERS = "VARIABILITY_PLUGINS"


def use_folders(folders: Iterable[str | os.PathLike]) -> None:
    """Add the plug-ins of the user's folders, for this process and those that it starts; replaces earlier folders."""
    new = os.pathsep.join(str(Path(folder).resolve()) for folder in folders)
    if not new and not os.environ.get(FOLDERS):
        return
    earlier = [folder for family in FAMILIES for folder in family_folders(family)[1:]]
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) and Path(str(module.__file__)).parent in earlier:
            del sys.modules[name]
    os.environ[FOLDERS] = new
    importlib.invalidate_caches()
    names.cache_clear()
    find.cache_clear()


def family_folders(family: str) -> list[Path]:
    """Return the folders that hold the plug-ins of a family: the library's, then the user's."""
    users = [Path(folder) / family for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    return [_library_folder(family), *(folder for folder in users if folder.is_dir())]


@cache
def _library_folder(family: str) -> Path:
    return Path(__file__).parents[1].joinpath(*FAMILIES[family][0].split("."))


@cache
def names(family: str) -> tuple[str, ...]:
    """Return the names of all plug-ins of a family, sorted, without importing them.

    Raises UserError if two folders have a module of the same name.
    """
    paths: dict[str, Path] = {}
    for folder in family_folders(family):
        for module in pkgutil.iter_modules([str(folder)]):
            if module.name in paths:
                message = f"{folder / module.name}.py has the name of a module in {paths[module.name]}; rename it"
                raise UserError(message)
            paths[module.name] = folder
    return tuple(sorted(name for name in paths if not name.startswith("_")))


def package(family: str) -> ModuleType:
    """Import the package of a family, and let it find the user's modules too."""
    module = importlib.import_module(FAMILIES[family][0])
    module.__path__ = [str(folder) for folder in family_folders(family)]
    return module


def _let_users_plugins_import_each_other() -> None:
    """Import the packages of all families that the user's folders extend: a plot may import an analysis's helper."""
    if not os.environ.get(FOLDERS):
        return
    for family in FAMILIES:
        if len(family_folders(family)) > 1:
            package(family)


def module_name(family: str, name: str) -> str:
    """Return the dotted name of the module of a plug-in.

    Raises UserError, which names the most similar plug-in, if there is none of this name.
    """
    if name not in names(family):
        raise UserError(unknown(family, name))
    return f"{FAMILIES[family][0]}.{name}"


def name_of(plugin: type) -> str:
    """Return the name of a plug-in, which is that of its file. plugin: its class."""
    return plugin.__module__.rpartition(".")[2]


def unknown(family: str, name: str) -> str:
    """Return the message for a name that no plug-in has, with the most similar name."""
    return f"unknown {FAMILIES[family][1].lower()} {name!r}; {suggest(name, names(family))}"


@cache
def find(family: str, name: str) -> type[Any]:
    """Return the class of a plug-in, a subclass of its family's base class.

    Raises UserError for an unknown name, for a file of the user's that cannot be imported, and for one that does not
    define exactly one subclass of the base class, with all attributes that a plug-in must have.
    """
    base = getattr(package(family), FAMILIES[family][1])
    _let_users_plugins_import_each_other()
    module = _import(family, name)
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, base) and member.__module__ == module.__name__ and not inspect.isabstract(member)
    ]
    if len(classes) != 1:
        message = (
            f"{module.__file__} must define exactly one subclass of {base.__name__}, with all of its abstract methods"
        )
        raise UserError(f"{message}; it defines {len(classes)}")
    if missing := [attribute for attribute in _required(classes[0]) if not hasattr(classes[0], attribute)]:
        raise UserError(f"{module.__file__}: {classes[0].__name__} must define {', '.join(missing)}")
    return classes[0]


def _import(family: str, name: str) -> ModuleType:
    dotted = module_name(family, name)
    try:
        return importlib.import_module(dotted)
    except Exception as error:
        users = [path for folder in family_folders(family)[1:] if (path := folder / f"{name}.py").is_file()]
        if not users:
            raise
        raise UserError(f"{users[0]} cannot be imported: {type(error).__name__}: {error}") from error


def _required(plugin: type) -> Iterator[str]:
    """Yield the names of the class attributes that the base classes of a plug-in declare."""
    for base in plugin.__mro__[1:]:
        declared = vars(base).get("__annotations__", {})
        yield from (name for name, kind in declared.items() if "ClassVar" in str(kind))
