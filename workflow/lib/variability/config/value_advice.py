"""The right form of a text, number or list, for messages about values of another type."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from variability.config import mapping_advice
from variability.results.run_selection import as_list

#: Most whole numbers that a message lists.
_LONGEST = 20
#: What to do instead of listing several values of a key that has one.
_SEVERAL = {
    "metric": "; it is the primary one, and all others that fit the task are computed, too",
    **dict.fromkeys(("architecture", "weights", "provider"), "; each needs a model of its own"),
    **dict.fromkeys(("dataset", "kind"), "; each needs an entry of its own"),
}
_SEVERAL_RECIPES = "; to compare several, give each a method of its own with a `recipe`"


def for_type(value: Any, schema: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """Return how to write a value as one of the types of its schema, if it shows what was meant.

    path: keys of the value.
    """
    types = schema["type"]
    hints = f"{_as_number(value, types)}{as_text(value, types)}{_as_list(value, schema, path)}"
    return f"{hints}{_as_one(value, types, path)}{_as_items(value, types, path)}"


def _as_one(value: Any, types: str | list[str], path: Sequence[str | int]) -> str:
    """Return what to write instead of a list where one text or number is expected. path: keys of the value."""
    first = value[0] if isinstance(value, list) and value else None
    expected: tuple[type, ...] = (str,) if types == "string" else (int, float) if types in ("number", "integer") else ()
    return f"; write one value, such as {first}{_several(path)}" if isinstance(first, expected) else ""


def _several(path: Sequence[str | int]) -> str:
    """Return what to do instead of listing several values. path: keys of the list."""
    return _SEVERAL_RECIPES if "recipe" in path[:-1] else _SEVERAL.get(str(path[-1]), "") if path else ""


def _as_items(value: Any, types: str | list[str], path: Sequence[str | int]) -> str:
    """Return how to write an entry of a list of whole numbers that is several of them, such as 0-4."""
    of_list = types == "integer" and path and isinstance(path[-1], int)
    numbers = _integers(value) if of_list and isinstance(value, str) else []
    return f"; write {', '.join(map(str, numbers))}" if len(numbers) > 1 else ""


def _as_number(value: Any, types: str | list[str]) -> str:
    """Return how to write a number that YAML 1.1 reads as text, such as 1e-3, or a whole number without decimals."""
    expected = {"integer", "number"}.intersection(as_list(types))
    if isinstance(value, bool) and expected:
        return "; YAML reads yes, no, on and off as true or false"
    if value is None and expected and "string" not in as_list(types):
        return "; write a number, or remove it"
    text = _with_point(value) if isinstance(value, str) else value
    try:
        number = float(text) if isinstance(text, (str, float)) and expected else math.nan
    except ValueError:
        return ""
    whole = math.isfinite(number) and number.is_integer() and "integer" in expected
    if not math.isfinite(number) or not (whole or "number" in expected):
        return ""
    if isinstance(value, float):
        return f"; write {int(number)}" if abs(number) < 2**53 else ""
    written = str(int(number)) if whole else repr(number)
    if "e" in written and "." not in written:
        # Without a decimal point, YAML would read it as text again.
        written = written.replace("e", ".0e")
    return f"; YAML reads it as text, write {written}" if text == value else f"; write {written}"


def _with_point(text: str) -> str:
    """Return a number with a decimal comma, or a minus sign of typography, as programs write it."""
    return re.sub(r"^([-+]?[0-9]+),([0-9]+)$", r"\1.\2", text.strip().replace("\u2212", "-")) if text.strip() else text


def as_fraction(value: Any, types: Collection[str]) -> str:
    """Return how to write a percentage, such as 80%, where a number is expected."""
    if "number" not in types or not isinstance(value, str) or not (match := re.fullmatch(r"(\d+(\.\d+)?) ?%", value)):
        return ""
    return f"; write {float(match[1]) / 100:.6g}"


def as_text(value: Any, types: str | list[str]) -> str:
    """Return how to write a name that YAML reads as something else, such as 18, no or null."""
    if value is None and "string" in as_list(types):
        return '; remove the key, write a value, or quote a name, as in "null"'
    is_scalar = not isinstance(value, (str, Mapping, list))
    return '; if it is a name, quote it, as in "18"' if is_scalar and "string" in as_list(types) else ""


def _as_list(value: Any, schema: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """Return how to write a single entry, or no value at all, where a list or a mapping is expected. path: its keys."""
    types = as_list(schema["type"])
    if value is None and not {"string", "array", "object"}.isdisjoint(types):
        return "" if "string" in types else "; remove the key, or write what belongs below it"
    if "array" not in types or isinstance(value, bool):
        return ""
    if schema.get("items", {}).get("type") == "integer":
        return _as_integers(value)
    if isinstance(value, Mapping) and value and schema.get("items", {}).get("type") == "string":
        names = f"; write its names: [{', '.join(map(str, value))}]" if len(value) <= _LONGEST else ""
        return names + (
            "; what describes them belongs to `scales`" if path == ["metrics"] and any(value.values()) else ""
        )
    if isinstance(value, Mapping) and value:
        return (
            f"; write [{written}]" if len(written := mapping_advice.flow(value)) < 60 else "; write it as a list, - ..."
        )
    is_entry = isinstance(value, (str, int, float)) and value != ""
    return f"; write [{value}]" if is_entry and len(str(value)) < 60 else ""


def _as_integers(value: Any) -> str:
    """Return how to write whole numbers as a list: a count or one entry, a range (0-4), or numbers with separators."""
    if isinstance(value, int):
        if abs(value) > 2**63:
            return ""
        several = f", or {list(range(value))} for {value} of them" if 1 < value <= _LONGEST else ""
        return f"; write [{value}] for one entry{several}" if several else f"; write [{value}]"
    numbers = _integers(value) if isinstance(value, str) else []
    return f"; write {numbers}" if numbers else "; write numbers in brackets, such as [0, 1, 2]"


def _integers(text: str) -> list[int]:
    """Return the whole numbers of a text that is a range (0-4), or numbers with separators; none if they are many."""
    if ends := re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-|:|\.\.\.?|to)\s*([0-9]{1,9})\s*", text):
        numbers = range(int(ends[1]), int(ends[2]) + 1)
        return list(numbers) if 1 < len(numbers) <= _LONGEST else []
    if re.fullmatch(r"\s*[0-9]{1,10}(?:[\s,;]+[0-9]{1,10})*\s*", text):
        return [int(number) for number in re.split("[^0-9]+", text.strip())]
    return []
