"""Providers of pretrained networks: one file per library. See ``Provider`` for what a new one must say."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from variability.errors import Problem


class Provider(ABC):
    """Builds networks of one library from a model's entry in the config.

    model: the entry under ``models``: architecture, weights, options, preprocess. A plug-in module must import
    without torch (see ``datasets.Dataset``); the framework is imported inside the methods that need it.
    """

    #: JSON schema of ``options``, the keyword arguments of the architecture; {} allows any.
    OPTIONS: ClassVar[dict[str, dict]] = {}

    def __init__(self, model: dict[str, Any]):
        self.model = model

    def check(self) -> Iterator[Problem]:
        """Problems with architecture, named weights and options; keys relative to the model. Quick, torch-free."""
        return iter(())

    @abstractmethod
    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        """Fetches the named release (``weights: IMAGENET1K_V1``) into ``folder`` through the ``fetching.Fetcher``.

        Returns the fetched file and facts worth recording: ``source`` and more (licence, ...; plain values).
        """

    @abstractmethod
    def convert(self, source: Path) -> dict[str, Any]:
        """The whole pretrained network's tensors, its old head included, from a fetched file or one of the user's.

        Raises UserError if the file cannot be read safely or is of another architecture.
        """

    @abstractmethod
    def preprocess(self, image_size: int) -> dict[str, Any]:
        """What the weights want: {size, resize, mean, std, interpolation}, the model's own ``preprocess`` on top.

        image_size: side of the task's stored images in pixels, which networks without named weights take as it is.
        """

    @abstractmethod
    def build(self, outputs: int, weights: Path | None, seed: int):
        """A ``networks.Network`` with a fresh head.

        outputs: units of the head. weights: a safetensors file of the whole pretrained network, its old head
        included, or None for a random backbone. seed: whose ``init`` stream draws the head and a random backbone.
        Raises UserError if the weights are of another architecture.
        """
