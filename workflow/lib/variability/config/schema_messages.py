"""Errors of a JSON schema as sentences for the author of the config."""

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any, cast

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from variability import advice
from variability.advice import plural
from variability.config import key_advice, mapping_advice, value_advice
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

#: Keys and list indices that lead from the config to a value.
Path = tuple[str | int, ...]


def problems(value: Any, schema: Mapping[str, Any], prefix: str = "") -> Iterator[Problem]:
    """Yield all errors of a value, in the order of their keys. prefix: the key of the value."""
    # Whatever the schema refuses in the entries of such a section has the same cause.
    unnamed = dict(mapping_advice.unnamed_sections(value, schema))
    yield from (Problem(section, message) for section, message in unnamed.items())
    errors = sorted(_Validator(schema).iter_errors(value), key=lambda error: _sort_key(error.absolute_path))
    leaves = [leaf for error in errors for leaf in _leaves(error)]
    # A value of another type may also be too small, for example, which says nothing.
    mistyped = {tuple(leaf.absolute_path) for leaf in leaves if leaf.validator == "type"}
    leaves = [leaf for leaf in leaves if leaf.validator == "type" or tuple(leaf.absolute_path) not in mistyped]
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
    shown, instance = _shown(error.instance), error.instance
    schema, expected = _schema(error), cast(Any, error.validator_value)
    match error.validator:
        case "enum":
            return f"{shown} is not allowed; {advice.suggest(instance, list(map(str, expected)))}"
        case "type":
            hints = value_advice.for_type(instance, schema, list(error.absolute_path))
            hints += mapping_advice.remedy(instance, schema, definitions, partial(_valid, definitions))
            return f"{shown} is not {_one_of(expected)}{hints}"
        case "anyOf":
            types = [name for form in expected for name in as_list(form.get("type", []))]
            hints = f"{value_advice.as_text(instance, types)}{value_advice.as_fraction(instance, types)}"
            return f"{shown} is not allowed here; expected {_expected_forms(schema, expected)}{hints}"
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


def _shown(value: Any) -> str:
    """Return a value for a message; truth values as in YAML."""
    return str(value).lower() if isinstance(value, bool) else advice.shortened(value)


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
