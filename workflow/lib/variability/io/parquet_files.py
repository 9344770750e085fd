"""Columns of parquet files, as they are stored, if what they expand to is within the limit.

A column of a billion equal values takes a few bytes, and one long text that a million rows share takes its length once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from variability.errors import UserError
from variability.io.limits import DEFAULT, Limits

if TYPE_CHECKING:
    import pyarrow as pa

#: Prefix of index columns that pandas writes.
INDEX = "__index_level_"
#: Bytes of a value in memory, at least.
_VALUE_BYTES = 8


def parquet(path: Path, columns: Sequence[str] | None = None, allowed: Limits = DEFAULT) -> pa.Table:
    """Read columns of a parquet file as they are stored.

    Raises OSError or ValueError if it cannot be read, UserError if it has no rows, or has a column twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    size = Path(path).stat().st_size
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        wanted = wanted_columns(path, file.schema_arrow.names, columns)
        if problem := allowed.expansion_problem(file.metadata.num_rows * _VALUE_BYTES * len(wanted), size):
            raise ValueError(problem)
        stored = file.read(columns=wanted)
    if problem := allowed.expansion_problem(sum(map(_text_bytes, stored.itercolumns())), size):
        raise ValueError(problem)
    if not len(stored):
        raise empty(path)
    types = {field.name: field for field in schema}
    return stored.cast(pa.schema([types[name] for name in stored.column_names], stored.schema.metadata))


def _text_bytes(column: pa.ChunkedArray) -> int:
    """Return the bytes of a column of text once each row has its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return 0
    sizes = (pc.sum(pc.binary_length(part.dictionary).take(part.indices).cast(pa.int64())) for part in column.chunks)
    return sum(size.as_py() or 0 for size in sizes)


def wanted_columns(path: Path, names: Sequence[str], columns: Sequence[str] | None) -> list[str]:
    """Return the columns to read; raise UserError if one is missing or occurs twice."""
    counts = Counter(names)
    wanted = list(columns or (name for name in counts if name and not name.startswith(INDEX)))
    if absent := [name for name in wanted if name not in counts]:
        raise UserError(f"{path} has no column {absent[0]!r}; it has {', '.join(counts)}")
    if several := [name for name in wanted if counts[name] > 1]:
        raise UserError(f"{path} has {counts[several[0]]} columns named {several[0]!r}; rename all but one")
    return wanted


def empty(path: Path) -> UserError:
    return UserError(f"{path} has no rows; fill it, or use another file")
