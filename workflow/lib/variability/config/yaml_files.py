"""What YAML silently changes in a config: names and numbers that are not read as they are written.

YAML reads 1.10 as 1.1, no as false, 12:30 as 750 and 010 as 8. After reading, the written text is lost, so that this
check reads the files themselves.
"""

import json
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
    """Yield the keys that are not read as text, and the numbers that are read as others than written.

    Files that are JSON, and those that are not YAML, are left to their reader.
    """
    for path in files:
        text = Path(path).read_text(encoding="utf-8")
        try:
            json.loads(text)
        except ValueError:
            try:
                root = yaml.compose(text, Loader=yaml.SafeLoader)
            except yaml.YAMLError:
                continue
            if root is not None:
                yield from _problems(root, (), Path(path).name)


def _problems(node: yaml.Node, key: tuple[str, ...], file: str) -> Iterator[Problem]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = (*key, name.value if isinstance(name, yaml.ScalarNode) else "?")
            if read_as := _TYPES.get(name.tag.removeprefix(_TAG)):
                written = f"{file}, line {name.start_mark.line + 1}: {name.value or 'an empty key'}"
                yield Problem(".".join(inner), f'{written} is read as {read_as}; quote it: "{name.value}"')
            yield from _problems(value, inner, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _problems(value, (*key, str(index)), file)
    elif isinstance(node, yaml.ScalarNode) and _is_misread(node):
        value = yaml.safe_load(node.value)
        message = f'is read as {value}; write {value}, or "{node.value}" for text'
        yield Problem(".".join(key), f"{file}, line {node.start_mark.line + 1}: {node.value} {message}")


def _is_misread(node: yaml.ScalarNode) -> bool:
    """Return whether a value is a number in octal, hexadecimal or base 60, or with underscores."""
    if node.tag == f"{_TAG}int":
        return not _PLAIN_INTEGER.fullmatch(node.value)
    return node.tag == f"{_TAG}float" and bool(re.search("[:_]", node.value))
