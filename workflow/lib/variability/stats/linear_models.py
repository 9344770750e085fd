"""Regularised linear models of features, fitted along a path of strengths: logistic and ridge regression.

Both minimise a mean loss plus a penalty on the weights, never on the intercepts. A path begins with the strongest
penalty, from which each fit of the logistic regression starts the next one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

#: Largest number of iterations, and gradient of the mean loss at which the logistic regression has converged.
_ITERATIONS = 200
_GRADIENT = 1e-6
#: Smallest scale of a feature, as a share of the root mean square of all standard deviations.
_SMALLEST_SCALE = 0.3


@dataclass(frozen=True)
class LinearModel:
    """weights: (features, outputs). intercepts: (outputs,). center, scale: (features,), subtracted and divided by."""

    weights: np.ndarray
    intercepts: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """Return the outputs (n, outputs) for features (n, features)."""
        return (features - self.center) / self.scale @ self.weights + self.intercepts


#: Fits a path: features (n, d), targets (n,), number of outputs, strengths in descending order.
Fit = Callable[[np.ndarray, np.ndarray, int, Sequence[float]], Iterator[LinearModel]]


def ridge(features: np.ndarray, targets: np.ndarray, outputs: int, strengths: Sequence[float]) -> Iterator[LinearModel]:
    """Yield the ridge regressions of standardised features (Hoerl and Kennard 1970), exact solutions.

    Each minimises mean (y - x w - b)^2 + strength |w|^2.
    """
    center, scale = _standard(features)
    reduced, back = _reduce((features - center) / scale)
    intercept = targets.mean(keepdims=True)
    values, vectors = np.linalg.eigh(reduced.T @ reduced / len(reduced))
    projected = vectors.T @ (reduced.T @ (targets - intercept)) / len(reduced)
    for strength in strengths:
        weights = back(vectors @ (projected / (np.maximum(values, 0) + strength))[:, None])
        yield LinearModel(weights, intercept, center, scale)


def logistic(
    features: np.ndarray, targets: np.ndarray, outputs: int, strengths: Sequence[float]
) -> Iterator[LinearModel]:
    """Yield the multinomial logistic regressions of standardised features.

    targets: class indices. Each minimises mean cross-entropy + strength / 2 |W|^2 by L-BFGS (Liu and Nocedal 1989).
    """
    from scipy.optimize import minimize

    center, scale = _standard(features)
    reduced, back = _reduce((features - center) / scale)
    count, width = reduced.shape
    rows, shape = np.arange(count), (width + 1, outputs)

    def loss(flat: np.ndarray, strength: float) -> tuple[float, np.ndarray]:
        parameters = flat.reshape(shape)
        scores = reduced @ parameters[:-1] + parameters[-1]
        scores -= scores.max(axis=1, keepdims=True)
        right = scores[rows, targets]
        np.exp(scores, out=scores)
        sums = scores.sum(axis=1, keepdims=True)
        scores /= sums
        scores[rows, targets] -= 1
        scores /= count
        weights = parameters[:-1]
        gradient = np.vstack([reduced.T @ scores + strength * weights, scores.sum(axis=0)])
        value = float((np.log(sums[:, 0]) - right).mean() + strength / 2 * np.square(weights).sum())
        return value, gradient.ravel()

    shares = np.maximum(np.bincount(targets, minlength=outputs), 0.5) / count
    flat = np.vstack([np.zeros((width, outputs)), np.log(shares)]).ravel()
    for strength in strengths:
        options = {"maxiter": _ITERATIONS, "gtol": _GRADIENT, "ftol": 1e-11}
        flat = minimize(loss, flat, (strength,), method="L-BFGS-B", jac=True, options=options).x
        parameters = flat.reshape(shape)
        yield LinearModel(back(parameters[:-1]), parameters[-1].copy(), center, scale)


def _standard(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the scale of each feature: its standard deviation, but at least a share of their RMS.

    A feature that hardly varies among the training examples would otherwise be magnified without limit, and one other
    example in which it varies would decide the loss of all.
    """
    deviations = features.std(axis=0)
    smallest = _SMALLEST_SCALE * np.sqrt(np.square(deviations).mean())
    return features.mean(axis=0), np.maximum(deviations, smallest) if smallest > 0 else np.ones_like(deviations)


def _reduce(features: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return the features in as few dimensions as they span, and the function that takes weights back.

    With a penalty |w|^2 the best weights are combinations of the examples, so that nothing is lost; this saves most of
    the time where there are fewer examples than features.
    """
    count, width = features.shape
    if width <= count:
        return features, lambda weights: weights
    values, vectors = np.linalg.eigh(features @ features.T)
    used = values > max(values[-1], 0) * 1e-12
    roots = np.sqrt(values[used])
    basis = features.T @ (vectors[:, used] / roots)
    return vectors[:, used] * roots, lambda weights: basis @ weights


#: Fits by the names that a kind of tasks may state as its reference.
FITS: dict[str, Fit] = {"logistic regression": logistic, "ridge regression": ridge}
