"""Encoders and decoders of Hugging Face Transformers, for texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from variability.errors import Problem
from variability.io.artefacts import ASSETS, read_record
from variability.models.providers._hub import HubProvider

if TYPE_CHECKING:
    from variability.models.networks import Network


class Transformers(HubProvider):
    """Classifiers of texts: the backbone of a model, pooling, dropout and a new linear head.

    ``architecture`` is an id of the hub, a folder, or ``package:module/folder``; ``weights: pretrained`` are those
    there. Heads of the release are ignored. The backbone's hidden states are pooled into one vector per text. Code
    that comes with a model is never run.
    """

    MODALITY: ClassVar[str] = "text"
    OPTIONS: ClassVar[dict[str, dict]] = HubProvider.REVISION | {
        "pooling": {
            "enum": ["cls", "mean", "last", "pooler"],
            "description": "first token, mean of all tokens, last token, or the pooling layer of pretraining",
        },
        "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "description": "before the head"},
        "reinit": {
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "last layers that start from random weights",
        },
        "config": {"type": "object", "description": "values that replace those of the network's own config"},
    }

    def check(self) -> Iterator[Problem]:
        yield from super().check()
        if self.model.get("preprocess"):
            yield Problem("preprocess", "is for images; remove it")

    def refusal(self, config: Mapping[str, Any]) -> str | None:
        if config.get("is_encoder_decoder"):
            return "is an encoder with a decoder; choose an encoder or a decoder"
        return None

    def convert(self, source: Path) -> dict[str, Any]:
        from variability.models.providers import _transformers

        return _transformers.released(self._folder, source, self.model["architecture"])

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> Network:
        from variability.models.providers import _transformers

        return _transformers.build(self._folder, self.model, outputs, weights, seed, self.option("reinit"))

    def samples_backbone(self) -> bool:
        return self.option("reinit") > 0

    def encode(self, examples: Sequence[Any], max_length: int) -> tuple[Sequence[Sequence[int]], int]:
        from variability.models.providers import _transformers

        return _transformers.encode(self._folder, self.model["architecture"], examples, max_length)

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {"max_length": facts["max_length"], "assets": read_record(self.assets, ASSETS)["sha256"]}
