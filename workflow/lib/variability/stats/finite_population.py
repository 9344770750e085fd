"""Finite-population variances of a grid: how much each source adds to the variance of its results.

Gelman (2005), "Analysis of variance: why it is more important than ever", Annals of Statistics 33(1), sect. 3.5: the
levels at hand are the whole population. The true means of the cells, each counted once, are split into effects of
*terms* (see ``variance_components``); the mean square of a term's effects over the cells is its contribution to the
variance of the results, to which the noise within cells adds its own. Contributions add up, so shares add up to 1.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from math import comb
from typing import NamedTuple

import numpy as np
from scipy import sparse

from variability.stats.resampling import percentile_interval
from variability.stats.variance_components import Anova, Cells, Reduction, Term

#: Largest number of terms of one order whose contributions are averaged over all orders of fitting them.
_ALL_ORDERS = 4
#: Largest weight of a fit in a form that is rounding.
_CANCELLED = 1e-12
#: Largest sum of squares that rounding alone can give, relative to values of size 1.
_ROUNDING = (16 * np.finfo(float).eps) ** 2
#: Largest number of cells for which a form is a matrix; with more, only its factors are.
_SMALL = 500


class Noise(NamedTuple):
    """Independent components of the noise of single runs, and what they do to the means of the cells.

    sizes: (components,), estimated variances in a single run. samples: (samples, components), plausible variances.
    covariances: of the cells' means per unit of each component, (cells, cells).
    """

    sizes: np.ndarray
    samples: np.ndarray
    covariances: Sequence[sparse.csr_array]


def noise_of_cells(variances: np.ndarray, counts: np.ndarray, rng: np.random.Generator, samples: int) -> Noise | None:
    """Return the noise of independent runs, whose variance may differ between cells; None if no cell has two runs.

    variances: (cells,), with ddof 1; NaN where a cell has a single run, which is assumed to vary like the average of
    the others. The degrees of freedom of the mean variance are those of Satterthwaite (1946), with the unbiased
    estimate s^4 df / (df + 2) of the fourth powers.
    """
    known = ~np.isnan(variances)
    if not known.any():
        return None
    size = variances[known].mean()
    filled = np.where(known, variances, size)
    df = counts[known] - 1.0
    fourth = np.square(variances[known]) / (df + 2)
    freedom = np.square(variances[known].sum()) / fourth.sum() if size > 0 else df.sum()
    freedom = np.clip(freedom, df.min(), df.sum())
    ratio = freedom / rng.chisquare(freedom, samples)
    relative = filled / size if size > 0 else np.ones(len(filled))
    return Noise(np.array([size]), size * ratio[:, None], [sparse.csr_array(sparse.diags_array(relative / counts))])


def noise_of_components(
    anova: Anova,
    components: Sequence[int],
    covariances: Sequence[sparse.csr_array],
    rng: np.random.Generator,
    samples: int,
) -> Noise:
    """Return the noise whose components follow from mean squares, such as those of pairs or of crossed streams.

    components: rows of ``anova.weights``. Samples replace each mean square by ms df / chi-square(df).
    """
    weights = anova.weights[list(components)]
    drawn = anova.ms * anova.df / rng.chisquare(anova.df, (samples, len(anova.df)))
    return Noise(np.maximum(weights @ anova.ms, 0), np.maximum(drawn @ weights.T, 0), covariances)


class Form:
    """Quadratic form of the cells' means: a weighted sum of what some fits explain.

    weights: {fitted terms: weight}. fits: of the terms.
    """

    def __init__(self, weights: Mapping[frozenset[Term], float], fits: Mapping[frozenset[Term], Reduction]):
        pairs = [(weight, fits[key]) for key, weight in weights.items() if abs(weight) > _CANCELLED]
        self._weights = [weight for weight, _ in pairs]
        self._bases = [fit.bases for _, fit in pairs]
        self.rank = sum(weight * fit.rank for weight, fit in pairs)
        cells = len(self._bases[0][1]) if pairs else 0
        self._matrix = (
            sum((weight * fit.projection() for weight, fit in pairs), np.zeros(())) if cells <= _SMALL else None
        )

    def square(self, means: np.ndarray) -> float:
        """Return the sum of squares of the effects. means: (cells,)."""
        # Measured from one of the values: equal values then have no spread.
        centred = means - means[0]
        centred = centred - centred.mean()
        if self._matrix is not None:
            square = float(centred @ self._matrix @ centred) if self._weights else 0.0
        else:
            squares = [sum(_square(basis.T @ centred) for basis in bases) for bases in self._bases]
            square = float(np.dot(self._weights, squares))
        return square if square > _ROUNDING * len(means) * np.square(means).max() else 0.0

    def expected(self, covariance: sparse.csr_array) -> float:
        """Return the expectation of the sum of squares if only noise of this covariance is there."""
        if self._matrix is not None:
            trace = float((covariance.multiply(self._matrix)).sum()) if self._weights else 0.0
        else:
            traces = [sum(float((basis * (covariance @ basis)).sum()) for basis in bases) for bases in self._bases]
            trace = float(np.dot(self._weights, traces))
        return max(trace, 0.0)

    def freedom(self, covariance: sparse.csr_array) -> float:
        """Return the degrees of freedom of the noise in the sum of squares (Satterthwaite 1946), 0 without noise."""
        if self._matrix is not None:
            product = covariance @ self._matrix if self._weights else np.zeros((1, 1))
            square = float((product * product.T).sum())
        else:
            noisy = [[covariance @ basis for basis in bases] for bases in self._bases]
            square = 0.0
            for i, j in combinations_with_replacement(range(len(self._bases)), 2):
                overlap = sum(_square(basis.T @ other) for basis in self._bases[i] for other in noisy[j])
                square += (1 if i == j else 2) * self._weights[i] * self._weights[j] * overlap
        return self.expected(covariance) ** 2 / square if square > 0 else 0.0


def _square(values) -> float:
    return float(np.square(values.data if sparse.issparse(values) else values).sum())


class Decomposition:
    """Contributions of terms to the variance of the cells' means, as quadratic forms of the means.

    In a complete grid these are the sums of squares of its analysis of variance. In a grid with gaps the effects
    overlap; what a term explains is averaged over the orders of fitting the terms of the same order (Lindeman, Merenda
    & Gold 1980; over one order and its reverse if there are more than four), each after all terms of lower order. So
    contributions are never negative and add up.

    codes: (cells, factors). terms: those that something is attributed to. A term that adds nothing to the others of its
    order and below is left out; of two that are equal, the later one.
    """

    def __init__(self, codes: np.ndarray, terms: Sequence[Term]):
        self._cells = Cells(np.zeros(len(codes)), np.ones(len(codes)), codes, 0.0)
        self._reductions: dict[frozenset[Term], Reduction] = {}
        #: True if the grid is complete, so that the effects do not overlap.
        self.orthogonal = bool(len(codes) == np.prod(codes.max(axis=0, initial=0) + 1))
        self.terms: list[Term] = []
        self._parts: list[dict[frozenset[Term], float]] = []
        self._forms: dict[tuple[int, ...], Form] = {}
        below: tuple[Term, ...] = ()
        for order in sorted({len(term) for term in terms}):
            same = self._separable([term for term in terms if len(term) == order], below)
            self.terms += same
            self._parts += [self._weights(term, same, below) for term in same]
            below = (*below, *same)
        self.levels = np.array([self._cells.size(term) for term in self.terms], dtype=int)
        self.df = np.array([self.form([at]).rank for at in range(len(self.terms))], dtype=float)

    def form(self, terms: Sequence[int]) -> Form:
        """Return the quadratic form of the contributions of some terms together. terms: positions in ``terms``."""
        key = tuple(terms)
        if key not in self._forms:
            weights: dict[frozenset[Term], float] = {}
            for at in terms:
                for fitted, weight in self._parts[at].items():
                    weights[fitted] = weights.get(fitted, 0.0) + weight
            self._forms[key] = Form(weights, self._reductions)
        return self._forms[key]

    def extremes(self, at: int) -> tuple[Form, Form]:
        """Return the forms of a term fitted before and after the others of its order. at: position in ``terms``."""
        term = self.terms[at]
        below = [other for other in self.terms if len(other) < len(term)]
        others = [other for other in self.terms if len(other) == len(term) and other != term]
        pairs = (([*below, term], below), ([*below, *others, term], [*below, *others]))
        for fitted in pairs:
            for each in fitted:
                self._fit(each)
        first, last = ({frozenset(more): 1.0, frozenset(less): -1.0} for more, less in pairs)
        return Form(first, self._reductions), Form(last, self._reductions)

    def _separable(self, terms: list[Term], below: tuple[Term, ...]) -> list[Term]:
        for term in reversed(terms):
            others = [other for other in terms if other != term]
            if self._fit([*below, *terms]).rank == self._fit([*below, *others]).rank:
                terms = others
        return terms

    def _weights(self, term: Term, same: Sequence[Term], below: tuple[Term, ...]) -> dict[frozenset[Term], float]:
        """Return the weights of fits whose sum is what a term adds to others, averaged over orders."""
        others = [other for other in same if other != term]
        position = same.index(term)
        if self.orthogonal:
            before = [(same[:position], 1.0)]
        elif len(same) > _ALL_ORDERS:
            before = [(same[:position], 0.5), (same[position + 1 :], 0.5)]
        else:
            before = [
                (chosen, 1 / (len(same) * comb(len(others), size)))
                for size in range(len(same))
                for chosen in combinations(others, size)
            ]
        weights = {}
        for chosen, weight in before:
            for fitted, sign in (((*below, *chosen, term), 1), ((*below, *chosen), -1)):
                self._fit(fitted)
                weights[frozenset(fitted)] = sign * weight
        return weights

    def _fit(self, fitted: Sequence[Term]) -> Reduction:
        key = frozenset(fitted)
        if key not in self._reductions:
            self._reductions[key] = Reduction(self._cells, sorted(key))
        return self._reductions[key]


class Contributions(NamedTuple):
    """Contributions of terms, then of the components of the noise, to the variance of a result.

    raw: (sources,), unbiased, negative where the differences are smaller than their noise. sizes: (sources,), not
    negative. samples: plausible contributions (samples,) of terms, of all of them together and of further groups, by
    their positions. noise: (samples, components), None if the noise is not known.
    """

    raw: np.ndarray
    sizes: np.ndarray
    samples: dict[tuple[int, ...], np.ndarray]
    noise: np.ndarray | None

    def shares(self) -> np.ndarray:
        """Return the shares of the sources (sources,), NaN if nothing differs."""
        return _ratio(self.sizes, self.sizes.sum())

    def intervals(self, sources: Sequence[int], level: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the intervals of the contribution and of the share of some sources together; NaN without noise.

        sources: either terms, one or a group that was sampled, or components of the noise. Each interval contains its
        estimate.
        """
        if self.noise is None:
            return (np.nan, np.nan), (np.nan, np.nan)
        terms = len(self.sizes) - self.noise.shape[1]
        if min(sources) < terms:
            size = self.samples[tuple(sources)]
            rest = sum((self.samples[at,] for at in range(terms) if at not in sources), self.noise.sum(axis=1))
        else:
            components = [at - terms for at in sources]
            size = self.noise[:, components].sum(axis=1)
            # Of all terms together: the sum of their samples is never 0 if there are several, however small they are.
            rest = self.samples[tuple(range(terms))] + np.delete(self.noise, components, axis=1).sum(axis=1)
        estimate = self.sizes[list(sources)].sum()
        shares = _ratio(size, size + rest)
        return _around(estimate, size, level), _around(float(_ratio(estimate, self.sizes.sum())), shares, level)


