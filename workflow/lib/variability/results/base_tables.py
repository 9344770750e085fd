"""Base tables: the parquet files of ``aggregate`` that analyses, figures and pages read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from variability import advice
from variability.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def read(path: Path) -> pd.DataFrame:
    """Read a base table. Raises UserError, with the command that makes it again, if it is missing or damaged."""
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(advice.unreadable(path, error, "aggregate")) from error
