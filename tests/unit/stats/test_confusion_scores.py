"""Tests of the contributions of examples to scores of a confusion matrix, against their derivatives."""

import numpy as np
import pytest

from variability.stats import confusion_scores


@pytest.mark.parametrize("metric", sorted(confusion_scores.METRICS))
@pytest.mark.parametrize("classes", [3, 5])
def test_contributions_are_the_derivatives_of_the_score_by_the_weights_of_examples(metric, classes):
    rng = np.random.default_rng(0)
    y_true = rng.choice(3, 60, p=[0.6, 0.3, 0.1])
    y_pred = np.where(rng.random(60) < 0.3, rng.integers(0, 3, 60), y_true)
    values = confusion_scores.contributions(metric, y_true, y_pred, classes)
    score = confusion_scores.score(metric, *confusion_scores.class_counts(y_true, y_pred, classes))
    assert values.mean() == pytest.approx(score)
    for example in range(20):
        weights = np.ones(60)
        weights[example] += 1e-7
        correct = y_true == y_pred
        hits, true, predicted = (
            np.bincount(labels, weights[chosen], minlength=classes)
            for labels, chosen in ((y_true[correct], correct), (y_true, slice(None)), (y_pred, slice(None)))
        )
        derivative = (confusion_scores.score(metric, hits, true, predicted) - score) / 1e-7 * 60
        assert values[example] - score == pytest.approx(derivative, abs=1e-4)
