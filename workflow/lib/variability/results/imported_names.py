"""Names of imported models, tasks and methods that people would read as one: refused, or written in one way."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any

from variability.data import class_names
from variability.errors import UserError
from variability.results.columns import RUN
from variability.results.imported_files import Source

if TYPE_CHECKING:
    import pandas as pd

MERGE, EXACT = "merge", "exact"


#: Hyphens, dashes and minus signs.
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"), "-")


def unified(table: pd.DataFrame, spec: Mapping[str, Any], source: Source) -> pd.DataFrame:
    """Return the table with one spelling of each name.

    Names differ only in spelling if they are equal but for case, blanks, invisible characters, dashes and the form of
    accents. They are refused, with their rows, unless ``spelling`` is ``merge``, for the most frequent one, or
    ``exact``, which allows other cases of letters; two names that look the same are refused by that, too. So are seeds
    that are labels.
    """
    spelling = spec.get("spelling")
    for key in RUN:
        for names in _groups(table[key].unique()):
            if spelling == MERGE:
                counts = table.loc[table[key].isin(names), key].value_counts()
                chosen = min(names, key=lambda name: (-counts[name], name))
                table = table.assign(**{key: table[key].where(~table[key].isin(names), _shown(chosen))})
            else:
                _refuse(table, key, names, spelling == EXACT, source)
    return table


def _groups(names: Iterable[str]) -> list[list[str]]:
    """Return the names that differ only in spelling, each group sorted."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(_folded(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _refuse(table: pd.DataFrame, key: str, names: list[str], exact: bool, source: Source) -> None:
    """Raise UserError for names of which two differ only in spelling. exact: allow those that do not look the same."""
    shown: dict[str, str] = {}
    for name in names:
        other = shown.setdefault(_shown(name), name)
        if other != name:
            changed = [each for each in (other, name) if each != _shown(each)]
            rows = table.index[table[key].isin(changed)]
            message = f"the {key} {name!r} is also written {other!r}; write it one way, or set `spelling: merge`"
            raise UserError(f"{source.at(rows)}: {message}")
    if not exact:
        first, *others = sorted(names, key=lambda name: (-(table[key] == name).sum(), name))
        rows = table.index[table[key].isin(others)]
        raise UserError(
            f"{source.at(rows)}: the {key} {first!r} is also written {', '.join(map(repr, others))}; write it one way, "
            "or set `spelling: merge`, or `spelling: exact` if they are different"
        )


def _shown(name: str) -> str:
    """Return what readers see of a name."""
    visible = "".join(each for each in name if unicodedata.category(each) != "Cf")
    return " ".join(unicodedata.normalize("NFC", visible).translate(_DASHES).split())


def _folded(name: str) -> str:
    """Return what the spellings of a name have in common."""
    return class_names.folded(_shown(name))


def across(names: Mapping[str, Mapping[str, Set[str]]], exact: Set[str]) -> Iterator[tuple[str, str]]:
    """Yield the sources with names that differ only in spelling from those of an earlier source, and what is wrong.

    names: by source, those of its models, tasks and methods. exact: sources whose ``spelling`` is exact.
    """
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for source, by_key in names.items():
        for key, of_key in by_key.items():
            for name in sorted(of_key):
                other, where = first.setdefault((key, _folded(name)), (name, source))
                if other != name and where != source and not exact & {source, where}:
                    message = f"the {key} {name!r} is written {other!r} in {where}; write it one way in both"
                    yield source, f"{message}, or set `spelling: exact` here if they are different"
