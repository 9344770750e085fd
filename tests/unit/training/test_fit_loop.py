"""When a fit ends and saves, and the epoch whose weights it retains, without a library: with scripted losses."""

import json
import math
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from variability.config import recipe
from variability.data.batching import cut_batches
from variability.errors import Interrupted, UserError
from variability.training import fit_loop
from variability.training.saving import Saving

KIND = SimpleNamespace(MEASURE="right", evaluate=lambda outputs, labels: (outputs, 1 - outputs))


class Scripted(fit_loop.FitLoop):
    """A network with one weight: the number of epochs that it was trained for.

    validation: losses from epoch 0 on. training: {epoch: losses of its two steps}; 1 for epochs not listed.
    infinite_from: epoch from which weights are not finite. rows: number of validation examples. settings: of the
    recipe, and ``state``, ``on_epoch`` and ``saving`` of the ``FitSpec``.
    """

    def __init__(self, validation, training=None, infinite_from=math.inf, rows=10, **settings):
        described = {key: settings.pop(key) for key in ("state", "on_epoch", "saving") if key in settings}
        data = fit_loop.FitData(np.zeros(60), np.arange(40), np.arange(40, 40 + rows), KIND)
        chosen = recipe.resolve({"epochs": len(validation) - 1, "batch_size": 20}, settings)
        super().__init__(fit_loop.FitSpec(data, chosen, 0, fingerprint="fingerprint", **described))
        self.validation, self.training_losses, self.infinite_from = validation, training or {}, infinite_from
        self.weight = self.retained = 0
        self.stored, self.steps, self.saves = None, [], []

    def batches(self, order, epoch):
        return cut_batches(order, self.recipe["batch_size"])

    def training(self, epoch):
        return nullcontext()

    def step(self, step):
        assert (len(step.rows), step.number) == (20, 2 * (step.epoch - 1) + step.batch)
        self.weight = step.epoch
        self.steps.append((step.epoch, step.batch))
        return self.training_losses.get(step.epoch, [1.0, 1.0])[step.batch]

    def floats(self, losses):
        return losses

    def outputs(self, rows):
        return self.validation[self.weight]

    def weights_are_finite(self):
        return self.weight < self.infinite_from

    def retain_weights(self, epoch):
        self.retained, self.retained_epoch = self.weight, epoch

    def restore_retained_weights(self):
        self.weight = self.retained

    def save_state(self, path):
        # As JSON, as in a file.
        self.stored = json.dumps([self.spec.fingerprint, self.weight, self.retained, self.progress()])
        self.saves.append((self.epoch, len(self.losses)))

    def load_state(self, path):
        fingerprint, *state = json.loads(self.stored or "[null]")
        if fingerprint != self.spec.fingerprint:
            return False
        self.weight, self.retained, progress = state
        self.restore_progress(progress)
        self.retained_epoch = progress["retained_epoch"]
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


def without_times(history):
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "examples_per_second")} for row in history
    ]


@pytest.mark.parametrize("checkpoint", ["best", "last"])
@pytest.mark.parametrize("allowed", [1, 2, 3])
def test_a_fit_that_is_stopped_again_and_again_ends_as_one_that_never_stopped(allowed, checkpoint, tmp_path):
    losses, training = [5.0, 1.0, 3.0, 2.0, 4.0], {1: [5.0, 4.0], 3: [2.0, 0.5]}
    stored, epochs, positions, steps = None, [], [], []
    for _ in range(20):
        questions = iter([False] * allowed)
        loop = Scripted(
            losses,
            training,
            checkpoint=checkpoint,
            state=tmp_path,
            on_epoch=lambda row: epochs.append(row["epoch"]),
            saving=Saving(math.inf, should_stop=lambda questions=questions: next(questions, True)),
        )
        loop.stored = stored
        try:
            result = loop.run()
            break
        except Interrupted as interrupted:
            positions.append(str(interrupted).removesuffix("; state saved"))
        finally:
            stored = loop.stored
            steps += loop.steps
    whole = fit(losses, training, checkpoint=checkpoint)
    assert (
        len(positions) >= 2
        and positions[0]
        == {
            1: "at step 1 of 2 of epoch 1",
            2: "at step 2 of 2 of epoch 1",
            3: "before epoch 2",
        }[allowed]
    )
    assert steps == [(epoch, batch) for epoch in (1, 2, 3, 4) for batch in (0, 1)], "each step is made once"
    assert epochs == [0, 1, 2, 3, 4] and result.resumed
    assert without_times(result.history) == without_times(whole.history)
    assert result.best_epoch == loop.weight == whole.best_epoch == (1 if checkpoint == "best" else 4)


def test_the_state_is_saved_by_the_clock(tmp_path):
    now = [0.0]

    def clock():
        return now[0]

    class Timed(Scripted):
        def step(self, step):
            now[0] += 3
            return super().step(step)

        def save_state(self, path):
            super().save_state(path)
            now[0] += 100

        def validate(self):
            now[0] += 1
            return super().validate()

    loop = Timed([1.0] * 5, state=tmp_path, saving=Saving(4.0, clock))
    result = loop.run()
    # 1 s of validation and 3 s: saved; 3 s and 1 s of validation: saved; 3 s and 3 s: saved; and so on.
    assert loop.saves == [(0, 1), (1, 0), (1, 2), (2, 1), (3, 0), (3, 2)]
    assert [row["seconds"] for row in result.history] == [0.0, 7.0, 7.0, 7.0, 7.0], "saving is not training"
    assert [row["examples_per_second"] for row in result.history[1:]] == [40 / 6] * 4
    never = Timed([1.0] * 5, state=tmp_path, saving=Saving(1000.0, clock))
    never.run()
    assert never.saves == []


def test_a_recipe_that_selects_by_validation_loss_needs_validation_examples():
    result = fit([1.0, 1.0], rows=0, checkpoint="last")
    assert [row["validation_loss"] for row in result.history] == [None, None]
    for settings in ({"checkpoint": "best"}, {"early_stopping": 1}):
        with pytest.raises(UserError, match="need validation examples"):
            Scripted([1.0, 1.0], rows=0, **settings)
