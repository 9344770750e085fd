import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from variability.stats import linear_models


def data(count, width, classes=3):
    generator = np.random.default_rng(5)
    features = generator.normal(size=(count, width)) * generator.uniform(10, 30, width) + generator.normal(size=width)
    scores = features / features.std(axis=0) @ generator.normal(size=(width, classes))
    labels = (scores + generator.gumbel(size=scores.shape)).argmax(axis=1)
    return features, labels, scores[:, 0] + generator.normal(size=count)


@pytest.mark.parametrize(("count", "width"), [(80, 6), (30, 50)])
def test_logistic_regression_is_that_of_scikit_learn(count, width):
    features, labels, _ = data(count, width)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    strengths = [1.0, 0.1, 0.01]
    for strength, model in zip(strengths, linear_models.logistic(features, labels, 3, strengths), strict=True):
        peer = LogisticRegression(C=1 / (count * strength), tol=1e-8, max_iter=10_000).fit(standard, labels)
        differences = np.diff(model.outputs(features), axis=1)
        np.testing.assert_allclose(differences, np.diff(peer.decision_function(standard), axis=1), atol=0.03)


@pytest.mark.parametrize(("count", "width"), [(80, 6), (30, 50)])
def test_ridge_regression_is_that_of_scikit_learn(count, width):
    features, _, targets = data(count, width)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    strengths = [10.0, 0.1, 0.001]
    for strength, model in zip(strengths, linear_models.ridge(features, targets, 1, strengths), strict=True):
        peer = Ridge(alpha=count * strength).fit(standard, targets)
        np.testing.assert_allclose(model.outputs(features)[:, 0], peer.predict(standard), rtol=1e-6, atol=1e-8)


def test_constant_features_change_nothing():
    features, labels, targets = data(40, 5)
    more = np.hstack([features, np.full((40, 2), 7.0)])
    for fit, goal in ((linear_models.logistic, labels), (linear_models.ridge, targets)):
        outputs = 3 if fit is linear_models.logistic else 1
        (plain,), (padded,) = (list(fit(each, goal, outputs, [0.1])) for each in (features, more))
        np.testing.assert_allclose(padded.outputs(more), plain.outputs(features), atol=1e-4)


def test_the_strongest_penalty_predicts_the_shares_of_the_classes_and_the_mean():
    features, labels, targets = data(60, 4)
    (classes,) = linear_models.logistic(features, labels, 3, [1e6])
    scores = np.exp(classes.outputs(features))
    np.testing.assert_allclose(scores[0] / scores[0].sum(), np.bincount(labels) / 60, atol=1e-3)
    (mean,) = linear_models.ridge(features, targets, 1, [1e9])
    np.testing.assert_allclose(mean.outputs(features), targets.mean(), atol=1e-6)


def test_a_feature_that_hardly_varies_in_training_does_not_decide_elsewhere():
    features, labels, targets = data(40, 5)
    rare = np.zeros((40, 1))
    rare[0] = 1e-3
    for fit, goal, outputs in ((linear_models.logistic, labels, 3), (linear_models.ridge, targets, 1)):
        (model,) = fit(np.hstack([features, rare]), goal, outputs, [0.01])
        usual, unusual = (np.hstack([features[:1], [[value]]]) for value in (0.0, 1.0))
        assert np.abs(model.outputs(unusual) - model.outputs(usual)).max() < 0.01


def test_features_without_any_variation_are_left_at_the_intercept():
    _, _, targets = data(40, 5)
    (model,) = linear_models.ridge(np.full((40, 3), 2.0), targets, 1, [0.1])
    np.testing.assert_allclose(model.outputs(np.full((2, 3), 2.0)), targets.mean())
