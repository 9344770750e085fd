"""Errors of a JSON schema as sentences for the author of the config."""

import copy
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any, cast

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from variability import advice
from variability.advice import plural
from variability.config import key_advice, mapping_advice
from variability.errors import Problem
from variability.results.run_selection import as_list

# JSON accepts 1.0 as an integer, but a seed or a batch size must not be a float.
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

#: Most whole numbers that a message lists.
_LONGEST = 20

#: Keys and list indices that lead from the config to a value.
Path = tuple[str | int, ...]


def problems(value: Any, schema: Mapping[str, Any], prefix: str = "") -> Iterator[Problem]:
    """Yield all errors of a value, in the order of their keys. prefix: the key of the value."""
    # Whatever the schema refuses in the entries of such a section has the same cause.
    unnamed = dict(mapping_advice.unnamed_sections(value, schema))
    yield from (Problem(section, message) for section, message in unnamed.items())
    errors = sorted(_Validator(schema).iter_errors(value), key=lambda error: _sort_key(error.absolute_path))
    leaves = [leaf for error in errors for leaf in _leaves(error)]
    meant: dict[Path, set[str | None]] = {}
    for error in leaves:
        of_path = meant.setdefault(tuple(error.absolute_path), set())
        of_path.update(
            key_advice.meant(name, cast(Any, error.instance), _schema(error)) for name in _unknown_keys(error)
        )
    for error in leaves:
        path = tuple(error.absolute_path)
        if not path or path[0] not in unnamed:
            yield from _explain(error, prefix, schema, meant[path])


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """Yield an error, or those of the one form that is meant where a value may have several."""
    if error.validator == "anyOf" and (intended := _errors_of_intended_form(error)):
        for inner in intended:
            yield from _leaves(inner)
    else:
        yield error


def refused_paths(config: Any, schema: Mapping[str, Any]) -> set[Path]:
    """Return the paths of the values whose type or form the schema refuses."""
    errors = _Validator(schema).iter_errors(config)
    return {tuple(error.absolute_path) for error in errors if error.validator in ("type", "anyOf", "enum", "pattern")}


