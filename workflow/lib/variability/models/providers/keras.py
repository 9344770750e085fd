"""Networks of keras.applications, by name, for training with Keras on TensorFlow."""

from __future__ import annotations

import copy
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from variability.advice import plural, suggest
from variability.errors import Problem, UserError
from variability.io import zip_files
from variability.models.providers import _keras_h5
from variability.models.providers._images import IMAGENET_MEAN, IMAGENET_STD, OF_USER, NamedImageProvider
from variability.models.providers._keras_facts import Architecture, architectures

if TYPE_CHECKING:
    import keras

    from variability.models.providers._keras_networks import KerasNetwork

RELEASE = "imagenet"
#: Mean and standard deviation, for pixels of 0 to 1, of Keras's modes of scaling. ImageNet's are those of torchvision;
#: caffe has the channels in the order blue, green, red, minus their means, in grey levels of 0 to 255.
_SCALINGS = {
    "tf": {"mean": [0.5] * 3, "std": [0.5] * 3},
    "torch": {"mean": IMAGENET_MEAN, "std": IMAGENET_STD},
    "caffe": {
        "mean": [103.939 / 255, 116.779 / 255, 123.68 / 255],
        "std": [1 / 255] * 3,
        "channels": "bgr",
    },
    None: {"mean": [0.0] * 3, "std": [1 / 255] * 3},
}
_NOT_OPTIONS = {
    "include_top": "the task decides the head",
    "weights": "weights is a key of the model, next to options",
    "input_tensor": "the task decides the input",
    "input_shape": "the task's image.size or the model's preprocess.size decides it",
    "classes": "the task decides the number of classes",
    "classifier_activation": "the task decides the head",
    "name": "the config names models",
    "include_preprocessing": "networks that scale their input always do",
    "dropout": "it belongs to the original head, which is replaced",
    "dropout_rate": "it belongs to the original head, which is replaced",
}
#: This workflow's own options, for all BatchNorm layers: Keras averages running statistics over far more batches than
#: torch does.
_BATCHNORM = {"bn_momentum": "momentum", "bn_epsilon": "epsilon"}


