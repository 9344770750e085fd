"""Metrics on cases small enough to check by hand, and compared with scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics

from variability import registry

# Three classes, of which the last occurs neither among the truths nor among the predictions.
TRUE = np.array([0, 0, 0, 1, 1])
PREDICTED = np.array([0, 0, 1, 1, 0])
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])


def compute(name, y_true=TRUE, y_pred=PREDICTED, probabilities=PROBABILITIES):
    return registry.find("metrics", name)().compute(y_true, y_pred, probabilities)


def per_class(name, y_true=TRUE, y_pred=PREDICTED, probabilities=PROBABILITIES):
    return registry.find("metrics", name)().per_class(y_true, y_pred, probabilities)


def test_accuracy_is_the_share_of_correct_predictions():
    assert compute("accuracy") == {"accuracy": 0.6}


def test_balanced_accuracy_leaves_out_a_class_that_does_not_occur():
    assert compute("balanced_accuracy")["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_macro_averages_count_an_absent_class_as_zero():
    assert compute("recall")["recall_macro"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert compute("precision")["precision_macro"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_weighted_averages_give_an_absent_class_no_weight():
    assert compute("recall")["recall_weighted"] == pytest.approx(0.6)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_micro_averages_are_accuracy(name):
    assert compute(name)[f"{name}_micro"] == pytest.approx(0.6)


def test_scores_per_class_name_every_class_of_the_task():
    assert per_class("precision") == {(0,): pytest.approx(2 / 3), (1,): pytest.approx(1 / 2), (2,): 0.0}


def test_the_confusion_matrix_holds_every_example_once_and_no_empty_cell():
    assert per_class("confusion") == {(0, 0): 2, (0, 1): 1, (1, 0): 1, (1, 1): 1}


def test_top5_is_undefined_where_every_prediction_would_count():
    assert np.isnan(compute("top5")["top5"])
    five = np.full((2, 5), 0.2)
    assert np.isnan(compute("top5", np.array([0, 1]), np.array([0, 1]), five)["top5"])


def test_top5_counts_a_class_among_the_five_most_probable():
    probabilities = np.tile(np.arange(7) / 21, (3, 1))
    assert compute("top5", np.array([6, 2, 1]), np.array([6, 6, 6]), probabilities)["top5"] == pytest.approx(2 / 3)


def test_auroc_is_the_mean_over_the_classes_that_occur():
    # Class 0 against the rest: 5 of 6 pairs in order. Class 1: (0.7, 0.4) against (0.1, 0.3, 0.6): 5 of 6.
    assert compute("auroc")["auroc"] == pytest.approx(5 / 6)
    assert np.isnan(per_class("auroc")[(2,)])


def test_auroc_of_two_classes_is_the_binary_one():
    rng = np.random.default_rng(0)
    truth, second = np.arange(40) % 2, rng.uniform(size=40)
    probabilities = np.stack([1 - second, second], axis=1)
    expected = sklearn.metrics.roc_auc_score(truth, second)
    assert compute("auroc", truth, second > 0.5, probabilities)["auroc"] == pytest.approx(expected)
    assert list(per_class("auroc", truth, second > 0.5, probabilities)) == [(1,)]


def test_auroc_is_undefined_where_one_class_alone_occurs():
    assert np.isnan(compute("auroc", np.zeros(5, dtype=int))["auroc"])


def test_nll_is_scikit_learns_log_loss():
    expected = sklearn.metrics.log_loss(TRUE, PROBABILITIES, labels=[0, 1, 2])
    assert compute("nll")["nll"] == pytest.approx(expected, rel=1e-12)


def test_nll_of_a_certain_mistake_is_finite():
    certain = np.array([[1.0, 0.0]])
    assert compute("nll", np.array([1]), np.array([0]), certain)["nll"] == pytest.approx(23 * np.log(2))


def test_brier_sums_over_classes_also_where_there_are_two():
    assert compute("brier", np.array([1]), np.array([0]), np.array([[1.0, 0.0]]))["brier"] == 2.0
    expected = sklearn.metrics.brier_score_loss(TRUE, PROBABILITIES, labels=[0, 1, 2], scale_by_half=False)
    assert compute("brier")["brier"] == pytest.approx(expected)


def test_ece_by_hand():
    # Confidences 0.8, 0.6, 0.6, 0.7, 0.5 in bins 12, 9 (both 0.6), 11, 8; right: yes, yes, no, yes, no.
    # Gaps |1 - 0.8| + |1 - 1.2| + |1 - 0.7| + |0 - 0.5| = 0.2 + 0.2 + 0.3 + 0.5, over 5 examples.
    assert compute("ece")["ece"] == pytest.approx(1.2 / 5)


def test_a_perfectly_calibrated_forecast_has_no_calibration_error():
    truth = np.array([0, 0, 0, 1])
    probabilities = np.tile([0.75, 0.25], (4, 1))
    assert compute("ece", truth, np.zeros(4, dtype=int), probabilities)["ece"] == pytest.approx(0)


def test_regression_metrics_by_hand():
    truth, predicted = np.array([0.0, 0.0, 3.0, 1.0]), np.array([1.0, -1.0, 3.0, 3.0])
    expected = {"mse": 1.5, "rmse": 1.5**0.5, "mae": 1.0, "r2": 1 - 6 / 6}
    values = {name: compute(name, truth, predicted, None)[name] for name in expected}
    assert values == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("mae", sklearn.metrics.mean_absolute_error),
        ("mse", sklearn.metrics.mean_squared_error),
        ("rmse", sklearn.metrics.root_mean_squared_error),
        ("r2", sklearn.metrics.r2_score),
    ],
)
def test_regression_metrics_equal_those_of_scikit_learn_to_the_bit(name, oracle):
    rng = np.random.default_rng(0)
    for n in (2, 3, 10, 129, 1000, 20_000):
        for mean, sd in ((0, 1), (1e6, 1e-3), (-3, 1e4)):
            truth = mean + sd * rng.normal(size=n)
            predicted = truth + sd * rng.normal(size=n)
            assert compute(name, truth, predicted, None)[name] == oracle(truth, predicted)


def test_r2_of_equal_targets_is_undefined():
    assert np.isnan(compute("r2", np.ones(3), np.arange(3.0), None)["r2"])
