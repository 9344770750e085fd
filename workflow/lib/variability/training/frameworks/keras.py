"""Keras, on TensorFlow."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability import advice, registry
from variability.data.augmentation_spec import augments
from variability.errors import Problem, UserError
from variability.models import methods
from variability.training import device as devices
from variability.training import gpu_lease
from variability.training.frameworks import Framework

#: What activations of a frozen part may take in memory, in bytes; beyond it they are computed batch by batch.
HELD = 2e9
BATCH = 256
_NOISE = ("oneDNN custom operations are on", "before absl::InitializeLog() is called")


def _distribution() -> str:
    """The distribution that TensorFlow was installed from."""
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            importlib.metadata.version(name)
            return name
        except importlib.metadata.PackageNotFoundError:
            continue
    return "tensorflow"


class Keras(Framework):
    """Trains networks that Keras built, by Keras's optimizers in steps compiled by TensorFlow, without torch.

    What is frozen is computed once per job and held in memory, where it fits.
    """

    PACKAGES: ClassVar[tuple[str, ...]] = ("keras", _distribution())

    @classmethod
    def problems(cls, method, recipe):
        if not method.BY_BLOCKS:
            yield Problem("method", "it looks into torch modules, which networks of Keras have not")
        if not recipe["adam_bias_correction"]:
            yield Problem("recipe.adam_bias_correction", "false is not for Keras, whose Adam always corrects")
        if recipe["precision"] != "fp32":
            yield Problem("recipe.precision", f"{recipe['precision']} is not for networks of Keras; use fp32")
        for change in ("randaugment", "views"):
            if recipe["augmentation"][change]:
                yield Problem(f"recipe.augmentation.{change}", "is not for networks of Keras; use flip and crop alone")

    @staticmethod
    def configure(threads):
        # Read when Keras and TensorFlow are imported.
        os.environ["KERAS_BACKEND"] = "tensorflow"
        # Indices as nvidia-smi has them.
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _without_noise():
            import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)

    @staticmethod
    @contextmanager
    def lease():
        import tensorflow as tf

        wanted = os.environ.get(gpu_lease.OVERRIDE, "")
        gpus = {f"gpu:{at}": gpu for at, gpu in enumerate(tf.config.list_physical_devices("GPU"))}
        if wanted.replace("cuda", "gpu") in gpus or wanted == "cpu" or not gpus:
            yield _only(gpus, wanted.replace("cuda", "gpu") or "cpu")
        elif wanted:
            raise UserError(
                f"{gpu_lease.OVERRIDE}={wanted} is no device that TensorFlow sees; use cpu or {', '.join(gpus)}"
            )
        else:
            candidates = dict(zip(gpus, _identities(len(gpus)), strict=True))
            with gpu_lease.lease_from(candidates, gpu_lease.locks_folder()) as one:
                yield _only(gpus, one)

    def __init__(self, model, method, sources, device):
        from variability.data.prepared_task import open_task
        from variability.training.frameworks._keras_images import Images

        self.task = open_task(sources.task)
        self._device = device
        self._provider = registry.find("providers", model["provider"])(model, sources.assets)
        self._method = methods.from_entry(method)
        self._weights = sources.weights
        self._images = Images(self.task.inputs, self._provider.preprocess(self.task.facts["size"]))
        self._network: Any = None
        self._steps: dict[str, Any] = {}
        self._activations: np.ndarray | None = None
        self._digest: str | None = None

    def fit(self, spec):
        from variability.training.frameworks import _keras_training as training

        recipe, seed = spec.recipe, spec.seed
        for problem in self.problems(self._method, recipe):
            raise UserError(str(problem))
        self._begin(seed)
        name = repr(recipe)
        if name not in self._steps:
            self._steps[name] = training.Steps(self._after, recipe, spec.data.kind.LOSS)

        def given(rows, epoch, batch):
            if not augments(recipe["augmentation"]):
                return self._plain(rows)
            return self._frozen(self._images.training(rows, recipe["augmentation"], seed, epoch, batch))

        return training.KerasFitLoop(spec, self._steps[name], self._trained, given, self._outputs).run()

    def save_trained(self, path, fingerprint):
        from variability.training.frameworks import _keras_files

        header = {"fingerprint": fingerprint, "frozen_sha256": self._frozen_sha256(), "trainable": self._parts}
        _keras_files.write(path, {name: each.value.numpy() for name, each in self._trained.items()}, header)

    def save_whole(self, path):
        from variability.models.providers import _keras_networks
        from variability.training.frameworks import _keras_files

        _keras_files.write(path, _keras_networks.tensors(self._network.model), {})

    def predictions(self, seed, checkpoint, rows):
        data = self.data(seed)
        self._begin(seed)
        for phase in ("before", "after") if checkpoint else ("before",):
            if phase == "after":
                self._load(checkpoint)
            for split, chosen in rows.items():
                yield phase, split, data.summary(self._outputs(chosen), chosen)

    def input_spec(self):
        return self._provider.input_spec(self.task.facts)

    def hardware(self):
        import tensorflow as tf

        gpus = tf.config.get_visible_devices("GPU")
        name = tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else devices.cpu_model()
        return {
            "device": self._device,
            "device_name": name,
            "cpu": devices.cpu_model(),
            "cores": os.cpu_count(),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "cuda": tf.sysconfig.get_build_info().get("cuda_version"),
        }

    def _begin(self, seed: int) -> None:
        """Makes the network what the seed begins with. It is compiled once: another seed's weights are put into it."""
        from variability.models.providers import _keras_networks
        from variability.training.frameworks._keras_training import assign

        if self._network is None:
            self._make(self._build(seed))
        elif self._weights is not None:
            assign(self._trained, self._first)
            self._provider.sample_head(self._network, seed)
        else:
            fresh = _keras_networks.tensors(self._build(seed).model)
            assign({each.path: each for each in self._network.model.weights}, fresh)
            self._activations = self._digest = None

    def _build(self, seed: int) -> Any:
        return self._provider.build(self.task.outputs, self._weights, seed, self.task.facts)

    def _make(self, network: Any) -> None:
        import tensorflow as tf

        self._network = network
        self._parts = self._method.trainable(network)
        before, self._after = network.cut(network.trained_from(self._parts))
        self._trained = {each.path: each for each in self._after.weights}
        self._first = {name: each.value.numpy() for name, each in self._trained.items()}
        shape = tf.TensorSpec(network.model.inputs[0].shape, tf.float32)
        between = tf.TensorSpec(self._after.inputs[0].shape, tf.float32)
        frozen = before and tf.function(lambda images: before(images, training=False), input_signature=[shape])
        self._frozen = frozen or (lambda images: images)
        self._freezes = before is not None
        self._said = tf.function(lambda inputs: self._after(inputs, training=False), input_signature=[between])

    def _plain(self, rows: np.ndarray) -> Any:
        """(rows, ...) what the part that trains takes of rows as they are."""
        if not self._freezes:
            return self._images.plain(rows)
        size = len(self._images.images) * int(np.prod(self._after.inputs[0].shape[1:])) * 4
        if size > HELD:
            return self._frozen(self._images.plain(rows))
        if self._activations is None:
            every = np.arange(len(self._images.images))
            parts = [self._frozen(self._images.plain(part)).numpy() for part in _cut(every)]
            self._activations = np.concatenate(parts)
        return self._activations[rows]

    def _outputs(self, rows: np.ndarray) -> np.ndarray:
        return np.concatenate([self._said(self._plain(part)).numpy() for part in _cut(rows)])

    def _frozen_sha256(self) -> str:
        from variability.models.providers import _keras_networks
        from variability.training.frameworks import _keras_files

        if self._digest is None:
            every = _keras_networks.tensors(self._network.model)
            frozen = {name: each for name, each in every.items() if name not in self._trained}
            self._digest = _keras_files.digest(frozen)
        return self._digest

    def _load(self, checkpoint: Path) -> None:
        """Loads a checkpoint. Raises UserError if it is not one of this network's."""
        import safetensors

        from variability.training.frameworks import _keras_files
        from variability.training.frameworks._keras_training import assign

        again = f"; {advice.rerun('finetune', checkpoint.parent)}"
        try:
            arrays, header = _keras_files.read(checkpoint)
        except (OSError, safetensors.SafetensorError) as error:
            raise UserError(f"{checkpoint} cannot be read as a checkpoint ({error}){again}") from error
        shapes = {name: tuple(each.shape) for name, each in self._trained.items()}
        if shapes != {name: each.shape for name, each in arrays.items()}:
            raise UserError(
                f"{checkpoint} does not fit the network: its model, method or number of classes has changed{again}"
            )
        if header.get("frozen_sha256") != self._frozen_sha256():
            raise UserError(
                f"{checkpoint} was trained on top of another backbone than the network's weights give now{again}"
            )
        assign(self._trained, arrays)


