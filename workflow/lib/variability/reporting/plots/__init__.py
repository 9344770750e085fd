"""Figures: one file each, drawn from the base tables and the analyses' tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Plot(ABC):
    """One figure. Every seed visible, n and interval method stated, readable in grey and by colour-blind people.

    A plug-in module must import quickly (options are checked before the first job): pandas and matplotlib are
    imported inside the methods that need them, as ``style`` does.
    """

    #: Base tables it reads: "runs", "per_class", "history".
    NEEDS: ClassVar[tuple[str, ...]] = ("runs",)
    #: What the study must have for the figure to show anything: keys of ``config.prerequisites.DESCRIPTIONS``.
    REQUIRES: ClassVar[tuple[str, ...]] = ()
    #: Whether it shows runs that repeat others, too.
    REPEATS: ClassVar[bool] = False
    #: Whether it is drawn where the config does not list plots.
    DEFAULT: ClassVar[bool] = True
    #: Analyses whose tables it reads.
    ANALYSES: ClassVar[tuple[str, ...]] = ()
    #: What stands under it in the report: what is drawn, and how it was reckoned.
    CAPTION: ClassVar[str]
    #: JSON schema of its options in the config; a plug-in adds its own to these.
    OPTIONS: ClassVar[dict[str, dict]] = {
        "title": {"type": "string", "description": "instead of the figure's own title"},
        "dpi": {"type": "integer", "minimum": 50, "maximum": 600, "default": 200, "description": "of the PNG file"},
    }

    def __init__(self, options: dict[str, Any], study: str):
        self.options = options
        self.study = study

    def option(self, name: str, default: Any = None) -> Any:
        """An option, or its schema's default, or the given one."""
        return self.options.get(name, self.OPTIONS[name].get("default", default))

    @abstractmethod
    def draw(self, tables: dict[str, pd.DataFrame]) -> Figure:
        """The figure, from the tables named in NEEDS and ANALYSES.

        Draws on figures of its own (``style.figure``), never through pyplot, whose state is global.
        """
