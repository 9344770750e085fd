"""Score tables: every metric of every run of a cell."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from variability.io.artefacts import write_stamp
from variability.io.files import replacing
from variability.results.columns import CELL, VALUE

PHASES = ("before", "after")
#: ``class`` and ``predicted`` are set in rows of per-class values alone, ``predicted`` in the confusion matrix alone.
SCHEMA = pa.schema(
    [(key, pa.string()) for key in CELL]
    + [("seed", pa.int64())]
    + [(name, pa.string()) for name in (*VALUE, "class", "predicted")]
    + [("value", pa.float64()), ("n_test", pa.int64()), ("majority", pa.float64())]
)


def write(rows: Sequence[tuple], fingerprint: str, path: Path) -> None:
    """Write rows, tuples in the order of SCHEMA, and the stamp of the table."""
    columns = zip(*rows, strict=True) if rows else [[] for _ in SCHEMA]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    table = pa.table(arrays, schema=SCHEMA)
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
    write_stamp(path, fingerprint)


def read(path: Path) -> pa.Table:
    """Return a table without its metadata. Raises FileNotFoundError, OSError and pyarrow.ArrowException."""
    return pq.read_table(path).replace_schema_metadata(None)
