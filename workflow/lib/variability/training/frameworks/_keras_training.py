"""Fits the parts of a Keras network that train, by steps compiled by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from variability import seeding
from variability.data.batching import cut_batches
from variability.training.fit_loop import FitLoop, FitSpec, matches_fingerprint
from variability.training.frameworks import _keras_files
from variability.training.optimizers import EPS

# Of torch's Adam.
BETAS = (0.9, 0.999)


def cross_entropy(outputs: tf.Tensor, answers: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Mean over a batch, in nats; ``smoothing`` of the probability is spread evenly (Szegedy et al., CVPR 2016)."""
    logs = tf.nn.log_softmax(outputs)
    wanted = -tf.gather(logs, answers, axis=1, batch_dims=1)
    return tf.reduce_mean((1 - smoothing) * wanted - smoothing * tf.reduce_mean(logs, axis=1))


def squared_error(outputs: tf.Tensor, answers: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Mean over a batch."""
    return tf.reduce_mean(tf.square(outputs[:, 0] - answers))


#: By ``Kind.LOSS``: the loss, and the type of its answers.
LOSSES = {"cross_entropy": (cross_entropy, tf.int64), "squared_error": (squared_error, tf.float32)}


def make_optimizer(recipe: Mapping[str, Any], variables: list[keras.Variable]) -> keras.optimizers.Optimizer:
    """Keras's SGD, Adam or AdamW, which ``Steps`` makes do what those of ``optimisation.make_optimizer`` do."""
    if recipe["optimizer"] == "sgd":
        made = keras.optimizers.SGD(recipe["lr"], momentum=recipe["momentum"])
    elif recipe["optimizer"] == "adam":
        made = keras.optimizers.Adam(recipe["lr"], *BETAS)
    else:
        made = keras.optimizers.AdamW(recipe["lr"], recipe["weight_decay"], *BETAS)
        made.exclude_from_weight_decay(var_list=[each for each in variables if len(each.shape) <= 1])
    made.build(variables)
    return made


@dataclass
class Steps:
    """What is compiled of a training, once for all seeds. module: what trains, all of it."""

    module: keras.Model
    recipe: Mapping[str, Any]
    loss: str

    def __post_init__(self) -> None:
        self.variables = list(self.module.trainable_variables)
        self.optimizer = make_optimizer(self.recipe, self.variables)
        self._fresh = [each.value.numpy() for each in self.optimizer.variables]
        function, kind = LOSSES[self.loss]
        shape = self.module.inputs[0].shape
        signature = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec((None,), kind), tf.TensorSpec((), tf.float32)]
        self.step = tf.function(self._step, input_signature=signature)
        self._loss = function

    def begin(self) -> None:
        """Puts the optimizer back to its start."""
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)

    def shuffle(self, seed: int, epoch: int) -> None:
        """Set the generators of dropout to their positions for an epoch."""
        generators = [
            found for layer in self.module._flatten_layers() if (found := getattr(layer, "seed_generator", None))
        ]
        for at, generator in enumerate(generators):
            drawn = seeding.layer_dropout(seed, epoch, at).integer() & 0x7FFFFFFF
            generator.state.assign(np.array([drawn, 0], generator.state.dtype))

    def _step(self, inputs: tf.Tensor, answers: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        recipe, values = self.recipe, [each.value for each in self.variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss = self._loss(self.module(inputs, training=True), answers, recipe["label_smoothing"])
        gradients = tape.gradient(loss, values, unconnected_gradients="zero")
        if recipe["clip_norm"] is not None:
            # As torch's clip_grad_norm_: no larger than it was.
            share = recipe["clip_norm"] / (tf.linalg.global_norm(gradients) + 1e-6)
            gradients = [each * tf.minimum(share, 1.0) for each in gradients]
        if recipe["optimizer"] != "adamw" and recipe["weight_decay"]:
            gradients = [
                each + recipe["weight_decay"] * value if len(value.shape) > 1 else each
                for each, value in zip(gradients, values, strict=True)
            ]
        self._as_torch(rate)
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients, self.variables)
        return loss

    def _as_torch(self, rate: tf.Tensor) -> None:
        """Makes up for where Keras's update is another than torch's, before an update at this learning rate."""
        if self.recipe["optimizer"] == "sgd":
            # Keras's momentum remembers steps, torch's gradients: of those the past ones count at the present rate.
            share = tf.math.divide_no_nan(rate, self.optimizer.learning_rate.value)
            for momentum in self.optimizer.momentums:
                momentum.assign(momentum.value * share)
        else:
            # Keras adds epsilon to the deviation before its bias is corrected, torch (as Kingma & Ba 2015) after it.
            steps = tf.cast(self.optimizer.iterations.value, tf.float32) + 1
            self.optimizer.epsilon = EPS * tf.sqrt(1 - BETAS[1] ** steps)


class KerasFitLoop(FitLoop):
    """A fit under way.

    weights: what trains, by path, its statistics included. given: the training inputs of rows at a place (epoch,
    batch). outputs: what the network as it is says of rows, (rows, units) float32.
    """

    def __init__(
        self,
        spec: FitSpec,
        steps: Steps,
        weights: Mapping[str, keras.Variable],
        given: Callable[[np.ndarray, int, int], tf.Tensor],
        outputs: Callable[[np.ndarray], np.ndarray],
    ):
        super().__init__(spec)
        steps.begin()
        self._steps, self._weights, self._given, self._outputs = steps, weights, given, outputs
        self._retained: dict[str, np.ndarray] = {}

    def batches(self, order: np.ndarray, epoch: int) -> list[np.ndarray]:
        return cut_batches(order, self.recipe["batch_size"])

    def train_batches(self, epoch: int, batches: list[np.ndarray], rates: list[float]) -> list[float]:
        self._steps.shuffle(self.seed, epoch)
        losses = []
        for at, (rows, rate) in enumerate(zip(batches, rates, strict=True)):
            answers = self.data.kind.answers(self.data.labels[rows])
            losses.append(self._steps.step(self._given(rows, epoch, at), answers, np.float32(rate)))
        return [float(loss) for loss in losses]

    def outputs(self, rows: np.ndarray) -> np.ndarray:
        return self.data.summary(self._outputs(rows), rows)

    def weights_are_finite(self) -> bool:
        return all(np.isfinite(each).all() for each in self._now().values())

    def retain_weights(self, epoch: int) -> None:
        self._retained, self.retained_epoch = self._now(), epoch

    def restore_retained_weights(self) -> None:
        assign(self._weights, self._retained)

    def save_state(self, path: Path) -> None:
        optimizer = {str(at): each.value.numpy() for at, each in enumerate(self._steps.optimizer.variables)}
        parts = {"current": self._now(), "optimizer": optimizer}
        if self.retained_epoch != self.epoch:
            parts["retained"] = self._retained
        arrays = {f"{part}/{name}": each for part, group in parts.items() for name, each in group.items()}
        meta = {"fingerprint": self.spec.fingerprint, "history": self.history, "retained_epoch": self.retained_epoch}
        _keras_files.write_state(path, arrays, meta)

    def load_state(self, path: Path) -> bool:
        found = _keras_files.read_state(path)
        if found is None or not matches_fingerprint(path, found[1], self.spec.fingerprint):
            return False
        parts: dict[str, dict[str, np.ndarray]] = {"current": {}, "retained": {}, "optimizer": {}}
        for name, each in found[0].items():
            part, _, inner = name.partition("/")
            parts[part][inner] = each
        assign(self._weights, parts["current"])
        assign({str(at): each for at, each in enumerate(self._steps.optimizer.variables)}, parts["optimizer"])
        self.history = found[1]["history"]
        self.retain_weights(found[1]["retained_epoch"])
        self._retained = parts["retained"] or self._retained
        return True

    def _now(self) -> dict[str, np.ndarray]:
        return {name: each.value.numpy() for name, each in self._weights.items()}


def assign(variables: Mapping[str, keras.Variable], values: Mapping[str, np.ndarray]) -> None:
    """Gives each variable the value of its name."""
    for name, variable in variables.items():
        variable.assign(values[name])
