"""Trains a Keras network, by steps that TensorFlow compiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from variability import seeding
from variability.data.batching import cut_batches
from variability.training.fit_loop import FitLoop, FitSpec, Step
from variability.training.frameworks import _keras_files
from variability.training.optimizers import EPS
from variability.training.saving import matches_fingerprint

#: Of Adam and AdamW, torch's defaults.
BETAS = (0.9, 0.999)


def cross_entropy(outputs: tf.Tensor, answers: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Return the mean over a batch, in nats.

    ``smoothing`` of the probability is spread evenly over the classes (Szegedy et al., CVPR 2016).
    """
    log_probabilities = tf.nn.log_softmax(outputs)
    of_answers = -tf.gather(log_probabilities, answers, axis=1, batch_dims=1)
    return tf.reduce_mean((1 - smoothing) * of_answers - smoothing * tf.reduce_mean(log_probabilities, axis=1))


def squared_error(outputs: tf.Tensor, answers: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Return the mean over a batch."""
    return tf.reduce_mean(tf.square(outputs[:, 0] - answers))


#: The loss of each ``Kind.LOSS``, and the type of its answers.
LOSSES = {"cross_entropy": (cross_entropy, tf.int64), "squared_error": (squared_error, tf.float32)}


def make_optimizer(recipe: Mapping[str, Any], variables: list[keras.Variable]) -> keras.optimizers.Optimizer:
    """Return Keras's SGD, Adam or AdamW, which ``Steps`` adjusts to the updates of ``optimizers.make_optimizer``."""
    if recipe["optimizer"] == "sgd":
        optimizer = keras.optimizers.SGD(recipe["lr"], momentum=recipe["momentum"])
    elif recipe["optimizer"] == "adam":
        optimizer = keras.optimizers.Adam(recipe["lr"], *BETAS)
    else:
        optimizer = keras.optimizers.AdamW(recipe["lr"], recipe["weight_decay"], *BETAS)
        optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if len(variable.shape) <= 1])
    optimizer.build(variables)
    return optimizer


