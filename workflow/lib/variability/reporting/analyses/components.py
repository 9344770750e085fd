"""Variance components: how much of the differences between runs is due to model, task, method and seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from variability.advice import plural
from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis, _factors
from variability.results.columns import CELL, RUN

if TYPE_CHECKING:
    import pandas as pd

#: Name of the task in rows about all tasks together.
ALL = "all tasks"
#: What the rows are about: the levels of this grid, or many like them.
GRID, MANY = "this grid", "many like these"
#: Scales of the values; over all tasks there are several.
METRIC, LOG_ODDS, RANK = "metric", "log odds", "rank"
COLUMNS = [
    *("population", "task", "scale", "metric", "component", "role", "levels", "df"),
    *("share", "share_low", "share_high", "share_of", "variance_raw", "variance", "low", "high"),
    *("sd", "sd_low", "sd_high", "n", "n_cells", "n_tasks", "n_failed", "n_undefined", "headline"),
    *("estimator", "interval", "level", "ddof", "note", "scope"),
]


class Part(NamedTuple):
    """Runs that are analysed together. copies: number of runs that repeat others, which are left out."""

    task: str
    scale: str
    runs: pd.DataFrame
    copies: int
    notes: tuple[str, ...] = ()


class Components(Analysis):
    """Shares of this grid, and variance components of many like it, of the primary test metric after fine-tuning.

    Per task the factors are model, method and their interaction; over all tasks the task and its interactions are
    added. The seed is what remains within a cell. Models that differ only in the seed of their pretraining are nested
    in their backbone, which is then the model. If models of one ``family`` were trained with several frameworks, the
    framework is a factor too, and the family is the model. If an architecture is there with pretrained and with random
    weights, ``pretrained`` is a factor, and the architecture is the model. The option ``factors`` names more, whose
    levels are parts of the names of models, tasks or methods. Repeated runs count once.

    population "this grid": finite-population variances (Gelman 2005, sect. 3.5), see ``stats.finite_population``. The
    levels at hand are all there is, and each cell counts once. variance: mean square of a source's effects over the
    cells, less what the noise of the seeds adds to it, at least 0; share: of the sum of these and of the variance
    within cells, averaged over cells. Shares add up to 1. sd: of the effects, with their degrees of freedom as the
    divisor. Intervals are generalised fiducial ones, from ``resamples`` samples. Over all tasks on three scales: the
    metric's own, log odds, and ranks within the task. ``headline`` marks the rows that the summary reports.

    population "many like these": variance components of random effects. Tasks must be on one scale; others are named
    in ``note`` (regression errors are in the unit of their task, and would all be attributed to the task).
    In a complete grid with equally many completed runs per cell: method of moments from the expected mean squares
    (Searle, Casella & McCulloch 1992, ch. 4). Otherwise REML (Patterson & Thompson 1971); in very large grids, where
    the seeds' streams are crossed, or where nothing varies within cells, moments from adjusted sums of squares
    (Henderson 1953, method 3). ``variance_raw`` is always the unbiased moment estimate; ``variance`` is not negative.
    Intervals are those of Ting et al. (1990) from the mean squares, exact (chi-square) for a single one. They assume
    normal effects, independent of one another.

    Runs of different cells are assumed to be independent, so an effect of a seed that several methods share is
    attributed to the model, at most by its variance over the number of seeds. If the study declares that runs with
    equal seeds are pairs (``pairing: seed``), the pair is a random factor, nested in the task and crossed with the
    others, and the seed is what the runs of a pair do not share. Where groups of streams are crossed within cells, for
    example every init with every order, their components are those of a random crossed classification nested in cells,
    and the seed's variance is their sum.
    """

    SUMMARISED = True
    CAPTION = (
        "First the shares of this grid: how much of the differences between its results comes from model, task, "
        "method, their combinations and the seed (they add up to 100 %). Then the SDs to expect if each had been "
        "sampled at random from many. What cannot be separated has a note; what declared pairs share is a source."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "resamples": {**RESAMPLES, "default": 5000},
        "seed": SEED,
        "factors": _factors.SCHEMA,
    }

    @classmethod
    def problems(cls, options: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
        for key, message in _factors.problems(options.get("factors", {}), names):
            yield f"factors.{key}", message

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _component_rows, _grid_shares, _superpopulation
        from variability.results import repeated_runs

        primary = primary_rows.select(tables["runs"]).sort_values(RUN, ignore_index=True)
        runs = _factors.classified(repeated_runs.without_repeats(primary), self.option("factors"))
        copies = (primary["task"].value_counts() - runs["task"].value_counts()).to_dict()
        parts = [
            Part(task, METRIC, of_task, sum(copies[each] for each in of_task["task"].unique()))
            for task, of_task in runs.groupby(_factors.TASK)
        ]
        headline = parts[0] if len(parts) == 1 else None
        if len(parts) > 1:
            across, headline = _across(runs, copies)
            parts += across
        first, second, models = [], [], {}
        for part in parts:
            facts = _facts(part) | {"headline": part is headline, "population": GRID}
            estimable = part.task != ALL or part.runs[_factors.TASK].nunique() > 1
            of_part = _component_rows.classify(part.runs, across=part.task == ALL) if estimable else None
            if of_part is None:
                missing = [_missing(part) if estimable else _component_rows.missing("task", "factor", part.notes[0])]
                first += [facts | row for row in missing]
                second += [facts | {"population": MANY} | row for row in missing]
                continue
            rng = self.generator(part.task, part.scale)
            rows = _grid_shares.rows(of_part, self.option("level"), rng, self.option("resamples"), models)
            first += [facts | row for row in _noted(rows, part)]
            if part.scale == METRIC:
                rows = _superpopulation.rows(of_part, self.option("level"))
                second += [facts | {"population": MANY, "headline": False} | row for row in _noted(rows, part)]
        return pd.DataFrame(first + second, columns=COLUMNS).assign(level=self.option("level"), ddof=float("nan"))


def _missing(part: Part) -> dict[str, Any]:
    from variability.reporting.analyses import _component_rows
    from variability.results import varied_streams

    reason = "a single completed run" if part.runs["value"].notna().any() else "no completed run"
    seed = _component_rows.seed_name(varied_streams.layout(part.runs))
    return _component_rows.missing(seed, "seed", _component_rows.NOT_ESTIMABLE + reason)


def _noted(rows: list[dict[str, Any]], part: Part) -> list[dict[str, Any]]:
    """Return the rows with the notes of their part."""
    copies = plural(part.copies, "run that repeats another is", "runs that repeat others are")
    notes = [*part.notes, *[f"{copies} left out"] * bool(part.copies)]
    return [row | {"note": "; ".join(filter(None, [row["note"], *notes])) or None} for row in rows]


def _across(runs: pd.DataFrame, copies: Mapping[str, int]) -> tuple[list[Part], Part]:
    """Return the parts over all tasks, on each scale, and the one that the summary reports.

    That is the first that has all tasks; the metric's own scale only if its unit is known.
    """
    from variability.reporting.analyses import _metric_scale

    def part(scale: str, rows: pd.DataFrame, *notes: str) -> Part:
        return Part(ALL, scale, rows, sum(copies[task] for task in rows["task"].unique()), tuple(filter(None, notes)))

    def several(part: Part) -> bool:
        return part.runs[_factors.TASK].nunique() > 1

    def complete(part: Part) -> bool:
        return part.runs[_factors.TASK].nunique() == runs[_factors.TASK].nunique()

    scale = _metric_scale.scales(runs)[0]
    others = _metric_scale.others(runs, scale)
    left_out = f"without {others}: on another scale" if others else ""
    description = "" if scale.description.endswith("not rescaled") else scale.description
    pooled = part(METRIC, _metric_scale.on_scale(runs, scale), description, left_out)
    odds = part(LOG_ODDS, *_metric_scale.log_odds(runs))
    ranks = part(RANK, _metric_scale.ranks(runs, _factors.TASK))
    headline = pooled if complete(pooled) and not scale.assumed else odds if complete(odds) else ranks
    pooled = pooled if several(pooled) else _not_comparable(runs)
    return [pooled, *[odds] * several(odds), ranks], headline


def _not_comparable(runs: pd.DataFrame) -> Part:
    """Return all runs as a part without rows, with the reason."""
    from variability.reporting.analyses._component_rows import NOT_ESTIMABLE

    metrics = sorted(set(runs["metric"]))
    if len(metrics) == 1:
        return Part(
            ALL,
            METRIC,
            runs.assign(**{_factors.TASK: ALL}),
            0,
            (f"{NOT_ESTIMABLE}{metrics[0]} is in another unit on each task",),
        )
    reason = f"{NOT_ESTIMABLE}the tasks have different primary metrics ({', '.join(metrics)})"
    return Part(ALL, METRIC, runs.assign(**{_factors.TASK: ALL, "metric": "primary metric"}), 0, (reason,))


def _facts(part: Part) -> dict[str, Any]:
    from variability.reporting.analyses import _cells

    runs = part.runs
    completed = runs[runs["value"].notna()]
    return {
        "task": part.task,
        "scale": part.scale,
        "metric": runs["metric"].iloc[0],
        "n": len(completed),
        "n_cells": completed[CELL].drop_duplicates().shape[0],
        "n_tasks": completed[_factors.TASK].nunique(),
        "n_failed": int(_cells.failed(runs).sum()),
        "n_undefined": int((runs["value"].isna() & ~_cells.failed(runs)).sum()),
        "scope": _cells.scope(runs),
    }