@contextmanager
def _without_noise() -> Iterator[None]:
    """Keeps what TensorFlow logs of itself when it is imported off the standard error; other lines are passed on."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
        outside = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(outside, 2)
            os.close(outside)
            aside.seek(0)
            for line in aside.read().decode(errors="replace").splitlines():
                if not any(noise in line for noise in _NOISE):
                    print(line, file=sys.stderr)


def _cut(rows: np.ndarray) -> list[np.ndarray]:
    """Rows in batches of one size: a convolution's sums may be taken in another order for another."""
    return [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def _only(gpus: dict[str, Any], name: str) -> str:
    """Hides all GPUs but the one that is named from TensorFlow, and has it take memory as it needs it."""
    import tensorflow as tf

    if gpus:
        chosen = [gpus[name]] if name in gpus else []
        tf.config.set_visible_devices(chosen, "GPU")
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, True)
    return name


def _identities(count: int) -> list[str]:
    """UUIDs of the GPUs that TensorFlow sees, as ``gpu_lease.lease`` has them from torch, in their order."""
    program = shutil.which("nvidia-smi")
    said = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=5).stdout if program else ""
    every = re.findall(r"^GPU \d+: .*\(UUID: GPU-([0-9a-f-]+)\)", said, re.MULTILINE)
    visible = gpu_lease.visible_devices(os.environ, len(every))
    found = [every[int(each)] if each.isdecimal() else each.removeprefix("GPU-") for each in visible]
    if len(found) != count:
        raise UserError(
            f"TensorFlow sees {count} GPUs and nvidia-smi {len(found)}, so that they cannot be shared out; name one by "
            f"{gpu_lease.OVERRIDE}=cuda:0, or use {gpu_lease.OVERRIDE}=cpu"
        )
    return found
