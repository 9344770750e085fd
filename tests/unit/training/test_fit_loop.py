"""What ends a fit and which epoch it keeps, whatever the library: of a run whose losses are written beforehand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from variability.config import recipe
from variability.data.batching import cut_batches
from variability.errors import UserError
from variability.training import fit_loop

KIND = SimpleNamespace(MEASURE="right", evaluate=lambda said, labels: (said, 1 - said))


class Written(fit_loop.Run):
    """A network of one number: how many epochs it was trained for.

    validation: losses from epoch 0 on; training: {epoch: losses of its two steps}, 1 where nothing else is said;
    unsound: the epoch from which weights are not finite.
    """

    def __init__(self, validation, training=None, unsound=math.inf, rows=10, **settings):
        data = fit_loop.Data(np.zeros(60), np.arange(40), np.arange(40, 40 + rows), KIND)
        epochs = {"epochs": len(validation) - 1, "batch_size": 20}
        super().__init__(data, recipe.resolve(epochs, settings), 0)
        self.validation, self.training, self.unsound = validation, training or {}, unsound
        self.weights = self.kept = 0
        self.stored = None

    def batches(self, order, epoch):
        return cut_batches(order, self.recipe["batch_size"])

    def steps(self, epoch, batches, rates):
        assert len(batches) == len(rates) == 2 and sorted(np.concatenate(batches)) == list(range(40))
        self.weights = epoch
        return self.training.get(epoch, [1.0, 1.0])

    def said(self, rows):
        return self.validation[self.weights]

    def sound(self):
        return self.weights < self.unsound

    def keep(self, epoch):
        self.kept, self.kept_epoch = self.weights, epoch

    def restore(self):
        self.weights = self.kept

    def save(self, path, fingerprint):
        self.stored = fingerprint, self.weights, self.kept, self.kept_epoch, list(self.history)

    def load(self, path, fingerprint):
        if self.stored is None or self.stored[0] != fingerprint:
            return False
        _, self.weights, self.kept, self.kept_epoch, history = self.stored
        self.history = list(history)
        return True


def fit(run, state=None, on_epoch=lambda row: None):
    result = run.fit(state, "fingerprint", on_epoch)
    assert run.weights == run.kept_epoch == result.best_epoch, "the network holds what the result says"
    return result


def test_a_history_has_a_row_for_each_epoch_and_one_from_before():
    rows = []
    result = fit(Written([3.0, 2.0, 1.0], {1: [5.0, 3.0]}), on_epoch=rows.append)
    assert rows == result.history and [row["epoch"] for row in rows] == [0, 1, 2]
    assert [row["validation_loss"] for row in rows] == [3.0, 2.0, 1.0]
    assert [row["validation_right"] for row in rows] == [-2.0, -1.0, 0.0]
    # The untrained network's is that of the first batch, before the first step.
    assert [row["train_loss"] for row in rows] == [5.0, 4.0, 1.0]
    assert rows[0]["lr"] is None and rows[1]["lr"] > 0
    assert (result.status, result.fail_reason, result.epochs, result.resumed) == ("completed", None, 2, False)


@pytest.mark.parametrize(("checkpoint", "kept"), [("best", 2), ("last", 4)])
def test_the_best_epoch_is_the_first_of_the_lowest_validation_loss_among_those_that_were_trained(checkpoint, kept):
    assert fit(Written([0.1, 3.0, 1.0, 1.0, 2.0], checkpoint=checkpoint)).best_epoch == kept


@pytest.mark.parametrize(
    ("patience", "epochs"),
    [(1, 3), (2, 6), (3, 7), (None, 7)],  # the lowest so far are in epochs 2 and 4
)
def test_a_fit_stops_once_the_validation_loss_has_not_improved_for_so_many_epochs(patience, epochs):
    run = Written([9.0, 5.0, 3.0, 4.0, 2.0, 2.0, 2.5, 3.0], early_stopping=patience, checkpoint="best")
    result = fit(run)
    assert (result.status, result.epochs, result.best_epoch) == ("completed", epochs, 2 if epochs == 3 else 4)


@pytest.mark.parametrize(("checkpoint", "kept"), [("best", 1), ("last", 2)])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"training": {3: [1.0, math.nan]}}, "the training loss is nan at step 2 of epoch 3"),
        ({"training": {3: [math.inf, 1.0]}}, "the training loss is inf at step 1 of epoch 3"),
        ({"unsound": 3}, "weights are not finite after epoch 3"),
        ({"validation": [3.0, 1.0, 2.0, math.inf, 0.5]}, "the validation loss is inf after epoch 3"),
        ({"training": {3: [0.0, 202.0]}}, "over 100 times the untrained network's"),
    ],
)
def test_a_fit_that_diverges_says_why_and_holds_an_epoch_that_was_sound(fault, reason, checkpoint, kept):
    result = fit(Written(**{"validation": [3.0, 1.0, 2.0, 0.1, 0.5], "checkpoint": checkpoint} | fault))
    assert result.status == "diverged" and reason in result.fail_reason
    assert (result.epochs, result.best_epoch, len(result.history)) == (3, kept, 4)


def test_a_fit_that_diverges_at_once_holds_the_untrained_weights():
    result = fit(Written([1.0, 0.5], {1: [math.nan, math.nan]}))
    assert (result.status, result.epochs, result.best_epoch) == ("diverged", 1, 0)


@pytest.mark.parametrize(("first", "loss", "status"), [(0.01, 99.0, "completed"), (0.01, 101.0, "diverged")])
def test_of_a_network_that_knows_the_answers_already_a_loss_has_to_be_large_to_be_a_divergence(first, loss, status):
    assert fit(Written([1.0, 1.0, 1.0], {1: [first, first], 2: [loss, loss]})).status == status


@pytest.mark.parametrize("checkpoint", ["best", "last"])
@pytest.mark.parametrize("stopped", [1, 2, 3, 4])
def test_a_fit_taken_up_again_ends_as_one_that_never_stopped(stopped, checkpoint, tmp_path):
    losses = [5.0, 1.0, 3.0, 2.0, 4.0]

    def stop(row):
        if row["epoch"] == stopped:
            raise KeyboardInterrupt

    run = Written(losses, checkpoint=checkpoint)
    with pytest.raises(KeyboardInterrupt):
        run.fit(tmp_path, "fingerprint", stop)
    again = Written(losses, checkpoint=checkpoint)
    again.stored = run.stored
    seen = []
    result, whole = (
        fit(again, tmp_path, lambda row: seen.append(row["epoch"])),
        fit(Written(losses, checkpoint=checkpoint)),
    )
    # Raised before the epoch's state was written: it is the first to be trained again.
    assert seen == list(range(stopped if stopped > 1 else 0, 5)) and result.resumed == (stopped > 1)
    assert result.best_epoch == whole.best_epoch == (1 if checkpoint == "best" else 4)
    assert [row["validation_loss"] for row in result.history] == losses


def test_without_validation_examples_there_is_nothing_to_choose_by():
    run = Written([1.0, 1.0], rows=0, checkpoint="last")
    assert [row["validation_loss"] for row in fit(run).history] == [None, None]
    fit_loop.require_validation(run.recipe, run.data)
    for settings in ({"checkpoint": "best"}, {"early_stopping": 1}):
        with pytest.raises(UserError, match="need validation examples"):
            fit_loop.require_validation(recipe.resolve(settings), run.data)
