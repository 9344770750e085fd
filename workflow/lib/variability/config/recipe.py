"""The recipe: how a network is trained. Runs get a recipe with every key, so that jobs need no defaults."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from variability.config.section import Section
from variability.data.augmentation_spec import NO_AUGMENTATION

# Defaults of mappings are plain values and not instances of their models, which Any permits.
_NO_AUGMENTATION: Any = NO_AUGMENTATION


class RandAugment(Section):
    """RandAugment (Cubuk et al., 2020)."""

    num_ops: int = Field(ge=1, description="operations per image")
    magnitude: int = Field(ge=0, le=30, description="strength of each operation")


class Augmentation(Section):
    """Random changes to training images."""

    flip: bool = Field(NO_AUGMENTATION["flip"], description="mirror images left to right, with probability 1/2")
    crop: int = Field(NO_AUGMENTATION["crop"], ge=0, description="pixels of padding before a random crop")
    randaugment: RandAugment | None = Field(NO_AUGMENTATION["randaugment"], description="RandAugment, or null for none")
    views: int = Field(
        NO_AUGMENTATION["views"],
        ge=0,
        description="number of augmented views of each training image, which all runs share: a seed chooses among them "
        "in every epoch, and the frozen part is computed once for each; 0 makes new views in every epoch, and then no "
        "activations of the frozen part can be stored",
    )


class Recipe(Section):
    """Training of a network."""

    optimizer: Literal["sgd", "adam", "adamw"] = Field("adamw", description="algorithm of the updates")
    lr: float = Field(1e-3, gt=0, description="peak learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    adam_bias_correction: bool = Field(
        True, description="bias correction of adam and adamw; the optimizer that BERT was published with has none"
    )
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="weight decay of matrices and filters: decoupled with adamw, otherwise an L2 penalty",
    )
    schedule: Literal["constant", "cosine", "linear", "one_cycle"] = Field(
        "cosine", description="learning rate after the warm-up"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="length of the warm-up as a fraction of all steps")
    epochs: int = Field(10, ge=1, description="passes over the training examples")
    batch_size: int = Field(32, ge=1, description="examples per batch")
    micro_batch: int | None = Field(
        None,
        ge=1,
        description="examples whose gradients are computed at a time and added up to those of a batch; null for whole "
        "batches, which are halved where memory runs out",
    )
    gpus_per_run: int = Field(
        1,
        ge=1,
        le=64,
        description="processes that train a run together, each on a GPU of its own, or all on the CPU of a machine "
        "without GPUs; each computes a part of every batch",
    )
    augmentation: Augmentation = Field(_NO_AUGMENTATION, description="random changes to training images")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing of classification")
    clip_norm: float | None = Field(None, gt=0, description="largest norm of the gradient, or null for no limit")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="precision of training")
    checkpoint: Literal["best", "last"] = Field(
        "last", description="epoch whose weights are evaluated: the one with the lowest validation loss, or the last"
    )
    early_stopping: int | None = Field(
        None, ge=1, description="epochs without a lower validation loss after which training stops, or null for never"
    )


#: The default recipe.
DEFAULTS = Recipe.defaults()


def resolve(*levels: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return DEFAULTS with each level merged over the ones before it; ``augmentation`` is merged key by key."""
    resolved = dict(DEFAULTS)
    for level in levels:
        for key, value in (level or {}).items():
            resolved[key] = {**resolved[key], **value} if key == "augmentation" else value
    return resolved
