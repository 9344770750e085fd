"""Encoders and decoders of Hugging Face Transformers, for texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from variability.errors import Problem
from variability.io.files import read_json
from variability.models.providers._hub import HubProvider


class Transformers(HubProvider):
    """``architecture`` is a hub's id, a folder, or ``package:module/folder``; ``weights: pretrained`` are those there.

    Of the model only the backbone is taken, whatever head it was released with; what it says of a text is pooled into
    one vector, of which a fresh linear head makes the outputs. Nothing of a model's own code is run.
    """

    MODALITY: ClassVar[str] = "text"
    OPTIONS: ClassVar[dict[str, dict]] = HubProvider.REVISION | {
        "pooling": {
            "enum": ["cls", "mean", "last", "pooler"],
            "description": "first token, mean of all, last token, or the layer that the model was pretrained with",
        },
        "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "before the head"},
        "reinit": {"type": "integer", "minimum": 0, "description": "last layers that start from random weights"},
        "config": {"type": "object", "description": "what the network's own config says otherwise"},
    }

    def check(self) -> Iterator[Problem]:
        yield from super().check()
        if self.model.get("preprocess"):
            yield Problem("preprocess", "is of images; take it out")

    def unfit(self, config: Mapping[str, Any]) -> str | None:
        if config.get("is_encoder_decoder"):
            return "is an encoder with a decoder; take an encoder or a decoder"
        return None

    def convert(self, source: Path) -> dict[str, Any]:
        from variability.models.providers import _transformers

        return _transformers.released(self._folder, source, self.model["architecture"])

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None):
        from variability.models.providers import _transformers

        return _transformers.build(self._folder, self.model, outputs, weights, seed)

    def samples_backbone(self) -> bool:
        return self.model["options"].get("reinit", 0) > 0

    def encode(self, examples: Sequence[Any], max_length: int) -> tuple[list[Sequence[int]], int]:
        from variability.models.providers import _transformers

        return _transformers.encode(self._folder, self.model["architecture"], examples, max_length)

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {"max_length": facts["max_length"], "assets": read_json(self.assets)["sha256"]}
