"""Shares of a grid: how much each source contributes to the variance of the results at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from variability.reporting import text_format
from variability.reporting.analyses import _component_rows
from variability.reporting.analyses._component_rows import CONFOUNDED, OVERLAPS, PAIR, SINGLE, missing, role

if TYPE_CHECKING:
    from variability.reporting.analyses._component_rows import Classified, Row
    from variability.stats import finite_population

COMPLETE = "mean square of the effects, less the noise of the seeds"
AVERAGED = f"{COMPLETE}; averaged over the orders in which overlapping sources are counted"
PLAIN = "mean square of the effects, noise of the seeds included"
FIDUCIAL = "generalised fiducial"
ALL_INTERACTIONS = "all combinations"
NEGATIVE = "differs by less than the seeds explain: counted as 0"
NOISY = "includes the noise of the seeds, which one run per cell does not show"
#: Smallest difference of shares by the order of counting that a note mentions.
_OVERLAP = 0.01


def rows(runs: Classified, level: float, rng: np.random.Generator, samples: int, models: dict[tuple, Any]) -> list[Row]:
    """Return the rows of factors, interactions, pairs and the seed, and of all interactions together.

    models: decompositions of grids so far, which those of the same cells on another scale share.
    """
    from variability.stats import finite_population

    grid, terms = runs.grid, runs.grid.terms
    key = (runs.cells.codes.tobytes(), tuple(terms))
    if key not in models:
        models[key] = finite_population.Decomposition(runs.cells.codes, terms)
    model = models[key]
    means, variances = grid.moments(runs.cell)
    noise, sources = _noise(runs, variances, rng, samples)
    interactions = [at for at, term in enumerate(model.terms) if role(grid, term) == "interaction"]
    groups = [interactions] if len(interactions) > 1 and not runs.single else []
    result = finite_population.contributions(model, means, noise, rng, groups)
    facts = {"estimator": PLAIN if noise is None else COMPLETE if model.orthogonal else AVERAGED}
    facts |= {"interval": "none" if noise is None else FIDUCIAL, "share_of": "all"}
    at_term = {term: at for at, term in enumerate(model.terms)}
    listed = []
    for term in terms:
        top = runs.single and term == terms[-1]
        name, kind = (f"{grid.label(term)} + seed", "residual") if top else (grid.label(term), role(grid, term))
        row = missing(name, kind, CONFOUNDED) | {"levels": runs.cells.size(term)}
        if term in at_term:
            at = at_term[term]
            notes = [*_absorbed(runs, term, set(terms) - set(at_term)), *_overlap(model, result, means, at, noise)]
            row |= facts | _numbers(result, [at], level, notes + [NOISY] * (noise is None and not top))
            row |= {"df": float(model.df[at]), "sd": row["variance"], "sd_low": row["low"], "sd_high": row["high"]}
            row |= {key: _sd(row[key], model, at) for key in ("sd", "sd_low", "sd_high")}
        listed.append(row)
    if noise is None:
        return [*listed, missing(runs.seed, "seed", SINGLE)]
    if groups:
        row = missing(ALL_INTERACTIONS, "sum", "") | facts | _numbers(result, interactions, level)
        listed.append(row | {"note": "sum of the rows of combinations, which it repeats"})
    for name, kind, components, df in sources:
        at = [len(model.terms) + component for component in components]
        row = missing(name, kind, "") | facts | _numbers(result, at, level) | {"df": float(df)}
        listed.append(row | {"sd": np.sqrt(row["variance"]), **_roots(row)})
    return (
        _component_rows.with_pairs(listed, runs.pairs is not None, runs.within is not None) if runs.declared else listed
    )


def _noise(runs: Classified, variances: np.ndarray, rng: np.random.Generator, samples: int):
    """Return the noise of the cells' means, and (name, role, components, df) of its sources."""
    from scipy import sparse

    from variability.stats import finite_population, variance_components

    counts = runs.cells.counts
    if runs.single:
        return None, []
    if runs.within is not None:
        anova = runs.within.anova
        covariances = [sparse.csr_array(sparse.diags_array(column / counts)) for column in runs.within.noise.T]
        parts = range(len(covariances))
        noise = finite_population.noise_of_components(anova, parts, covariances, rng, samples)
        return noise, [(runs.seed, "seed", list(parts), anova.df[-1])]
    if runs.pairs is not None:
        term = runs.pairs.term
        anova = variance_components.adjusted(runs.pairs.cells, [*runs.grid.terms, term])
        if term in anova.terms and not np.isnan(anova.ms[-1]):
            of_cell = sparse.csr_array((1 / counts[runs.cell], (runs.cell, np.arange(len(runs.cell)))))
            shared = of_cell @ runs.pairs.cells.levels(term)
            own = sparse.csr_array(sparse.diags_array(1 / counts))
            components = [anova.terms.index(term), len(anova.terms)]
            noise = finite_population.noise_of_components(
                anova, components, [sparse.csr_array(shared @ shared.T), own], rng, samples
            )
            df = anova.df[components]
            return noise, [(PAIR, "pair", [0], df[0]), (runs.seed, "seed", [1], df[1])]
    noise = finite_population.noise_of_cells(variances, counts, rng, samples)
    return noise, [(runs.seed, "seed", [0], runs.cells.df_within)]


def _numbers(result: finite_population.Contributions, sources, level, notes=()) -> Row:
    size = float(result.sizes[sources].sum())
    (low, high), (share_low, share_high) = result.intervals(sources, level)
    raw = float(result.raw[sources].sum())
    notes = [*notes, *[NEGATIVE] * (len(sources) == 1 and raw < 0)]
    return {
        **{"variance_raw": raw, "variance": size, "low": low, "high": high},
        **{"share": float(result.shares()[sources].sum()), "share_low": share_low, "share_high": share_high},
        "note": "; ".join(notes),
    }


def _sd(variance: float, model: finite_population.Decomposition, at: int) -> float:
    """Return the SD of a term's effects, with their degrees of freedom as the divisor (Gelman 2005, sect. 3.5)."""
    return float(np.sqrt(variance * model.levels[at] / model.df[at]))


def _roots(row: Row) -> Row:
    return {f"sd_{end}": float(np.sqrt(row[end])) for end in ("low", "high")}


def _absorbed(runs: Classified, term, left_out) -> list[str]:
    """Return a note on the factors that do not vary independently of this one."""
    if len(term) > 1:
        return []
    codes = runs.cells.codes
    levels = len(np.unique(codes[:, term], axis=0))
    names = [
        runs.grid.label(other)
        for other in sorted(left_out)
        if len(other) == 1 and len(np.unique(codes[:, [*term, *other]], axis=0)) == levels
    ]
    return [f"includes what is due to the {' and the '.join(names)}, which no cell separates from it"] * bool(names)


def _overlap(model: finite_population.Decomposition, result, means, at, noise) -> list[str]:
    """Return a note on how the share depends on the order of counting sources that overlap."""
    from variability.stats import finite_population

    if noise is None or model.orthogonal or not result.sizes.sum() > 0:
        return []
    sizes = [finite_population.size(form, means, noise) for form in model.extremes(at)]
    last, first = sorted(max(size, 0) / result.sizes.sum() for size in sizes)
    if first - last < _OVERLAP:
        return []
    ends = " to ".join(text_format.percent(round(share, 2)) for share in (last, first))
    return [f"{OVERLAPS}{ends}, whether it is counted last or first"]
