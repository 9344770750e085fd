"""Durations in a config: ``10 min``, ``90 s``, ``1 h``, or a whole number of seconds."""

import re
from typing import Annotated

from pydantic import Field

_SECONDS = {"s": 1, "min": 60, "h": 3600}
_PATTERN = r"^([1-9]\d{0,8}(?:\.\d+)?) ?(s|min|h)?$"

#: Type of a duration's key; its description must show examples, because errors repeat it.
Duration = Annotated[int, Field(ge=1, le=10**9)] | Annotated[str, Field(pattern=_PATTERN)]


def seconds(duration: int | str) -> int:
    """Return a duration in whole seconds. Raises ValueError for what is not a ``Duration``."""
    if isinstance(duration, int):
        return duration
    if (match := re.match(_PATTERN, duration)) is None:
        raise ValueError(f"{duration!r} is not a duration")
    number, unit = match.groups()
    return round(float(number) * _SECONDS[unit or "s"])
