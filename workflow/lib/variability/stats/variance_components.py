"""Variance components of runs classified by factors whose effects are all random: mean squares, REML, moments.

A *term* is a tuple of factors (numbers of axes or columns): (0,) is a main effect and (0, 1) an interaction. A factor
that is nested in others occurs in terms only together with them. The last component is always the residual.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse, special

Term = tuple[int, ...]
#: Largest sum of squares that rounding alone can give, relative to values of size 1.
_ROUNDING = (16 * np.finfo(float).eps) ** 2


class Anova(NamedTuple):
    """Mean squares of a grid, with that of the residual last.

    df, ms: (terms + 1,). weights: (terms + 1, terms + 1); a row times ``ms`` is the unbiased estimate of a component.
    """

    terms: list[Term]
    df: np.ndarray
    ms: np.ndarray
    weights: np.ndarray

    @property
    def variances(self) -> np.ndarray:
        """Method-of-moments estimates, including negative ones."""
        return self.weights @ self.ms


def terms(factors: int, above: Mapping[int, Sequence[int]] | None = None) -> list[Term]:
    """List all main effects and interactions of some factors.

    above: {factor: the factors that it is nested in}.
    """
    above = above or {}
    every = [term for size in range(1, factors + 1) for term in combinations(range(factors), size)]
    return [term for term in every if all(set(above.get(factor, ())) <= set(term) for factor in term)]


def anova(values: np.ndarray, above: Mapping[int, Sequence[int]] | None = None) -> Anova:
    """Return the analysis of variance of a complete grid; all effects random.

    Searle, Casella & McCulloch (1992), ch. 4. values: an axis for every factor, each with two levels or more, and the
    replicates in the last axis. Without replicates the interaction of all factors is left out, because it cannot be
    separated from the residual. above: see ``terms``.
    """
    shape, above = values.shape, above or {}
    model = terms(values.ndim - 1, above)
    axes = range(values.ndim)
    # Differences from one of the values: equal values then have no spread, free of the rounding error of their mean.
    centred = values - values.flat[0]
    effects: dict[Term, np.ndarray] = {(): np.full_like(centred, centred.mean())}
    for term in model:
        mean = centred.mean(axis=tuple(axis for axis in axes if axis not in term), keepdims=True)
        smaller = [effect for other, effect in effects.items() if set(other) < set(term)]
        effects[term] = np.broadcast_to(mean, shape) - sum(smaller)
    df = [np.prod([shape[axis] - (not _nests(axis, term, above)) for axis in term]) for term in model]
    sums_of_squares = [np.square(effects[term]).sum() for term in model]
    if shape[-1] > 1:
        deviations = centred - centred.mean(axis=-1, keepdims=True)
        df.append(values.size - values.size // shape[-1])
        sums_of_squares.append(np.square(deviations).sum())
    else:
        model = model[:-1]
    rounding = _ROUNDING * values.size * np.square(values).max()
    ms = np.array(
        [square / freedom if square > rounding else 0.0 for square, freedom in zip(sums_of_squares, df, strict=True)]
    )
    return Anova(model, np.array(df), ms, _weights(model, shape))


def _nests(axis: int, term: Term, above: Mapping[int, Sequence[int]]) -> bool:
    return any(axis in above.get(other, ()) for other in term)


def _weights(model: Sequence[Term], shape: tuple[int, ...]) -> np.ndarray:
    expected = np.zeros((len(model) + 1, len(model) + 1))
    expected[:, -1] = 1
    for row, term in enumerate(model):
        for column, other in enumerate(model):
            if set(term) <= set(other):
                expected[row, column] = np.prod(shape) / np.prod([shape[axis] for axis in other])
    return _inverse(expected)


def _inverse(expected: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(expected)
    # The matrix is triangular. Remove rounding errors, because intervals depend on which mean squares an estimate uses.
    return np.where(np.abs(inverse) < 1e-12 * np.abs(inverse).max(axis=1, keepdims=True), 0, inverse)


def mls_interval(weights: np.ndarray, ms: np.ndarray, df: np.ndarray, level: float) -> tuple[float, float]:
    """Return the modified-large-sample interval of sum(weights * E[ms]), truncated at 0.

    Ting, Burdick, Graybill, Jeyaratnam & Lu (1990). ms: independent mean squares with df degrees of freedom. For a
    single mean square it is the chi-square interval; for a sum without differences that of Graybill & Wang (1980).
    Names as in Burdick & Graybill (1992, sect. 3.3).

    Where the estimate is negative, the upper end is that of an estimate of 0. Otherwise it would approach 0 as well, as
    if a component that is not visible above the noise were known to be absent.
    """
    used = weights != 0
    size, df, plus = np.abs(weights * ms)[used], df[used].astype(float), weights[used] > 0
    tail = (1 - level) / 2
    g = 1 - df / special.chdtri(df, tail)
    h = df / special.chdtri(df, 1 - tail) - 1
    estimate = size[plus].sum() - size[~plus].sum()
    below = np.square(np.where(plus, g, h) * size).sum()
    raised = np.where(plus, _raise_to_zero(size, plus), size) if estimate < 0 else size
    above = np.square(np.where(plus, h, g) * raised).sum()
    if plus.any() and not plus.all():
        pairs = np.ix_(plus, ~plus)
        below += _opposite_sign_terms(size, df, g, h, special.fdtri(*np.meshgrid(df, df, indexing="ij"), 1 - tail))[
            pairs
        ].sum()
        above += _opposite_sign_terms(raised, df, h, g, special.fdtri(*np.meshgrid(df, df, indexing="ij"), tail))[
            pairs
        ].sum()
        below += _equal_sign_terms(size[plus], df[plus], g[plus], tail)
        above += _equal_sign_terms(raised[~plus], df[~plus], g[~plus], tail)
    return max(estimate - np.sqrt(max(below, 0)), 0.0), max(estimate, 0.0) + np.sqrt(max(above, 0))


def _raise_to_zero(size: np.ndarray, plus: np.ndarray) -> np.ndarray:
    """Scale the added sizes so that they equal the subtracted ones, which makes the estimate 0."""
    added, subtracted = size[plus].sum(), size[~plus].sum()
    return size * subtracted / added if added > 0 else np.full(size.shape, subtracted / max(plus.sum(), 1))


def _opposite_sign_terms(
    size: np.ndarray, df: np.ndarray, row: np.ndarray, column: np.ndarray, f: np.ndarray
) -> np.ndarray:
    factor = (np.square(f - 1) - np.square(row)[:, None] * np.square(f) - np.square(column)) / f
    return factor * np.outer(size, size)


def _equal_sign_terms(size: np.ndarray, df: np.ndarray, g: np.ndarray, tail: float) -> float:
    if len(size) < 2:
        return 0.0
    one, two = np.triu_indices(len(size), 1)
    both = df[one] + df[two]
    whole = np.square(1 - both / special.chdtri(both, tail)) * np.square(both) / (df[one] * df[two])
    parts = np.square(g[one]) * df[one] / df[two] + np.square(g[two]) * df[two] / df[one]
    return ((whole - parts) * size[one] * size[two]).sum() / (len(size) - 1)


class Cells:
    """Cells of a grid, which may have gaps and unequal numbers of runs.

    means, counts: (cells,), mean and number of a cell's runs. codes: (cells, factors), the levels of the factors.
    within: sum of squares of the runs about their cells' means.
    """

    def __init__(self, means: np.ndarray, counts: np.ndarray, codes: np.ndarray, within: float):
        self.means = means - np.average(means, weights=counts)
        self.counts, self.codes, self.within = counts.astype(float), codes, within
        self.df_within = int(counts.sum()) - len(counts)
        self._levels: dict[Term, sparse.csr_array] = {}
        self._weighted: dict[Term, sparse.csr_array] = {}

    def levels(self, term: Term) -> sparse.csr_array:
        """Return the indicator matrix (cells, levels of the term): 1 where a cell has the level."""
        if term not in self._levels:
            columns = np.unique(self.codes[:, list(term)], axis=0, return_inverse=True)[1].ravel()
            ones = np.ones(len(columns))
            self._levels[term] = sparse.csr_array((ones, (np.arange(len(columns)), columns)))
        return self._levels[term]

    def size(self, term: Term) -> int:
        """Return the number of levels of the term."""
        return int(self.levels(term).indices.max()) + 1

    def weighted(self, term: Term) -> sparse.csr_array:
        """Return the levels, each row multiplied by the root of the cell's number of runs.

        The rows then have equal variance.
        """
        if term not in self._weighted:
            roots = np.sqrt(self.counts)[:, None]
            self._weighted[term] = sparse.csr_array(self.levels(term).multiply(roots))
        return self._weighted[term]


class Reduction:
    """Part of the cells' means that a constant and some terms explain."""

    def __init__(self, cells: Cells, fitted: Sequence[Term]):
        self.cells = cells
        # The columns of a term are sums of those of any interaction that contains it. The columns of the largest term
        # do not overlap, so they need no decomposition, and what remains of the others has few columns.
        largest = [term for term in fitted if not any(set(term) < set(other) for other in fitted)]
        largest = sorted(largest, key=cells.size) or [()]
        term = largest.pop()
        one, columns = cells.weighted(term), cells.size(term)
        one = sparse.csr_array(one / sparse.linalg.norm(one, axis=0))
        rest = np.empty((len(cells.counts), 0))
        if largest:
            others = sparse.hstack([cells.weighted(term) for term in largest], format="csr")
            remainder = others.toarray() - one @ (one.T @ others).toarray()
            squares, vectors = linalg.eigh(remainder.T @ remainder)
            positive = squares > 1e-9 * squares.max(initial=cells.counts.max())
            rest = remainder @ (vectors[:, positive] / np.sqrt(squares[positive]))
        #: Orthonormal columns, of which the first ones are sparse.
        self.bases = one, rest
        self.rank = columns + rest.shape[1]
        values = np.sqrt(cells.counts) * cells.means
        self.square = sum(np.square(basis.T @ values).sum() for basis in self.bases)

    def projection(self) -> np.ndarray:
        """Return the projection onto the columns (cells, cells)."""
        one, rest = self.bases
        return (one @ one.T).toarray() + rest @ rest.T

    def expected(self, term: Term) -> float:
        """Return the coefficient of a term's variance in the expected sum of squares."""
        columns = self.cells.weighted(term)
        one, rest = self.bases
        return np.square((one.T @ columns).data).sum() + np.square(columns.T @ rest).sum()

    def noise(self, noise: np.ndarray) -> np.ndarray:
        """Return the coefficients of the components of the cells' noise in the expected sum of squares.

        noise: (cells, components).
        """
        one, rest = self.bases
        return one.power(2).sum(axis=1) @ noise + np.square(rest).sum(axis=1) @ noise


