"""Models of images and texts (CLIP, SigLIP) of Hugging Face Transformers, for images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from variability.errors import Problem
from variability.io.files import read_json
from variability.models.providers import ImageProvider
from variability.models.providers._hub import MODEL_FILES, PRETRAINED, HubProvider
from variability.models.weights_source import weights_kind

PROMPT = "a photo of a {}."
#: Radford et al., ICML 2021: of the pixels that CLIP was trained on.
_CLIP_PIXELS = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
_INTERPOLATIONS = {0: "nearest", 2: "bilinear", 3: "bicubic"}


class Clip(HubProvider, ImageProvider):
    """The tower of images, whose features have unit length, and a linear head.

    With ``head: prompts`` the head's weights are the text tower's embeddings of the class names, set into ``prompt``
    (averaged over several, Radford et al., ICML 2021), times the model's scale: before training the network is the
    zero-shot classifier, and fine-tuning starts from it (Wortsman et al., CVPR 2022), for every seed alike.
    """

    OPTIONS: ClassVar[dict[str, dict]] = HubProvider.REVISION | {
        "head": {
            "enum": ["prompts", "random"],
            "description": "prompts, if left out, where weights are pretrained and a task has classes",
        },
        "prompt": {
            "description": "text with {} where a class name goes, or a list of such",
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
            yield Problem("options.head", f"prompts needs a text tower that knows what it reads: weights: {PRETRAINED}")
        if "prompt" in options and not self._prompted:
            yield Problem("options.prompt", "is for head: prompts; take it out")
        yield from self.size_problems()

    def unfit(self, config: Mapping[str, Any]) -> str | None:
        if not {"vision_config", "text_config"} <= set(config):
            return "is no model of images and texts, such as CLIP or SigLIP; for texts alone use provider: transformers"
        return None

    def convert(self, source: Path) -> dict[str, Any]:
        from variability.models.providers import _clip

        return _clip.released(self._folder, source, self.model["architecture"])

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None):
        from variability.models.providers import _clip

        names = (facts or {}).get("class_names") or []
        prompts = self.model["options"].get("prompt", PROMPT)
        texts = [prompts] if isinstance(prompts, str) else prompts
        said = [[text.replace("{}", name.replace("_", " ")) for text in texts] for name in names]
        name = self.model["architecture"]
        return _clip.build(self._folder, name, outputs, weights, seed, said if self._prompted else None)

    def reads_class_names(self):
        return self._prompted

    def sample_head(self, network, seed):
        from variability.models.providers import _clip

        _clip.sample_head(network, seed)

    def preprocess(self, image_size: int) -> dict[str, Any]:
        said = self._said()
        side = _side(said.get("crop_size")) or read_json(self._folder / "config.json")["vision_config"].get(
            "image_size", 224
        )
        usual = {"mean": [0.5] * 3, "std": [0.5] * 3} if self._model_type.startswith("siglip") else _CLIP_PIXELS
        wanted = {
            "size": side,
            "resize": max(_side(said.get("size")) or side, side),
            "mean": list(said.get("image_mean", usual["mean"])),
            "std": list(said.get("image_std", usual["std"])),
            "interpolation": _INTERPOLATIONS.get(said.get("resample"), "bicubic"),
        }
        return self.with_overrides(wanted)

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        return self.preprocess(facts["size"]) | {"assets": read_json(self.assets)["sha256"]}

    @property
    def _prompted(self) -> bool:
        usual = "prompts" if weights_kind(self.model["weights"]) == "named" else "random"
        return self.model["options"].get("head", usual) == "prompts"

    @property
    def _model_type(self) -> str:
        return read_json(self._folder / "config.json").get("model_type", "")

    def _said(self) -> dict[str, Any]:
        """What the model's own preprocessing says."""
        path = self._folder / "preprocessor_config.json"
        return read_json(path) if path.is_file() else {}


def _side(said: Any) -> int | None:
    """The side that a size of the library's is of: a number, {shortest_edge: ...} or {height: ..., width: ...}."""
    if isinstance(said, Mapping):
        return said.get("shortest_edge") or said.get("height")
    return said
