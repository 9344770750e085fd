"""Tables in files: CSV, TSV or parquet, by their suffix."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from variability.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".parquet")


def delimiter(path: Path) -> str:
    """What stands between the values of a text file."""
    return "\t" if Path(path).suffix == ".tsv" else ","


def header(path: Path) -> list[str]:
    """Names of the columns; reads no more than that. Raises OSError or ValueError if the file cannot be read."""
    if Path(path).suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_schema(path).names
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        return next(csv.reader(file, delimiter=delimiter(path)), [])


def numeric(path: Path, column: str, rows: int = 1000) -> bool:
    """Whether a column holds numbers, as far as its first rows tell. Raises OSError or ValueError as ``header``."""
    if Path(path).suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        kind = pq.read_schema(path).field(column).type
        return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        said = [row[column] for row in islice(csv.DictReader(file, delimiter=delimiter(path)), rows)]
        return any(said) and all(_is_number(value) for value in said if value)


def read(path: Path, columns: list[str] | None = None, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """The file as text columns and numbers, nothing guessed beyond that.

    columns: those that are read, all if None. text: columns that are text even where they look like numbers. Raises
    UserError if the file cannot be read.
    """
    import pandas as pd

    try:
        if Path(path).suffix == ".parquet":
            frame = pd.read_parquet(path, columns=columns)
            return frame.astype({name: "string" for name in text})
        asked = {"sep": delimiter(path), "encoding": "utf-8-sig", "usecols": columns, "low_memory": False}
        return pd.read_csv(path, dtype=dict.fromkeys(text, "string"), **asked)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
