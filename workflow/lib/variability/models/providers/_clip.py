"""What the provider ``clip`` does with the library loaded."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from torch import nn
from torch.nn import functional

from variability import seeding
from variability.errors import UserError
from variability.models import networks
from variability.models.providers import _transformers
from variability.models.weight_files import read_tensors

#: Names of tensors of the tower of images begin with it, as in the network; those of all else with the other.
BACKBONE, OTHER = "backbone.", "texts."
_OF_IMAGES = ("vision_model.", "visual_projection.")


class Tower(nn.Module):
    """(B, 3, S, S) images -> (B, features), each of length 1."""

    def __init__(self, model: nn.Module, side: int):
        super().__init__()
        self.vision_model = model.vision_model
        if hasattr(model, "visual_projection"):
            self.visual_projection = model.visual_projection
        self.side = side

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # Positions are interpolated for images of another size than the tower was trained on.
        other = images.shape[-1] != self.side
        features = self.vision_model(pixel_values=images, interpolate_pos_encoding=other).pooler_output
        if hasattr(self, "visual_projection"):
            features = self.visual_projection(features)
        return functional.normalize(features, dim=-1)


class Classifier(nn.Module):
    """Tower and head: (B, 3, S, S) images -> (B, outputs)."""

    def __init__(self, tower: Tower, features: int, outputs: int):
        super().__init__()
        self.backbone = tower
        # skip_init leaves the global generator alone.
        self.head = nn.utils.skip_init(nn.Linear, features, outputs)
        #: Weights and bias that prompts give the head; not saved, because they follow from files.
        self.register_buffer("prompted_weight", None, persistent=False)
        self.register_buffer("prompted_bias", None, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(images))


def build(
    folder: Path, name: str, outputs: int, weights: Path | None, seed: int, prompts: list[list[str]] | None
) -> networks.Network:
    """A network from the files in ``folder``; see ``Provider.build``.

    name: of the model, in a message. prompts: of each class, for a head of them.

    Raises UserError if the weights lack the text tower that prompts need.
    """
    config = _transformers.config_of(folder)
    with seeding.backbone(seed).torch_global(), _transformers.quiet():
        model = transformers.AutoModel.from_config(config, dtype=torch.float32)
    tower = Tower(model, config.vision_config.image_size)
    features = (
        model.visual_projection.out_features
        if hasattr(model, "visual_projection")
        else config.vision_config.hidden_size
    )
    network = _transformers.as_network(Classifier(tower, features, outputs))
    if weights is not None:
        tensors, _ = read_tensors(weights)
        _load(tower, tensors, BACKBONE, weights)
        if prompts:
            _load(model, tensors, OTHER, weights)
            _prompted(network.module, model.eval(), _transformers.tokenizer_of(folder, name), prompts)
    sample_head(network, seed)
    return network


def sample_head(network: networks.Network, seed: int) -> None:
    """The head that prompts give, whatever the seed; where there are none, one drawn from it."""
    module = network.module
    if module.prompted_weight is None:
        networks.sample_head(network, seed)
        return
    with torch.no_grad():
        module.head.weight.copy_(module.prompted_weight)
        module.head.bias.copy_(module.prompted_bias)


def released(folder: Path, source: Path, name: str) -> dict[str, torch.Tensor]:
    """Tensors of a released model, by the names of BACKBONE and OTHER."""
    if source.suffix != ".json":
        tensors, _ = read_tensors(source)
        if any(key.startswith(BACKBONE) for key in tensors):
            return tensors
    model, _ = _transformers.whole(folder, source, name)
    return {
        (BACKBONE if key.startswith(_OF_IMAGES) else OTHER) + key: each.clone()
        for key, each in model.state_dict().items()
    }


def _load(module: nn.Module, tensors: dict[str, torch.Tensor], prefix: str, path: Path) -> None:
    """Loads what the names with the prefix are of, all of it but what other prefixes have."""
    given = {key.removeprefix(prefix): each for key, each in tensors.items() if key.startswith(prefix)}
    of_images = prefix == BACKBONE
    wanted = {key: each for key, each in module.state_dict().items() if of_images or not key.startswith(_OF_IMAGES)}
    wrong = [key for key, each in wanted.items() if key not in given or given[key].shape != each.shape]
    if wrong:
        what = "tower of images" if of_images else "tower of texts, which head: prompts needs"
        raise UserError(
            f"{path} does not fit the {what}: {len(wrong)} tensors are missing or of another shape, the first is "
            f"{wrong[0]}; correct the model's architecture or weights"
        )
    module.load_state_dict({key: given[key] for key in wanted}, strict=False)


@torch.no_grad()
def _prompted(module: Classifier, model: nn.Module, tokenizer, prompts: list[list[str]]) -> None:
    """Sets the weights and the bias that prompts give the head: of each class one embedding, of unit length, times the
    model's scale, and the model's bias where it has one (SigLIP)."""
    if len(prompts) != module.head.out_features:
        raise UserError(f"head: prompts has {len(prompts)} class names for {module.head.out_features} outputs")
    # SigLIP was trained on texts filled up to their full length, and without a mask.
    full = model.config.model_type.startswith("siglip")
    longest = model.config.text_config.max_position_embeddings
    rows = []
    for texts in prompts:
        said = tokenizer(
            texts, return_tensors="pt", truncation=True, max_length=longest, padding="max_length" if full else True
        )
        given = {key: said[key] for key in (("input_ids",) if full else ("input_ids", "attention_mask"))}
        embedded = functional.normalize(model.get_text_features(**given).pooler_output, dim=-1)
        rows.append(functional.normalize(embedded.mean(0), dim=-1))
    module.prompted_weight = torch.stack(rows) * model.logit_scale.exp()
    bias = getattr(model, "logit_bias", None)
    module.prompted_bias = torch.zeros(len(rows)) if bias is None else bias.detach().expand(len(rows)).clone()
