"""The part of the provider ``clip`` that imports torch and Transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from torch.nn import functional

from variability import seeding
from variability.advice import plural
from variability.errors import UserError
from variability.models import networks
from variability.models.providers import _transformers
from variability.models.weight_files import read_tensors

#: Prefixes of the names of tensors: those of the image tower, as in the network, and all others.
BACKBONE, OTHER = "backbone.", "texts."
_IMAGE_TOWER = ("vision_model.", "visual_projection.")


class Tower(nn.Module):
    """An image tower: (B, 3, S, S) images -> (B, features) of length 1. side: of the images it was trained on."""

    def __init__(self, model: nn.Module, side: int):
        super().__init__()
        self.vision_model = model.vision_model
        if hasattr(model, "visual_projection"):
            self.visual_projection = model.visual_projection
        self.side = side

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # For images of another size than in training, positions are interpolated.
        interpolate = images.shape[-1] != self.side
        features = self.vision_model(pixel_values=images, interpolate_pos_encoding=interpolate).pooler_output
        if hasattr(self, "visual_projection"):
            features = self.visual_projection(features)
        return functional.normalize(features, dim=-1)


class Classifier(nn.Module):
    """Image tower and head: (B, 3, S, S) images -> (B, outputs)."""

    def __init__(self, tower: Tower, features: int, outputs: int):
        super().__init__()
        self.backbone = tower
        self.head = networks.undefined_layer(nn.Linear, features, outputs)
        #: Weights and bias of the head from prompts; not saved, because they are computed from files.
        self.register_buffer("prompted_weight", None, persistent=False)
        self.register_buffer("prompted_bias", None, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(images))


def build(
    folder: Path, name: str, outputs: int, weights: Path | None, seed: int, prompts: list[list[str]] | None
) -> networks.Network:
    """Return a network from the files in ``folder``; see ``NetworkProvider.build``.

    name: of the model, for messages. prompts: those of each class; None: the head is sampled. Raises UserError if the
    weights lack the text tower that prompts need.
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
            _set_prompts(network.module, model.eval(), _transformers.tokenizer_of(folder, name), prompts)
    sample_head(network, seed)
    return network


def sample_head(network: networks.Network, seed: int) -> None:
    """Set the head to its prompts, whatever the seed; without prompts sample it from the seed."""
    module = network.module
    if module.prompted_weight is None:
        networks.sample_head(network, seed)
        return
    with torch.no_grad():
        module.head.weight.copy_(module.prompted_weight)
        module.head.bias.copy_(module.prompted_bias)


def released(folder: Path, source: Path, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a released model, with the prefixes BACKBONE and OTHER."""
    if source.suffix != ".json":
        tensors, _ = read_tensors(source)
        if any(key.startswith(BACKBONE) for key in tensors):
            return tensors
    model, _ = _transformers.whole(folder, source, name)
    return {
        (BACKBONE if key.startswith(_IMAGE_TOWER) else OTHER) + key: tensor.clone()
        for key, tensor in model.state_dict().items()
    }


def _load(module: nn.Module, tensors: dict[str, torch.Tensor], prefix: str, path: Path) -> None:
    """Load the tensors with a prefix into a module, strictly; OTHER loads all but the image tower."""
    stored = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    is_image_tower, state = prefix == BACKBONE, module.state_dict()
    needed = {key: tensor for key, tensor in state.items() if is_image_tower or not key.startswith(_IMAGE_TOWER)}
    wrong = [key for key, tensor in needed.items() if key not in stored or stored[key].shape != tensor.shape]
    if wrong:
        tower = "image tower" if is_image_tower else "text tower, which head: prompts needs"
        raise UserError(
            f"{path} does not fit the {tower}: {plural(len(wrong), 'tensor is', 'tensors are')} missing or of another "
            f"shape, the first is {wrong[0]}; correct the model's architecture or weights"
        )
    module.load_state_dict({key: stored[key] for key in needed}, strict=False)


@torch.no_grad()
def _set_prompts(module: Classifier, model: nn.Module, tokenizer: Any, prompts: list[list[str]]) -> None:
    """Set the weights and the bias of the head from prompts.

    The weights of a class are its embedding, of unit length, times the model's scale; the bias is the model's, if it
    has one (SigLIP).
    """
    if len(prompts) != module.head.out_features:
        raise UserError(
            f"head: prompts has {plural(len(prompts), 'class name')} for {plural(module.head.out_features, 'output')}"
        )
    # SigLIP was trained on texts padded to their full length, without a mask.
    full = model.config.model_type.startswith("siglip")
    longest = model.config.text_config.max_position_embeddings
    rows = []
    for texts in prompts:
        encoded = tokenizer(
            texts, return_tensors="pt", truncation=True, max_length=longest, padding="max_length" if full else True
        )
        inputs = {key: encoded[key] for key in (("input_ids",) if full else ("input_ids", "attention_mask"))}
        embedded = functional.normalize(model.get_text_features(**inputs).pooler_output, dim=-1)
        rows.append(functional.normalize(embedded.mean(0), dim=-1))
    module.prompted_weight = torch.stack(rows) * model.logit_scale.exp()
    bias = getattr(model, "logit_bias", None)
    module.prompted_bias = torch.zeros(len(rows)) if bias is None else bias.detach().expand(len(rows)).clone()
