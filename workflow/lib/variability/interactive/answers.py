"""Analyses, figures and claims for scripts and notebooks, by the code that makes those of a study."""

from __future__ import annotations

import io
import warnings
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from variability import registry
from variability.advice import listed, one_per_line
from variability.config import entry_checks, figure_settings, plugin_choice, prerequisites
from variability.errors import UserError
from variability.interactive.sources import Source
from variability.reporting import display_names, figure_style, missing_glyphs
from variability.results.columns import CELL
from variability.results.runs_table import first_runs
from variability.stages import analyse as stage
from variability.stages.claim import claims as findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def analyse(source: Any, analysis: str, **options: Any) -> pd.DataFrame:
    """Return the table of an analysis.

    source: the folder of a finished study, a runs table, of which rows may be left out, or whatever else ``read_runs``
    takes. options: those of the analysis in the config; all others are the study's if the source is its folder. Raises
    UserError for an unknown analysis or option, and for an analysis that needs more than runs. Warns if the table has
    no row, and says what runs would need for one.
    """
    table = _analysed(Source.of(source), analysis, options)
    if table.empty:
        warnings.warn(without_rows(analysis), stacklevel=2)
    return table


def without_rows(analysis: str) -> str:
    """Return why the table of an analysis has no row."""
    plugin = registry.find("analyses", analysis)
    described = [prerequisites.DESCRIPTIONS[name] for name in plugin.REQUIRES if name in prerequisites.DESCRIPTIONS]
    needed = plugin.ROWS or listed(described, last=" and ")
    return f"{analysis} has no row: " + (
        f"it needs {needed}, which these runs do not have" if needed else "see its docs"
    )


def draw(source: Any, plot: str, *, font: str | None = None, **options: Any) -> Figure:
    """Return a figure, which notebooks show, and which ``savefig`` writes.

    source: see ``analyse``. font: installed font of its texts, instead of DejaVu Sans. options: those of the plot in
    the config. Characters that the font does not have are drawn with an installed font that has them.
    """
    opened = Source.of(source)
    plugin = registry.find("plots", plot)
    _check("plots", plot, options)
    frames = opened.frames(plot, plugin.NEEDS)
    frames |= {name: _analysed(opened, name, {}) for name in plugin.ANALYSES}
    if not plugin.REPEATS:
        frames["runs"] = first_runs(frames["runs"])
    problems = figure_settings.check({"figures": {"font": font}} if font else {})
    if problem := next(problems, None):
        raise UserError(problem.message)
    with figure_style.applied(font=font, fallback=_fallback(frames)):
        figure = plugin(dict(options), opened.name).draw(display_names.for_figures(frames))
    figure_style.without_mathematics(figure)
    # Notebooks show figures of pyplot alone, whose state is global; any object can say what it looks like.
    vars(figure)["_repr_png_"] = partial(_png, figure)
    return figure


def claims(source: Any, chosen: Any = None, analyses: Mapping[str, Mapping[str, Any]] | None = None) -> pd.DataFrame:
    """Return sentences with their verdicts and evidence, the strongest of each verdict first.

    source: see ``analyse``. chosen: the section ``claims`` of a config, a list of names or {name: options}; by default
    those that the source has the tables for. analyses: options of the analyses that the claims read, such as
    ``{"decisions": {"margins": ...}}``.
    """
    opened = Source.of(source)
    default = opened.claims() or [
        name
        for name in registry.names("claims")
        if registry.find("claims", name).DEFAULT and not _unreadable(opened, registry.find("claims", name).ANALYSES)
    ]
    options = plugin_choice.chosen(chosen, default)
    for name, of_claim in options.items():
        _check("claims", name, of_claim)
    read = sorted({analysis for name in options for analysis in registry.find("claims", name).ANALYSES})
    given = dict(analyses or {})
    tables = {name: _analysed(opened, name, given.get(name, {})) for name in read}
    return findings(options, tables)


def _analysed(source: Source, name: str, options: Mapping[str, Any]) -> pd.DataFrame:
    plugin = registry.find("analyses", name)
    of_source = source.frames("", ("runs",))["runs"]
    _check("analyses", name, options, {axis: sorted(of_source[axis].unique()) for axis in CELL})
    if not options and (table := source.made(name)) is not None:
        return table
    frames = source.frames(name, plugin.NEEDS, plugin.USES)
    return stage.answer(name, frames, {**source.options(name), **options})


def _fallback(frames: Mapping[str, pd.DataFrame]) -> str | None:
    """Return a font for the names of models, tasks and methods that the font of figures does not have."""
    columns = [frame[axis] for frame in frames.values() for axis in CELL if axis in frame]
    characters = {character for names in columns for name in names.unique() for character in str(name)}
    lacking = missing_glyphs.of(characters)
    return missing_glyphs.font_with(lacking) if lacking else None


def _unreadable(source: Source, analyses: Collection[str]) -> bool:
    return any(not source.has(registry.find("analyses", name).NEEDS) for name in analyses)


def _check(family: str, name: str, options: Mapping[str, Any], names: Mapping[str, Any] | None = None) -> None:
    """Raise UserError for options that the schema of a plug-in refuses, or that contradict each other."""
    plugin = registry.find(family, name)
    problems = [str(problem) for problem in entry_checks.check_options("", options, plugin.OPTIONS)]
    if not problems and names is not None:
        problems = [f"{key}: {message}" for key, message in plugin.problems(options, names)]
    if problems:
        raise UserError(f"{name} cannot have these options:\n{one_per_line(problems)}")


def _png(figure: Figure) -> bytes:
    written = io.BytesIO()
    with figure_style.applied():
        figure.savefig(written, format="png", dpi=110)
    return written.getvalue()
