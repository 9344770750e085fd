"""Facts about timm's architectures, without importing timm in this process."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from variability.io.library_facts import library_facts
from variability.without_compiler import import_torchvision


@dataclass(frozen=True)
class Release:
    """Facts about one set of weights of an architecture, or about an architecture without weights.

    side: of its images in pixels. fixed: whether the network takes that size only (positions are learnt).
    has_weights: whether there is something to fetch. foreign: whether it is in a format of another framework.
    classifiers: dotted names of the layers that give the outputs.
    """

    side: int
    fixed: bool
    has_weights: bool
    foreign: bool
    classifiers: list[str]


def architectures() -> list[str]:
    """Return the names of timm's architectures; none if timm is not installed."""
    return list(_facts()["architectures"])


@cache
def releases(architecture: str) -> dict[str, Release]:
    """Return the releases of an architecture by tag; the tag is "" where timm has none."""
    described = _facts()["architectures"][architecture]["releases"]
    return {tag: Release(**facts) for tag, facts in described.items()}


def option_names(architecture: str) -> frozenset[str]:
    """Return the keyword arguments that something in the architecture's module, or in timm's common builders, takes.

    They pass through several functions, so that one that is listed may still be refused when the network is built.
    """
    facts = _facts()
    return frozenset(facts["options"][facts["architectures"][architecture]["module"]])


def _facts() -> dict[str, Any]:
    return library_facts("timm", collect) or {"architectures": {}, "options": {}}


def collect() -> dict[str, dict[str, Any]]:
    """Import timm and describe its architectures, and the options of each of the modules that define them."""
    import_torchvision()
    from timm import models

    builders = {name: models.model_entrypoint(name) for name in models.list_models()}
    modules = {name: inspect.getmodule(builder) for name, builder in builders.items()}
    return {
        "architectures": {
            name: {"module": modules[name].__name__, "releases": _releases(name, models)} for name in builders
        },
        "options": {module.__name__: sorted(_options(module)) for module in set(modules.values())},
    }


def _releases(architecture: str, models: ModuleType) -> dict[str, dict[str, Any]]:
    configurations = models.get_arch_pretrained_cfgs(architecture)
    return {name.partition(".")[2]: _described(each) for name, each in configurations.items()}


def _described(configuration: Any) -> dict[str, Any]:
    classifiers = configuration.classifier or ()
    return {
        "side": configuration.input_size[-1],
        "fixed": bool(configuration.fixed_input_size),
        "has_weights": bool(configuration.has_weights),
        "foreign": bool(configuration.custom_load and not configuration.hf_hub_id),
        "classifiers": [classifiers] if isinstance(classifiers, str) else list(classifiers),
    }


def _options(module: ModuleType) -> set[str]:
    options: set[str] = set()
    for path in _sources(Path(module.__file__)):
        options |= _keywords(path)
    return options - {"self", "x"}


def _sources(source: Path) -> list[Path]:
    """A module's file, and those next to it that it imports networks and their builders from."""
    imported = re.findall(r"^from (?:\.|timm\.models\.)(\w+) import", source.read_text("utf-8"), re.M)
    paths = [source.with_name(f"{name}.py") for name in imported if not name.startswith("_") or "builder" in name]
    return [source, *(path for path in paths if path.is_file())]


@cache
def _keywords(path: Path) -> frozenset[str]:
    return frozenset(name for node in ast.walk(ast.parse(path.read_bytes())) for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    """Names of the parameters that a node of a syntax tree defines: of functions, dataclasses, and of ``kwargs``."""
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        yield from (argument.arg for argument in (*node.args.args, *node.args.kwonlyargs))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("kwargs.pop", "kwargs.get"):
        yield from (str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant))
