"""What a config's schema objects to, in sentences for the person who wrote the config."""

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from variability import advice
from variability.errors import Problem
from variability.results.run_selection import as_list

# JSON takes 1.0 for an integer, and a seed or a batch size must not be a float.
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
_TYPES = {
    **{"object": "a mapping", "array": "a list", "string": "text", "null": "null"},
    **{"boolean": "true or false", "integer": "a whole number", "number": "a number"},
}


def problems(value: Any, schema: Mapping[str, Any], prefix: str = "") -> Iterator[Problem]:
    """Everything a JSON schema objects to in a value, by the keys it stands under. prefix: the key of the value."""
    for error in sorted(_Validator(schema).iter_errors(value), key=lambda error: _in_order(error.absolute_path)):
        yield from _explain(error, prefix)


def without_errors(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The config without the entries that the schema objects to."""
    sound = copy.deepcopy(config)
    places = {place for error in _Validator(schema).iter_errors(config) for place in _objected(error)}
    # From the back, so that the places of what comes earlier in a list, and of what holds others, stay as they are.
    for *parents, last in sorted(filter(None, places), key=_in_order, reverse=True):
        holder = sound
        for part in parents:
            holder = holder[part]
        del holder[last]
    return sound


def _objected(error: ValidationError) -> list[tuple[str | int, ...]]:
    """Where the entries stand that an error objects to."""
    return [(*error.absolute_path, *extra) for extra in ([(name,) for name in _extra(error)] or [()])]


def _extra(error: ValidationError) -> list[str]:
    """The keys that are not known, if that is what the error is about."""
    if error.validator != "additionalProperties" or not isinstance(error.instance, Mapping):
        return []
    return [name for name in error.instance if name not in error.schema.get("properties", {})]


def _in_order(place: Iterable[str | int]) -> list[tuple[bool, Any]]:
    """Orders places as they stand in the config; those in a list by number."""
    return [(isinstance(part, str), part) for part in place]


def _explain(error: ValidationError, prefix: str) -> Iterator[Problem]:
    if error.validator == "anyOf" and (meant := _meant(error)):
        for inner in meant:
            yield from _explain(inner, prefix)
        return
    key = ".".join(str(part) for part in (prefix, *error.absolute_path) if part != "")
    known = list(error.schema.get("properties", {}))
    for extra in (unknown := _extra(error)):
        yield Problem(f"{key}.{extra}" if key else str(extra), f"unknown key; {advice.suggest(extra, known)}")
    if not unknown:
        yield Problem(key, _sentence(error))


def _meant(error: ValidationError) -> list[ValidationError]:
    """Of a mapping or list that may have one of several shapes: what is wrong with it in the shape that is meant.

    That is the one of its type. A number or text has no parts that could be wrong by themselves.
    """
    if not isinstance(error.instance, (Mapping, list)):
        return []
    shapes = [list(of_shape) for _, of_shape in groupby(error.context, key=lambda inner: inner.schema_path[0])]
    fitting = [inner for inner in shapes if not any(_of_whole(each) for each in inner)]
    return fitting[0] if len(fitting) == 1 else []


def _of_whole(error: ValidationError) -> bool:
    """Whether it says of the value as a whole that it is of another shape."""
    return error.validator in ("type", "enum", "const") and not error.path


def _sentence(error: ValidationError) -> str:
    """What is wrong with a value, and what would be right."""
    shown, wanted, instance = _shorten(error.instance), error.validator_value, error.instance
    hint = error.schema.get("description", "")
    match error.validator:
        case "required":
            return f"missing {', '.join(repr(name) for name in wanted if name not in instance)}"
        case "enum":
            return f"{shown} is not allowed; {advice.suggest(instance, list(map(str, wanted)))}"
        case "type":
            return f"{shown} is not {_one_of(wanted)}{_written_number(instance, wanted)}"
        case "anyOf":
            return f"{shown} is not allowed here; expected {hint or ' or '.join(_describe(one) for one in wanted)}"
        case "pattern":
            return f"{shown} is not {error.schema.get('title', f'text of the form {wanted}')}"
        case "not" if isinstance(instance, str):
            return f"{shown} is reserved; choose another name"
        case "not" | "const":
            return f"{shown} is not allowed here" + (f"; it must be {wanted!r}" if error.validator == "const" else "")
        case "minimum":
            return f"{shown} is too small; the least is {wanted}"
        case "exclusiveMinimum":
            return f"{shown} is too small; it must be above {wanted}"
        case "maximum":
            return f"{shown} is too large; the most is {wanted}"
        case "exclusiveMaximum":
            return f"{shown} is too large; it must be below {wanted}"
        case "minItems" | "maxItems" | "minProperties" | "maxProperties":
            return f"{shown} {_counted(error)}"
    return f"{shown}: {error.message.removeprefix(repr(instance)).strip()}"


def _counted(error: ValidationError) -> str:
    """How many entries there are, and how many there may be."""
    count, wanted = len(error.instance), error.validator_value
    has = f"has {count} {'entry' if count == 1 else 'entries'}" if count else "is empty"
    if error.validator.startswith("max"):
        return f"{has}; at most {wanted} may be there"
    known = error.schema.get("properties", {})
    return f"{has}; at least {wanted} must be there" + (f", of {', '.join(known)}" if known else "")


def _written_number(value: Any, types: str | list[str]) -> str:
    """The remedy for a number that YAML 1.1 reads as text, such as 1e-3."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    whole = "integer" in as_list(types) and number.is_integer()
    written = str(int(number)) if whole else repr(number)
    if "e" in written and "." not in written:
        # As Python writes it, YAML would read it as text again.
        written = written.replace("e", ".0e")
    return f"; YAML reads it as text, write {written}"


def _describe(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    return _one_of(schema.get("type", "another value"))


def _one_of(types: str | list[str]) -> str:
    return " or ".join(_TYPES.get(one, one) for one in as_list(types))


def _shorten(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
