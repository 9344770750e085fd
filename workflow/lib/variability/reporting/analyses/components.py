"""Variance components: how much of the differences between runs is due to model, task, method and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import plural
from variability.reporting.analyses import LEVEL, Analysis
from variability.results import pairing, varied_streams
from variability.results.columns import CELL, RUN

if TYPE_CHECKING:
    import pandas as pd

#: Name of the task in rows about all tasks together.
ALL = "all tasks"
COLUMNS = [
    *("task", "metric", "component", "role", "levels", "df", "variance_raw", "variance", "low", "high"),
    *("sd", "sd_low", "sd_high", "share", "share_of", "n", "n_cells", "n_failed", "n_undefined"),
    *("estimator", "interval", "level", "ddof", "note", "scope"),
]
#: Largest number of cells for REML, which takes a second there: it inverts a matrix of as many rows, a dozen times.
LARGEST = 400
BALANCED = "method of moments, balanced"
MOMENTS = "method of moments, adjusted sums of squares (type II)"
REML = "REML"
CHI_SQUARE = "chi-square"
MLS = "modified large sample"
ROUGH_MLS = "modified large sample, of adjusted mean squares (approximate)"
NOT_ESTIMABLE = "not estimable: "
CONFOUNDED = f"{NOT_ESTIMABLE}in these runs it does not vary independently of the other factors"
#: Component of what runs with equal seeds share, if they are declared as pairs.
PAIR = "pair (equal seeds)"
NOT_SHARED = "what the runs of a pair do not share"
SHARED = "includes what the runs of a pair share, such as their fold"
NO_PARTNER = f"{NOT_ESTIMABLE}it needs two candidates with two seeds that both have"
SINGLE = f"{NOT_ESTIMABLE}no cell has two completed runs, so the seed cannot be separated from it"


class Components(Analysis):
    """Variance components of the primary metric on the test split after fine-tuning; all effects random.

    Per task the factors are model, method and their interaction. Over all tasks with the same primary metric in the
    same unit, or with a declared normalisation, task and its interactions are added; tasks on another scale are named
    in ``note`` (regression errors are in the unit of their task, and would all be attributed to the task). The seed is
    what remains within a cell. Models that differ only in the seed of their pretraining are nested in their backbone,
    which is then the model. If models of one ``family`` were trained with several frameworks, the framework is a factor
    too, and the family is the model. Repeated runs count once.

    In a complete grid with equally many completed runs per cell: method of moments from the expected mean squares
    (Searle, Casella & McCulloch 1992, ch. 4). Otherwise REML (Patterson & Thompson 1971); in very large grids, where
    the seeds' streams are crossed, or where nothing varies within cells, moments from adjusted sums of squares
    (Henderson 1953, method 3). ``variance_raw`` is always the unbiased moment estimate; ``variance`` is not negative;
    shares are of the sum of variances. Intervals are those of Ting et al. (1990) from the mean squares, exact
    (chi-square) for a single one. They assume normal effects, independent of one another. Runs of different cells are
    assumed to be independent, so an effect of a seed that several methods share is attributed to the model, at most by
    its variance over the number of seeds. If the study declares that runs with equal seeds are pairs (``pairing:
    seed``), the pair is a random factor, nested in the task and crossed with the others, and the seed is what the runs
    of a pair do not share.

    Where groups of streams are crossed within cells, for example every init with every order, their components are
    those of a random crossed classification nested in cells, and the seed's variance is their sum.
    """

    CAPTION = (
        "How much of the variance of the primary metric after fine-tuning comes from model, task, method, their "
        "interactions and the seed, as if each had been sampled at random from many. Negative estimates are reported "
        "raw and truncated at 0; components that cannot be separated have a note. What declared pairs share, "
        "such as their fold, is a source of its own."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells
        from variability.results import repeated_runs

        primary = primary_rows.select(tables["runs"]).sort_values(RUN, ignore_index=True)
        runs = repeated_runs.without_repeats(primary)
        runs = runs.assign(backbone=runs["backbone"].fillna(runs["model"]))
        if "family" in runs:
            # The framework of imported runs is unknown.
            known = {
                "family": runs["family"].fillna(runs["model"]),
                "framework": runs["framework"].astype(object).fillna("unknown"),
            }
            runs = runs.assign(**known)
        copies = primary["task"].value_counts() - runs["task"].value_counts()
        rows = []
        for task, of_task in runs.groupby("task"):
            rows += self._rows(of_task, task, _cells.scope(of_task), copies[task])
        if len(set(runs["task"])) > 1:
            rows += self._across(runs, _cells.scope(runs), copies)
        return pd.DataFrame(rows, columns=COLUMNS).assign(level=self.option("level"), ddof=float("nan"))

    def _across(self, runs, scope, copies):
        from variability.reporting.analyses import _cells, _metric_scale

        scale = _metric_scale.scales(runs)[0]
        if len(scale.tasks) == 1:
            metrics = sorted(set(runs["metric"]))
            several = f"the tasks have different primary metrics ({', '.join(metrics)})"
            reason = several if len(metrics) > 1 else f"{metrics[0]} is in another unit on each task"
            facts = _facts(runs, ALL, scope) | ({"metric": "primary metric"} if len(metrics) > 1 else {})
            return [facts | _missing("task", "factor", NOT_ESTIMABLE + reason)]
        comparable = _metric_scale.on_scale(runs, scale)
        others = _metric_scale.others(runs, scale)
        notes = [scale.description] * (not scale.description.endswith("not rescaled"))
        notes += [f"without {others}: on another scale"] * bool(others)
        scope = _cells.scope(comparable) if others else scope
        return self._rows(comparable, ALL, scope, copies[list(scale.tasks)].sum(), notes)

    def _rows(self, runs, task, scope, copies, notes=()):
        from variability.reporting.analyses import _factor_grid

        facts = _facts(runs, task, scope)
        completed = runs[runs["value"].notna()]
        layout = varied_streams.layout(runs)
        seed = f"seed ({', '.join(stream for group in layout.groups for stream in group)})" if layout.groups else "seed"
        if len(completed) < 2:
            reason = "a single completed run" if len(completed) else "no completed run"
            return [facts | _missing(seed, "seed", NOT_ESTIMABLE + reason)]
        grid = _factor_grid.grid(completed, across=task == ALL)
        cells, cell = grid.cells()
        within = _factor_grid.within_cells(completed, grid, cell, layout)
        declared = bool(pairing.by_seed(completed).any())
        pairs = _factor_grid.pairs(completed, grid) if declared and within is None and cells.df_within else None
        rows = _factor_rows(grid, cells, within, pairs, seed, self.option("level"))
        if declared:
            rows = _with_pairs(rows, pairs is not None, within is not None)
        rows += _stream_rows(layout, within, self.option("level"))
        notes = [
            *notes,
            *[f"{plural(copies, 'run that repeats another is', 'runs that repeat others are')} left out"]
            * bool(copies),
        ]
        return [facts | row | {"note": "; ".join(filter(None, [row["note"], *notes])) or None} for row in rows]


def _with_pairs(rows, separated, crossed):
    """Return the rows with notes on what the runs of a declared pair share, and its row if it cannot be separated."""
    note = NOT_SHARED if separated else SHARED
    noted = [
        row | {"note": "; ".join(filter(None, [row["note"], note]))} if row["role"] in ("seed", "residual") else row
        for row in rows
    ]
    if separated:
        return noted
    reason = f"{NOT_ESTIMABLE}the streams of the seed are crossed" if crossed else NO_PARTNER
    first = next(at for at, row in enumerate(noted) if row["role"] in ("seed", "residual"))
    return [*noted[:first], _missing(PAIR, "pair", reason), *noted[first:]]


def _facts(runs, task, scope):
    from variability.reporting.analyses import _cells

    return {
        "task": task,
        "metric": runs["metric"].iloc[0],
        "n": int(runs["value"].notna().sum()),
        "n_cells": runs.loc[runs["value"].notna(), CELL].drop_duplicates().shape[0],
        "n_failed": int(_cells.failed(runs).sum()),
        "n_undefined": int((runs["value"].isna() & ~_cells.failed(runs)).sum()),
        "scope": scope,
    }


def _missing(component, role, reason):
    return {"component": component, "role": role, "estimator": "none", "interval": "none", "note": reason}


def _factor_rows(grid, cells, within, pairs, seed, level):
    """Return the rows of the factors, their interactions, the pairs and the seed."""
    single, terms = not cells.df_within, grid.terms
    top = terms[-1] if single else None
    terms = terms[:-1] if single else terms
    if pairs is None:
        model, sizes, estimator = _estimate(grid, cells, terms, within)
    else:
        cells, terms = pairs.cells, [*terms, pairs.term]
        model, sizes, estimator = _adjusted(cells, terms, BALANCED if pairs.balanced else None)
    # The components within cells, if there are several, add up to the seed's.
    between = len(model.terms)
    weights = [*model.weights[:between], model.weights[between:].sum(axis=0)]
    sizes = [*sizes[:between], max(sizes[between:].sum(), 0)]
    shared = {"level": level, "total": float(np.nansum(sizes)), "estimator": estimator}
    solved = dict(zip(model.terms, zip(weights, sizes, strict=False), strict=False))
    rows = []
    for term in terms:
        is_pair = pairs is not None and term == pairs.term
        names = (PAIR, "pair") if is_pair else (grid.label(term), _role(grid, term))
        row = _missing(*names, CONFOUNDED)
        row |= _row(model, *solved[term], **shared) if term in solved else {}
        rows.append(row | {"levels": cells.levels(term).shape[1]})
    last = {"component": seed, "role": "seed"}
    if single:
        rows.append(_missing(grid.label(top), _role(grid, top), SINGLE) | {"levels": cells.levels(top).shape[1]})
        rows.append(_missing(**last, reason=SINGLE))
        last = {"component": f"{grid.label(top)} + seed", "role": "residual"}
    return [*rows, last | _row(model, weights[-1], sizes[-1], **shared)]


def _estimate(grid, cells, terms, within):
    """Return mean squares, variances and the name of the estimator.

    Variances are not negative, except for the raw ones of several components within cells.
    """
    from variability.stats import variance_components

    complete = grid.complete()
    if within is not None:
        model = variance_components.adjusted(cells, terms, within.anova, within.noise)
        sizes = np.r_[np.maximum(model.variances[: len(model.terms)], 0), model.variances[len(model.terms) :]]
        return model, sizes, MOMENTS if complete is None else BALANCED
    if complete is not None:
        model = variance_components.anova(complete, grid.above)
        return model, np.maximum(model.variances, 0), BALANCED
    return _adjusted(cells, terms)


def _adjusted(cells, terms, balanced=None):
    """Return the estimates from adjusted mean squares, by REML where that is possible.

    balanced: name of the estimator if the grid is balanced, where the mean squares give both.
    """
    from variability.stats import variance_components

    model = variance_components.adjusted(cells, terms)
    if balanced:
        return model, np.maximum(model.variances, 0), balanced
    moments = np.maximum(model.variances, 0)
    likelihood_estimates = (
        variance_components.reml(cells, model.terms, moments)
        if len(cells.counts) <= LARGEST and model.ms[-1] > 0
        else None
    )
    return (model, moments, MOMENTS) if likelihood_estimates is None else (model, likelihood_estimates, REML)


def _role(grid, term):
    label = grid.label(term)
    return "pretraining" if label == "pretraining seed" else "interaction" if " x " in label else "factor"


def _row(model, weights, size, level, total, estimator, share_of="all"):
    from variability.stats import variance_components

    is_used = weights != 0
    if np.isnan(model.ms[is_used]).any():
        return {"note": f"{NOT_ESTIMABLE}no run is left over to tell noise by"}
    low, high = variance_components.mls_interval(weights, model.ms, model.df, level)
    raw, df = float(weights @ model.ms), int(model.df[np.argmax(is_used)])
    # REML and the mean squares are different estimators; in small grids with gaps they can disagree by this much.
    widened = not low <= size <= high
    low, high = min(low, size), max(high, size)
    notes = {
        "no spread": not model.ms[is_used].any(),
        "raw estimate negative: nothing to be seen above the noise": raw < 0,
        f"few levels ({df} degree{'s' * (df > 1)} of freedom): the interval says how little is known": df < 3,
        "the interval of the mean squares is widened to the estimate, which it would exclude": widened,
    }
    interval = CHI_SQUARE if is_used.sum() == 1 else MLS if estimator == BALANCED else ROUGH_MLS
    return {
        **{"df": float(df), "variance_raw": raw, "variance": float(size), "low": low, "high": high},
        **{"sd": np.sqrt(size), "sd_low": np.sqrt(low), "sd_high": np.sqrt(high)},
        **{"share": size / total if total > 0 else np.nan, "share_of": share_of},
        **{"estimator": estimator, "interval": interval},
        "note": "; ".join(note for note, holds in notes.items() if holds),
    }


def _stream_rows(layout, within, level):
    """Return the rows of the seed's streams."""
    rows = []
    if within is not None:
        model = within.anova
        sizes = np.maximum(model.variances, 0)
        for label, weights, size in zip(within.labels, model.weights, sizes, strict=True):
            facts = {"component": label, "role": "stream"}
            row = _row(model, weights, size, level, float(sizes.sum()), BALANCED, share_of="seed")
            rows.append(facts | row | {"n": within.n})
    for group in layout.groups:
        for stream in group:
            others = ", ".join(other for other in group if other != stream)
            if others:
                reason = f"varied together with {others}"
            elif within is None and len(layout.groups) > 1:
                reason = "no cell has all combinations of the streams equally often"
            else:
                continue
            rows.append(_missing(stream, "stream", NOT_ESTIMABLE + reason))
    return rows
