"""Providers of pretrained networks: one file per library. See ``Provider`` for what a new one must say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from variability.errors import Problem
from variability.extras import WithExtras

if TYPE_CHECKING:
    from variability.models.networks import Network


class Provider(WithExtras, ABC):
    """Builds networks of one library from a model's entry in the config.

    model: the entry under ``models``: architecture, weights, options, preprocess. assets: manifest of what
    ``fetch_assets`` brought. A plug-in module must import without torch (see ``datasets.Dataset``); the library is
    imported inside the methods that need it.
    """

    #: JSON schema of ``options``; {} allows any.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: What its networks take: a plug-in of the modalities.
    MODALITY: ClassVar[str] = "image"
    #: Kinds of task that its networks can be given a head for.
    KINDS: ClassVar[tuple[str, ...]] = ("classification", "regression")
    #: What trains its networks: a plug-in of the frameworks.
    FRAMEWORK: ClassVar[str] = "pytorch"
    #: Whether its networks can be cut into a frozen prefix and what trains: not where the head is used at both ends.
    HAS_PREFIX: ClassVar[bool] = True
    #: Packages whose versions a run's record states.
    PACKAGES: ClassVar[tuple[str, ...]] = ()
    #: Whether building a network takes files beside the weights: then the rule ``download_assets`` runs for it.
    ASSETS: ClassVar[bool] = False
    #: Options that say which files are fetched; None: all of them may. The others change no downloaded file.
    FETCHED_BY: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, model: dict[str, Any], assets: Path | None = None):
        self.model = model
        self.assets = assets

    def check(self) -> Iterator[Problem]:
        """Problems with architecture, named weights and options; keys relative to the model. Quick, torch-free."""
        return iter(())

    def check_source(self, mirrors: Sequence[Path]) -> Iterator[Problem]:
        """Problems with where files come from, as ``check``. mirrors: directories searched before the network."""
        return iter(())

    def local_source(self, mirrors: Sequence[Path]) -> Path | None:
        """A file or folder of the user's, or in a mirror, that is read in place of a release, if there is one."""
        return None

    def fetch_assets(self, fetcher: Any, folder: Path) -> dict[str, Any]:
        """Brings what beside weights a network is built from into an empty ``folder``; facts worth recording."""
        raise NotImplementedError(f"{type(self).__name__} needs no files but weights")

    def encode(self, examples: Sequence[Any], max_length: int) -> tuple[list[Sequence[int]], int]:
        """Token ids of each example, 0 and up, and how many they are at most; for a TOKENIZED modality.

        That is ``max_length``, or fewer where the network takes no more.
        """
        raise NotImplementedError(f"{type(self).__name__} takes examples as they are")

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
    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> Network:
        """A network with a fresh head.

        outputs: units of the head. facts: of the task's examples, see ``datasets.Examples``, for what depends on them
        (how many items there are). weights: a safetensors file of the whole pretrained network, its old head
        included, or None for a random backbone. seed: whose ``init`` stream draws the head and a random backbone.
        Raises UserError if the weights are of another architecture.
        """

    def reads_class_names(self) -> bool:
        """Whether a network is built from the names of a task's classes, so that other names make other results."""
        return False

    def draws_backbone(self) -> bool:
        """Whether a part of the backbone is drawn from the seed even where there are weights: seeds share none then."""
        return False

    def draw_head(self, network: Network, seed: int) -> None:
        """Draws the head of a network that ``build`` made anew, in place, as ``build`` would for this seed."""
        from variability.models.networks import draw_head

        draw_head(network, seed)

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        """How examples are made ready, for the record of a run. facts: of the task's examples."""
        return {}


class ImageProvider(Provider):
    """Builds networks that take images."""

    @abstractmethod
    def preprocess(self, image_size: int) -> dict[str, Any]:
        """What the weights want: {size, resize, mean, std, interpolation}, the model's own ``preprocess`` on top.

        image_size: side of the task's stored images in pixels, which networks without named weights take as it is.
        """

    def with_own(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """What a release wants, and on top of it what the model's own ``preprocess`` says."""
        own = self.model.get("preprocess", {})
        # Of a size alone the whole image is seen.
        return wanted | ({"resize": own["size"]} if "size" in own else {}) | own

    def size_problems(self) -> Iterator[Problem]:
        """What is wrong with the sizes that the model's own ``preprocess`` asks for."""
        own = self.model.get("preprocess", {})
        if own.get("size", 0) > own.get("resize", own.get("size", 0)):
            message = f"{own['size']} is cut out of an image of side resize, {own['resize']}, and cannot be larger"
            yield Problem("preprocess.size", message)

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        return self.preprocess(facts["size"])
