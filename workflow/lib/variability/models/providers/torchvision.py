"""Classification networks of torchvision, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from variability import seeding, without_compiler
from variability.advice import suggest
from variability.errors import Problem, UserError
from variability.models.providers._images import OF_USER, NamedImageProvider
from variability.models.providers._torchvision_facts import Architecture, architectures
from variability.models.weight_files import read_tensors

if TYPE_CHECKING:
    from torch import nn
    from torchvision.models import WeightsEnum

    from variability.models.networks import Network

_NOT_OPTIONS = {
    "num_classes": "the task decides the number of classes",
    "weights": "weights is a key of the model, next to options",
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


class Torchvision(NamedImageProvider):
    """Classification networks of torchvision.

    ``options`` are keyword arguments of the architecture's constructor, such as ``width_mult``.
    """

    PACKAGES: ClassVar[tuple[str, ...]] = ("torchvision",)
    SIZE_OPTIONS: ClassVar[tuple[str, ...]] = ("image_size", "input_size")

    def check(self) -> Iterator[Problem]:
        known, name = architectures(), self.model["architecture"]
        if not known:
            yield Problem("provider", "torchvision is not installed here; install the project's environment (envs/)")
        elif name not in known:
            hint = f"{OF_USER}; {suggest(name, list(known))}"
            yield Problem(
                "architecture",
                f"torchvision has no classification network {name!r}; {_other_provider(name) or hint}",
            )
        else:
            yield from self._check_weights(known[name])
            options = [option for option in known[name].options if option not in _NOT_OPTIONS]
            yield from self.option_problems(options, _NOT_OPTIONS)
            yield from self.size_problems()

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
        return self._load(module, source)

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> Network:
        from variability.models.networks import attach_head

        module = self._construct(seed, random=weights is None)
        if weights is not None:
            self._load(module, weights)
        return attach_head(module, outputs, seed)

    def _known(self) -> Architecture:
        for problem in self.check():
            raise UserError(f"models: {problem}")
        return architectures()[self.model["architecture"]]

    def _check_weights(self, architecture: Architecture) -> Iterator[Problem]:
        name = self.model["weights"]
        if self.weights_kind == "named" and name not in architecture.releases:
            known = [*architecture.releases, "none"]
            message = (
                f"torchvision has no release {name!r} of {self.model['architecture']}; {suggest(name, list(known))}"
            )
            yield Problem("weights", message)

    def fixed_size(self) -> tuple[int, str] | None:
        architecture, weights = architectures()[self.model["architecture"]], self.model["weights"]
        if architecture.size_option is None:
            return None
        if self.weights_kind == "named":
            return (
                (architecture.trained_at[weights], f"release {weights}") if weights in architecture.trained_at else None
            )
        size = self.model.get("options", {}).get(architecture.size_option, 224)
        return size[0] if isinstance(size, list) else size, f"options.{architecture.size_option}"

    def min_size(self) -> int:
        return architectures()[self.model["architecture"]].min_size

    def released_preprocess(self) -> dict[str, Any]:
        transforms = self._release().transforms()
        return {
            "size": transforms.crop_size[0],
            "resize": transforms.resize_size[0],
            "mean": list(transforms.mean),
            "std": list(transforms.std),
            "interpolation": transforms.interpolation.value,
        }

    def _release(self) -> WeightsEnum:
        without_compiler.import_torchvision()
        from torchvision.models import get_model_weights

        return get_model_weights(self.model["architecture"])[self._known().releases[self.model["weights"]]]

    def _construct(self, seed: int, random: bool) -> nn.Module:
        """Return the module with the constructor's number of classes. random: its weights are used, so sample them."""
        without_compiler.import_torchvision()
        from torchvision.models import get_model

        architecture, options = self._known(), dict(self.model.get("options", {}))
        if "aux_logits" in architecture.parameters:
            options["aux_logits"] = False
        if "init_weights" in architecture.parameters:
            options.setdefault("init_weights", random)
        if self.weights_kind == "named":
            # As torchvision's builders do for a release: inception_v3 and googlenet are from TensorFlow and rescale
            # their normalised input; positions are learnt for the release's image size.
            if "transform_input" in architecture.parameters:
                options.setdefault("transform_input", True)
            if architecture.size_option:
                side, _ = self.fixed_size()
                options.setdefault(
                    architecture.size_option, side if architecture.size_option == "image_size" else (side, side)
                )
        try:
            with seeding.backbone(seed).torch_global():
                return get_model(self.model["architecture"], weights=None, **options)
        except (TypeError, ValueError, AssertionError) as error:
            raise UserError(
                f"torchvision cannot build {self.model['architecture']} with options "
                f"{self.model.get('options', {})}: {error}; correct the model's options"
            ) from error

    def _load(self, module: nn.Module, path: Path) -> dict[str, Any]:
        """Load a file of the whole network strictly, see ``load_strictly``."""
        from variability.models.networks import find_head
        from variability.models.strict_loading import load_strictly

        stored, versions = read_tensors(path)
        tensors = {_current_name(name): tensor for name, tensor in stored.items() if not name.startswith(_AUXILIARY)}
        message = f"{path} does not fit torchvision's {self.model['architecture']}"
        return load_strictly(
            module, find_head(module), tensors, versions, message, lambda: _architecture_advice(stored)
        )


def _current_name(name: str) -> str:
    """Return the current name of a tensor: DenseNet's released files are from before PyTorch forbade dots in names."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)


def _architecture_advice(tensors: dict[str, Any]) -> str:
    """Return a sentence that names the architectures with the same number of parameters as the tensors."""
    count = sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(_NOT_PARAMETERS))
    candidates = [name for name, architecture in architectures().items() if count in architecture.sizes]
    if candidates:
        return f"By its {count:,} parameters it may be of {' or '.join(candidates)}: correct the model's architecture"
    return "Correct the model's architecture or options"


def _other_provider(architecture: str) -> str:
    """Return which provider a name in the form of a hub's id or of an installed package needs, or nothing."""
    if architecture.startswith("timm/"):
        return f"networks of timm need `provider: timm`, and {architecture.removeprefix('timm/')!r} as their name"
    if "/" not in architecture:
        return ""
    return "networks of the hub, of folders and of packages need `provider: transformers`, or clip"
