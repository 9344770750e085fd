"""Analyses: one file each, a pure function from the base tables to one table."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import pandas as pd


class Analysis(ABC):
    """A question asked of the runs. Rows always say n, estimator, interval method, level, ddof and scope."""

    #: Which base tables it reads: "runs", "per_class", "history".
    NEEDS: ClassVar[tuple[str, ...]] = ("runs",)
    #: JSON schema of its options in the config.
    OPTIONS: ClassVar[dict[str, dict]] = {}

    def __init__(self, options: dict[str, Any]):
        self.options = options

    @abstractmethod
    def table(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        """The answer, from the tables named in NEEDS. The source of the estimator stands in the docstring."""
