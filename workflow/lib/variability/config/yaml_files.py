"""Strict reading of configs: refuses what YAML changes silently, and whatever is more than plain values.

Of two equal keys YAML and JSON keep the last. YAML reads 1.10 as 1.1, no as false, 12:30 as 750 and 010 as 8. Tags
make objects of Python, and Snakemake runs the templates of YTE. After reading, the written text is lost, so that this
check reads the files themselves.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from variability import advice
from variability.config.plain_values import MAX_DEPTH
from variability.errors import ConfigError, Problem

#: The parser in C, where it is installed, is ten times as fast.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Largest file in bytes; the largest of our own has 8,000.
MAX_BYTES = 10_000_000

_TYPES = {
    "int": "a number",
    "float": "a number",
    "bool": "a truth value",
    "null": "a missing value",
    "timestamp": "a date",
    "value": "a default",
}
_TAG = "tag:yaml.org,2002:"
#: Types of plain values; each has its own class of nodes.
_PLAIN = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge")}
#: Whole numbers that YAML 1.1 reads as everybody does.
_PLAIN_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
#: Snakemake removes this key, and then executes Python code in the values.
_TEMPLATES = "__use_yte__"

Key = tuple[str, ...]


def check(files: Iterable[Path]) -> Iterator[Problem]:
    """Yield repeated keys, keys that are not read as text, values that are read as others than written, and tags.

    Files that are not YAML are left to their reader. JSON is YAML, except for tabs.
    """
    for path in files:
        path = Path(path)
        try:
            text = _text(path)
            if (line := _too_deep(text)) is not None:
                message = (
                    f"{path.name}, line {line}: is more than {MAX_DEPTH} levels deep; no key of a config has so many"
                )
                yield Problem("", message)
                continue
            root = yaml.compose(text, Loader=_LOADER)
        except (yaml.YAMLError, UnicodeDecodeError, OSError):
            continue
        if root is not None:
            yield from _problems(root, path.name)


def read(path: Path) -> Any:
    """Return the values of a file, which may share parts. Raises ConfigError for what ``check`` reports.

    Raises OSError, UnicodeDecodeError and yaml.YAMLError for a file that cannot be read.
    """
    if problems := list(check([path])):
        raise ConfigError(problems)
    # Reading again: values are made from nodes only by a loader that has read them itself.
    return yaml.load(_text(path), Loader=_LOADER)  # noqa: S506 (a safe loader)


def explain(error: yaml.YAMLError, path: Path) -> str:
    """Return what is wrong with a file that is not YAML, with the line and the column."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark, start = error.problem_mark, error.context_mark
    begun = f" {error.context} that begins in line {start.line + 1}" if start and start.line != mark.line else ""
    line = _text(path).splitlines()[mark.line : mark.line + 1]
    tab = "; YAML is indented by spaces, not by tabs" if any("\t" in each for each in line) else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}{begun}{tab}"


def lines(files: Iterable[Path]) -> dict[str, str]:
    """Return ``file, line N`` by dotted key. Of a key in several files, the last one counts, as in merging.

    Lines before those of a file that is not YAML are not known: its values may have replaced any of them.
    """
    known: dict[str, str] = {}
    for path in map(Path, files):
        try:
            root = yaml.compose(_text(path), Loader=_LOADER)
        except (yaml.YAMLError, UnicodeDecodeError, OSError):
            known.clear()
            continue
        for key, node in _walk(root, ()) if root is not None else ():
            known[".".join(key)] = f"{path.name}, line {node.start_mark.line + 1}"
    return known


def _text(path: Path) -> str:
    """Return the text of a file. Raises OSError for one that is too large."""
    if path.stat().st_size > MAX_BYTES:
        raise OSError(f"{path} is larger than {MAX_BYTES:,} bytes")
    text = path.read_text(encoding="utf-8")
    # In YAML, Snakemake refuses tabs.
    return text.expandtabs(1) if text.lstrip().startswith("{") else text


