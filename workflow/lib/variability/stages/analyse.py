"""Runs one analysis."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from variability import registry
from variability.files import replacing


def analyse(name: str, tables: Mapping[str, Path], options: Mapping[str, Any], csv: Path) -> None:
    """Writes the table of the analysis ``name``, with floats that read back as they were.

    tables: parquet files of the base tables that it NEEDS.
    """
    analysis = registry.find("analyses", name)(dict(options))
    table = analysis.table({need: pd.read_parquet(tables[need]) for need in analysis.NEEDS})
    with replacing(csv) as aside:
        table.to_csv(aside, index=False, lineterminator="\n")
