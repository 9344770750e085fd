"""Analyses: one file each, a pure function from the base tables to one table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: Schemas of options that several analyses have.
LEVEL = {
    "type": "number",
    "exclusiveMinimum": 0,
    "exclusiveMaximum": 1,
    "default": 0.95,
    "description": "of the intervals",
}
RESAMPLES = {"type": "integer", "minimum": 100, "default": 2000, "description": "number of resamplings"}
SEED = {"type": "integer", "minimum": 0, "default": 0, "description": "of the resampling's generators"}


class Analysis(ABC):
    """A question asked of the runs. Rows always say n, estimator, interval method, level, ddof and scope.

    A plug-in module must import quickly (options are checked before the first job): pandas and SciPy are imported
    inside the methods that need them.
    """

    #: Base tables it cannot do without: "runs", "predictions", "per_class", "history". All are data frames but the
    #: predictions, which are read cell by cell (``variability.results.predictions.Predictions``).
    NEEDS: ClassVar[tuple[str, ...]] = ("runs",)
    #: Base tables it makes use of where the study has them.
    USES: ClassVar[tuple[str, ...]] = ()
    #: What the study must have for the table to say anything: keys of ``config.prerequisites.DESCRIPTIONS``.
    REQUIRES: ClassVar[tuple[str, ...]] = ()
    #: Whether it reads runs that repeat others, too: no further evidence to any other question.
    REPEATS: ClassVar[bool] = False
    #: Whether it is made where the config does not list analyses.
    DEFAULT: ClassVar[bool] = True
    #: What stands under it in the report: the question, and how it is answered.
    CAPTION: ClassVar[str]
    #: JSON schema of its options in the config.
    OPTIONS: ClassVar[dict[str, dict]] = {}

    def __init__(self, options: dict[str, Any]):
        self.options = options

    def option(self, name: str) -> Any:
        """An option of the config, or its schema's default."""
        return self.options.get(name, self.OPTIONS[name].get("default"))

    def generator(self, *names: str) -> np.random.Generator:
        """Random numbers for what the names say (a cell, a task); other names have numbers independent of them.

        So a cell's resampling does not depend on which other cells there are.
        """
        from variability import registry
        from variability.stats import resampling

        return resampling.generator(self.option("seed"), registry.name_of(type(self)), *names)

    @abstractmethod
    def table(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        """The answer, from the tables named in NEEDS, and in USES where there are such.

        The source of the estimator stands in the docstring of the class.
        """
