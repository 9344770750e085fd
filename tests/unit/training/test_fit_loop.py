"""The end of a fit and the epoch whose weights it retains, independent of the library: with scripted losses."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from variability.config import recipe
from variability.data.batching import cut_batches
from variability.errors import UserError
from variability.training import fit_loop

KIND = SimpleNamespace(MEASURE="right", evaluate=lambda outputs, labels: (outputs, 1 - outputs))


class Scripted(fit_loop.FitLoop):
    """A network with one weight: the number of epochs that it was trained for.

    validation: losses from epoch 0 on. training: {epoch: losses of its two steps}; 1 for epochs not listed.
    infinite_from: epoch from which weights are not finite. rows: number of validation examples. settings: of the
    recipe, and ``state`` and ``on_epoch`` of the ``FitSpec``.
    """

    def __init__(self, validation, training=None, infinite_from=math.inf, rows=10, **settings):
        described = {key: settings.pop(key) for key in ("state", "on_epoch") if key in settings}
        data = fit_loop.FitData(np.zeros(60), np.arange(40), np.arange(40, 40 + rows), KIND)
        chosen = recipe.resolve({"epochs": len(validation) - 1, "batch_size": 20}, settings)
        super().__init__(fit_loop.FitSpec(data, chosen, 0, fingerprint="fingerprint", **described))
        self.validation, self.training, self.infinite_from = validation, training or {}, infinite_from
        self.weight = self.retained = 0
        self.stored = None

    def batches(self, order, epoch):
        return cut_batches(order, self.recipe["batch_size"])

    def train_batches(self, epoch, batches, rates):
        assert len(batches) == len(rates) == 2 and sorted(np.concatenate(batches)) == list(range(40))
        self.weight = epoch
        return self.training.get(epoch, [1.0, 1.0])

    def outputs(self, rows):
        return self.validation[self.weight]

    def weights_are_finite(self):
        return self.weight < self.infinite_from

    def retain_weights(self, epoch):
        self.retained, self.retained_epoch = self.weight, epoch

    def restore_retained_weights(self):
        self.weight = self.retained

    def save_state(self, path):
        self.stored = self.spec.fingerprint, self.weight, self.retained, self.retained_epoch, list(self.history)

    def load_state(self, path):
        if self.stored is None or self.stored[0] != self.spec.fingerprint:
            return False
        _, self.weight, self.retained, self.retained_epoch, history = self.stored
        self.history = list(history)
        return True


def fit(*arguments, stored=None, **settings):
    """Runs a scripted loop, from a stored state if there is one."""
    loop = Scripted(*arguments, **settings)
    loop.stored = stored
    result = loop.run()
    assert loop.weight == loop.retained_epoch == result.best_epoch, "the network has the weights of the best epoch"
    return result


def test_a_history_has_a_row_for_each_epoch_and_one_for_the_untrained_network():
    rows = []
    result = fit([3.0, 2.0, 1.0], {1: [5.0, 3.0]}, on_epoch=rows.append)
    assert rows == result.history and [row["epoch"] for row in rows] == [0, 1, 2]
    assert [row["validation_loss"] for row in rows] == [3.0, 2.0, 1.0]
    assert [row["validation_right"] for row in rows] == [-2.0, -1.0, 0.0]
    # The loss in the first row is that of the first batch, before the first step.
    assert [row["train_loss"] for row in rows] == [5.0, 4.0, 1.0]
    assert rows[0]["lr"] is None and rows[1]["lr"] > 0
    assert (result.status, result.fail_reason, result.epochs, result.resumed) == ("completed", None, 2, False)


@pytest.mark.parametrize(("checkpoint", "epoch"), [("best", 2), ("last", 4)])
def test_the_best_epoch_is_the_first_of_the_lowest_validation_loss_among_those_that_were_trained(checkpoint, epoch):
    assert fit([0.1, 3.0, 1.0, 1.0, 2.0], checkpoint=checkpoint).best_epoch == epoch


@pytest.mark.parametrize(
    ("patience", "epochs"),
    [(1, 3), (2, 6), (3, 7), (None, 7)],  # the lowest so far are in epochs 2 and 4
)
def test_a_fit_stops_once_the_validation_loss_has_not_improved_for_so_many_epochs(patience, epochs):
    result = fit([9.0, 5.0, 3.0, 4.0, 2.0, 2.0, 2.5, 3.0], early_stopping=patience, checkpoint="best")
    assert (result.status, result.epochs, result.best_epoch) == ("completed", epochs, 2 if epochs == 3 else 4)


@pytest.mark.parametrize(("checkpoint", "epoch"), [("best", 1), ("last", 2)])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"training": {3: [1.0, math.nan]}}, "the training loss is nan at step 2 of epoch 3"),
        ({"training": {3: [math.inf, 1.0]}}, "the training loss is inf at step 1 of epoch 3"),
        ({"infinite_from": 3}, "weights are not finite after epoch 3"),
        ({"validation": [3.0, 1.0, 2.0, math.inf, 0.5]}, "the validation loss is inf after epoch 3"),
        ({"training": {3: [0.0, 202.0]}}, "over 100 times the untrained network's"),
    ],
)
def test_a_fit_that_diverges_gives_the_reason_and_retains_an_epoch_that_did_not(fault, reason, checkpoint, epoch):
    result = fit(**{"validation": [3.0, 1.0, 2.0, 0.1, 0.5], "checkpoint": checkpoint} | fault)
    assert result.status == "diverged" and reason in result.fail_reason
    assert (result.epochs, result.best_epoch, len(result.history)) == (3, epoch, 4)


def test_a_fit_that_diverges_in_its_first_epoch_retains_the_untrained_weights():
    result = fit([1.0, 0.5], {1: [math.nan, math.nan]})
    assert (result.status, result.epochs, result.best_epoch) == ("diverged", 1, 0)


@pytest.mark.parametrize(("first", "loss", "status"), [(0.01, 99.0, "completed"), (0.01, 101.0, "diverged")])
def test_a_network_that_knows_the_answers_already_diverges_only_at_a_large_loss(first, loss, status):
    assert fit([1.0, 1.0, 1.0], {1: [first, first], 2: [loss, loss]}).status == status


@pytest.mark.parametrize("checkpoint", ["best", "last"])
@pytest.mark.parametrize("stopped", [1, 2, 3, 4])
def test_a_resumed_fit_ends_as_one_that_never_stopped(stopped, checkpoint, tmp_path):
    losses = [5.0, 1.0, 3.0, 2.0, 4.0]

    def stop(row):
        if row["epoch"] == stopped:
            raise KeyboardInterrupt

    interrupted = Scripted(losses, checkpoint=checkpoint, state=tmp_path, on_epoch=stop)
    with pytest.raises(KeyboardInterrupt):
        interrupted.run()
    epochs = []
    result = fit(
        losses,
        checkpoint=checkpoint,
        state=tmp_path,
        on_epoch=lambda row: epochs.append(row["epoch"]),
        stored=interrupted.stored,
    )
    whole = fit(losses, checkpoint=checkpoint)
    # Interrupted before the state of the epoch was written, so that this epoch is trained again.
    assert epochs == list(range(stopped if stopped > 1 else 0, 5)) and result.resumed == (stopped > 1)
    assert result.best_epoch == whole.best_epoch == (1 if checkpoint == "best" else 4)
    assert [row["validation_loss"] for row in result.history] == losses


def test_a_recipe_that_selects_by_validation_loss_needs_validation_examples():
    result = fit([1.0, 1.0], rows=0, checkpoint="last")
    assert [row["validation_loss"] for row in result.history] == [None, None]
    for settings in ({"checkpoint": "best"}, {"early_stopping": 1}):
        with pytest.raises(UserError, match="need validation examples"):
            Scripted([1.0, 1.0], rows=0, **settings)
