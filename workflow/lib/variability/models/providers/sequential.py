"""Sequential recommenders: networks of the library Transformers with items as tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from variability.advice import plural, suggest
from variability.errors import Problem, UserError
from variability.models.providers import NetworkProvider
from variability.models.weight_files import read_tensors
from variability.models.weights_source import weights_kind

if TYPE_CHECKING:
    from variability.models.networks import Network
    from variability.models.providers._recommender import Recommender

ARCHITECTURES = {"bert4rec": "bert", "sasrec": "gpt"}
#: Prefix of the tensors that belong to a catalogue, and the tensor that only tasks with hidden items have.
_CATALOGUE, _HIDDEN = "catalogue.", "hidden"


class Sequential(NetworkProvider):
    """Transformers that predict items of a sequence, trained by the cross-entropy over the whole catalogue.

    ``bert4rec``: a bidirectional body (BERT's) that predicts hidden items (Sun et al., CIKM 2019). ``sasrec``: a causal
    body (GPT-2's) that predicts each next item (Kang and McAuley, ICDM 2018).

    An item's vector is both its token embedding and its output weights. So the head is the catalogue, which is new for
    each task; the body and its positions are the backbone.
    """

    MODALITY: ClassVar[str] = "interactions"
    KINDS: ClassVar[tuple[str, ...]] = ("ranking", "regression")
    EXTRA: ClassVar[str | None] = "transformers"
    NEEDS: ClassVar[tuple[str, ...]] = ("transformers",)
    PACKAGES: ClassVar[tuple[str, ...]] = ("transformers",)
    HAS_PREFIX: ClassVar[bool] = False
    OPTIONS: ClassVar[dict[str, dict]] = {
        "hidden_size": {"type": "integer", "minimum": 1, "default": 64, "description": "width of the layers"},
        "layers": {"type": "integer", "minimum": 1, "default": 2, "description": "number of layers"},
        "heads": {
            "type": "integer",
            "minimum": 1,
            "default": 2,
            "description": "number of attention heads, a divisor of hidden_size",
        },
        "dropout": {
            "type": "number",
            "minimum": 0,
            "exclusiveMaximum": 1,
            "default": 0.1,
            "description": "probability of dropout",
        },
        "mask_probability": {
            "type": "number",
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 1,
            "default": 0.2,
            "description": "share of the items that bert4rec hides in training",
        },
        "items": {
            "enum": ["new", "shared"],
            "default": "new",
            "description": "new: the vectors of the items are sampled. shared: they are those of the weights, if there "
            "are any, which must be pretrained on the same catalogue",
        },
    }

    def check(self) -> Iterator[Problem]:
        name, options = self.model["architecture"], self.model.get("options", {})
        if name not in ARCHITECTURES:
            known = list(ARCHITECTURES)
            yield Problem("architecture", f"there is no sequential recommender {name!r}; {suggest(name, known)}")
        if self._options["hidden_size"] % self._options["heads"]:
            size, heads = self._options["hidden_size"], self._options["heads"]
            yield Problem("options.hidden_size", f"{size} cannot be divided among {plural(heads, 'head')}")
        if "mask_probability" in options and name == "sasrec":
            yield Problem("options.mask_probability", "is for bert4rec: sasrec hides nothing; remove it")
        kind = weights_kind(self.model["weights"])
        if kind == "named":
            yield Problem("weights", "there are no releases of it; use pretrain:<name>, a file, or none")
        if self.model.get("preprocess"):
            yield Problem("preprocess", "is for images; remove it")

    def masking(self, facts: dict[str, Any]) -> float | None:
        """Return the share of the items that training hides; None if it hides none."""
        hides = self.model["architecture"] == "bert4rec" and facts["target"] == "next_item"
        return self._options["mask_probability"] if hides else None

    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        raise UserError(f"there are no releases of {self.model['architecture']}")

    def convert(self, source: Path) -> dict[str, Any]:
        return read_tensors(source)[0]

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> Network:
        from variability import seeding
        from variability.models.networks import Network
        from variability.models.providers import _recommender

        make_body, ranks = (
            getattr(_recommender, ARCHITECTURES[self.model["architecture"]]),
            facts["target"] == "next_item",
        )
        with seeding.backbone(seed).torch_global():
            body, *part_lists = make_body(self._options, facts["max_length"])
            keeps_vectors = weights is not None and self._options["items"] == "shared"
            catalogue = _recommender.Catalogue(facts["items"], self._options["hidden_size"], ranks, keeps_vectors)
            module = _recommender.Recommender(body, catalogue, self.masking(facts) is not None)
        if weights is not None:
            self._load(module, weights)
        blocks, parts = ([f"body.{name}" for name in names] for names in part_lists)
        network = Network(module, "catalogue", blocks, [*parts, "catalogue"])
        self.sample_head(network, seed)
        return network

    def sample_head(self, network: Network, seed: int) -> None:
        network.module.catalogue.sample(seed)

    def input_spec(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {key: facts[key] for key in ("max_length", "exclude_seen")} | {"masking": self.masking(facts)}

    @property
    def _options(self) -> dict[str, Any]:
        defaults = {name: schema["default"] for name, schema in self.OPTIONS.items()}
        return defaults | self.model.get("options", {})

    def _load(self, module: Recommender, path: Path) -> None:
        """Load the backbone from a file, and the vectors of the items if they are shared."""
        tensors, _ = read_tensors(path)
        needed = {
            name
            for name in module.state_dict()
            if not name.startswith(_CATALOGUE) or (name == f"{_CATALOGUE}weight" and self._options["items"] == "shared")
        }
        if _HIDDEN in needed - tensors.keys():
            # Pretraining on ratings hides nothing. Like the backbone, the vector is the same for all seeds.
            tensors[_HIDDEN] = module.hidden.detach() * 0
        stored = {name for name in tensors if not name.startswith(_CATALOGUE)} - {_HIDDEN}
        shapes = module.state_dict()
        differing = sorted(
            name
            for name in needed | stored
            if name not in tensors or name not in shapes or tensors[name].shape != shapes[name].shape
        )
        if differing:
            raise UserError(
                f"{path} does not fit {self.model['architecture']} with these options: "
                f"{plural(len(differing), 'tensor is', 'tensors are')} missing, unexpected or of another shape, the "
                f"first is {differing[0]!r}. Its architecture, hidden_size, layers and interactions.max_length must be "
                "the same (and its items, if they are shared)"
            )
        module.load_state_dict({name: tensors[name] for name in needed}, strict=False)
