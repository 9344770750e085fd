"""The ``augmentation`` of a recipe, for modules that must import without torch."""

from collections.abc import Mapping
from typing import Any

#: No augmentation, which is the default of every recipe.
NO_AUGMENTATION: dict[str, Any] = {"flip": False, "crop": 0, "randaugment": None, "views": 0}


def augments(augmentation: Mapping[str, Any]) -> bool:
    """Return whether an augmentation changes anything."""
    return bool(augmentation["flip"] or augmentation["crop"] or augmentation["randaugment"])
