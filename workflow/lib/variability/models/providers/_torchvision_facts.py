"""Facts about torchvision's classification networks, without importing torchvision in this process."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from variability.io.library_facts import library_facts
from variability.without_compiler import import_torchvision

# Their declared minimum is the size they were trained at: smaller images pass through the first two, and the size of
# the others' input is an option.
_NO_TRUE_MINIMUM = ("swin", "efficientnet_v2", "vit", "maxvit")
_PLAIN_TYPES = {"bool", "float", "int", "list", "str", "tuple", "Optional", "None", "NoneType"}


@dataclass(frozen=True)
class Architecture:
    """One architecture.

    releases: names of its weights, each with the name it is an alias of (DEFAULT), or its own.
    trained_at: side in pixels of the images that each release takes.
    min_size: smallest side of an image in pixels that the network accepts.
    sizes: numbers of parameters of the releases.
    parameters: keyword arguments of the constructor and of the functions that call it.
    options: those of them that a config can set: of a plain type, and optional or replaced by the builder.
    """

    releases: dict[str, str]
    trained_at: dict[str, int]
    min_size: int
    sizes: list[int]
    parameters: list[str]
    options: list[str]

    @property
    def size_option(self) -> str | None:
        """The option that fixes the size of the input; None if the network takes several sizes."""
        return next((name for name in ("image_size", "input_size") if name in self.parameters), None)


@cache
def architectures() -> dict[str, Architecture]:
    """Return torchvision's classification networks by name; none if torchvision is not installed."""
    return {name: Architecture(**facts) for name, facts in (library_facts("torchvision", collect) or {}).items()}


def collect() -> dict[str, dict[str, Any]]:
    """Import torchvision and describe its classification networks: {name: attributes of ``Architecture``}."""
    import_torchvision()
    from torchvision import models

    return {name: _described(name, models) for name in models.list_models(models)}


def _described(name: str, models: Any) -> dict[str, Any]:
    releases = models.get_model_weights(name).__members__
    minimum = next((release.meta["min_size"][0] for release in releases.values() if "min_size" in release.meta), 1)
    parameters = _parameters(models.get_model_builder(name))
    source = inspect.getsource(inspect.getmodule(models.get_model_builder(name)))
    replaced = set(re.findall(r'kwargs\.pop\(\s*"(\w+)"', source))
    return {
        "releases": {alias: release.name for alias, release in releases.items()},
        "trained_at": {alias: release.transforms().crop_size[0] for alias, release in releases.items()},
        "min_size": 1 if name.startswith(_NO_TRUE_MINIMUM) else minimum,
        "sizes": sorted({release.meta["num_params"] for release in releases.values()}),
        "parameters": list(parameters),
        "options": sorted(
            option
            for option, parameter in parameters.items()
            if (parameter.default is not parameter.empty or option in replaced) and _is_plain(parameter.annotation)
        ),
    }


def _parameters(builder: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Annotated parameters of the class that a builder makes, and of its module's helpers that take ``**kwargs``."""
    module = inspect.getmodule(builder)
    helpers = [
        function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("_") and function.__module__ == module.__name__
    ]
    parameters: dict[str, inspect.Parameter] = {}
    for function in (inspect.signature(builder).return_annotation, *helpers):
        named = inspect.signature(function).parameters.values()
        if inspect.isclass(function) or any(each.kind is each.VAR_KEYWORD for each in named):
            for parameter in named:
                if parameter.annotation is not parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                    parameters.setdefault(parameter.name, parameter)
    return parameters


def _is_plain(annotation: Any) -> bool:
    return set(re.findall(r"\w+", inspect.formatannotation(annotation))) <= _PLAIN_TYPES
