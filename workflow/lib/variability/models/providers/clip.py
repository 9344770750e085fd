"""Image classifiers from models of images and texts (CLIP, SigLIP) of Hugging Face Transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from variability.errors import Problem
from variability.io.artefacts import ASSETS, read_record
from variability.io.files import read_json
from variability.models.providers import ImageProvider
from variability.models.providers._hub import MODEL_FILES, PRETRAINED, HubProvider
from variability.models.weights_source import weights_kind

if TYPE_CHECKING:
    from variability.models.networks import Network

PROMPT = "a photo of a {}."
#: Statistics of the pixels that CLIP was trained on (Radford et al., ICML 2021).
_CLIP_PIXELS = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
_INTERPOLATIONS = {0: "nearest", 2: "bilinear", 3: "bicubic"}


class Clip(HubProvider, ImageProvider):
    """The image tower, whose features have unit length, and a linear head.

    With ``head: prompts`` the head's weights are the text tower's embeddings of the class names, inserted into
    ``prompt`` (averaged over several prompts, Radford et al., ICML 2021), times the model's scale. So before training
    the network is the zero-shot classifier, for all seeds, and fine-tuning starts from it (Wortsman et al., CVPR 2022).
    """

    OPTIONS: ClassVar[dict[str, dict]] = HubProvider.REVISION | {
        "head": {
            "enum": ["prompts", "random"],
            "description": "default: prompts if the weights are pretrained, random otherwise",
        },
        "prompt": {
            "description": "text with {} in place of the class name, or a list of such texts",
            "anyOf": [
                {"type": "string", "pattern": r"\{\}"},
                {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": r"\{\}"}},
            ],
            "default": PROMPT,
        },
    }
    FILES: ClassVar[tuple[str, ...]] = (*MODEL_FILES, "preprocessor_config.json")

    def check(self) -> Iterator[Problem]:
        yield from super().check()
        options, kind = self.model["options"], weights_kind(self.model["weights"])
        if options.get("head") == "prompts" and kind in ("none", "pretrain"):
            yield Problem("options.head", f"prompts needs a pretrained text tower: use weights: {PRETRAINED}")
        if "prompt" in options and not self._prompted:
            yield Problem("options.prompt", "is for head: prompts; remove it")
        yield from self.size_problems()

    def refusal(self, config: Mapping[str, Any]) -> str | None:
        if not {"vision_config", "text_config"} <= set(config):
            return (
                "is not a model of images and texts, such as CLIP or SigLIP; for texts alone use provider: transformers"
            )
        return None

    def convert(self, source: Path) -> dict[str, Any]:
        from variability.models.providers import _clip

        return _clip.released(self._folder, source, self.model["architecture"])

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> Network:
        from variability.models.providers import _clip

        names = (facts or {}).get("class_names") or []
        option = self.option("prompt")
        templates = [option] if isinstance(option, str) else option
        prompts = [[template.replace("{}", name.replace("_", " ")) for template in templates] for name in names]
        architecture = self.model["architecture"]
        return _clip.build(self._folder, architecture, outputs, weights, seed, prompts if self._prompted else None)

    def reads_class_names(self) -> bool:
        return self._prompted

    def sample_head(self, network: Network, seed: int) -> None:
        from variability.models.providers import _clip

        _clip.sample_head(network, seed)

    def preprocess(self, image_size: int) -> dict[str, Any]:
        stored = self._stored_preprocess()
        side = _side(stored.get("crop_size")) or read_json(self._folder / "config.json")["vision_config"].get(
            "image_size", 224
        )
        default = {"mean": [0.5] * 3, "std": [0.5] * 3} if self._model_type.startswith("siglip") else _CLIP_PIXELS
        spec = {
            "size": side,
            "resize": max(_side(stored.get("size")) or side, side),
            "mean": list(stored.get("image_mean", default["mean"])),
            "std": list(stored.get("image_std", default["std"])),
            "interpolation": _INTERPOLATIONS.get(stored.get("resample"), "bicubic"),
        }
        return self.with_overrides(spec)

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        return self.preprocess(facts["size"]) | {"assets": read_record(self.assets, ASSETS)["sha256"]}

    @property
    def _prompted(self) -> bool:
        default = "prompts" if weights_kind(self.model["weights"]) == "named" else "random"
        return self.model["options"].get("head", default) == "prompts"

    @property
    def _model_type(self) -> str:
        return read_json(self._folder / "config.json").get("model_type", "")

    def _stored_preprocess(self) -> dict[str, Any]:
        """Return the model's own preprocessing, from its files; {} if it has none."""
        path = self._folder / "preprocessor_config.json"
        return read_json(path) if path.is_file() else {}


def _side(size: Any) -> int | None:
    """Return the side of one of the library's sizes: a number, {shortest_edge: ...} or {height: ..., width: ...}."""
    if isinstance(size, Mapping):
        return size.get("shortest_edge") or size.get("height")
    return size
