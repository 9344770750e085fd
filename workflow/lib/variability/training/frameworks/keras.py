"""Keras, on TensorFlow."""

import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability import advice, registry
from variability.data.augmentation_spec import augments
from variability.data.batching import smallest_batch
from variability.errors import Problem, UserError
from variability.models import methods
from variability.models.methods import Method
from variability.training import memory
from variability.training.fit_loop import FitResult, FitSpec
from variability.training.frameworks import Framework
from variability.training.input_files import InputFiles

#: Bytes up to which activations of a frozen part are held in memory; beyond, they are computed batch by batch.
MEMORY = 2e9
BATCH = 256
_NOISE = ("oneDNN custom operations are on", "before absl::InitializeLog() is called")


def _distribution() -> str:
    """Return the name of the distribution that TensorFlow was installed from."""
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            importlib.metadata.version(name)
            return name
        except importlib.metadata.PackageNotFoundError:
            continue
    return "tensorflow"


class Keras(Framework):
    """Trains networks that Keras built, with Keras's optimizers, in steps compiled by TensorFlow, without torch.

    Activations of the frozen part are computed once per job and held in memory, up to MEMORY.
    """

    PACKAGES: ClassVar[tuple[str, ...]] = ("keras", _distribution())

    @classmethod
    def problems(cls, method: Method, recipe: Mapping[str, Any]) -> Iterator[Problem]:
        if not method.BY_BLOCKS:
            yield Problem("method", "it requires torch modules, which Keras networks do not have")
        if not recipe["adam_bias_correction"]:
            yield Problem("recipe.adam_bias_correction", "false is not supported for Keras, whose Adam always corrects")
        if recipe["precision"] != "fp32":
            yield Problem("recipe.precision", f"{recipe['precision']} is not supported for Keras networks; use fp32")
        if recipe["micro_batch"] is not None:
            yield Problem("recipe.micro_batch", "is not supported for Keras networks, which train on whole batches")
        for change in ("randaugment", "views"):
            if recipe["augmentation"][change]:
                key = f"recipe.augmentation.{change}"
                yield Problem(key, "is not supported for Keras networks; use only flip and crop")

    @staticmethod
    def configure(threads: int) -> None:
        # Read when Keras and TensorFlow are imported.
        os.environ["KERAS_BACKEND"] = "tensorflow"
        # The same indices as in nvidia-smi.
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _without_noise():
            import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)

    @staticmethod
    def lease(runs_per_gpu: int = 1) -> AbstractContextManager[str]:
        from variability.training.frameworks import _keras_devices

        return _keras_devices.lease(runs_per_gpu)

    def __init__(
        self, model: Mapping[str, Any], method: Mapping[str, Any], input_files: InputFiles, device: str
    ) -> None:
        from variability.data.prepared_task import open_task
        from variability.training.frameworks._keras_images import Images

        self.task = open_task(input_files.task)
        self._device = device
        self._provider = registry.find("providers", model["provider"])(model, input_files.assets)
        self._method = methods.from_entry(method)
        self._weights = input_files.weights
        self._images = Images(self.task.inputs, self._provider.preprocess(self.task.facts["size"]))
        self._network: Any = None
        self._steps: dict[str, Any] = {}
        self._activations: np.ndarray | None = None
        self._digest: str | None = None

    def fit(self, spec: FitSpec) -> FitResult:
        from variability.training.frameworks import _keras_training as training

        recipe, seed = spec.recipe, spec.seed
        for problem in self.problems(self._method, recipe):
            raise UserError(str(problem))
        self._reset(seed)
        if smallest_batch(len(spec.data.train), recipe["batch_size"]) == 1:
            self._refuse_single_values()
        name = repr(recipe)
        if name not in self._steps:
            self._steps[name] = training.Steps(self._trained_part, recipe, spec.data.kind.LOSS)

        def inputs(rows: np.ndarray, epoch: int, batch: int) -> Any:
            if not augments(recipe["augmentation"]):
                return self._plain(rows)
            return self._frozen_part(self._images.training(rows, recipe["augmentation"], seed, epoch, batch))

        try:
            return training.KerasFitLoop(spec, self._steps[name], self._trained, inputs, self._outputs).run()
        except Exception as error:
            if not memory.ran_out(error):
                raise
            what = f"a batch of {recipe['batch_size']} does not fit, and Keras networks train on whole batches"
            raise UserError(memory.message(what, self._device, memory.reason(error), "lower batch_size")) from error

    def save_trained(self, path: Path, fingerprint: str) -> None:
        from variability.training.frameworks import _keras_files

        header = {"fingerprint": fingerprint, "frozen_sha256": self._frozen_sha256(), "trainable": self._trainable}
        arrays = {name: variable.value.numpy() for name, variable in self._trained.items()}
        _keras_files.write(path, arrays, header)

    def save_whole(self, path: Path) -> None:
        from variability.models.providers import _keras_networks
        from variability.training.frameworks import _keras_files

        _keras_files.write(path, _keras_networks.tensors(self._network.model), {})

    def predictions(
        self, seed: int, checkpoint: Path | None, rows: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[str, str, np.ndarray]]:
        data = self.data(seed)
        self._reset(seed)
        for phase in ("before", "after") if checkpoint else ("before",):
            if checkpoint and phase == "after":
                self._load(checkpoint)
            for split, of_split in rows.items():
                yield phase, split, data.summary(self._outputs(of_split), of_split)

    def with_features(self, manifest: Path | None) -> "Keras":
        # It stores none.
        return self

    def input_spec(self) -> dict[str, Any]:
        return self._provider.input_spec(self.task.facts)

    def hardware(self) -> dict[str, Any]:
        from variability.training.frameworks import _keras_devices

        return _keras_devices.hardware(self._device)

    def _reset(self, seed: int) -> None:
        """Set the network to its state before training with a seed.

        It is compiled once; the weights of another seed are copied into it.
        """
        from variability.models.providers import _keras_networks
        from variability.training.frameworks._keras_training import assign

        if self._network is None:
            self._compile(self._build(seed))
        elif self._weights is not None:
            assign(self._trained, self._initial)
            self._provider.sample_head(self._network, seed)
        else:
            values = _keras_networks.tensors(self._build(seed).model)
            assign({weight.path: weight for weight in self._network.model.weights}, values)
            self._activations = self._digest = None

    def _refuse_single_values(self) -> None:
        """Raise UserError if a BatchNorm that trains sees one value per channel in a batch of one image."""
        from variability.models.providers import _keras_networks

        if layer := _keras_networks.one_value_normalisation(self._network, self._trainable):
            raise UserError(f"recipe.batch_size: {methods.one_value_message(self._network.name, layer)}")

    def _build(self, seed: int) -> Any:
        return self._provider.build(self.task.outputs, self._weights, seed, self.task.facts)

    def _compile(self, network: Any) -> None:
        import tensorflow as tf

        self._network = network
        self._trainable = self._method.trainable(network)
        frozen, self._trained_part = network.cut(network.trained_from(self._trainable))
        self._trained = {weight.path: weight for weight in self._trained_part.weights}
        self._initial = {name: weight.value.numpy() for name, weight in self._trained.items()}
        images = tf.TensorSpec(network.model.inputs[0].shape, tf.float32)
        activations = tf.TensorSpec(self._trained_part.inputs[0].shape, tf.float32)
        compiled = frozen and tf.function(lambda inputs: frozen(inputs, training=False), input_signature=[images])
        self._frozen_part = compiled or (lambda inputs: inputs)
        self._has_frozen_part = frozen is not None
        self._predict = tf.function(
            lambda inputs: self._trained_part(inputs, training=False), input_signature=[activations]
        )

    def _plain(self, rows: np.ndarray) -> Any:
        """Return the inputs of the part that trains for rows without augmentation, (rows, ...)."""
        if not self._has_frozen_part:
            return self._images.plain(rows)
        size = len(self._images.images) * int(np.prod(self._trained_part.inputs[0].shape[1:])) * 4
        if size > MEMORY:
            return self._frozen_part(self._images.plain(rows))
        if self._activations is None:
            self._activations = self._in_batches(
                np.arange(len(self._images.images)), lambda batch: self._frozen_part(self._images.plain(batch)).numpy()
            )
        return self._activations[rows]

    def _outputs(self, rows: np.ndarray) -> np.ndarray:
        return self._in_batches(rows, lambda batch: self._predict(self._plain(batch)).numpy())

    def _in_batches(self, rows: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return what a function computes of rows, in batches that fit into memory."""
        return np.concatenate([result for _, result in memory.in_fitting_parts(_batches(rows), compute, self._device)])

    def _frozen_sha256(self) -> str:
        from variability.models.providers import _keras_networks
        from variability.training.frameworks import _keras_files

        if self._digest is None:
            tensors = _keras_networks.tensors(self._network.model)
            frozen = {name: tensor for name, tensor in tensors.items() if name not in self._trained}
            self._digest = _keras_files.digest(frozen)
        return self._digest

    def _load(self, checkpoint: Path) -> None:
        """Load a checkpoint. Raises UserError if it is not one of this network's."""
        import safetensors

        from variability.training.frameworks import _keras_files
        from variability.training.frameworks._keras_training import assign

        remedy = f"; {advice.rerun('finetune', checkpoint.parent)}"
        try:
            arrays, header = _keras_files.read(checkpoint)
        except (OSError, safetensors.SafetensorError) as error:
            raise UserError(f"{checkpoint} cannot be read as a checkpoint ({error}){remedy}") from error
        shapes = {name: tuple(weight.shape) for name, weight in self._trained.items()}
        if shapes != {name: array.shape for name, array in arrays.items()}:
            raise UserError(
                f"{checkpoint} does not fit the network: its model, method or number of classes has changed{remedy}"
            )
        if header.get("frozen_sha256") != self._frozen_sha256():
            raise UserError(
                f"{checkpoint} was trained on another backbone than the one that the network's weights give now{remedy}"
            )
        assign(self._trained, arrays)


@contextmanager
def _without_noise() -> Iterator[None]:
    """Drop the messages that TensorFlow prints to the standard error when it is imported; pass on other lines."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if not any(noise in line for noise in _NOISE):
                    print(line, file=sys.stderr)


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    """Cut rows into batches of a fixed size: another size may change the order of a convolution's sums."""
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
