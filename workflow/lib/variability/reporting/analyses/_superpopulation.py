"""Superpopulation variance components: the spread of models, tasks and methods like those of a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from variability.reporting.analyses import _component_rows
from variability.reporting.analyses._component_rows import CONFOUNDED, NOT_ESTIMABLE, PAIR, SINGLE, missing, role

if TYPE_CHECKING:
    from variability.reporting.analyses._component_rows import Classified, Row

#: Largest number of cells for REML, which takes a second there: it inverts a matrix of as many rows, a dozen times.
LARGEST = 400
BALANCED = "method of moments, balanced"
MOMENTS = "method of moments, adjusted sums of squares (type II)"
REML = "REML"
CHI_SQUARE = "chi-square"
MLS = "modified large sample"
ROUGH_MLS = "modified large sample, of adjusted mean squares (approximate)"


def rows(runs: Classified, level: float) -> list[Row]:
    """Return the rows of factors, interactions, pairs, the seed and its streams."""
    factors = _factor_rows(runs, level)
    if runs.declared:
        factors = _component_rows.with_pairs(factors, runs.pairs is not None, runs.within is not None)
    return factors + _stream_rows(runs.layout, runs.within, level)


def _factor_rows(runs, level):
    """Return the rows of the factors, their interactions, the pairs and the seed."""
    grid, cells, within, pairs = runs.grid, runs.cells, runs.within, runs.pairs
    single, terms = runs.single, grid.terms
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
    shared = {"level": level, "estimator": estimator}
    solved = dict(zip(model.terms, zip(weights, sizes, strict=False), strict=False))
    rows = []
    for term in terms:
        is_pair = pairs is not None and term == pairs.term
        names = (PAIR, "pair") if is_pair else (grid.label(term), role(grid, term))
        row = missing(*names, CONFOUNDED)
        row |= _row(model, *solved[term], **shared) if term in solved else {}
        rows.append(row | {"levels": cells.levels(term).shape[1]})
    last = {"component": runs.seed, "role": "seed"}
    if single:
        rows.append(missing(grid.label(top), role(grid, top), SINGLE) | {"levels": cells.levels(top).shape[1]})
        rows.append(missing(**last, reason=SINGLE))
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


def _row(model, weights, size, level, estimator):
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
            part = {"share": size / sizes.sum() if sizes.any() else np.nan, "share_of": "seed"}
            rows.append(facts | _row(model, weights, size, level, BALANCED) | part | {"n": within.n})
    for group in layout.groups:
        for stream in group:
            others = ", ".join(other for other in group if other != stream)
            if others:
                reason = f"varied together with {others}"
            elif within is None and len(layout.groups) > 1:
                reason = "no cell has all combinations of the streams equally often"
            else:
                continue
            rows.append(missing(stream, "stream", NOT_ESTIMABLE + reason))
    return rows