def adjusted(
    cells: Cells, model: Sequence[Term], within: Anova | None = None, noise: np.ndarray | None = None
) -> Anova:
    """Return the analysis of variance of a grid with gaps, without terms that add nothing to the others.

    The sum of squares of a term is what it explains beyond all terms that do not contain it (type II). Its expectation
    contains its own variance, those of the interactions that contain it, and the noise: method 3 of Henderson (1953).
    In a balanced grid this equals ``anova``; otherwise the mean squares are neither independent nor exactly chi-square.

    within: the analysis of the runs within cells, where they are not independent; its mean squares follow those of the
    terms. noise: (cells, components of ``within``), coefficients of the components in number of runs times variance of
    a cell's mean. Without them there is one residual, from the runs within cells or, where no cell has two, from what
    no term fits; its mean square is NaN where nothing remains.
    """
    within = within or _residual(cells, model)
    noise = np.ones((len(cells.counts), 1)) if noise is None else noise
    reductions = {fitted: Reduction(cells, fitted) for fitted in {fit for term in model for fit in _fits(term, model)}}
    both = {term: [reductions[fitted] for fitted in _fits(term, model)] for term in model}
    df = {term: full.rank - less.rank for term, (full, less) in both.items()}
    estimable = [term for term in model if df[term]]
    expected = np.zeros((len(estimable) + noise.shape[1],) * 2)
    for row, term in enumerate(estimable):
        full, less = both[term]
        expected[row, len(estimable) :] = full.noise(noise) - less.noise(noise)
        for column, other in enumerate(estimable):
            if set(term) <= set(other):
                expected[row, column] = full.expected(other) - less.expected(other)
        expected[row] /= df[term]
    expected[len(estimable) :, len(estimable) :] = np.linalg.inv(within.weights)
    squares = [max(full.square - less.square, 0) / df[term] for term, (full, less) in both.items() if df[term]]
    freedom = [*(df[term] for term in estimable), *within.df]
    return Anova(estimable, np.array(freedom), np.array([*squares, *within.ms]), _inverse(expected))


