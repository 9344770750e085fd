"""What Keras's source says of its applications, read without importing it, which takes seconds."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Architecture:
    """A network of ``keras.applications``.

    options: keyword arguments of its constructor. scaling: the mode of its ``preprocess_input`` (tf, caffe, torch);
    None where the network itself scales pixels of 0 to 255. min_size: least side of an image in pixels.
    """

    module: str
    options: tuple[str, ...]
    scaling: str | None
    min_size: int


@cache
def architectures() -> dict[str, Architecture]:
    """The networks of ``keras.applications``, by name; empty where Keras is not installed."""
    spec = find_spec("keras")
    if spec is None or not spec.submodule_search_locations:
        return {}
    found: dict[str, Architecture] = {}
    for source in sorted(Path(spec.submodule_search_locations[0], "src", "applications").glob("*.py")):
        if not source.stem.endswith("_test"):
            found |= _read(source)
    return dict(sorted(found.items()))


def _read(source: Path) -> dict[str, Architecture]:
    text = source.read_text(encoding="utf-8")
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    scaler = next((ast.unparse(node) for node in functions if node.name == "preprocess_input"), "")
    scaling = re.search(r"mode='(\w+)'", scaler)
    least = re.search(r"\bmin_size=(\d+)", text)
    return {
        node.name: Architecture(
            source.stem,
            tuple(argument.arg for argument in node.args.args),
            scaling[1] if scaling else None,
            int(least[1]) if least else 32,
        )
        for node in functions
        if f"keras.applications.{node.name}" in _exported(node)
    }


def _exported(function: ast.FunctionDef) -> set[str]:
    """The names that a function is public under."""
    return {
        each.value
        for decorator in function.decorator_list
        for each in ast.walk(decorator)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }
