"""Conversion of a config to plain values of its own: text, numbers, truth values, null, lists and mappings.

All later checks rely on it. YAML has more types (dates, sets, binary data), lets two keys share one value, and lets a
value contain itself or, by aliases of aliases, a billion others; JSON and ``--config`` allow NaN and lone surrogates.
"""

import datetime
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from variability.advice import plural, shortened
from variability.errors import Problem

#: Levels of mappings and lists inside each other; our own studies have eight.
MAX_DEPTH = 40
#: Values in total, those of aliases counted as often as they are repeated.
MAX_VALUES = 200_000
#: Characters of a text.
MAX_TEXT = 10_000
#: Largest whole number: that of 64 bits without a sign. Python's own have no limit.
MAX_INTEGER = 2**64 - 1

# Control characters except for tabs and ends of lines, halves of surrogate pairs, and characters that reorder the text
# around them, so that it does not read as what it is.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
#: Keys whose values may have control characters: separators of the columns of files.
_ANY_CHARACTER = frozenset({"separator"})

_TYPES = {
    datetime.date: ("a date", "quote it for text"),
    datetime.time: ("a time of day", "quote it for text"),
    bytes: ("binary data", "write text"),
    set: ("a set", "write a list"),
    frozenset: ("a set", "write a list"),
    tuple: ("a tuple", "write a list"),
}

Key = tuple[str, ...]


class _TooMany(Exception):
    """The config has more values than MAX_VALUES."""


def plain(config: Any) -> tuple[dict[str, Any], list[Problem]]:
    """Return a copy of a config in which nothing is shared, and the problems of values that are not plain."""
    conversion = _Conversion()
    if not isinstance(config, Mapping):
        kind = {type(None): "empty", list: "a list", str: "text"}.get(type(config)) or _kind(config)[0]
        return {}, [Problem("", f"the config is {kind}, not a mapping; write `key: value` lines")]
    try:
        return conversion.value(config, ()), conversion.problems
    except _TooMany:
        return {}, conversion.problems


def unending(config: Any) -> list[Problem]:
    """Return the problems of a config that contains itself, or repeats values by aliases or levels beyond all measure.

    Snakemake, which merges a file of ``--configfile`` before the config is checked, would not come to an end.
    """
    conversion = _Conversion()
    with suppress(_TooMany):
        conversion.value(config, ())
    return conversion.unending


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts in a plain value with their dotted keys."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        inner_key = f"{key}.{name}" if key else str(name)
        if isinstance(each, str):
            yield inner_key, each
        else:
            yield from texts(each, inner_key)


class _Conversion:
    """A walk through a config that copies it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.unending: list[Problem] = []
        self._values = 0
        self._inside: list[int] = []

    def value(self, value: Any, key: Key) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            message = f"has more than {MAX_VALUES:,} values; aliases of YAML repeat all that they refer to"
            self._unending(key[:1], message)
            raise _TooMany
        if isinstance(value, (Mapping, list)):
            return self._container(value, key)
        for message in _faults(value, key):
            self._problem(key, message)
        return str(value) if isinstance(value, str) else value

    def _container(self, value: Mapping | list, key: Key) -> Any:
        if id(value) in self._inside:
            self._unending(key, "contains itself, by an alias of YAML; write out what is meant")
            return None
        if len(key) >= MAX_DEPTH:
            self._unending(key, f"is more than {MAX_DEPTH} levels deep; no key of a config has so many")
            return None
        self._inside.append(id(value))
        if isinstance(value, list):
            copy = [self.value(each, (*key, str(index))) for index, each in enumerate(value)]
        else:
            copy = {name: self.value(each, (*key, _shown_key(name))) for name, each in value.items()}
            for name in copy:
                for message in _faults_of_key(name):
                    self._problem(key, message)
        self._inside.pop()
        return copy

    def _unending(self, key: Key, message: str) -> None:
        self._problem(key, message)
        self.unending.append(self.problems[-1])

    def _problem(self, key: Key, message: str) -> None:
        self.problems.append(Problem(".".join(key), message))


def _faults(value: Any, key: Key) -> Iterator[str]:
    """Yield what is wrong with a value that is neither a mapping nor a list."""
    if isinstance(value, str):
        yield from _faults_of_text(value, key[-1:] and key[-1] in _ANY_CHARACTER)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            size = f"has {int(math.log10(abs(value))) + 1} digits" if abs(value) > 10**30 else f"{value} is too large"
            yield f"{size}; the largest whole number is {MAX_INTEGER}"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{value} is not a finite number; remove the key for its default, or write a number"
    else:
        kind, remedy = _kind(value)
        yield f"{shortened(value)} is {kind}, which a config cannot hold; {remedy}"


def _faults_of_text(text: str, any_character: object = False) -> Iterator[str]:
    if len(text) > MAX_TEXT:
        yield f"{shortened(text)} has {plural(len(text), 'character')}; at most {MAX_TEXT} are allowed"
    if not any_character and (match := _UNREADABLE.search(text)):
        code = f"U+{ord(match[0]):04X}"
        yield f"{shortened(text)} has the invisible character {code} at position {match.start() + 1}; remove it"


def _faults_of_key(name: Any) -> Iterator[str]:
    if isinstance(name, str):
        yield from _faults_of_text(name)
    else:
        yield f'{shortened(name)} is not text; if it is a name, quote it, as in "18"'


def _shown_key(name: Any) -> str:
    return name[:100] if isinstance(name, str) else shortened(name)


def _kind(value: Any) -> tuple[str, str]:
    """Return what a value that is not plain is, and what to write instead."""
    for known, words in _TYPES.items():
        if isinstance(value, known):
            return words
    return f"a Python {type(value).__name__}", "write text, a number, a list or a mapping"
