"""Classification networks of torchvision, by name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from variability import seeding
from variability.errors import Problem, UserError
from variability.providers import ImageProvider
from variability.providers._torchvision_source import Architecture, architectures
from variability.registry import suggest
from variability.weights import read_tensors, weights_kind

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]

_NOT_OPTIONS = {
    "num_classes": "the task decides the number of classes",
    "weights": "weights stands beside options",
    "progress": "downloads report by themselves",
    "aux_logits": "auxiliary classifiers are not used",
}
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
_NOT_PARAMETERS = (
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "relative_position_index",
    "relative_coords_table",
)


class Torchvision(ImageProvider):
    """``options`` are the keyword arguments of the architecture's constructor, e.g. ``width_mult``."""

    PACKAGES: ClassVar[tuple[str, ...]] = ("torchvision",)

    def check(self) -> Iterator[Problem]:
        known, name = architectures(), self.model["architecture"]
        if not known:
            yield Problem("provider", "torchvision is not installed here; install the project's environment (envs/)")
        elif name not in known:
            yield Problem("architecture", f"torchvision has no classification network {name!r}; {suggest(name, known)}")
        else:
            yield from self._check_weights(known[name])
            yield from self._check_options(known[name])
            own = self.model.get("preprocess", {})
            if problem := self._wrong_size(own["size"]) if "size" in own else None:
                yield Problem("preprocess.size", problem)
            if own.get("size", 0) > own.get("resize", own.get("size", 0)):
                message = f"{own['size']} is cut out of an image of side resize, {own['resize']}, and cannot be larger"
                yield Problem("preprocess.size", message)

    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        release = self._release()
        target = folder / release.url.rpartition("/")[2]
        # torchvision's file names end in the first digits of the file's SHA-256.
        digits = re.search(r"-([0-9a-f]{8,})\.pth$", target.name)
        fetcher.fetch(release.url, target, f"sha256:{digits[1]}" if digits else None)
        facts = {key: release.meta[key] for key in ("license", "recipe") if key in release.meta}
        return target, {"source": release.url, "release": release.name} | facts

    def convert(self, source: Path) -> dict[str, Any]:
        module = self._construct(seed=0, random=False)
        self._load(module, source)
        return module.state_dict()

    def preprocess(self, image_size: int) -> dict[str, Any]:
        own = self.model.get("preprocess", {})
        wanted = self._released_preprocess() if self._kind() == "named" else self._plain_preprocess(image_size)
        if "size" in own:
            wanted["resize"] = own["size"]  # the whole image is seen, unless the model's entry gives a resize too
        wanted |= own
        if problem := self._wrong_size(wanted["size"]):
            raise UserError(f"{problem}; set the task's image.size or the model's preprocess.size")
        return wanted

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None):
        from variability.networks import attach_head

        module = self._construct(seed, random=weights is None)
        if weights is not None:
            self._load(module, weights)
        return attach_head(module, outputs, seed)

    def _kind(self) -> str:
        return weights_kind(self.model["weights"])

    def _known(self) -> Architecture:
        for problem in self.check():
            raise UserError(f"models: {problem}")
        return architectures()[self.model["architecture"]]

    def _check_weights(self, architecture: Architecture) -> Iterator[Problem]:
        name = self.model["weights"]
        if self._kind() == "named" and name not in architecture.releases:
            known = [*architecture.releases, "none"]
            message = f"torchvision has no release {name!r} of {self.model['architecture']}; {suggest(name, known)}"
            yield Problem("weights", message)

    def _check_options(self, architecture: Architecture) -> Iterator[Problem]:
        known = [name for name in architecture.options() if name not in _NOT_OPTIONS]
        for option in self.model.get("options", {}):
            if option in _NOT_OPTIONS:
                yield Problem(f"options.{option}", f"cannot be set: {_NOT_OPTIONS[option]}")
            elif option not in known:
                name = self.model["architecture"]
                yield Problem(f"options.{option}", f"is no option of {name}; {suggest(option, known)}")

    def _wrong_size(self, size: int) -> str | None:
        name, architecture = self.model["architecture"], architectures()[self.model["architecture"]]
        fixed = self._fixed_size(architecture)
        if fixed and size != fixed:
            how = (
                f"release {self.model['weights']}" if self._kind() == "named" else f"options.{architecture.size_option}"
            )
            return f"{name} takes images of {fixed} pixels and no others ({how}), not {size}"
        if size < architecture.min_size:
            return f"{name} takes images of at least {architecture.min_size} pixels, not {size}"
        return None

    def _fixed_size(self, architecture: Architecture) -> int | None:
        """The only size of input that a network with learnt positions takes, None for the others."""
        if architecture.size_option is None:
            return None
        if self._kind() == "named":
            return architecture.trained_at.get(self.model["weights"])
        size = self.model.get("options", {}).get(architecture.size_option, 224)
        return size[0] if isinstance(size, list) else size

    def _plain_preprocess(self, image_size: int) -> dict[str, Any]:
        size = self._fixed_size(self._known()) or image_size
        return {
            "size": size,
            "resize": size,
            "mean": list(IMAGENET_MEAN),
            "std": list(IMAGENET_STD),
            "interpolation": "bilinear",
        }

    def _released_preprocess(self) -> dict[str, Any]:
        transforms = self._release().transforms()
        return {
            "size": transforms.crop_size[0],
            "resize": transforms.resize_size[0],
            "mean": list(transforms.mean),
            "std": list(transforms.std),
            "interpolation": transforms.interpolation.value,
        }

    def _release(self):
        from torchvision.models import get_model_weights

        return get_model_weights(self.model["architecture"])[self._known().releases[self.model["weights"]]]

    def _construct(self, seed: int, random: bool):
        """The module with the constructor's own number of classes. random: its weights stay as drawn from the seed."""
        from torchvision.models import get_model

        architecture, options = self._known(), dict(self.model.get("options", {}))
        if "aux_logits" in architecture.parameters:
            options["aux_logits"] = False
        if "init_weights" in architecture.parameters:
            options.setdefault("init_weights", random)
        if self._kind() == "named":
            # What the builders of torchvision do when they are given a release: inception_v3 and googlenet came from
            # TensorFlow and rescale their normalised input, positions are learnt for the release's image size.
            if "transform_input" in architecture.parameters:
                options.setdefault("transform_input", True)
            if architecture.size_option:
                side = self._fixed_size(architecture)
                options.setdefault(
                    architecture.size_option, side if architecture.size_option == "image_size" else (side, side)
                )
        try:
            with seeding.torch_global(seed, "init"):
                return get_model(self.model["architecture"], weights=None, **options)
        except (TypeError, ValueError, AssertionError) as error:
            raise UserError(
                f"torchvision cannot build {self.model['architecture']} with options "
                f"{self.model.get('options', {})}: {error}; correct the model's options"
            ) from error

    def _load(self, module, path: Path) -> None:
        """Loads a file of the whole network strictly; the head takes the file's number of outputs."""
        from variability.networks import find_head, replace_head

        read, versions = read_tensors(path)
        tensors = {_current_name(name): tensor for name, tensor in read.items() if not name.startswith(_AUXILIARY)}
        head = f"{find_head(module)}.weight"
        if head in tensors and tensors[head].shape[1:] == module.get_parameter(head).shape[1:]:
            replace_head(module, len(tensors[head]))
        wanted = module.state_dict()
        reshaped = [
            f"{name} ({_times(tensors[name])}, not {_times(wanted[name])})"
            for name in wanted
            if name in tensors and tensors[name].shape != wanted[name].shape
        ]
        missing, unexpected = [], []
        if not reshaped:
            state = _Versioned(tensors)
            # Modules rename the tensors of old versions; a file without versions is taken as the root's present one.
            state._metadata = {"": {"version": module._version}} | versions
            result = module.load_state_dict(state, strict=False)
            # Counters that files before PyTorch 0.4.1 lack; nothing reads them while BatchNorm has a momentum.
            missing = [name for name in result.missing_keys if not name.endswith("num_batches_tracked")]
            unexpected = result.unexpected_keys
        if reshaped or missing or unexpected:
            wrong = {"of another shape": reshaped, "missing": missing, "unexpected": unexpected}
            listed = "; ".join(f"{len(names)} {what}: {_first(names)}" for what, names in wrong.items() if names)
            name = self.model["architecture"]
            raise UserError(f"{path} does not fit torchvision's {name}: tensors {listed}. {_owner(read)}")


class _Versioned(dict):
    """A state dict that carries the versions of the modules it was saved from, as torch's own do."""

    _metadata: dict[str, Any]


def _current_name(name: str) -> str:
    """DenseNet's released files have names of before PyTorch forbade dots in them."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)


def _owner(tensors: dict[str, Any]) -> str:
    """The sentence that names the architectures with as many parameters."""
    count = sum(each.numel() for name, each in tensors.items() if not name.endswith(_NOT_PARAMETERS))
    same = [name for name, architecture in architectures().items() if count in architecture.sizes]
    if same:
        return f"By its {count:,} parameters it may be of {' or '.join(same)}: correct the model's architecture"
    return "Correct the model's architecture or options"


def _times(tensor: Any) -> str:
    return "x".join(map(str, tensor.shape))


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
