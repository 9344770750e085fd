"""Draws one figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from variability import registry
from variability.reporting import figure_style
from variability.results.runs_table import first_runs


def plot(name: str, tables: Mapping[str, Path], options: Mapping[str, Any], study: str, svg: Path, png: Path) -> None:
    """Draws the plot ``name`` into an SVG and a PNG file.

    tables: parquet files of the base tables that it NEEDS and CSV files of the ANALYSES whose tables it reads.
    study: the study's name, for the title.
    """
    drawer = registry.find("plots", name)(dict(options), study)
    read = {table: read_table(tables[table]) for table in (*drawer.NEEDS, *drawer.ANALYSES)}
    if "runs" in read and not drawer.REPEATS:
        read["runs"] = first_runs(read["runs"])
    with figure_style.applied():
        figure_style.save(drawer.draw(read), svg, png, drawer.option("dpi"))


def read_table(path: Path) -> pd.DataFrame:
    """A base table (parquet) or the table of an analysis (CSV), every float as it was written."""
    if Path(path).suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path)