class Keras(NamedImageProvider):
    """Networks of ``keras.applications``: the constructor's without its top, pooled, with a new head.

    ``options`` are keyword arguments of the constructor, such as ``alpha``, and ``bn_momentum``, ``bn_epsilon``.
    """

    EXTRA: ClassVar[str] = "tensorflow"
    NEEDS: ClassVar[tuple[str, ...]] = ("keras", "tensorflow")
    FRAMEWORK: ClassVar[str] = "keras"
    SUFFIXES: ClassVar[tuple[str, ...]] = (".safetensors", ".h5", ".keras")

    def check(self) -> Iterator[Problem]:
        known, name = architectures(), self.model["architecture"]
        if name not in known:
            hint = f"{suggest(name, list(known))}; {OF_USER}"
            yield Problem("architecture", f"keras.applications has no network {name!r}; {hint}")
            return
        weights = self.model["weights"]
        if self.weights_kind == "named" and weights != RELEASE:
            hint = suggest(weights, [RELEASE, "none"])
            yield Problem("weights", f"Keras has no release {weights!r} of {name}; {hint}")
        if self.weights_kind == "file" and not weights.endswith(self.SUFFIXES):
            yield Problem("weights", f"{weights!r} is not a file that can be read: {', '.join(self.SUFFIXES)}")
        yield from self._check_options(known[name])
        yield from self.size_problems()

    def fixed_size(self) -> None:
        return None

    def min_size(self) -> int:
        return architectures()[self.model["architecture"]].min_size

    def plain_scaling(self) -> dict[str, Any]:
        return copy.deepcopy(_SCALINGS[architectures()[self.model["architecture"]].scaling])

    def released_preprocess(self) -> dict[str, Any]:
        return {"size": 224, "resize": 224, "interpolation": "bilinear"} | self.plain_scaling()

    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        downloads: list[tuple[str, str, str | None]] = []

        def record(name: str, url: str, file_hash: str | None = None, **kwargs: Any) -> str:
            downloads.append((name, url, file_hash))
            return str(folder / name)

        # Only the constructor knows what Keras would download, so it is called, and nothing is loaded.
        self._construct(0, get_file=record, load=lambda model, path: None)
        name, url, digits = downloads[0]
        algorithm = "sha256" if digits and len(digits) == 64 else "md5"
        fetcher.fetch(url, folder / name, f"{algorithm}:{digits}" if digits else None)
        return folder / name, {"source": url, "release": RELEASE}

    def convert(self, source: Path) -> dict[str, Any]:
        from variability.models.providers import _keras_networks

        if source.suffix == ".safetensors":
            return _read(source)
        return _keras_networks.tensors(self._loaded(source))

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> KerasNetwork:
        from variability.models.providers import _keras_networks

        backbone = self._construct(seed, self.preprocess((facts or {}).get("size", 224))["size"])
        network = _keras_networks.attach_head(backbone, outputs, seed)
        if weights is not None:
            self._load(backbone, weights)
        return network

    def sample_head(self, network: KerasNetwork, seed: int) -> None:
        from variability.models.providers import _keras_networks

        _keras_networks.sample_head(network, seed)

    def _known(self) -> Architecture:
        for problem in self.check():
            raise UserError(f"models: {problem}")
        return architectures()[self.model["architecture"]]

    def _check_options(self, architecture: Architecture) -> Iterator[Problem]:
        known = [*(name for name in architecture.options if name not in _NOT_OPTIONS), *_BATCHNORM]
        yield from self.option_problems(known, _NOT_OPTIONS)
        for option, value in self.model.get("options", {}).items():
            if option == "pooling" and value not in ("avg", "max"):
                yield Problem("options.pooling", f"{value!r} returns no features for a head; use avg or max")
            elif option in _BATCHNORM and not (isinstance(value, float) and 0 < value < 1):
                yield Problem(f"options.{option}", f"{value!r} is not a number between 0 and 1")

    def _construct(
        self,
        seed: int,
        size: int | None = None,
        get_file: Callable[..., str] = lambda name, *args, **kwargs: name,
        load: Callable[..., None] = lambda model, path: None,
        top: bool = False,
    ) -> keras.Model:
        """Return the network as constructed, with random weights sampled from the seed.

        A network for a release is constructed with the release's name, because some then scale their input in another
        way; ``get_file`` and ``load`` replace what the constructor does with its files. top: with its original head.
        """
        import keras

        from variability.models.providers import _keras_networks

        options = {"pooling": "avg"} | self.model.get("options", {})
        batchnorm = {_BATCHNORM[name]: options.pop(name) for name in list(options) if name in _BATCHNORM}
        if top:
            options.pop("pooling")
        elif size is not None:
            options["input_shape"] = (size, size, 3)
        release = RELEASE if self.weights_kind == "named" else None
        self._known()
        try:
            with _keras_networks.constructing(seed), _loading(get_file, load), warnings.catch_warnings():
                # Keras warns that its files are for images of another size.
                warnings.filterwarnings("ignore", message=r"`input_shape` is undefined")
                constructor = getattr(keras.applications, self.model["architecture"])
                model = constructor(weights=release, include_top=top, **options)
        except (TypeError, ValueError, AssertionError) as error:
            raise UserError(
                f"Keras cannot build {self.model['architecture']} with options {self.model.get('options', {})}: "
                f"{error}; correct the model's options"
            ) from error
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                for attribute, value in batchnorm.items():
                    setattr(layer, attribute, value)
        return model

    def _loaded(self, source: Path) -> keras.Model:
        """Return the network with the weights of a Keras file, which may have the original head or none.

        Only the weights of a .keras file are read: its config could name code to import.
        """
        import keras

        if self.weights_kind == "named":
            return self._construct(0, get_file=lambda *args, **kwargs: str(source), load=keras.Model.load_weights)
        with tempfile.TemporaryDirectory() as folder:
            path = _unpacked(source, Path(folder)) if source.suffix == ".keras" else source
            _require_harmless(source, path)
            reasons = []
            for top in (False, True):
                model = self._construct(0, top=top)
                try:
                    with warnings.catch_warnings():
                        # Keras only warns of layers that the file has no weights for.
                        warnings.simplefilter("error", UserWarning)
                        keras.Model.load_weights(model, path)
                    return model
                except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
                    reasons.append(str(error).partition("\n")[0])
        raise UserError(
            f"{source} does not fit Keras's {self.model['architecture']} ({reasons[0]}); correct the model's "
            "architecture or options, or fetch the file again"
        )

    def _load(self, backbone: keras.Model, path: Path) -> None:
        """Load the backbone's weights from a safetensors file, strictly; its heads are ignored."""
        stored, weights = _read(path), {weight.path: weight for weight in backbone.weights}
        wrong = [name for name in weights if name not in stored or stored[name].shape != tuple(weights[name].shape)]
        if wrong:
            raise UserError(
                f"{path} does not fit Keras's {self.model['architecture']}: "
                f"{plural(len(wrong), 'tensor is', 'tensors are')} missing or of another shape, the first is "
                f"{wrong[0]!r}; correct the model's architecture or options"
            )
        for name, weight in weights.items():
            weight.assign(stored[name])


def _read(path: Path) -> dict[str, Any]:
    import safetensors.numpy

    try:
        return safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}); fetch or copy it again") from error


def _unpacked(source: Path, folder: Path) -> Path:
    """Extract the weights from a .keras file; return their path."""
    try:
        if trap := zip_files.expansion_problem(source, source.stat().st_size):
            raise UserError(f"{source} is refused: {trap.rpartition('; ')[0] or trap}; save it again")
        with zipfile.ZipFile(source) as archive:
            return Path(archive.extract("model.weights.h5", folder))
    except (OSError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{source} cannot be read as a .keras file ({error}); save it again") from error


def _require_harmless(source: Path, path: Path) -> None:
    """Raise UserError for weights that are a trap. path: of the HDF5 file, in or from the user's file ``source``."""
    try:
        problem = _keras_h5.problem(path)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(f"{source} cannot be read as HDF5 ({error}); fetch or copy it again") from error
    if problem:
        raise UserError(f"{source} is refused: {problem}; save the weights again with model.save_weights")


@contextmanager
def _loading(get_file: Callable[..., str], load: Callable[..., None]) -> Iterator[None]:
    """Let constructors of keras.applications fetch and load files with these functions inside the ``with`` block."""
    from keras.src.models import Functional
    from keras.src.utils import file_utils

    original = file_utils.get_file
    file_utils.get_file, Functional.load_weights = get_file, load
    try:
        yield
    finally:
        file_utils.get_file = original
        del Functional.load_weights  # inherited again