def without_errors(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config without the entries that the schema refuses."""
    sound = copy.deepcopy(config)
    paths = {path for error in _Validator(schema).iter_errors(config) for path in _refused(error)}
    # In reverse order, so that a deletion neither moves later entries of a list nor removes the parent of an entry.
    for *parents, last in sorted(filter(None, paths), key=_sort_key, reverse=True):
        holder: Any = sound
        for part in parents:
            holder = holder[part]
        del holder[last]
    return sound


def _refused(error: ValidationError) -> list[Path]:
    """Return the paths of the entries that an error is about."""
    return [(*error.absolute_path, *name) for name in ([(name,) for name in _unknown_keys(error)] or [()])]


def _unknown_keys(error: ValidationError) -> list[str]:
    """Return the unknown keys of a mapping, if they are the error."""
    if error.validator != "additionalProperties" or not isinstance(error.instance, Mapping):
        return []
    return [name for name in error.instance if name not in _schema(error).get("properties", {})]


def _schema(error: ValidationError) -> Mapping[str, Any]:
    """Return the part of the schema that an error is about."""
    return cast(Mapping[str, Any], error.schema)


def _sort_key(path: Iterable[str | int]) -> list[tuple[bool, Any]]:
    """Return a sort key for paths: names in alphabetical order, indices as numbers."""
    return [(isinstance(part, str), part) for part in path]


def _explain(
    error: ValidationError, prefix: str, root: Mapping[str, Any], meant: Collection[str | None]
) -> Iterator[Problem]:
    """Yield the problems of an error. root: the whole schema. meant: keys meant by unknown keys of the same mapping."""
    key = ".".join(str(part) for part in (prefix, *error.absolute_path) if part != "")
    instance, schema = cast(Any, error.instance), _schema(error)
    for name in (unknown := _unknown_keys(error)):
        hint = key_advice.unknown(name, instance, schema, root, not key)
        yield Problem(f"{key}.{name}" if key else str(name), f"unknown key; {hint}")
    if error.validator == "required":
        lacking = [name for name in cast(Any, error.validator_value) if name not in {*instance, *meant}]
        if lacking:
            yield Problem(key, missing(lacking, schema.get("properties", {})))
    elif not unknown:
        yield Problem(key, _sentence(error, root.get("$defs", {})))


def _errors_of_intended_form(error: ValidationError) -> list[ValidationError]:
    """Return the errors of a mapping or list in the one form with its type, if a value may have several forms.

    Returns none for a number or a text: no part of it can be wrong by itself.
    """
    if not isinstance(error.instance, (Mapping, list)):
        return []
    forms = [list(of_form) for _, of_form in groupby(error.context, key=lambda inner: inner.schema_path[0])]
    with_its_type = [inner for inner in forms if not any(_excludes_form(each) for each in inner)]
    return with_its_type[0] if len(with_its_type) == 1 else []


def _excludes_form(error: ValidationError) -> bool:
    """Return whether an error says that the value as a whole does not have this form."""
    return error.validator in ("type", "enum", "const") and not error.path


def _sentence(error: ValidationError, definitions: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, and what would be right."""
    shown, instance = advice.shortened(error.instance), error.instance
    schema, expected = _schema(error), cast(Any, error.validator_value)
    match error.validator:
        case "enum":
            return f"{shown} is not allowed; {advice.suggest(instance, list(map(str, expected)))}"
        case "type":
            hints = f"{_as_number(instance, expected)}{_as_text(instance, expected)}{_as_list(instance, schema)}"
            hints += _as_one(instance, expected)
            hints += mapping_advice.remedy(instance, schema, definitions, partial(_valid, definitions))
            return f"{shown} is not {_one_of(expected)}{hints}"
        case "anyOf":
            types = [name for form in expected for name in as_list(form.get("type", []))]
            return (
                f"{shown} is not allowed here; expected {_expected_forms(schema, expected)}{_as_text(instance, types)}"
                f"{_as_fraction(instance, types)}"
            )
        case "pattern":
            return f"{shown} is not {schema.get('title', f'text of the form {expected}')}"
        case "not" if isinstance(instance, str):
            reason = f", {expected['title']}" if "title" in expected else ""
            return f"{shown} is reserved{reason}; choose another name"
        case "not" | "const":
            return f"{shown} is not allowed here" + (f"; it must be {expected!r}" if error.validator == "const" else "")
        case "minimum":
            return f"{shown} is too small; the least is {expected}"
        case "exclusiveMinimum":
            return f"{shown} is too small; it must be above {expected}"
        case "maximum":
            return f"{shown} is too large; the most is {expected}"
        case "exclusiveMaximum":
            return f"{shown} is too large; it must be below {expected}"
        case "maxLength":
            return f"{shown} has {plural(len(cast(str, instance)), 'character')}; at most {expected} are allowed"
        case "minLength":
            return f"{shown} is too short; it needs at least {'one character' if expected == 1 else expected}"
        case "minItems" | "maxItems" | "minProperties" | "maxProperties":
            return f"{shown} {_count_sentence(error)}"
    return f"{shown}: {error.message.removeprefix(repr(instance)).strip()}"


def missing(names: Iterable[str], schemas: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the message that keys are missing, with the descriptions that their schemas have."""
    of_names = [(name, schemas.get(name, {}).get("description")) for name in names]
    return "missing " + ", ".join(f"{name!r} ({text})" if text else repr(name) for name, text in of_names)


def _count_sentence(error: ValidationError) -> str:
    """Return how many entries there are, and how many there may be."""
    count, expected = len(cast(Any, error.instance)), cast(int, error.validator_value)
    has = f"has {_entries(count)}" if count else "is empty"
    if error.validator in ("maxItems", "maxProperties"):
        return f"{has}; at most {_entries(expected)} are allowed"
    known = _schema(error).get("properties", {})
    return f"{has}; it needs at least {_entries(expected)}" + (f", of {', '.join(known)}" if known else "")


def _entries(count: int) -> str:
    return "one entry" if count == 1 else plural(count, "entry", "entries")


def _as_one(value: Any, types: str | list[str]) -> str:
    """Return what to write instead of a list where one text or number is expected."""
    first = value[0] if isinstance(value, list) and value else None
    expected: tuple[type, ...] = (str,) if types == "string" else (int, float) if types in ("number", "integer") else ()
    return f"; write one value, such as {first}" if isinstance(first, expected) else ""


def _as_number(value: Any, types: str | list[str]) -> str:
    """Return how to write a number that YAML 1.1 reads as text, such as 1e-3."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    whole = "integer" in as_list(types) and number.is_integer()
    written = str(int(number)) if whole else repr(number)
    if "e" in written and "." not in written:
        # Without a decimal point, YAML would read it as text again.
        written = written.replace("e", ".0e")
    return f"; YAML reads it as text, write {written}"


def _as_fraction(value: Any, types: Collection[str]) -> str:
    """Return how to write a percentage, such as 80%, where a number is expected."""
    if "number" not in types or not isinstance(value, str) or not (match := re.fullmatch(r"(\d+(\.\d+)?) ?%", value)):
        return ""
    return f"; write {float(match[1]) / 100:.6g}"


def _as_text(value: Any, types: str | list[str]) -> str:
    """Return how to write a name that YAML reads as something else, such as 18, no or null."""
    if value is None and "string" in as_list(types):
        return '; remove the key, write a value, or quote a name, as in "null"'
    is_scalar = not isinstance(value, (str, Mapping, list))
    return '; if it is a name, quote it, as in "18"' if is_scalar and "string" in as_list(types) else ""


def _as_list(value: Any, schema: Mapping[str, Any]) -> str:
    """Return how to write a single entry, or no value at all, where a list or a mapping is expected."""
    types = as_list(schema["type"])
    if value is None and not {"string", "array", "object"}.isdisjoint(types):
        return "" if "string" in types else "; remove the key, or write what belongs below it"
    if "array" not in types or isinstance(value, bool):
        return ""
    if schema.get("items", {}).get("type") == "integer":
        return _as_integers(value)
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
    text = value.strip() if isinstance(value, str) else ""
    if ends := re.fullmatch(r"(\d{1,9})\s*(?:-|:|\.\.\.?|to)\s*(\d{1,9})", text):
        numbers = list(range(int(ends[1]), min(int(ends[2]), int(ends[1]) + _LONGEST) + 1))
        return f"; write {numbers}" if 1 < len(numbers) <= _LONGEST else ""
    if re.fullmatch(r"\d{1,10}(?:[\s,;]+\d{1,10})*", text):
        return f"; write [{', '.join(re.split(r'[^0-9]+', text))}]"
    return "; write numbers in brackets, such as [0, 1, 2]"


def _valid(definitions: Mapping[str, Any], value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a value has the form of a part of a schema."""
    return _Validator({"$defs": definitions} | dict(schema)).is_valid(value)


def _expected_forms(schema: Mapping[str, Any], forms: Iterable[Mapping[str, Any]]) -> str:
    """Return the description of a value that may have several forms, or else a description of the forms."""
    return schema.get("description") or " or ".join(_describe(form) for form in forms)


def _describe(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    return _one_of(schema.get("type", "another value"))


def _one_of(types: str | list[str]) -> str:
    return " or ".join(_TYPES.get(name) or name for name in as_list(types))
