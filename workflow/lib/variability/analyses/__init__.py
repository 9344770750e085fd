"""Analyses: one file each, a pure function from the base tables to one table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd

#: A cell is all runs that differ in their seed alone; its values are those of one phase, split and metric.
RUN_CELL = ["model", "task", "method"]
CELL = [*RUN_CELL, "phase", "split", "metric"]
#: Schema of the option ``level`` of the intervals.
LEVEL = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": 0.95}


class Analysis(ABC):
    """A question asked of the runs. Rows always say n, estimator, interval method, level, ddof and scope.

    A plug-in module must import quickly (options are checked before the first job): pandas and SciPy are imported
    inside the methods that need them.
    """

    #: Which base tables it reads: "runs", "per_class", "history".
    NEEDS: ClassVar[tuple[str, ...]] = ("runs",)
    #: What stands under it in the report: the question, and how it is answered.
    CAPTION: ClassVar[str]
    #: JSON schema of its options in the config.
    OPTIONS: ClassVar[dict[str, dict]] = {}

    def __init__(self, options: dict[str, Any]):
        self.options = options

    @abstractmethod
    def table(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        """The answer, from the tables named in NEEDS. The source of the estimator stands in the docstring."""
