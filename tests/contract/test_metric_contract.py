"""Every metric implements the interface that the config check, the score stage and the figures rely on."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from variability import registry
from variability.results import metrics

LIBRARY = Path(metrics.__file__).parents[3]
NAMES = registry.names("metrics")


def examples(kind, perfect=False):
    rng = np.random.default_rng(0)
    if kind == "regression":
        truth = rng.normal(size=40)
        return truth, truth if perfect else truth + rng.normal(size=40), None
    if kind == "ranking":
        return np.ones(40), np.ones(40) if perfect else rng.integers(1, 20, 40).astype(float), None
    truth = np.arange(40) % 8
    probabilities = np.eye(8)[truth] if perfect else rng.dirichlet(np.ones(8), 40)
    return truth, probabilities.argmax(axis=1), probabilities


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_computes_the_scalars_that_it_names_and_no_others(name):
    plugin = registry.find("metrics", name)
    values = plugin().compute(*examples(plugin.KIND))
    assert tuple(values) == plugin.NAMES == tuple(plugin.LABELS)
    assert all(type(value) is float and np.isfinite(value) for value in values.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_prediction_has_the_perfect_value(name):
    plugin = registry.find("metrics", name)
    for scalar, value in plugin().compute(*examples(plugin.KIND, perfect=True)).items():
        assert value == pytest.approx(plugin.PERFECT, abs=1e-6), scalar


@pytest.mark.parametrize("name", NAMES)
def test_a_worse_prediction_has_a_worse_value(name):
    plugin = registry.find("metrics", name)
    for value in plugin().compute(*examples(plugin.KIND)).values():
        assert (value < plugin.PERFECT) == plugin.HIGHER_IS_BETTER


@pytest.mark.parametrize("name", NAMES)
def test_values_per_class_are_of_classes_that_exist(name):
    plugin = registry.find("metrics", name)
    for classes, value in plugin().per_class(*examples(plugin.KIND)).items():
        assert len(classes) in (1, 2)
        assert all(type(index) is int and 0 <= index < 8 for index in classes)
        assert type(value) is float


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_accepts_a_class_that_does_not_occur(name):
    plugin = registry.find("metrics", name)
    truth, predicted, probabilities = examples(plugin.KIND)
    few = truth < 3
    chosen = (truth[few], predicted[few], None if probabilities is None else probabilities[few])
    assert tuple(plugin().compute(*chosen)) == plugin.NAMES
    plugin().per_class(*chosen)


def test_names_of_primary_metrics_are_known_without_heavy_imports():
    code = (
        "import sys; from variability.results.metrics import scalar_names\n"
        "assert 'f1_macro' in scalar_names('classification') and 'rmse' in scalar_names('regression')\n"
        "assert not {'torch', 'sklearn', 'pandas', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(LIBRARY)})


def test_no_two_metrics_compute_a_scalar_of_the_same_name():
    assert len(metrics.scalars()) == sum(len(registry.find("metrics", name).NAMES) for name in NAMES)
