"""Tables of reference probes: values of a linear model of frozen features. They are not runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from variability.io.artefacts import write_stamp
from variability.io.files import replacing

#: ``seed`` is set where each run samples its own split. Without a probe there is one row, whose ``note`` gives the
#: reason.
SCHEMA = pa.schema(
    [("model", pa.string()), ("task", pa.string()), ("seed", pa.int64())]
    + [(name, pa.string()) for name in ("split", "metric")]
    + [("value", pa.float64()), ("n_examples", pa.int64()), ("estimator", pa.string()), ("strength", pa.float64())]
    + [("n_train", pa.int64()), ("n_validation", pa.int64()), ("n_features", pa.int64()), ("seconds", pa.float64())]
    + [("note", pa.string())]
)


def write(rows: Sequence[dict[str, Any]], path: Path, fingerprint: str | None = None) -> None:
    """Write rows, and the stamp of the table if it has a fingerprint; keys that a row lacks are missing values."""
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
    if fingerprint is not None:
        write_stamp(path, fingerprint)


def read(path: Path) -> pa.Table:
    """Return a table without its metadata. Raises FileNotFoundError, OSError and pyarrow.ArrowException."""
    return pq.read_table(path).replace_schema_metadata(None)