def _residual(cells: Cells, model: Sequence[Term]) -> Anova:
    df, square = cells.df_within, cells.within
    if not df:
        reduction = Reduction(cells, model)
        df = len(cells.counts) - reduction.rank
        square = max(np.sum(cells.counts * np.square(cells.means)) - reduction.square, 0)
    return Anova([], np.array([df]), np.array([square / df if df else np.nan]), np.ones((1, 1)))


def _fits(term: Term, model: Sequence[Term]) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Return the terms that do not contain a term, with that term and without it."""
    without = tuple(other for other in model if not set(term) <= set(other))
    return (*without, term), without


def reml(cells: Cells, model: Sequence[Term], start: np.ndarray, steps: int = 200) -> np.ndarray | None:
    """Return restricted maximum likelihood estimates, at least 0; None without convergence.

    Patterson & Thompson (1971). start: (terms + 1,). Fisher scoring with an active set: a component leaves 0 where the
    likelihood increases. The likelihood of the runs is that of their cells' means times that of their deviations from
    them, so the cost depends on the number of cells, not of runs. Every term must add something to the others.
    """
    # Of all runs, because the means of all cells may be equal.
    scale = (cells.counts @ np.square(cells.means) + cells.within) / cells.counts.sum()
    # Start above 0, which a component leaves slowly; from a small value it converges.
    variances = np.maximum(start / scale, 1e-4)
    deviance, gradient, information = _likelihood(cells, model, variances, scale)
    for _ in range(steps):
        free = (variances > 0) | (gradient > 0)
        step = np.zeros_like(variances)
        step[free] = linalg.lstsq(information[np.ix_(free, free)], gradient[free])[0]  # pyright: ignore[reportOptionalSubscript]
        for halving in range(30):
            moved = np.maximum(variances + step / 2**halving, 0)
            moved[-1] = max(moved[-1], variances[-1] / 10)
            tried = _likelihood(cells, model, moved, scale)
            if tried[0] <= deviance:
                break
        else:
            # No step in an ascent direction improves the likelihood any more: the remaining slope is rounding error.
            return variances * scale if step[free] @ gradient[free] < 1e-6 else None
        gain, change = deviance - tried[0], np.abs(moved - variances)
        variances, (deviance, gradient, information) = moved, tried
        if gain < 1e-9 and (change <= 1e-6 * variances + 1e-12).all():
            return variances * scale
    return None


def _likelihood(
    cells: Cells, model: Sequence[Term], variances: np.ndarray, scale: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return -2 log of the restricted likelihood, the gradient of its log, and Fisher's information."""
    values, within, residual = cells.means / np.sqrt(scale), cells.within / scale, variances[-1]
    covariance = np.diag(residual / cells.counts)
    for term, variance in zip(model, variances, strict=False):
        covariance += variance * (cells.levels(term) @ cells.levels(term).T).toarray()
    factor = linalg.cholesky(covariance, lower=True)
    inverse = linalg.cho_solve((factor, True), np.eye(len(values)))
    sums = inverse.sum(axis=0)
    projected = inverse - np.outer(sums, sums) / sums.sum()
    left = projected @ values
    deviance = 2 * np.log(np.diag(factor)).sum() + np.log(sums.sum()) + values @ left
    deviance += cells.df_within * np.log(residual) + within / residual

    # The "levels" of the residual are the cells themselves, each with the variance of a mean.
    levels = [cells.levels(term) for term in model] + [sparse.diags_array(1 / np.sqrt(cells.counts)).tocsr()]
    parts = [columns.T @ projected for columns in levels]
    gradient = np.array(
        [
            np.square(columns.T @ left).sum() - np.trace(part @ columns)
            for part, columns in zip(parts, levels, strict=True)
        ]
    )
    information = np.array([[np.square(part @ columns).sum() for columns in levels] for part in parts])
    gradient[-1] += within / residual**2 - cells.df_within / residual
    information[-1, -1] += cells.df_within / residual**2
    return deviance, gradient / 2, information / 2
