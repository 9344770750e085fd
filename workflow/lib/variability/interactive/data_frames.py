"""Data frames of any library, and records, as Arrow tables with plain columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from variability.errors import UserError


def table(source: Any) -> pa.Table:
    """Return a data frame (pandas, polars, Arrow, ...), a mapping of columns or a list of records as a table.

    Nested values become columns of their own, ``config.lr``, as in files of JSON. A column of values of several types
    becomes text, as in a CSV file. Raises UserError for anything else.
    """
    try:
        if isinstance(source, list) and source and all(isinstance(record, Mapping) for record in source):
            source = pd.json_normalize(source)
        if isinstance(source, pd.DataFrame):
            indexed = any(name is not None for name in source.index.names)
            source = _plain(source.reset_index(drop=not indexed))
            arrow = pa.Table.from_pandas(source, preserve_index=False)
        else:
            arrow = pa.table(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UserError(
            "the runs must be a study's folder, the path of a table, a data frame with one name per column, or a list "
            f"of records: {error}"
        ) from error
    if not arrow.num_columns:
        raise UserError("the table is empty: it has no columns")
    while any(pa.types.is_struct(field.type) for field in arrow.schema):
        arrow = arrow.flatten()
    return arrow


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with nested values as columns of their own, and values of several types as text."""
    parts = []
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        if column.dtype == object and any(isinstance(value, Mapping) for value in column):
            nested = [value if isinstance(value, Mapping) else {} for value in column]
            part = pd.json_normalize(nested).add_prefix(f"{column.name}.").set_axis(column.index)
        else:
            part = column.to_frame()
        parts.append(part.apply(_of_one_type))
    return pd.concat(parts, axis=1) if parts else frame


def _of_one_type(column: pd.Series) -> pd.Series:
    if column.dtype != object:
        return column
    try:
        pa.Array.from_pandas(column)
    except (pa.ArrowException, TypeError):
        return column.map(str, na_action="ignore")
    return column
