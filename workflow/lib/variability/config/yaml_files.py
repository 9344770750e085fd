"""Check for what YAML changes silently in a config: repeated keys, and names and numbers not read as written.

Of two equal keys YAML and JSON keep the last. YAML reads 1.10 as 1.1, no as false, 12:30 as 750 and 010 as 8. After
reading, the written text is lost, so that this check reads the files themselves.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from variability.errors import Problem

_TYPES = {
    "int": "a number",
    "float": "a number",
    "bool": "a truth value",
    "null": "a missing value",
    "timestamp": "a date",
}
_TAG = "tag:yaml.org,2002:"
#: Whole numbers that YAML 1.1 reads as everybody does.
_PLAIN_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")


def check(files: Iterable[Path]) -> Iterator[Problem]:
    """Yield repeated keys, keys that are not read as text, and numbers that are read as others than written.

    Files that are not YAML are left to their reader. JSON is YAML, except for tabs.
    """
    for path in files:
        try:
            root = yaml.compose(Path(path).read_text(encoding="utf-8").expandtabs(1), Loader=yaml.SafeLoader)
        except yaml.YAMLError:
            continue
        if root is not None:
            yield from _problems(root, (), Path(path).name, set())


def _problems(node: yaml.Node, key: tuple[str, ...], file: str, seen: set[int]) -> Iterator[Problem]:
    """Yield the problems of a node that is not in ``seen``, because an alias is the node that it refers to."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield from _repeated_keys(node, key, file)
        for name, value in node.value:
            inner = (*key, _written(name))
            if read_as := _TYPES.get(name.tag.removeprefix(_TAG)):
                written = f"{file}, line {name.start_mark.line + 1}: {name.value or 'an empty key'}"
                yield Problem(".".join(inner), f'{written} is read as {read_as}; quote it: "{name.value}"')
            yield from _problems(value, inner, file, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _problems(value, (*key, str(index)), file, seen)
    elif isinstance(node, yaml.ScalarNode) and _is_misread(node):
        value = yaml.safe_load(node.value)
        message = f'is read as {value}; write {value}, or "{node.value}" for text'
        yield Problem(".".join(key), f"{file}, line {node.start_mark.line + 1}: {node.value} {message}")


def _repeated_keys(node: yaml.MappingNode, key: tuple[str, ...], file: str) -> Iterator[Problem]:
    lines: dict[str, list[int]] = {}
    for name, _ in node.value:
        # Several merges (<<) in one mapping all count.
        if name.tag != f"{_TAG}merge":
            lines.setdefault(_written(name), []).append(name.start_mark.line + 1)
    for name, numbers in lines.items():
        if len(numbers) > 1:
            where = "lines " + ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
            where = where if len(set(numbers)) > 1 else f"line {numbers[0]}"
            message = f"{file}, {where}: the same key more than once, of which YAML would use only the last"
            yield Problem(".".join((*key, name)), f"{message}; merge them, or rename all but one")


def _written(name: yaml.Node) -> str:
    return name.value if isinstance(name, yaml.ScalarNode) else "?"


def _is_misread(node: yaml.ScalarNode) -> bool:
    """Return whether a value is a number in octal, hexadecimal or base 60, or with underscores."""
    if node.tag == f"{_TAG}int":
        return not _PLAIN_INTEGER.fullmatch(node.value)
    return node.tag == f"{_TAG}float" and bool(re.search("[:_]", node.value))
