"""Analyses: one file each, a pure function from the study's runs to one table.

To add an analysis, write a module in this folder with one subclass of ``Analysis``: the module's name is the name in
the config, and the table is written to ``analyse/<name>.csv``. Most analyses follow this pattern:

    class Median(Analysis):
        '''Median of every cell over its completed runs.'''

        CAPTION = "Median over the completed runs of every cell, with the number of the others."

        def table(self, tables: dict[str, Any]) -> pd.DataFrame:
            from variability.reporting.analyses import _cells
            from variability.results.columns import CELL_VALUE

            runs = tables["runs"]
            cells = _cells.moments(runs).drop(columns=["mean", "sd"])
            medians = runs.groupby(CELL_VALUE, sort=False)["value"].median().rename("median").reset_index()
            table = cells.merge(medians, on=CELL_VALUE)
            table = table.assign(estimator="median", interval="none", level="none", ddof=1)
            return _cells.with_scope(table, runs)

Helpers for plug-ins: ``_cells`` (moments of cells, the column ``scope``), ``_notes`` (the column ``note``),
``paired_cells`` (which runs of two cells are pairs), ``_example_losses`` (predictions of single examples), and the
functions of ``variability.stats``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: JSON schemas of options that several analyses have.
LEVEL = {
    "type": "number",
    "exclusiveMinimum": 0,
    "exclusiveMaximum": 1,
    "default": 0.95,
    "description": "confidence level of the intervals",
}
RESAMPLES = {"type": "integer", "minimum": 100, "default": 2000, "description": "number of resamples"}
SEED = {"type": "integer", "minimum": 0, "default": 0, "description": "seed of the resampling"}


class Analysis(ABC):
    """A question about the runs, answered by a table.

    Every row states n, estimator, interval, level, ddof and scope. A number that cannot be computed is missing, and the
    column ``note`` gives the reason. The docstring of the class names the source of the estimator.

    A plug-in module must be quick to import (options are checked before the first job): import pandas and SciPy inside
    the methods that need them.
    """

    #: Base tables that it needs: "runs", "predictions", "per_class", "history". All are data frames except for the
    #: predictions, which are read cell by cell (``variability.results.predictions.Predictions``).
    NEEDS: ClassVar[tuple[str, ...]] = ("runs",)
    #: Base tables that it uses if the study has them.
    USES: ClassVar[tuple[str, ...]] = ()
    #: What the study must have for the table to say anything: keys of ``config.prerequisites.DESCRIPTIONS``.
    REQUIRES: ClassVar[tuple[str, ...]] = ()
    #: What runs must have for the table to have a row, where that is not what REQUIRES names.
    ROWS: ClassVar[str] = ""
    #: True if it also reads repeated runs (``repeats`` in the config), which all other analyses leave out.
    REPEATS: ClassVar[bool] = False
    #: True if it runs when the config does not list analyses.
    DEFAULT: ClassVar[bool] = True
    #: True if the summary reports its table, too.
    SUMMARISED: ClassVar[bool] = False
    #: Text below the table in the report: the question, and how it is answered (80 to 400 characters).
    CAPTION: ClassVar[str]
    #: JSON schema of each option in the config.
    OPTIONS: ClassVar[dict[str, dict]] = {}

    def __init__(self, options: dict[str, Any]):
        self.options = options

    def option(self, name: str) -> Any:
        """Return an option from the config, or the default of its schema."""
        return self.options.get(name, self.OPTIONS[name].get("default"))

    def generator(self, *names: str) -> np.random.Generator:
        """Return the random generator that belongs to these names, for example those of a cell or a task.

        Generators of different names are independent, so the resampling of a cell does not depend on which other cells
        the study has. Needs the option ``seed``.
        """
        from variability import registry
        from variability.stats import resampling

        return resampling.generator(self.option("seed"), registry.name_of(type(self)), *names)

    @classmethod
    def problems(cls, options: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
        """Yield (key, problem) of options that fit their schemas.

        names: {model, task or method: those that the study trains}.
        """
        return iter(())

    @abstractmethod
    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        """Return the answer. tables: the base tables named in NEEDS, and those in USES that the study has."""
