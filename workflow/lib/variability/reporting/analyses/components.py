"""How much of the differences between runs comes from the model, the task, the method, and the seed."""

from typing import ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results import varied_streams
from variability.results.columns import CELL, RUN

#: The task that rows about all tasks together name.
ALL = "all tasks"
COLUMNS = [
    *("task", "metric", "component", "role", "levels", "df", "variance_raw", "variance", "low", "high"),
    *("sd", "sd_low", "sd_high", "share", "share_of", "n", "n_cells", "n_failed", "n_undefined"),
    *("estimator", "interval", "level", "ddof", "note", "scope"),
]
#: Cells of a grid for which REML takes a second: it inverts a matrix of as many rows, a dozen times.
LARGEST = 400
BALANCED = "method of moments, balanced"
MOMENTS = "method of moments, adjusted sums of squares (type II)"
REML = "REML"
CHI_SQUARE = "chi-square"
MLS = "modified large sample"
ROUGH_MLS = "modified large sample, of adjusted mean squares (approximate)"
NOT_ESTIMABLE = "not estimable: "
APART = f"{NOT_ESTIMABLE}in these runs it does not vary apart from the other factors"
SINGLE = f"{NOT_ESTIMABLE}no cell has two completed runs, so that the seed cannot be told from it"


class Components(Analysis):
    """Variance components of the primary metric on the test split after fine-tuning; all effects random.

    Per task the factors are model, method and their interaction; across tasks, if all have the same primary metric in
    the same unit, task and its interactions too (errors of numbers are in the unit of their task, and would all be the
    task's); the seed is what is left within a cell. Models that differ in the seed of their
    pretraining alone are nested in their backbone, which is then the model. Where models of one ``family`` were trained
    under several frameworks, the framework is a factor too, and the family is the model. A run made twice counts once.

    Grid complete, all cells with equally many completed runs: method of moments from the expected mean squares
    (Searle, Casella & McCulloch 1992, ch. 4). Else REML (Patterson & Thompson 1971), and in very large grids, where the
    seeds' own streams are crossed, or where nothing varies within cells, moments from adjusted sums of squares
    (Henderson 1953, method 3). ``variance_raw`` is always the unbiased moment estimate; ``variance`` is not negative;
    shares are of the sum of variances. Intervals are those of Ting et al. (1990) from the mean squares, exact
    (chi-square) for a single one. They assume normal effects, independent of one another; runs of different cells are
    taken to be independent, so that a seed whose luck is shared by several methods counts as the model's by at most
    its variance over the number of seeds.

    Where groups of streams are crossed within cells, e.g. every init with every order, their components are those of a
    random crossed classification nested in cells, and the seed's variance is their sum.
    """

    CAPTION = (
        "How much of the variance of the primary metric after fine-tuning comes from model, task, method, their "
        "interactions and the seed: as if each had been drawn at random from many. Negative estimates are shown raw "
        "and cut at 0; what cannot be told apart says so."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables):
        import pandas as pd

        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells
        from variability.results import repeated_runs

        shown = primary_rows.select(tables["runs"]).sort_values(RUN, ignore_index=True)
        runs = repeated_runs.without_reruns(shown)
        runs = runs.assign(backbone=runs["backbone"].fillna(runs["model"]))
        if "family" in runs:
            # Of runs from elsewhere nobody knows what trained them: no framework of ours.
            known = {"family": runs["family"].fillna(runs["model"]), "framework": runs["framework"].fillna("unknown")}
            runs = runs.assign(**known)
        copies = shown["task"].value_counts() - runs["task"].value_counts()
        rows = []
        for task, of_task in runs.groupby("task"):
            rows += self._rows(of_task, task, _cells.scope(of_task), copies[task])
        if len(set(runs["task"])) > 1:
            rows += self._across(runs, _cells.scope(runs), copies.sum())
        return pd.DataFrame(rows, columns=COLUMNS).assign(level=self.option("level"), ddof=float("nan"))

    def _across(self, runs, scope, copies):
        from variability.reporting.analyses import _metric_scale

        metrics = sorted(set(runs["metric"]))
        if len(metrics) > 1:
            facts = _facts(runs, ALL, scope) | {"metric": "primary metric"}
            why = f"the tasks have different primary metrics ({', '.join(metrics)})"
        elif not _metric_scale.have_one_unit(runs):
            facts, why = _facts(runs, ALL, scope), f"{metrics[0]} may be in another unit on each task"
        else:
            return self._rows(runs, ALL, scope, copies)
        return [facts | _nothing("task", "factor", NOT_ESTIMABLE + why)]

    def _rows(self, runs, task, scope, copies):
        from variability.reporting.analyses import _factor_grid

        facts = _facts(runs, task, scope)
        done = runs[runs["value"].notna()]
        layout = varied_streams.layout(runs)
        seed = f"seed ({', '.join(stream for group in layout.groups for stream in group)})" if layout.groups else "seed"
        if len(done) < 2:
            why = "a single completed run" if len(done) else "no completed run"
            return [facts | _nothing(seed, "seed", NOT_ESTIMABLE + why)]
        grid = _factor_grid.grid(done, across=task == ALL)
        cells, cell = grid.cells()
        inside = _factor_grid.inside(done, grid, cell, layout)
        rows = _reckoned(grid, cells, inside, seed, self.option("level")) + _of_streams(
            layout, inside, self.option("level")
        )
        said = f"{copies} runs that repeat others are left out" if copies else ""
        return [facts | row | {"note": "; ".join(filter(None, [row["note"], said])) or None} for row in rows]


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


