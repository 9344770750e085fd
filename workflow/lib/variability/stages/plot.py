"""Stage ``plot``: all figures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability import registry
from variability.io.artefacts import BASE_TABLES, read_record, require_listed
from variability.io.files import digest, sha256
from variability.reporting import display_names, figure_style
from variability.results import analysis_tables
from variability.stages import _stored_outputs
from variability.stages._stored_outputs import Output

if TYPE_CHECKING:
    import pandas as pd

#: Imported once for all processes; reading a table and writing a PNG import the last of them.
_IMPORTS = (
    *("pandas", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.pandas_compat", "scipy.stats"),
    *("matplotlib.figure", "matplotlib.legend", "matplotlib.style"),
    *("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
    *(f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "Ppm")),
)


def plot_all(
    chosen: Mapping[str, Mapping[str, Any]],
    code: Mapping[str, Path],
    manifest: Path,
    tables: Mapping[str, Path],
    study: str,
    folder: Path,
    threads: int,
) -> None:
    """Draw all figures to ``folder``; those that would not change are restored.

    chosen: options by name. code: listing of the code of each. manifest: of ``aggregate``, with the checksums of the
    base tables. tables: parquet files of base tables and CSV files of analyses. study: its name, for the titles.
    """
    base = read_record(manifest, BASE_TABLES)
    for path in tables.values():
        require_listed(path)
    checksums = {name: base[path.name] if path.name in base else sha256(path) for name, path in tables.items()}
    outputs, inputs = {}, {}
    for name, options in chosen.items():
        plugin = registry.find("plots", name)
        read = (*plugin.NEEDS, *plugin.ANALYSES)
        inputs[name] = ({table: tables[table] for table in read}, options, study)
        parts = {
            "code": sha256(code[name]),
            "options": options,
            "study": study,
            "tables": {table: checksums[table] for table in read},
        }
        outputs[name] = Output(digest(parts), (folder / f"{name}.svg", folder / f"{name}.png"))
    _stored_outputs.make(outputs, partial(_produce, inputs), folder / ".stored", threads, _IMPORTS)


def _produce(inputs: Mapping[str, tuple], name: str, files: tuple[Path, ...]) -> None:
    plot(name, *inputs[name], *files)


def plot(name: str, tables: Mapping[str, Path], options: Mapping[str, Any], study: str, svg: Path, png: Path) -> None:
    """Draw the figure ``name`` as an SVG and a PNG file.

    tables: parquet files of the base tables that it NEEDS and CSV files of the ANALYSES whose tables it reads. study:
    name of the study, for the title.
    """
    from variability.results.runs_table import first_runs

    plugin = registry.find("plots", name)(dict(options), study)
    frames = {table: read_table(tables[table]) for table in (*plugin.NEEDS, *plugin.ANALYSES)}
    if "runs" in frames and not plugin.REPEATS:
        frames["runs"] = first_runs(frames["runs"])
    with figure_style.applied():
        figure_style.save(plugin.draw(display_names.for_figures(frames)), svg, png, plugin.option("dpi"))


def read_table(path: Path) -> pd.DataFrame:
    """Read a base table (parquet) or the table of an analysis (CSV), with its types."""
    import pandas as pd

    if Path(path).suffix == ".parquet":
        return pd.read_parquet(path)
    return analysis_tables.read(path)