@dataclass
class Steps:
    """The compiled step of a training and its optimizer, for all seeds.

    module: the part of the network that trains. loss: a key of LOSSES.
    """

    module: keras.Model
    recipe: Mapping[str, Any]
    loss: str

    def __post_init__(self) -> None:
        self.variables = list(self.module.trainable_variables)
        self.optimizer = make_optimizer(self.recipe, self.variables)
        self._initial = [variable.value.numpy() for variable in self.optimizer.variables]
        layers = self.module._flatten_layers()
        seeded = [generator for layer in layers if (generator := getattr(layer, "seed_generator", None))]
        #: States of the generators of dropout.
        self.generators: list[keras.Variable] = [generator.state for generator in seeded]
        self._loss, answers = LOSSES[self.loss]
        shape = self.module.inputs[0].shape
        signature = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec((None,), answers), tf.TensorSpec((), tf.float32)]
        self.step = tf.function(self._step, input_signature=signature)

    def reset(self) -> None:
        """Restore the optimizer's initial state."""
        for variable, value in zip(self.optimizer.variables, self._initial, strict=True):
            variable.assign(value)

    def seed_dropout(self, seed: int, epoch: int) -> None:
        """Set the generators of dropout to their positions for an epoch."""
        for index, generator in enumerate(self.generators):
            state = seeding.layer_dropout(seed, epoch, index).integer() & 0x7FFFFFFF
            generator.assign(np.array([state, 0], generator.dtype))

    def _step(self, inputs: tf.Tensor, answers: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        recipe, values = self.recipe, [variable.value for variable in self.variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss = self._loss(self.module(inputs, training=True), answers, recipe["label_smoothing"])
        gradients = tape.gradient(loss, values, unconnected_gradients="zero")
        if recipe["clip_norm"] is not None:
            # As torch's clip_grad_norm_, which never scales up.
            factor = recipe["clip_norm"] / (tf.linalg.global_norm(gradients) + 1e-6)
            gradients = [gradient * tf.minimum(factor, 1.0) for gradient in gradients]
        if recipe["optimizer"] != "adamw" and recipe["weight_decay"]:
            gradients = [
                gradient + recipe["weight_decay"] * value if len(value.shape) > 1 else gradient
                for gradient, value in zip(gradients, values, strict=True)
            ]
        self._adjust_to_torch(rate)
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients, self.variables)
        return loss

    def _adjust_to_torch(self, rate: tf.Tensor) -> None:
        """Compensate for the differences of Keras's update from torch's, before an update at a learning rate."""
        if self.recipe["optimizer"] == "sgd":
            # Keras's momentum accumulates updates, torch's gradients, all of which count at the current rate.
            factor = tf.math.divide_no_nan(rate, self.optimizer.learning_rate.value)
            for momentum in self.optimizer.momentums:
                momentum.assign(momentum.value * factor)
        else:
            # Keras adds epsilon to the deviation before its bias is corrected, torch (as Kingma & Ba 2015) after it.
            steps = tf.cast(self.optimizer.iterations.value, tf.float32) + 1
            self.optimizer.epsilon = EPS * tf.sqrt(1 - BETAS[1] ** steps)


class KerasFitLoop(FitLoop):
    """The training loop of a Keras network.

    weights: the weights that train, by path, including statistics. inputs: function from (rows, epoch, batch) to their
    training inputs. predict: function from rows to the current network's outputs, (rows, units) float32.
    """

    def __init__(
        self,
        spec: FitSpec,
        steps: Steps,
        weights: Mapping[str, keras.Variable],
        inputs: Callable[[np.ndarray, int, int], tf.Tensor],
        predict: Callable[[np.ndarray], np.ndarray],
    ):
        super().__init__(spec)
        steps.reset()
        self._steps, self._weights, self._inputs, self._predict = steps, weights, inputs, predict
        self._retained: dict[str, np.ndarray] = {}
        #: States of the generators of dropout at a step within an epoch, from which the fit resumes.
        self._generators: dict[str, np.ndarray] = {}

    def batches(self, order: np.ndarray, epoch: int) -> list[np.ndarray]:
        return cut_batches(order, self.recipe["batch_size"])

    @contextmanager
    def training(self, epoch: int) -> Iterator[None]:
        self._steps.seed_dropout(self.seed, epoch)
        if self._generators:
            assign(self._generator_variables(), self._generators)
        yield
        self._generators = {}

    def step(self, step: Step) -> tf.Tensor:
        targets = self.data.kind.target_array(self.data.labels[step.rows])
        return self._steps.step(self._inputs(step.rows, step.epoch, step.batch), targets, np.float32(step.lr))

    def floats(self, losses: list[tf.Tensor]) -> list[float]:
        return [float(loss) for loss in losses]

    def outputs(self, rows: np.ndarray) -> np.ndarray:
        return self.data.summary(self._predict(rows), rows)

    def weights_are_finite(self) -> bool:
        return all(np.isfinite(array).all() for array in self._current().values())

    def retain_weights(self, epoch: int) -> None:
        self._retained, self.retained_epoch = self._current(), epoch

    def restore_retained_weights(self) -> None:
        assign(self._weights, self._retained)

    def save_state(self, path: Path) -> None:
        groups = {"current": self._current(), "optimizer": _values(self._optimizer_variables())}
        if self.losses:
            groups["generators"] = _values(self._generator_variables())
        if self.losses or self.retained_epoch != self.epoch:
            groups["retained"] = self._retained
        arrays = {f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()}
        meta = {"fingerprint": self.spec.fingerprint, "progress": self.progress()}
        _keras_files.write_state(path, arrays, meta)

    def load_state(self, path: Path) -> bool:
        state = _keras_files.read_state(path)
        if state is None:
            return False
        arrays, meta = state
        if not matches_fingerprint(path, meta, self.spec.fingerprint):
            return False
        names = ("current", "retained", "optimizer", "generators")
        groups: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
        for name, array in arrays.items():
            group, _, inner = name.partition("/")
            groups[group][inner] = array
        assign(self._weights, groups["current"])
        assign(self._optimizer_variables(), groups["optimizer"])
        self._generators = groups["generators"]
        self.restore_progress(meta["progress"])
        self.retain_weights(meta["progress"]["retained_epoch"])
        self._retained = groups["retained"] or self._retained
        return True

    def _current(self) -> dict[str, np.ndarray]:
        return _values(self._weights)

    def _generator_variables(self) -> dict[str, keras.Variable]:
        return {str(index): variable for index, variable in enumerate(self._steps.generators)}

    def _optimizer_variables(self) -> dict[str, keras.Variable]:
        return {str(index): variable for index, variable in enumerate(self._steps.optimizer.variables)}


def _values(variables: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    return {name: variable.value.numpy() for name, variable in variables.items()}


def assign(variables: Mapping[str, keras.Variable], values: Mapping[str, np.ndarray]) -> None:
    """Set each variable to the value of its name."""
    for name, variable in variables.items():
        variable.assign(values[name])
