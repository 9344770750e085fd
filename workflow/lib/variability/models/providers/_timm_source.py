"""What timm's source says of its architectures, read as text: importing timm takes seconds."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: What a configuration says where it does not say it (timm's PretrainedCfg).
_DEFAULTS = {"input_size": (3, 224, 224), "num_classes": 1000}
#: Something that only running the code would tell.
_UNKNOWN = object()


@dataclass(frozen=True)
class Release:
    """What is known of one set of weights of an architecture, or of the architecture where there are none.

    side: of its images in pixels. fixed: whether the network takes that size only (positions are learnt).
    has_weights: whether there is something to fetch. foreign: whether it is in a format of another framework.
    classifiers: dotted names of the layers that give the outputs.
    """

    side: int
    fixed: bool
    has_weights: bool
    foreign: bool
    classifiers: tuple[str, ...]


@cache
def architectures() -> dict[str, Path]:
    """The source file of each of timm's architectures, by name; empty where timm is not installed."""
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        return {}
    found = {}
    for source in sorted(Path(spec.submodule_search_locations[0], "models").glob("*.py")):
        text = source.read_text(encoding="utf-8")
        found |= dict.fromkeys(re.findall(r"^@register_model\s*\ndef (\w+)\(", text, re.M), source)
    return dict(sorted(found.items()))


@cache
def releases(architecture: str) -> dict[str, Release]:
    """The tags of an architecture, in the order of the source; "" where timm knows it by no tag."""
    said = _configurations(architectures()[architecture])
    pattern = re.compile(rf"{architecture}(?:\.(.*?))?\*?")
    matches = {key: pattern.fullmatch(key) for key in said}
    return {found[1] or "": _release(said[key]) for key, found in matches.items() if found}


@cache
def option_names(architecture: str) -> frozenset[str]:
    """Keyword arguments that something in the architecture's file, or in timm's common builders, takes.

    They pass through several functions, so that one that is listed may still be refused when the network is built.
    """
    found = set()
    for path in _used(architectures()[architecture]):
        for node in ast.walk(_parsed(path)):
            if isinstance(node, (ast.FunctionDef, ast.Lambda)):
                found |= {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("kwargs.pop", "kwargs.get"):
                found |= {each.value for each in node.args[:1] if isinstance(each, ast.Constant)}
    return frozenset(found - {"self", "x"})


def _used(source: Path) -> list[Path]:
    """A file, and those beside it that it takes networks and their builders from."""
    imported = re.findall(r"^from (?:\.|timm\.models\.)(\w+) import", source.read_text("utf-8"), re.M)
    beside = [source.with_name(f"{name}.py") for name in imported if not name.startswith("_") or "builder" in name]
    return [source, *(path for path in beside if path.is_file())]


def _release(said: dict[str, Any]) -> Release:
    said = _DEFAULTS | said
    classifier = said.get("classifier") or ()
    return Release(
        side=said["input_size"][-1],
        fixed=said.get("fixed_input_size") is True,
        has_weights=any(said.get(key) for key in ("url", "file", "hf_hub_id")),
        foreign=bool(said.get("custom_load")) and not said.get("hf_hub_id"),
        classifiers=(classifier,) if isinstance(classifier, str) else tuple(classifier),
    )


@cache
def _parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_bytes())


@cache
def _configurations(source: Path) -> dict[str, dict[str, Any]]:
    """The entries of a file's ``default_cfgs``, as far as they are written down as plain values."""
    body = _parsed(source).body
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    found: dict[str, dict[str, Any]] = {}
    for node in body:
        names = [each.id for each in getattr(node, "targets", []) if isinstance(each, ast.Name)]
        if "default_cfgs" not in names:
            continue
        listed = next((each for each in ast.walk(node.value) if isinstance(each, ast.Dict)), None)
        for key, value in zip(listed.keys, listed.values, strict=True) if listed else ():
            found[_value(key)] = _entry(value, functions)
    # The CLIP towers with another activation are copies made by a loop, of those whose notes say so.
    quick = {key: entry for key, entry in found.items() if "quickgelu" in str(entry.get("notes", ""))}
    return found | {key.replace("_clip_", "_clip_quickgelu_"): entry for key, entry in quick.items()}


def _entry(node: ast.AST, functions: dict[str, ast.FunctionDef]) -> dict[str, Any]:
    """The keywords of a call such as ``_cfg(url, ...)``, over what that function returns by itself; or a mapping's."""
    if isinstance(node, ast.Dict):
        found = {}
        for key, value in zip(node.keys, node.values, strict=True):
            found |= _entry(value, functions) if key is None else {_value(key): _value(value)}
        return found
    if not isinstance(node, ast.Call):
        return {}
    copied = [_entry(each, functions) for each in node.args if ast.unparse(node.func) == "dict"]
    given = {each.arg: _value(each.value) for each in node.keywords if each.arg}
    for each in node.keywords:
        given |= {} if each.arg else _entry(each.value, functions)
    function = functions.get(node.func.id) if isinstance(node.func, ast.Name) else None
    if function is None:
        return {key: value for each in copied for key, value in each.items()} | given
    parameters = [each.arg for each in function.args.args]
    defaults = dict(zip(parameters[::-1], map(_value, function.args.defaults[::-1]), strict=False))
    given = defaults | dict(zip(parameters, map(_value, node.args), strict=False)) | given
    returned = next(each.value for each in ast.walk(function) if isinstance(each, ast.Return))
    base = _entry(returned, functions)
    # A parameter that is passed on by its name is what was given.
    return {key: value for key, value in base.items() if value is not _UNKNOWN} | given


def _value(node: ast.AST) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return _UNKNOWN
