"""Stage ``plot``: draw one figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from variability import registry
from variability.reporting import display_names, figure_style
from variability.results import analysis_tables
from variability.results.runs_table import first_runs


def plot(name: str, tables: Mapping[str, Path], options: Mapping[str, Any], study: str, svg: Path, png: Path) -> None:
    """Draw the figure ``name`` as an SVG and a PNG file.

    tables: parquet files of the base tables that it NEEDS and CSV files of the ANALYSES whose tables it reads. study:
    name of the study, for the title.
    """
    plugin = registry.find("plots", name)(dict(options), study)
    frames = {table: read_table(tables[table]) for table in (*plugin.NEEDS, *plugin.ANALYSES)}
    if "runs" in frames and not plugin.REPEATS:
        frames["runs"] = first_runs(frames["runs"])
    with figure_style.applied():
        figure_style.save(plugin.draw(display_names.for_figures(frames)), svg, png, plugin.option("dpi"))


def read_table(path: Path) -> pd.DataFrame:
    """Read a base table (parquet) or the table of an analysis (CSV), with its types."""
    if Path(path).suffix == ".parquet":
        return pd.read_parquet(path)
    return analysis_tables.read(path)
