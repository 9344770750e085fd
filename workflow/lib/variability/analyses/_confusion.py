"""The bootstrap over examples of metrics that are functions of the confusion matrix."""

from collections.abc import Sequence

import numpy as np

from variability import resampling
from variability.margins import margins, value


def resampled(
    rng: np.random.Generator, y_true: np.ndarray, y_pred: np.ndarray, classes: int, resamples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``margins`` of bootstrap samples of the examples, (resamples, classes) each.

    Examples with the same true and predicted class are alike to these metrics. So how often each such pair is drawn
    is all that matters, and that is multinomial: the same as drawing examples, in a fraction of the time.
    """
    pairs, counts = np.unique(y_true * classes + y_pred, return_counts=True)
    drawn = rng.multinomial(len(y_true), counts / len(y_true), size=resamples).astype(float)
    true, predicted = np.divmod(pairs, classes)
    of_class = np.eye(classes)
    right = true == predicted
    return drawn[:, right] @ of_class[true[right]], drawn @ of_class[true], drawn @ of_class[predicted]


def of_median_run(
    metric: str, runs: Sequence, rng: np.random.Generator, classes: int, resamples: int, level: float
) -> dict[str, float]:
    """The value of the run with the median value (the lower of two), and its bootstrap interval over examples.

    runs: ``RunPredictions`` of a cell. Returns estimate, low, high and n_test.
    """
    values = [value(metric, *margins(run.y_true, run.y_pred, classes)) for run in runs]
    at = np.argsort(values, kind="stable")[(len(runs) - 1) // 2]
    y_true, y_pred = runs[at].y_true, runs[at].y_pred
    replicates = value(metric, *resampled(rng, y_true, y_pred, classes, resamples))
    low, high = resampling.percentile_interval(replicates, level)
    return {"estimate": values[at], "low": low, "high": high, "n_test": len(y_true)}
