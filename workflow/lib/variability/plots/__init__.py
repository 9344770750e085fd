"""Figures: one file each, drawn from the base tables and the analyses' tables."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import pandas as pd


class Plot(ABC):
    """One figure. Every seed visible, n and interval method stated, readable in grey and by colour-blind people."""

    #: Base tables it reads: "runs", "per_class", "history".
    NEEDS: ClassVar[tuple[str, ...]] = ("runs",)
    #: Analyses whose tables it reads.
    ANALYSES: ClassVar[tuple[str, ...]] = ()
    #: Category in the report.
    CATEGORY: ClassVar[str]
    #: Title in the report.
    TITLE: ClassVar[str]
    #: JSON schema of its options in the config.
    OPTIONS: ClassVar[dict[str, dict]] = {}

    def __init__(self, options: dict[str, Any], study: str):
        self.options = options
        self.study = study

    @abstractmethod
    def draw(self, tables: dict[str, pd.DataFrame]):
        """The ``matplotlib.figure.Figure``, from the tables named in NEEDS and ANALYSES.

        Draws on figures of its own (``style.figure``), never through pyplot, whose state is global.
        """