def size(form: Form, means: np.ndarray, noise: Noise) -> float:
    """Return the unbiased estimate of what a form contributes to the variance of a result."""
    expected = [form.expected(covariance) for covariance in noise.covariances]
    return (form.square(means) - float(noise.sizes @ np.array(expected))) / len(means)


def contributions(
    model: Decomposition,
    means: np.ndarray,
    noise: Noise | None,
    rng: np.random.Generator,
    groups: Sequence[Sequence[int]] = (),
) -> Contributions:
    """Return what each term of a decomposition and each component of the noise contribute to the variance of a result.

    The sum of squares of a term, less the expectation of its noise, over the number of cells is the unbiased estimate.
    Samples are of the generalised fiducial distribution (Weerahandi 1993; Hannig 2009): the noise from its chi-square
    distributions and then, given the noise, the non-centrality of the sum of squares from its confidence distribution,
    whose quantiles are exact limits. Where the estimate is negative they are those of an estimate of 0; otherwise a
    source that is not visible above the noise would seem to be known to be absent. Without ``noise`` nothing is
    subtracted.

    groups: positions of terms whose contributions are also sampled together.
    """
    terms = len(model.terms)
    squares = np.array([model.form([at]).square(means) for at in range(terms)])
    if noise is None:
        return Contributions(squares / len(means), squares / len(means), {}, None)
    samples = {}
    raw = np.empty(terms)
    scaled = [size * covariance for size, covariance in zip(noise.sizes, noise.covariances, strict=True)]
    total = sparse.csr_array(sum(scaled[1:], scaled[0]))
    for group in dict.fromkeys([*((at,) for at in range(terms)), tuple(range(terms)), *map(tuple, groups)]):
        form = model.form(group)
        parts = np.array([form.expected(covariance) for covariance in noise.covariances])
        square, expected = squares[list(group)].sum(), float(noise.sizes @ parts)
        freedom = form.freedom(total)
        if len(group) == 1:
            raw[group[0]] = (square - expected) / len(means)
        if freedom == 0:
            samples[group] = np.full(len(noise.samples), square / len(means))
            continue
        scale = noise.samples @ parts / freedom
        ratio = _ratio(max(square, expected), scale)
        samples[group] = scale * noncentrality(ratio, freedom, rng) / len(means)
    raw = np.r_[raw, noise.sizes]
    return Contributions(raw, np.maximum(raw, 0), samples, noise.samples)


