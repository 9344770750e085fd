"""Providers: where a study's models come from. One file per library.

A new provider is a file in this folder with one subclass of ``NetworkProvider`` (of ``ImageProvider`` if its networks
take images): it builds networks, fetches released weights and reads files of weights. The smallest one::

    class Mine(ImageProvider):
        def fetch_weights(self, fetcher, folder):
            raise UserError(f"there are no releases of {self.model['architecture']}")

        def convert(self, source):
            return read_tensors(source)[0]

        def preprocess(self, image_size):
            spec = {"size": image_size, "resize": image_size, "mean": [0.5] * 3, "std": [0.5] * 3}
            return self.with_overrides(spec | {"interpolation": "bilinear"})

        def build(self, outputs, weights, seed, facts=None):
            with seeding.backbone(seed).torch_global():
                module = MyNetwork()
            if weights is not None:
                module.load_state_dict(read_tensors(weights)[0])
            return networks.attach_head(module, outputs, seed)

The config check imports all providers a study uses, so a provider's module must import without torch: import the
library inside the methods that need it, or in a module of its own whose name begins with an underscore.
"""

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
    """A source of models, configured by one entry under ``models`` in the config.

    model: the entry: architecture, weights, options, preprocess. assets: the manifest that ``download_assets`` wrote,
    for a provider with ASSETS.
    """

    #: JSON schemas of the ``options``: {option: schema}; {} allows any option.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: The modality of the examples that its models take: a plug-in of the modalities.
    MODALITY: ClassVar[str] = "image"
    #: Kinds of task that its models can be fitted to: plug-ins of the kinds.
    KINDS: ClassVar[tuple[str, ...]] = ("classification", "regression")
    #: The library that fits its models: a plug-in of the frameworks.
    FRAMEWORK: ClassVar[str] = "pytorch"
    #: Packages whose versions are recorded with each run.
    PACKAGES: ClassVar[tuple[str, ...]] = ()
    #: Whether building a model needs files in addition to its weights, such as a tokenizer; see ``fetch_assets``.
    ASSETS: ClassVar[bool] = False
    #: Options that decide which files are downloaded; the others change no download. None: all of them may.
    DOWNLOAD_OPTIONS: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, model: dict[str, Any], assets: Path | None = None):
        self.model = model
        self.assets = assets

    def option(self, name: str) -> Any:
        """Return an option of the model's entry, or the default of its schema."""
        return self.model.get("options", {}).get(name, self.OPTIONS[name].get("default"))

    def check(self) -> Iterator[Problem]:
        """Yield problems with architecture, named weights and options, with keys relative to the model.

        Runs at every start of Snakemake, so it is quick and imports no torch.
        """
        return iter(())

    def check_source(self, mirrors: Sequence[Path]) -> Iterator[Problem]:
        """Yield problems with the sources of files. mirrors: folders searched before the network."""
        return iter(())

    def local_source(self, mirrors: Sequence[Path]) -> Path | None:
        """Return the user's or a mirror's file or folder that is read instead of a release; None if there is none."""
        return None

    def code(self) -> str | None:
        """Return the hash of the user's own code that builds a model, None without any; part of all fingerprints."""
        return None

    def reads_class_names(self) -> bool:
        """Return whether a model depends on the names of a task's classes, so that renaming one changes results."""
        return False


class NetworkProvider(Provider):
    """A source of networks that are trained."""

    #: Whether a network can be cut into a frozen prefix and a trained rest. False where its head is used at both ends.
    HAS_PREFIX: ClassVar[bool] = True
    #: Whether the entry's ``head`` names the layer that computes the outputs.
    USES_HEAD: ClassVar[bool] = False
    #: Whether the config check builds its networks and computes with them, see ``config.trials``. Only for networks of
    #: images that need no files but weights.
    TRIED: ClassVar[bool] = False

    @abstractmethod
    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        """Fetch the named release (``weights: IMAGENET1K_V1``) into ``folder`` with an ``io.fetcher.Fetcher``.

        Returns the fetched file and facts for its manifest: ``source`` and others, such as the licence (plain values).
        Raises UserError if there is no such release.
        """

    @abstractmethod
    def convert(self, source: Path) -> dict[str, Any]:
        """Return the tensors of the whole pretrained network, its old head included, by name.

        source: a file from ``fetch_weights``, or one of the user's. Raises UserError if the file cannot be read safely
        or is of another architecture.
        """

    @abstractmethod
    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> Network:
        """Return a network with a new head.

        outputs: units of the head. weights: safetensors file with what ``convert`` returned; None for a random
        backbone. seed: the head and a random backbone are sampled from its ``init`` stream. facts: properties of the
        task's examples (see ``datasets.Examples``), such as the number of items. Raises UserError if the weights are
        of another architecture.
        """

    def sample_head(self, network: Network, seed: int) -> None:
        """Sample the values of the head again, in place: those that ``build`` gives it for this seed."""
        from variability.models.networks import sample_head

        sample_head(network, seed)

    def samples_backbone(self) -> bool:
        """Return whether a part of the backbone is sampled from the seed even if there are weights."""
        return False

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return how examples are preprocessed, for the record of a run. facts: properties of the task's examples."""
        return {}

    def fetch_assets(self, fetcher: Any, folder: Path) -> dict[str, Any]:
        """Fetch the files that building needs in addition to weights, for a provider with ASSETS.

        folder: empty; the files go there. Returns facts for their manifest (plain values).
        """
        raise NotImplementedError(f"{type(self).__name__} needs no files but weights")

    def encode(self, examples: Sequence[Any], max_length: int) -> tuple[Sequence[Sequence[int]], int]:
        """Return the token ids of each example, from 0, and the largest length; for a TOKENIZED modality.

        The largest length is ``max_length``, or less if the network takes fewer tokens.
        """
        raise NotImplementedError(f"{type(self).__name__} takes examples without tokens")


class ImageProvider(NetworkProvider):
    """A source of networks that take images."""

    @abstractmethod
    def preprocess(self, image_size: int) -> dict[str, Any]:
        """Return {size, resize, mean, std, interpolation}: what the weights need, or the model's ``preprocess`` sets.

        image_size: side of the task's stored images in pixels, which is the size for networks without named weights.
        """

    def with_overrides(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return the preprocessing of a release with the values of the model's own ``preprocess`` in place of its."""
        overrides = self.model.get("preprocess", {})
        # If only a size is set, nothing is cropped.
        return spec | ({"resize": overrides["size"]} if "size" in overrides else {}) | overrides

    def size_problems(self) -> Iterator[Problem]:
        """Yield problems with the sizes in the model's own ``preprocess``."""
        overrides = self.model.get("preprocess", {})
        if overrides.get("size", 0) > overrides.get("resize", overrides.get("size", 0)):
            message = (
                f"{overrides['size']} is cropped from an image of side resize, {overrides['resize']}, and cannot be "
                "larger"
            )
            yield Problem("preprocess.size", message)

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        return self.preprocess(facts["size"])
