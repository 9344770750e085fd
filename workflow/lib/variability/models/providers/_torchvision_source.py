"""What torchvision's source says of its architectures, read as text: importing torchvision takes seconds."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# Their declared minimum is the size they were trained at: smaller images pass through the first two, and the size of
# the others' input is an option.
_NO_TRUE_MINIMUM = ("swin", "efficientnet_v2", "vit", "maxvit")
_PLAIN_TYPES = {"bool", "float", "int", "list", "str", "tuple", "Optional", "None"}


@dataclass(frozen=True)
class Architecture:
    """One architecture.

    releases: names of its weights, each with the name it stands for (DEFAULT is an alias).
    trained_at: side in pixels of the images that each release takes.
    min_size: least side of an image in pixels that passes through the network.
    sizes: numbers of parameters of the releases.
    """

    source: Path
    class_name: str
    releases: dict[str, str]
    trained_at: dict[str, int]
    min_size: int
    sizes: frozenset[int]

    @property
    def parameters(self) -> list[str]:
        """Names of the constructor's parameters."""
        return list(_signature(self.source, self.class_name))

    @property
    def size_option(self) -> str | None:
        """The option that fixes the size of the input, where one does."""
        return next((name for name in ("image_size", "input_size") if name in self.parameters), None)

    def options(self) -> list[str]:
        """Keyword arguments that a config can give: of a plain type, and optional or taken by the builder."""
        popped = set(re.findall(r'kwargs\.pop\(\s*"(\w+)"', self.source.read_text(encoding="utf-8")))
        return sorted(
            name
            for name, (annotation, optional) in _signature(self.source, self.class_name).items()
            if (optional or name in popped) and set(re.findall(r"\w+", annotation)) <= _PLAIN_TYPES
        )


@cache
def architectures() -> dict[str, Architecture]:
    """torchvision's classification networks, by name; empty where torchvision is not installed.

    Detection, segmentation, video and quantised networks stand in folders of their own and are left out.
    """
    spec = find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return {}
    found: dict[str, Architecture] = {}
    for source in sorted(Path(spec.submodule_search_locations[0], "models").glob("*.py")):
        found |= _read(source)
    return dict(sorted(found.items()))


def _read(source: Path) -> dict[str, Architecture]:
    text = source.read_text(encoding="utf-8")
    enums = dict(re.findall(r"^class (\w+)\(WeightsEnum\):\n(.*?)(?=^\S|\Z)", text, re.M | re.S))
    commons = dict(re.findall(r"^(_COMMON\w*)[^\n]* = \{\n(.*?)^\}", text, re.M | re.S))
    builders = re.findall(r"^@register_model\(\)\n.*?^def (\w+)\((.*?)\) -> (\w+):", text, re.M | re.S)
    found = {}
    for name, parameters, class_name in builders:
        enum = re.search(r"\w+_Weights\b", parameters)
        body = enums.get(enum[0], "") if enum else ""
        members = dict(re.findall(r"^    (\w+) = (.*?)(?=^    \w|\Z)", body, re.M | re.S))
        releases = {key: key if value.startswith("Weights(") else value.strip() for key, value in members.items()}
        crops = {key: re.search(r"crop_size=(\d+)", members[stands_for]) for key, stands_for in releases.items()}
        meta = body + "".join(commons.get(common, "") for common in re.findall(r"\*\*(\w+)", body))
        least = re.search(r'"min_size": \((\d+)', meta)
        found[name] = Architecture(
            source,
            class_name,
            releases,
            {key: int(crop[1]) for key, crop in crops.items() if crop},
            int(least[1]) if least and not name.startswith(_NO_TRUE_MINIMUM) else 1,
            frozenset(int(count) for count in re.findall(r'"num_params": (\d+)', meta)),
        )
    return found


@cache
def _signature(source: Path, class_name: str) -> dict[str, tuple[str, bool]]:
    """Parameters of a class's constructor, and of the file's helpers that take ``**kwargs`` on its behalf.

    Each with its annotated type and whether it has a default.
    """
    found: dict[str, tuple[str, bool]] = {}
    for node in ast.parse(source.read_bytes()).body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            functions = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
        else:
            helps = isinstance(node, ast.FunctionDef) and node.name.startswith("_") and node.args.kwarg
            functions = [node] if helps else []
        for function in functions:
            arguments = function.args.args
            first_optional = len(arguments) - len(function.args.defaults)
            for at, argument in enumerate(arguments):
                if argument.annotation is not None:
                    found.setdefault(argument.arg, (ast.unparse(argument.annotation), at >= first_optional))
    return found
