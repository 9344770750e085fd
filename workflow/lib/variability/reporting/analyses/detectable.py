"""Smallest difference that n runs against n can show on each task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results import metric_scales
from variability.results.columns import RUN

if TYPE_CHECKING:
    import pandas as pd

#: Numbers of runs of each candidate.
RUNS = (2, 3, 5, 10, 20, 50)
COLUMNS = [
    *("task", "split", "metric", "primary", "runs_each", "detectable", "detectable_at_sd", "effect", "unit_length"),
    *("n", "n_failed", "n_undefined", "candidates", "sd", "sd_upper", "sd_level", "power"),
    *("estimator", "interval", "level", "ddof", "note"),
]


class Detectable(Analysis):
    """Smallest true difference between two candidates of a task that a t test of n against n runs detects.

    Two-sided t test at ``level`` with the power of the option, from the noncentral t distribution with 2n - 2 degrees
    of freedom (Cohen 1988, sect. 2.4): effect is the difference in SDs. detectable_at_sd is effect times the SD of
    single runs, pooled over the candidates of the task (n runs in total); detectable is the same with the upper limit
    of that SD (Browne 1995). Both are missing where all runs are equal although seeds may change them. A smaller
    difference is missed more often than 1 - power of the time. Without adjustment: one comparison that was planned; a
    study that compares all its candidates needs larger differences.
    """

    CAPTION = (
        "Smallest true difference between two candidates that a comparison of so many runs of each would show on a "
        "task, from the SD of single runs pooled over the candidates, and from its upper confidence limit. Smaller "
        "differences will mostly go unnoticed."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "sd_level": LEVEL | {"default": 0.8, "description": "confidence level of the upper limit of the SD"},
        "power": LEVEL | {"default": 0.8, "description": "power to detect the difference"},
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows, text_format
        from variability.reporting.analyses import _cells, _notes
        from variability.stats import sample_size

        runs = primary_rows.select(tables["runs"]).sort_values(RUN)
        level, sd_level, power = (self.option(name) for name in ("level", "sd_level", "power"))
        cells = _cells.moments(runs)
        cells["constant"] = _cells.constant(cells, runs)
        tasks = _pooled(cells, runs)
        tasks["sd_upper"] = sample_size.sd_upper(tasks["sd"], tasks["df"] + 1, sd_level)
        effects = pd.DataFrame({"runs_each": RUNS, "effect": sample_size.detectable_effect(RUNS, power, level)})
        table = tasks.merge(effects, how="cross")
        for column, sd in {"detectable": "sd_upper", "detectable_at_sd": "sd"}.items():
            table[column] = (table["effect"] * table[sd]).mask(table["no_spread"])
        table = table.assign(
            **{"level": level, "sd_level": sd_level, "power": power, "ddof": 1},
            estimator="two-sided t test of n against n runs, noncentral t, pooled SD",
            interval=f"chi-square, one-sided {text_format.percent(sd_level)}, of the SD",
        )
        reasons = {
            "an SD needs two completed runs of a candidate": table["df"] == 0,
            _notes.NO_SPREAD: table["no_spread"],
        }
        table["note"] = _notes.notes(table, reasons)
        return _cells.with_scope(table[COLUMNS], runs, by=["task"])


def _pooled(cells, runs):
    """Return one row per task: the SD pooled over its cells, its degrees of freedom, and counts of runs.

    no_spread: the runs of every cell are equal although seeds may change them.
    """
    facts = runs.assign(unit_length=metric_scales.length(runs)).groupby("task", sort=False)["unit_length"].first()
    cells = cells.assign(df=(cells["n"] - 1).clip(lower=0), squares=cells["sd"] ** 2 * (cells["n"] - 1))
    tasks = (
        cells.groupby("task", sort=False)
        .agg(
            **{name: (name, "first") for name in ("split", "metric", "primary")},
            **{name: (name, "sum") for name in ("n", "n_failed", "n_undefined", "df", "squares")},
            candidates=("n", lambda n: int((n > 0).sum())),
            constant=("constant", "all"),
        )
        .join(facts)
        .reset_index()
    )
    tasks["sd"] = np.sqrt(tasks["squares"] / tasks["df"].where(tasks["df"] > 0))
    tasks["no_spread"] = (tasks["sd"] == 0) & ~tasks["constant"]
    return tasks
