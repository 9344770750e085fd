"""Choice of plug-ins of a family (``analyses``, ``plots``, ``claims``) in the config, with their options.

A list chooses the plug-ins. A mapping sets options and leaves the other plug-ins on, so that changing one does not
require naming all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Options = Mapping[str, Any]
#: A section of the config: {name: options}, or a list of names and of {name: options}.
Section = Mapping[str, Options | Literal[False] | None] | Sequence[str | Mapping[str, Options | None]]


def entries(section: Section) -> list[tuple[str, Options | Literal[False] | None]]:
    """Return (name, options) of every entry: None for the default options, False for a plug-in that is switched off."""
    if isinstance(section, Mapping):
        return list(section.items())
    return [pair for entry in section for pair in (entry.items() if isinstance(entry, Mapping) else [(entry, None)])]


def chosen(section: Section | None, default: Iterable[str]) -> dict[str, Options]:
    """Return the options of the plug-ins that are on, sorted by name.

    section: None if the config does not have it. default: names of the plug-ins that are on unless the section switches
    them off or is a list.
    """
    options = {} if section is not None and not isinstance(section, Mapping) else dict.fromkeys(default)
    options |= dict(entries(section or {}))
    return {name: options[name] or {} for name in sorted(options) if options[name] is not False}
