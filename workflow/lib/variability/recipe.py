"""The recipe: how a network is trained. Resolved here, so that a run's recipe always has every key."""

from typing import Any

DEFAULTS: dict[str, Any] = {
    "optimizer": "adamw",
    "lr": 1e-3,
    "momentum": 0.9,
    "adam_bias_correction": True,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 0.1,
    "epochs": 10,
    "batch_size": 32,
    "augmentation": {"flip": False, "crop": 0, "randaugment": None, "views": 0},
    "label_smoothing": 0.0,
    "clip_norm": None,
    "precision": "fp32",
    "checkpoint": "last",
    "early_stopping": None,
}


def resolve(*levels: dict[str, Any] | None) -> dict[str, Any]:
    """DEFAULTS with each level laid over the ones before it; ``augmentation`` is merged key by key."""
    resolved = dict(DEFAULTS)
    for level in levels:
        for key, value in (level or {}).items():
            resolved[key] = {**resolved[key], **value} if key == "augmentation" else value
    return resolved


def augments(augmentation: dict[str, Any]) -> bool:
    """Whether a recipe's augmentation changes anything."""
    return bool(augmentation["flip"] or augmentation["crop"] or augmentation["randaugment"])
