"""Networks of timm (PyTorch Image Models), by name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from variability import seeding, without_compiler
from variability.advice import suggest
from variability.errors import Problem, UserError
from variability.io import model_hub
from variability.models.providers._images import OF_USER, NamedImageProvider
from variability.models.providers._timm_facts import Release, architectures, option_names, releases
from variability.models.weight_files import read_tensors

if TYPE_CHECKING:
    from timm.models import PretrainedCfg
    from torch import nn

    from variability.models.networks import Network

_NOT_OPTIONS = {
    "num_classes": "the task decides the number of classes",
    "in_chans": "images have three channels",
    "pretrained": "weights is a key of the model, next to options",
    "pretrained_cfg": "weights is a key of the model, next to options",
    "pretrained_cfg_overlay": "weights and preprocess are keys of the model, next to options",
    "checkpoint_path": "name the file as weights",
    "cache_dir": "the workflow stores downloads",
    "features_only": "a network needs its head",
    "device": "the workflow chooses the device",
    "dtype": "precision is a key of the recipe",
}
#: Any number would do: the head is replaced.
_CLASSES = 1000
#: Exceptions of timm and torch for options that do not fit together.
_OPTION_ERRORS = (TypeError, ValueError, AssertionError, KeyError, RuntimeError, AttributeError)
_SUFFIXES = (".safetensors", ".pth", ".th", ".bin")
_HUB_FILES = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin")


class Timm(NamedImageProvider):
    """Networks of timm.

    ``options`` are keyword arguments of ``timm.create_model``, such as ``pad_type`` or ``img_size``.
    """

    EXTRA: ClassVar[str | None] = "timm"
    NEEDS: ClassVar[tuple[str, ...]] = ("timm",)
    PACKAGES: ClassVar[tuple[str, ...]] = ("timm",)
    SIZE_OPTIONS: ClassVar[tuple[str, ...]] = ("img_size",)

    def check(self) -> Iterator[Problem]:
        known, name = architectures(), self.model["architecture"]
        base, _, tag = name.partition(".")
        if not known:
            yield Problem("provider", "timm is not installed here; `make .venv/.timm` installs it")
        elif base in known and tag:
            yield Problem("architecture", f"{tag!r} is a release: write architecture: {base} and weights: {tag}")
        elif name not in known:
            yield Problem("architecture", f"timm has no network {name!r}; {suggest(name, known)}; {OF_USER}")
        elif (heads := len(self._release.classifiers)) != 1:
            reason = f"computes its outputs by {heads} layers" if heads else "has no layer that computes classes"
            yield Problem("architecture", f"{name} {reason}; networks with one such layer are supported")
        else:
            yield from self._check_weights()
            if self.model.get("options"):
                yield from self.option_problems(sorted(option_names(name) - set(_NOT_OPTIONS)), _NOT_OPTIONS)
            yield from self.size_problems()

    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        configuration = self._configuration()
        facts = {"release": self.model["weights"]}
        facts |= {key: value for key in ("license", "origin_url") if (value := getattr(configuration, key))}
        if configuration.hf_hub_id:
            repository, _, revision = configuration.hf_hub_id.partition("@")
            local = model_hub.local_folder(repository, fetcher.mirrors)
            source = (
                model_hub.Folder(repository, local)
                if local
                else model_hub.Repository(repository, revision or "main", fetcher, folder)
            )
            preferred = (configuration.hf_hub_filename, *_HUB_FILES)
            usable = [name for name in preferred if name and name in source.files and name.endswith(_SUFFIXES)]
            if not usable:
                raise UserError(f"{repository} on the hub has none of the files that are read: {', '.join(_HUB_FILES)}")
            target = folder / usable[0]
            source.bring(usable[0], target, fetcher)
            return target, source.facts | facts
        target = folder / configuration.url.rpartition("/")[2]
        # As in torch.hub, names of files end in the first digits of the file's SHA-256.
        digits = re.search(r"-([0-9a-f]{8,})\.pth$", target.name)
        fetcher.fetch(configuration.url, target, f"sha256:{digits[1]}" if digits else None)
        return target, {"source": configuration.url} | facts

    def convert(self, source: Path) -> dict[str, Any]:
        module = self._construct(seed=0)
        tensors, versions = read_tensors(source)
        try:
            return self._load(module, source, tensors, versions)
        except UserError as error:
            # timm can translate many weights of another origin, or for images of another size.
            translated = self._translated(tensors)
            if translated is None:
                raise error
            return translated

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> Network:
        from variability.models.networks import attach_head

        module = self._construct(seed)
        if self._head not in dict(module.named_modules()):
            raise UserError(f"timm's {self.model['architecture']} has no classifier; choose another architecture")
        if weights is not None:
            self._load(module, weights, *read_tensors(weights))
        return attach_head(module, outputs, seed, self._head)

    def fixed_size(self) -> tuple[int, str] | None:
        options, release = self.model.get("options", {}), self._release
        if options.get("dynamic_img_size"):
            return None
        if "img_size" in options:
            size = options["img_size"]
            return (size[0] if isinstance(size, list) else size), "options.img_size"
        return (release.side, "its positions are learnt; options.img_size changes it") if release.fixed else None

    def released_preprocess(self) -> dict[str, Any]:
        configuration = self._configuration()
        fixed = self.fixed_size()
        size = fixed[0] if fixed else configuration.input_size[-1]
        return {
            "size": size,
            "resize": math.floor(size / configuration.crop_pct),
            "mean": list(configuration.mean),
            "std": list(configuration.std),
            "interpolation": configuration.interpolation,
        }

    @property
    def _tag(self) -> str:
        """Tag of the configuration that a network is built with: its release's, or the first with weights."""
        known = releases(self.model["architecture"])
        if self.weights_kind == "named":
            return self.model["weights"]
        return next((tag for tag, release in known.items() if release.has_weights), next(iter(known), ""))

    @property
    def _name(self) -> str:
        return ".".join(filter(None, (self.model["architecture"], self._tag)))

    @property
    def _release(self) -> Release:
        known = releases(self.model["architecture"])
        # An unknown release is reported by ``check``; an architecture may have no configuration at all.
        return known.get(self._tag) or next(iter(known.values()), Release(224, False, True, False, ["head"]))

    @property
    def _head(self) -> str:
        return self._release.classifiers[0]

    def _configuration(self) -> PretrainedCfg:
        without_compiler.import_torchvision()
        from timm.models import get_pretrained_cfg

        return get_pretrained_cfg(self._name)

    def _check_weights(self) -> Iterator[Problem]:
        architecture, tag = self.model["architecture"], self.model["weights"]
        known = releases(architecture)
        if self.weights_kind != "named" or not known:
            return
        offered = [name for name, release in known.items() if release.has_weights and name]
        if tag not in offered:
            hint = suggest(tag, [*offered, "none"])
            yield Problem("weights", f"timm has no release {tag!r} of {architecture}; {hint}")
        elif known[tag].foreign:
            yield Problem("weights", f"{tag} is in the format of another framework; convert it to .safetensors")

    def _construct(self, seed: int, classes: int = _CLASSES, **more: Any) -> nn.Module:
        """Return the module with a head of this number of classes, all of it sampled from the seed."""
        without_compiler.import_torchvision()
        import timm

        for problem in self.check():
            raise UserError(f"models: {problem}")
        options = self.model.get("options", {})
        try:
            with seeding.backbone(seed).torch_global():
                return timm.create_model(self._name, num_classes=classes, **options, **more)
        except _OPTION_ERRORS as error:
            raise UserError(
                f"timm cannot build {self.model['architecture']} with options {options}: {error}; correct the model's "
                "options"
            ) from error

    def _load(self, module: nn.Module, path: Path, tensors: dict[str, Any], versions: dict[str, Any]) -> dict[str, Any]:
        from variability.models.strict_loading import load_strictly

        message = f"{path} does not fit timm's {self.model['architecture']}"
        advice = "Correct the model's architecture or options"
        return load_strictly(module, self._head, tensors, versions, message, lambda: advice)

    def _translated(self, tensors: dict[str, Any]) -> dict[str, Any] | None:
        """Return the state dict of a network into which timm loads the tensors; None if timm cannot, either."""
        weight = tensors.get(f"{self._head}.weight")
        overlay = {"state_dict": tensors, "custom_load": False}
        if self.weights_kind == "named":
            classes = self._configuration().num_classes
        else:
            classes = 0 if weight is None else len(weight)
            overlay |= {"num_classes": classes, "label_offset": 0}
        try:
            return self._construct(0, classes, pretrained=True, pretrained_cfg_overlay=overlay).state_dict()
        except UserError:
            return None
