"""The contract of all kinds of tasks."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from variability import registry
from variability.results.metrics import scalars

NAMES = registry.names("kinds")
CLASSES = ["a", "b", "c", "d"]


def example(name):
    """Return a kind, summaries of 30 outputs, and their labels."""
    rng = np.random.default_rng(0)
    plugin = registry.find("kinds", name)
    whole = np.issubdtype(plugin.LABEL_TYPE, np.integer)
    labels = (rng.integers(len(CLASSES), size=30) if whole else rng.normal(50, 9, 30)).astype(plugin.LABEL_TYPE)
    kind = plugin(plugin.facts(labels))
    units = kind.outputs(CLASSES if whole else [], {"items": len(CLASSES)})
    outputs = torch.from_numpy(rng.normal(size=(30, units)).astype(np.float32))
    return kind, kind.summary(outputs, labels), labels


@pytest.mark.parametrize("name", NAMES)
def test_summaries_give_the_same_as_tensors_and_as_arrays(name):
    kind, summaries, labels = example(name)
    loss, measured = kind.evaluate(summaries, labels)
    assert (loss, measured) == kind.evaluate(summaries.numpy(), labels)
    assert type(loss) is type(measured) is float and np.isfinite([loss, measured]).all()


@pytest.mark.parametrize("name", NAMES)
def test_measure_and_losses_equal_metrics_of_the_stored_columns(name):
    kind, summaries, labels = example(name)
    columns = kind.columns(summaries.numpy(), labels)
    assert set(columns) == {"y_true", "y_pred", "probabilities"}
    truth, predicted = (columns[key].to_numpy(zero_copy_only=False) for key in ("y_true", "y_pred"))
    probabilities = kind.probabilities(pa.table(columns), len(CLASSES))

    def value(metric):
        return scalars()[metric]().compute(truth, predicted, probabilities)[metric]

    _, measured = kind.evaluate(summaries, labels)
    assert measured == pytest.approx(value(kind.MEASURE))
    mean_loss = kind.losses(truth, predicted).mean()
    higher = scalars()[kind.LOSS_METRIC].HIGHER_IS_BETTER
    assert (1 - mean_loss if higher else mean_loss) == pytest.approx(value(kind.LOSS_METRIC))


@pytest.mark.parametrize("name", NAMES)
def test_the_training_loss_equals_the_evaluated_loss(name):
    kind, _, labels = example(name)
    units = kind.outputs(CLASSES, {"items": len(CLASSES)})
    outputs = torch.from_numpy(np.random.default_rng(1).normal(size=(30, units)).astype(np.float32))
    loss, _ = kind.evaluate(kind.summary(outputs, labels), labels)
    assert kind.loss(outputs, kind.targets(labels)).item() == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("name", registry.names("kinds"))
def test_the_reference_probe_is_a_linear_model_or_none(name):
    from variability.stats.linear_models import FITS

    assert registry.find("kinds", name).PROBE in (None, *FITS)
