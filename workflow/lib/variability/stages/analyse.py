"""Runs one analysis."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from variability import registry
from variability.io.files import replacing
from variability.results.predictions import Predictions
from variability.results.runs_table import first_runs


def analyse(
    name: str,
    tables: Mapping[str, Path],
    options: Mapping[str, Any],
    csv: Path,
    predictions: Sequence[Path] = (),
) -> None:
    """Writes the table of the analysis ``name``, with floats that read back as they were.

    tables: parquet files of the base tables that it NEEDS or USES. predictions: manifests of ``predict``, for the
    predictions among them.
    """
    analysis = registry.find("analyses", name)(dict(options))
    read = {table: pd.read_parquet(path) for table, path in tables.items()}
    if predictions:
        read["predictions"] = Predictions.from_manifests(predictions)
    table = analysis.table(read if analysis.REPEATS else _without_repeats(read))
    with replacing(csv) as aside:
        table.to_csv(aside, index=False, lineterminator="\n")


def _without_repeats(tables: dict[str, Any]) -> dict[str, Any]:
    runs = tables["runs"]
    kept = tables | {"runs": first_runs(runs)}
    if "predictions" in kept:
        again = set(runs.loc[runs["repeats"].notna(), "method"])
        kept["predictions"] = kept["predictions"].only(
            [cell for cell in kept["predictions"].cells if cell[2] not in again]
        )
    return kept
