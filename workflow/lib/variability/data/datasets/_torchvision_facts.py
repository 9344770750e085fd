"""Facts about the classes of ``torchvision.datasets``, without importing torchvision in this process."""

import inspect
from typing import Any

from variability.io.library_facts import library_facts
from variability.without_compiler import import_torchvision


def classes() -> dict[str, dict[str, bool]]:
    """Return the arguments of all classes: {class: {argument of the constructor: whether it is required}}.

    Arguments that a constructor passes on to its base class are included. Empty if torchvision is not installed.
    """
    return library_facts("torchvision", collect) or {}


def collect() -> dict[str, dict[str, bool]]:
    """Import torchvision and return the answer of ``classes``."""
    import_torchvision()
    from torchvision import datasets

    exported = {name: getattr(datasets, name) for name in datasets.__all__}
    return {name: _arguments(member) for name, member in exported.items() if inspect.isclass(member)}


def _arguments(cls: type) -> dict[str, Any]:
    arguments: dict[str, bool] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            parameters = inspect.signature(base).parameters.values()
            named = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
            arguments = {each.name: each.default is each.empty for each in named} | arguments
            if not any(each.kind is each.VAR_KEYWORD for each in parameters):
                break
    return arguments
