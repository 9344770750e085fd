"""Stage ``analyse``: run one analysis."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from variability import registry
from variability.results import analysis_tables
from variability.results.predictions import Predictions
from variability.results.runs_table import first_runs


def analyse(
    name: str,
    tables: Mapping[str, Path],
    options: Mapping[str, Any],
    csv: Path,
    predictions: Sequence[Path] = (),
) -> None:
    """Write the table of the analysis ``name`` as CSV, from which names and numbers are read back exactly.

    tables: parquet files of the base tables that it NEEDS or USES. predictions: manifests of ``predict``, if it reads
    predictions.
    """
    analysis = registry.find("analyses", name)(dict(options))
    frames = {table: pd.read_parquet(path) for table, path in tables.items()}
    if predictions:
        frames["predictions"] = Predictions.from_manifests(predictions)
    table = analysis.table(frames if analysis.REPEATS else _without_repeats(frames))
    analysis_tables.write(table, csv)


def _without_repeats(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the tables without repeated runs."""
    runs = tables["runs"]
    selected = tables | {"runs": first_runs(runs)}
    if "predictions" in selected:
        repeated_methods = set(runs.loc[runs["repeats"].notna(), "method"])
        selected["predictions"] = selected["predictions"].only(
            [cell for cell in selected["predictions"].cells if cell[2] not in repeated_methods]
        )
    return selected
