"""Values of Snakemake's option ``--config``, read like those of a file.

Snakemake reads ``--config seeds=[0,1]`` as a list of texts: it converts numbers only outside of lists and mappings.
"""

import copy
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from variability.config import schema_messages
from variability.config.schema_messages import Path

_RESOLVER = yaml.SafeLoader("")
_TAG = "tag:yaml.org,2002:"
# Numbers that YAML reads as other ones, such as 010 and 1_000, stay texts, which the schema refuses.
_WRITTEN_AS_READ = {"int": r"[+-]?(0|[1-9][0-9]{0,30})", "float": r"[^:_]+", "bool": r".*", "null": r".*"}


def typed(config: dict[str, Any], options: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config in which texts that ``--config`` gave in lists and mappings are what YAML reads them as.

    Those that the schema accepts only as text stay texts: quotes are lost on the way. options: of ``--config``.
    """
    texts = {path: text for path, text in _texts(options, ()) if _value(config, path) == text}
    values = {path: value for path, text in texts.items() if (value := _read(text)) is not text}
    if not values:
        return config
    converted = copy.deepcopy(config)
    for path, value in values.items():
        _set(converted, path, value)
    reverted = copy.deepcopy(converted)
    refused = schema_messages.refused_paths(converted, schema)
    by_refused: dict[Path, list[Path]] = {}
    for path in values:
        for bad in refused.intersection(path[:length] for length in range(len(path) + 1)):
            by_refused.setdefault(bad, []).append(path)
    for path in {path for paths in by_refused.values() for path in paths}:
        _set(reverted, path, texts[path])
    still_refused = schema_messages.refused_paths(reverted, schema)
    for bad, paths in by_refused.items():
        if bad not in still_refused:
            for path in paths:
                _set(converted, path, texts[path])
    return converted


def keys(options: Mapping[str, Any]) -> list[str]:
    """Return the dotted keys of all values that are not mappings."""
    mappings = {key: keys(value) for key, value in options.items() if isinstance(value, Mapping)}
    leaves = [key for key in options if key not in mappings]
    return leaves + [f"{key}.{below}" for key, inner in mappings.items() for below in inner]


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the texts inside lists and mappings."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        if isinstance(each, str) and len(path) > 0:
            yield (*path, key), each
        else:
            yield from _texts(each, (*path, key))


def _read(text: str) -> Any:
    """Return a text as YAML reads it without quotes; the text itself if that is not one finite number, or no number."""
    kind = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG)
    if kind not in _WRITTEN_AS_READ or not re.fullmatch(_WRITTEN_AS_READ[kind], text):
        return text
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind == "null":
        return None
    try:
        value = int(text) if kind == "int" else float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def _value(config: Any, path: Path) -> Any:
    for key in path:
        try:
            config = config[key]
        except (KeyError, IndexError, TypeError):
            return None
    return config


def _set(config: Any, path: Path, value: Any) -> None:
    *parents, last = path
    for key in parents:
        config = config[key]
    config[last] = value
