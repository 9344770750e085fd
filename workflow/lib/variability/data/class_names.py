"""Names of classes that people would read as one."""

import unicodedata
from collections.abc import Iterable


def colliding(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of names that differ only in case, white space or the form of their accents, each sorted.

    Single letters of both cases are not a group: they are the classes of handwriting.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(folded(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def folded(name: str) -> str:
    """Return what the spellings of a name have in common."""
    normal = " ".join(unicodedata.normalize("NFKC", name).split())
    return normal if len(normal) == 1 else unicodedata.normalize("NFC", normal.casefold())
