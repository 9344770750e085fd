"""Tables as the page stores them: column by column, numbers with six digits, repeated texts once."""

import math
from typing import Any

import numpy as np
import pandas as pd

#: Significant digits of numbers; a figure on a screen shows at most four.
DIGITS = 6


def of_table(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table as {"names", "columns", "rows"}, without its index.

    A column is a list of numbers, truth values or null; or {"texts": [...], "codes": [...]}, where -1 is missing.
    """
    return {
        "names": list(map(str, table.columns)),
        "columns": [of_column(table[name]) for name in table.columns],
        "rows": len(table),
    }


def of_column(column: pd.Series) -> list[Any] | dict[str, list[Any]]:
    """Return a column, see ``of_table``."""
    if column.dtype.kind == "b":
        return column.astype(bool).tolist()
    if column.dtype.kind in "iu":
        return column.tolist()
    if column.dtype.kind == "f":
        return numbers(column.to_numpy(float))
    codes, texts = pd.factorize(column.astype(object).where(column.notna(), None))
    return {"texts": [plain(text) for text in texts], "codes": codes.tolist()}


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return numbers(np.array([value], float))[0]
    return str(value)


def numbers(values: np.ndarray) -> list[float | int | None]:
    """Return numbers with DIGITS significant digits; null for those that JSON has no word for."""
    return [_rounded(number) for number in values.tolist()]


def _rounded(number: float) -> float | int | None:
    if not math.isfinite(number):
        return None
    rounded = float(f"{number:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