def _nothing(component, role, why):
    return {"component": component, "role": role, "estimator": "none", "interval": "none", "note": why}


def _reckoned(grid, cells, inside, seed, level):
    """Rows of the factors, their interactions and the seed."""
    single, found = not cells.df_within, grid.terms
    top = found[-1] if single else None
    found = found[:-1] if single else found
    made, sizes, estimator = _solved(grid, cells, found, inside)
    # Components within cells, where there are several, make the seed's together.
    between = len(made.terms)
    weights = [*made.weights[:between], made.weights[between:].sum(axis=0)]
    sizes = [*sizes[:between], max(sizes[between:].sum(), 0)]
    shared = {"level": level, "total": float(np.nansum(sizes)), "estimator": estimator}
    solved = dict(zip(made.terms, zip(weights, sizes, strict=False), strict=False))
    rows = []
    for term in found:
        row = _nothing(grid.label(term), _role(grid, term), APART)
        row |= _row(made, *solved[term], **shared) if term in solved else {}
        rows.append(row | {"levels": cells.levels(term).shape[1]})
    last = {"component": seed, "role": "seed"}
    if single:
        rows.append(_nothing(grid.label(top), _role(grid, top), SINGLE) | {"levels": cells.levels(top).shape[1]})
        rows.append(_nothing(**last, why=SINGLE))
        last = {"component": f"{grid.label(top)} + seed", "role": "residual"}
    return [*rows, last | _row(made, weights[-1], sizes[-1], **shared)]


def _solved(grid, cells, found, inside):
    """Mean squares, non-negative variances (but for raw ones of several components within cells), estimator."""
    from variability.stats import variance_components

    whole = grid.complete()
    if inside is not None:
        made = variance_components.adjusted(cells, found, inside.anova, inside.noise)
        sizes = np.r_[np.maximum(made.variances[: len(made.terms)], 0), made.variances[len(made.terms) :]]
        return made, sizes, MOMENTS if whole is None else BALANCED
    if whole is not None:
        made = variance_components.anova(whole, grid.above)
        return made, np.maximum(made.variances, 0), BALANCED
    made = variance_components.adjusted(cells, found)
    moments = np.maximum(made.variances, 0)
    likely = (
        variance_components.reml(cells, made.terms, moments)
        if len(cells.counts) <= LARGEST and made.ms[-1] > 0
        else None
    )
    return (made, moments, MOMENTS) if likely is None else (made, likely, REML)


def _role(grid, term):
    label = grid.label(term)
    return "pretraining" if label == "pretraining seed" else "interaction" if " x " in label else "factor"


def _row(made, weights, size, level, total, estimator, share_of="all"):
    from variability.stats import variance_components

    used = weights != 0
    if np.isnan(made.ms[used]).any():
        return {"note": f"{NOT_ESTIMABLE}no run is left over to tell noise by"}
    low, high = variance_components.mls_interval(weights, made.ms, made.df, level)
    raw, df = float(weights @ made.ms), int(made.df[np.argmax(used)])
    notes = {
        "no spread": not made.ms[used].any(),
        "raw estimate negative: nothing to be seen above the noise": raw < 0,
        f"few levels ({df} degree{'s' * (df > 1)} of freedom): the interval says how little is known": df < 3,
    }
    interval = CHI_SQUARE if used.sum() == 1 else MLS if estimator == BALANCED else ROUGH_MLS
    return {
        **{"df": float(df), "variance_raw": raw, "variance": float(size), "low": low, "high": high},
        **{"sd": np.sqrt(size), "sd_low": np.sqrt(low), "sd_high": np.sqrt(high)},
        **{"share": size / total if total > 0 else np.nan, "share_of": share_of},
        **{"estimator": estimator, "interval": interval},
        "note": "; ".join(said for said, holds in notes.items() if holds),
    }


def _of_streams(layout, inside, level):
    """Rows of the seed's own streams."""
    rows = []
    if inside is not None:
        made = inside.anova
        sizes = np.maximum(made.variances, 0)
        for label, weights, size in zip(inside.labels, made.weights, sizes, strict=True):
            about = {"component": label, "role": "stream"}
            row = _row(made, weights, size, level, float(sizes.sum()), BALANCED, share_of="seed")
            rows.append(about | row | {"n": inside.n})
    for group in layout.groups:
        for stream in group:
            others = ", ".join(other for other in group if other != stream)
            if others:
                why = f"varied together with {others}"
            elif inside is None and len(layout.groups) > 1:
                why = "no cell has all combinations of the streams equally often"
            else:
                continue
            rows.append(_nothing(stream, "stream", NOT_ESTIMABLE + why))
    return rows
