"""Figures: one file each, drawn from the base tables and the tables of analyses.

To add a figure, write a module in this folder with one subclass of ``Plot``: the module's name is the name in the
config, and the figure is written to ``plot/<name>.svg`` and ``plot/<name>.png``. Most figures follow this pattern:

    class Medians(Plot):
        '''One panel per task, one dot per cell.'''

        ANALYSES = ("median",)
        CAPTION = "Median over the completed runs of every cell, one panel per task, with the number of completed runs."

        def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
            medians = primary_rows.select(tables["median"])
            tasks = _labels.names(medians, "task")
            title = self.option("title", f"{self.study}: medians")
            figure = figure_style.figure(6.5, 2.5, title, "Dots: medians of cells. n: completed runs.")
            for axes, task in zip(_panels.grid(figure, len(tasks)), tasks):
                cells = medians[medians["task"] == task]
                axes.plot(cells["median"], range(len(cells)), "o", color=figure_style.COLORS[0])
            return figure

Helpers for plug-ins: ``figure_style`` (figures, colours, legends), ``primary_rows`` (which rows are shown),
``text_format`` (numbers), ``_labels`` (names and counts) and ``_panels`` (panels per task, bands per model).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Plot(ABC):
    """A figure that shows every seed, states n and the interval method, and is readable without colour.

    A plug-in module must be quick to import (options are checked before the first job): import pandas and matplotlib
    inside the methods that need them, as ``figure_style`` does.
    """

    #: Base tables that it needs: "runs", "per_class", "history".
    NEEDS: ClassVar[tuple[str, ...]] = ("runs",)
    #: What the study must have for the figure to show anything: keys of ``config.prerequisites.DESCRIPTIONS``.
    REQUIRES: ClassVar[tuple[str, ...]] = ()
    #: True if it also shows repeated runs (``repeats`` in the config), which all other figures leave out.
    REPEATS: ClassVar[bool] = False
    #: True if it is drawn when the config does not list plots.
    DEFAULT: ClassVar[bool] = True
    #: Analyses whose tables it reads.
    ANALYSES: ClassVar[tuple[str, ...]] = ()
    #: Text below the figure in the report: what it shows, and how that was computed (80 to 400 characters).
    CAPTION: ClassVar[str]
    #: JSON schema of each option in the config; a plug-in adds its own to these.
    OPTIONS: ClassVar[dict[str, dict]] = {
        "title": {"type": "string", "description": "replaces the figure's title"},
        "dpi": {
            "type": "integer",
            "minimum": 50,
            "maximum": 600,
            "default": 200,
            "description": "resolution of the PNG file",
        },
    }

    def __init__(self, options: dict[str, Any], study: str):
        self.options = options
        self.study = study

    def option(self, name: str, default: Any = None) -> Any:
        """Return an option from the config, or the default of its schema, or ``default``."""
        return self.options.get(name, self.OPTIONS[name].get("default", default))

    @abstractmethod
    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        """Draw the figure from the tables named in NEEDS and ANALYSES.

        Create it with ``figure_style.figure``, never through pyplot, whose state is global.
        """