def _too_deep(text: str) -> int | None:
    """Return the line of a value that is nested too deeply; None if there is none. Nodes are made recursively."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return event.start_mark.line + 1
    return None


def _walk(root: yaml.Node, key: Key) -> Iterator[tuple[Key, yaml.Node]]:
    """Yield the nodes of a document with their keys, in their order, each node once: an alias is what it refers to."""
    todo, seen = [(key, root)], set()
    while todo:
        key, node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield key, node
        if isinstance(node, yaml.MappingNode):
            inner = [((*key, _written(name)), value) for name, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            inner = [((*key, str(index)), value) for index, value in enumerate(node.value)]
        else:
            continue
        todo.extend(reversed(inner))


def _problems(root: yaml.Node, file: str) -> Iterator[Problem]:
    for key, node in _walk(root, ()):
        line = f"{file}, line {node.start_mark.line + 1}"
        if node.tag not in _PLAIN:
            yield Problem(".".join(key), f"{line}: {_special(node)}")
        elif isinstance(node, yaml.MappingNode) and (names := _list_in_braces(node)):
            message = f"{{{', '.join(names)}}} is a mapping without values; write a list: [{', '.join(names)}]"
            yield Problem(".".join(key), f"{line}: {message}")
        elif isinstance(node, yaml.MappingNode):
            yield from _repeated_keys(node, key, file)
            for name, value in node.value:
                inner = (*key, _written(name))
                if node.flow_style and name.tag == f"{_TAG}int" and value.tag == f"{_TAG}null" and not value.value:
                    message = f"{name.value} is a key, because a comma separates keys; write decimals with a point"
                    yield Problem(".".join(inner), f"{line}: {message}")
                else:
                    yield from _problems_of_key(name, inner, file)
        elif isinstance(node, yaml.ScalarNode) and (message := _misread(node)):
            yield Problem(".".join(key), f"{line}: {message}")


def _problems_of_key(name: yaml.Node, key: Key, file: str) -> Iterator[Problem]:
    line = f"{file}, line {name.start_mark.line + 1}"
    if not isinstance(name, yaml.ScalarNode):
        yield Problem(".".join(key[:-1]), f"{line}: a key is a list or a mapping; write text")
    elif name.value == _TEMPLATES:
        yield Problem(_TEMPLATES, f"{line}: templates of YTE execute code; write the values, and remove this key")
    elif read_as := _TYPES.get(name.tag.removeprefix(_TAG)):
        written = f"{line}: {name.value or 'an empty key'}"
        yield Problem(".".join(key), f'{written} is read as {read_as}; quote it: "{name.value}"')


def _repeated_keys(node: yaml.MappingNode, key: Key, file: str) -> Iterator[Problem]:
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


def _list_in_braces(node: yaml.MappingNode) -> list[str]:
    """Return the keys of a mapping in braces, without any values, if one is a number; otherwise nothing."""
    bare = node.flow_style and all(value.tag == f"{_TAG}null" and not value.value for _, value in node.value)
    numbers = [name for name, _ in node.value if name.tag in (f"{_TAG}int", f"{_TAG}float")]
    return [_written(name) for name, _ in node.value] if bare and numbers else []


def _written(name: yaml.Node) -> str:
    return name.value if isinstance(name, yaml.ScalarNode) else "?"


def _special(node: yaml.Node) -> str:
    """Return what is wrong with a value of another type than plain ones."""
    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.ScalarNode) and kind in _TYPES:
        return f'{node.value} is read as {_TYPES[kind]}; quote it: "{node.value}"'
    tag = f"!!{kind}" if kind != node.tag else kind
    return f"the tag {advice.shortened(tag)} is not allowed; write text, a number, a list or a mapping without a tag"


def _misread(node: yaml.ScalarNode) -> str | None:
    """Return what is wrong with a number in octal, hexadecimal or base 60, with underscores, or without end."""
    is_integer, is_float = node.tag == f"{_TAG}int", node.tag == f"{_TAG}float"
    if is_integer and len(node.value) > 40:
        return f"{advice.shortened(node.value)} is a number of {len(node.value)} characters; quote it for text"
    if (is_integer and not _PLAIN_INTEGER.fullmatch(node.value)) or (is_float and re.search("[:_]", node.value)):
        try:
            value = yaml.safe_load(node.value)
        except ValueError:
            return f'{advice.shortened(node.value)} is not a number; write one, or "{node.value}" for text'
        octal = is_integer and re.fullmatch("[+-]?0[0-7_]+", node.value) and str(value).lstrip("-")
        if octal and (decimal := re.sub("^([+-]?)0+|_", r"\1", node.value)).lstrip("+-") != octal:
            return f'{node.value} is read as {value}, in base 8; write {decimal} or {value}, or "{node.value}" for text'
        return f'{node.value} is read as {value}; write {value}, or "{node.value}" for text'
    return None
