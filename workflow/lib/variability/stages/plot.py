"""Stage ``plot``: all figures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability import registry
from variability.io.artefacts import BASE_TABLES, read_record, require_listed
from variability.io.files import digest, sha256
from variability.reporting import display_names, figure_style, missing_glyphs, paper_figures
from variability.results import analysis_tables, base_tables
from variability.stages import _stored_outputs
from variability.stages._stored_outputs import Output

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)
#: Size and formats of figures by default.
DEFAULTS = {"formats": ["svg", "png"]}
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
    figures: Mapping[str, Any] = DEFAULTS,
) -> None:
    """Draw all figures to ``folder``; those that would not change are restored.

    chosen: options by name. code: listing of the code of each. manifest: of ``aggregate``, with the checksums of the
    base tables. tables: parquet files of base tables and CSV files of analyses. study: its name, for the titles.
    figures: size and formats, see ``config.figure_settings``.
    """
    base = read_record(manifest, BASE_TABLES)
    for path in tables.values():
        require_listed(path)
    checksums = {name: base[path.name] if path.name in base else sha256(path) for name, path in tables.items()}
    outputs, inputs = {}, {}
    for name, options in chosen.items():
        plugin = registry.find("plots", name)
        read = (*plugin.NEEDS, *plugin.ANALYSES)
        inputs[name] = ({table: tables[table] for table in read}, options, study, figures)
        parts = {
            "code": sha256(code[name]),
            "options": options,
            "study": study,
            "figures": dict(figures),
            "tables": {table: checksums[table] for table in read},
        }
        outputs[name] = Output(digest(parts), tuple(folder / f"{name}.{suffix}" for suffix in figures["formats"]))
    _stored_outputs.make(outputs, partial(_produce, inputs), folder / ".stored", threads, _IMPORTS)


def _produce(inputs: Mapping[str, tuple], name: str, files: tuple[Path, ...]) -> None:
    *arguments, figures = inputs[name]
    plot(name, *arguments, *files, figures=figures)


def plot(
    name: str,
    tables: Mapping[str, Path],
    options: Mapping[str, Any],
    study: str,
    *files: Path,
    figures: Mapping[str, Any] = DEFAULTS,
) -> None:
    """Draw the figure ``name`` as SVG, PNG and PDF files.

    tables: parquet files of the base tables that it NEEDS and CSV files of the ANALYSES whose tables it reads. study:
    name of the study, for the title. figures: see ``plot_all``.
    """
    from variability.results.runs_table import first_runs

    plugin = registry.find("plots", name)(dict(options), study)
    frames = {table: read_table(tables[table]) for table in (*plugin.NEEDS, *plugin.ANALYSES)}
    if "runs" in frames and not plugin.REPEATS:
        frames["runs"] = first_runs(frames["runs"])
    draw = partial(plugin.draw, display_names.for_figures(frames))
    save = partial(_save, name, draw, files, plugin.option("dpi"), figures)
    with missing_glyphs.collected() as missing:
        save()
    if missing and (fallback := missing_glyphs.font_with(missing)):
        with missing_glyphs.collected() as missing:
            save(fallback)
    if missing:
        _log.warning(
            "%s: no font of the figure has %s, which PNG and PDF files show as boxes; install a font that has them, "
            "such as Noto Sans CJK",
            name,
            " ".join(sorted(missing)[:20]),
        )


def _save(
    name: str,
    draw: Callable[[], Figure],
    files: Sequence[Path],
    dpi: int,
    figures: Mapping[str, Any],
    fallback: str | None = None,
) -> None:
    fonts = {"font": figures.get("font"), "fallback": fallback}
    if "width" not in figures:
        with figure_style.applied(**fonts):
            figure_style.save(draw(), files, dpi)
        return
    fitted = paper_figures.fitted(draw, figures["width"], figures["font_size"], **fonts)
    if fitted.font_size < 0.95 * figures["font_size"]:
        _log.info(
            "%s: its texts need %.1f points, not %g, to fit into the width",
            name,
            fitted.font_size,
            figures["font_size"],
        )
    with figure_style.applied(**fonts):
        figure_style.save(fitted.figure, files, dpi, fitted.scale)


def read_table(path: Path) -> pd.DataFrame:
    """Read a base table (parquet) or the table of an analysis (CSV), with its types."""
    if Path(path).suffix == ".parquet":
        return base_tables.read(path)
    return analysis_tables.read(path)
