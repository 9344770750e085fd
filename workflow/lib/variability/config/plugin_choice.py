"""Which plug-ins of a family a config chooses (``analyses``, ``plots``, ``claims``), and with which options.

A list chooses; a mapping sets options and leaves the others on, so that nobody has to name all to change one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Options = Mapping[str, Any]
Said = Mapping[str, Options | Literal[False] | None] | Sequence[str | Mapping[str, Options | None]]


def entries(said: Said) -> list[tuple[str, Options | Literal[False] | None]]:
    """(name, options) of all that is named: None for the usual options, False for what is switched off."""
    if isinstance(said, Mapping):
        return list(said.items())
    return [pair for entry in said for pair in (entry.items() if isinstance(entry, Mapping) else [(entry, None)])]


def chosen(said: Said | None, usual: Iterable[str]) -> dict[str, Options]:
    """Options by name of the plug-ins that are on, by name. said: None where the config is silent.

    usual: names of those that are on where nobody says otherwise; a list says otherwise of all of them.
    """
    kept = {} if said is not None and not isinstance(said, Mapping) else dict.fromkeys(usual)
    kept |= dict(entries(said or {}))
    return {name: kept[name] or {} for name in sorted(kept) if kept[name] is not False}