def noncentrality(squares: np.ndarray, df: float, rng: np.random.Generator) -> np.ndarray:
    """Sample non-centralities from the confidence distribution of each chi-square value.

    The probability of at most L is that of a value above the observed one if the non-centrality is L. Because the
    derivative of the distribution function by the non-centrality is minus the density with two more degrees of freedom,
    the distribution is a mixture: 0 if a central chi-square value C with df degrees of freedom exceeds the observed
    one x, otherwise non-central chi-square with 2 degrees of freedom and the non-centrality x - C.
    """
    rest = squares - rng.chisquare(df, squares.shape)
    shifted = rng.standard_normal(squares.shape) + np.sqrt(np.maximum(rest, 0))
    return np.where(rest > 0, np.square(shifted) + np.square(rng.standard_normal(squares.shape)), 0.0)


def _ratio(size, total):
    """Return size / total, NaN where the total is 0."""
    shape = np.broadcast_shapes(np.shape(size), np.shape(total))
    return np.divide(size, total, out=np.full(shape, np.nan), where=np.asarray(total) > 0)


def _around(estimate: float, samples: np.ndarray, level: float) -> tuple[float, float]:
    if np.isnan(estimate):
        return np.nan, np.nan
    low, high = percentile_interval(samples, level)
    return float(min(low, estimate)), float(max(high, estimate))
