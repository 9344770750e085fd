"""Limits of what files of unknown origin may expand to, and the option that raises them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from variability.io.storage import in_units

#: Expanded bytes up to which no ratio is too large: they do no harm, and a blank page compresses well.
HARMLESS_BYTES = 100 * 10**6


@dataclass(frozen=True)
class Limits:
    """Most that a file may expand to.

    ratio: of the expanded bytes to those of the file, where these are more than HARMLESS_BYTES. Data sets reach 120
    (drawings in an .npz), a formula for compressed zeros 1,030. files: members of an archive. megapixels: of a picture.
    cell: characters of a value in a table.
    """

    ratio: float = 200
    files: int = 2_000_000
    megapixels: float = 178
    cell: int = 10_000_000

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Limits":
        """Return the limits that options of a data set or of an import state, the defaults for others."""
        return cls(**(options.get("limits") or {}))

    def expansion_problem(self, size: float, compressed: float) -> str | None:
        """Return the problem with ``compressed`` bytes that expand to ``size`` bytes, None if there is none."""
        if size <= HARMLESS_BYTES or size <= self.ratio * compressed:
            return None
        ratio = size / max(compressed, 1)
        return (
            f"it expands to {in_units(size)} or more, {ratio:.0f} times its size, as only files do that are made to "
            f"fill a disk (the limit is {self.ratio:g} times); {raised('ratio', ratio)}"
        )


def _schema(kind: str, description: str) -> dict[str, Any]:
    return {"type": kind, "exclusiveMinimum": 0, "description": description}


DEFAULT = Limits()
#: Option of data sets and imports that raises limits.
OPTION: dict[str, dict[str, Any]] = {
    "limits": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "ratio": _schema("number", f"expanded bytes per byte of a compressed file; {DEFAULT.ratio:g} by default"),
            "files": _schema("integer", f"members of an archive; {DEFAULT.files} by default"),
            "megapixels": _schema("number", f"of a picture; {DEFAULT.megapixels:g} by default"),
            "cell": _schema("integer", f"characters of a value in a table; {DEFAULT.cell} by default"),
        },
        "description": "raised limits, for data that you trust and that exceed the usual ones",
    }
}


def raised(name: str, value: float) -> str:
    """Return the advice to raise a limit of data that reach a value."""
    return f"if you trust it, set the option `limits: {{{name}: {_rounded_up(value)}}}`"


def _rounded_up(value: float) -> int:
    """Round up to two digits."""
    step = 10 ** max(len(str(int(value))) - 2, 0)
    return (int(value) // step + 1) * step
