"""Numbers of runs that a cell needs, computed from the spread of its runs so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results import equivalence_margins, metric_scales
from variability.results.columns import CELL_VALUE, RUN

if TYPE_CHECKING:
    import pandas as pd

GOAL = {"type": "number", "exclusiveMinimum": 0, "default": 0.01}
UNIT = "as a fraction of the metric's declared range (0.01 of accuracy is a point); of |mean| if none is declared"
#: Values of ``goal_from``, the last as a part: the config's ``margins``, the option itself, and a share of the mean.
DECLARED, AS_GIVEN, OF_MEAN = "margin of the study", "as given", "|mean|"
#: The SD that a number of runs is based on.
SDS = {"n_needed": "sd_upper", "n_needed_at_sd": "sd"}
COLUMNS = [
    *(*CELL_VALUE, "primary", "target", "goal", "goal_from", "n_needed", "n_needed_at_sd", "n_more"),
    *("n", "n_failed", "n_undefined", "mean", "sd", "sd_upper", "sd_level", "power"),
    *("estimator", "interval", "level", "ddof", "note"),
]


class SeedsNeeded(Analysis):
    """Runs needed per cell, in total (n_needed) and in addition to the existing ones (n_more), for three targets.

    half_width: the half-width of the t interval of the mean is at most the goal. difference: one planned comparison, a
    Welch test with equally many runs of both models, detects a difference equal to the goal, with the same SD for the
    other model. better: a one-sided test detects P(A > B) above 1/2 if it is gamma, with alpha = beta = 1 - level
    (Noether 1987; 29 by default, as in Bouthillier et al. 2021); this target does not depend on the SD. How many more
    decide between two candidates of the study is a number of pairs: n_more of ``decisions``.

    n_needed is based on the one-sided upper chi-square limit of the SD (Browne 1995), because the SD of a few runs is
    as often too small as too large; n_needed_at_sd is based on the SD itself. Both assume normal values and count
    completed runs. n_needed is at most 10,000, and 1 where no seed changes the value. It is missing where all runs are
    equal though seeds may change them: their SD is too small to see in so few runs, not known to be 0.
    """

    CAPTION = (
        "Completed runs that every cell needs for an interval of a given width, to detect a given difference in one "
        "planned comparison, and to detect a given chance that a run of one is better than a run of the other; from "
        "the upper confidence limit of the SD, not the SD itself. Runs that decide between two candidates of the "
        "study are in the table decisions."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "sd_level": LEVEL | {"default": 0.8, "description": "confidence level of the upper limit of the SD"},
        "half_width": GOAL | {"description": f"half-width of the interval of the mean, {UNIT}"},
        "difference": GOAL | {"description": f"difference between two models to detect, {UNIT}"},
        "power": LEVEL | {"default": 0.8, "description": "power to detect a difference"},
        "gamma": {
            "type": "number",
            "exclusiveMinimum": 0.5,
            "maximum": 1,
            "default": 0.75,
            "description": "P(A > B) from which A counts as better",
        },
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells
        from variability.stats import sample_size

        # A fixed order, so that sums do not depend on the order of the runs, to the last bit.
        runs = primary_rows.select(tables["runs"]).sort_values(RUN)
        cells = _cells.moments(runs)
        cells["sd_upper"] = sample_size.sd_upper(cells["sd"], cells["n"], self.option("sd_level"))
        facts = runs.assign(unit_length=metric_scales.length(runs)).drop_duplicates(CELL_VALUE)
        cells = cells.merge(facts[[*CELL_VALUE, "unit_length"]], on=CELL_VALUE, validate="one_to_one")
        cells["constant"] = _cells.constant(cells, runs)
        table = _cells.stacked([self._half_width(cells), self._difference(cells), self._better(cells)])
        for column in SDS:
            table[column] = table[column].mask(table["constant"], 1.0).mask(_without_spread(table))
        table["n_more"] = (table["n_needed"] - table["n"]).clip(lower=0)
        table["note"] = _reasons(table)
        table["level"], table["sd_level"] = self.option("level"), self.option("sd_level")
        return _cells.with_scope(table[COLUMNS], runs)

    def _half_width(self, cells):
        from variability.stats import sample_size

        part = self._with_goal(cells, "half_width")
        for column, sd in SDS.items():
            part[column] = sample_size.for_half_width(part[sd], part["goal"], self.option("level"))
        return self._labelled(part, "half_width", "t interval of the mean")

    def _difference(self, cells):
        from variability.stats import sample_size

        part, levels = self._with_goal(cells, "difference"), (self.option("power"), self.option("level"))
        for column, sd in SDS.items():
            part[column] = sample_size.for_power(part["goal"], part[sd], part[sd], *levels)
        return self._labelled(part, "difference", "two-sided t test, noncentral t, equal SDs", levels[0])

    def _better(self, cells):
        from variability.stats import sample_size

        gamma, alpha = self.option("gamma"), 1 - self.option("level")
        needed = sample_size.for_probability_of_better(gamma, alpha, alpha)
        part = cells.assign(goal=gamma, goal_from="gamma", n_needed=float(needed), n_needed_at_sd=float(needed))
        part = self._labelled(part, "better", "one-sided Wilcoxon-Mann-Whitney test (Noether 1987)", 1 - alpha)
        return part.assign(interval="none", ddof=np.nan)

    def _with_goal(self, cells, option):
        """Add the goal of an option, in the metric's unit: a fraction of its length, or of the mean.

        Unless the option is set, it is the margin that the study declares for the metric: a smaller difference does not
        matter.
        """
        import pandas as pd

        goal, lengths = self.option(option), cells["unit_length"]
        source = f"{100 * goal:g} % of " + lengths.map("{:g}".format)
        source = source.mask(lengths == 1, AS_GIVEN)
        source = source.where(lengths > 0, f"{100 * goal:g} % of {OF_MEAN}: no range declared")
        goals = metric_scales.distance(goal, lengths, cells["mean"])
        if option not in self.options:
            stated = self.options.get("margins", {})
            names = zip(cells["task"], cells["metric"], strict=True)
            declared = pd.Series([equivalence_margins.declared(stated, *pair) for pair in names], cells.index, float)
            # Within a margin of 0 nothing is equal: no number of runs would reach it.
            usable = declared > 0
            goals, source = goals.mask(usable, declared), source.mask(usable, DECLARED)
        return cells.assign(goal=goals, goal_from=source)

    def _labelled(self, part, target, estimator, power=np.nan):
        from variability.reporting import text_format

        part = part.assign(target=target, power=power, estimator="runs for: " + estimator, ddof=1.0)
        return part.assign(interval=f"chi-square, one-sided {text_format.percent(self.option('sd_level'))}, of the SD")


def _without_spread(table):
    """Return the rows whose number is based on the SD of runs that are all equal although seeds may change them."""
    return (table["target"] != "better") & ~table["constant"] & (table["sd"] == 0)


def _reasons(table):
    from variability.reporting.analyses import _notes
    from variability.stats import sample_size

    constant = table["constant"]
    of_sd = (table["target"] != "better") & ~constant
    known = of_sd & (table["n"] > 1)
    reasons = {
        "deterministic: one run has the value of all seeds": constant,
        "an SD needs two completed runs": of_sd & (table["n"] < 2),
        "a share of a mean of 0 is no goal": known & table["goal"].isna(),
        _notes.NO_SPREAD: _without_spread(table),
        f"{sample_size.MOST:,} means this many or more": table["n_needed"] == sample_size.MOST,
    }
    return _notes.notes(table, reasons)
