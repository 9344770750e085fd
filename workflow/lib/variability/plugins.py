"""Which plug-ins the stages of a model on a task use: their code is what its runs depend on."""

from collections.abc import Mapping
from typing import Any

from variability import registry


def of_cell(
    model: Mapping[str, Any], task: Mapping[str, Any], method: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Dotted names of the modules that build, feed, train and evaluate a model.

    model, method: entries with their defaults filled in. task: with its ``kind``. Without a method what concerns
    training is left out.
    """
    provider = registry.find("providers", model["provider"])
    named = {
        "providers": model["provider"],
        "frameworks": provider.FRAMEWORK,
        "modalities": provider.MODALITY,
        "kinds": task["kind"],
    }
    if method:
        named["methods"] = method["kind"]
    found = [registry.module_name(family, name) for family, name in named.items()]
    if registry.find("frameworks", provider.FRAMEWORK).FED:
        # Named by the modality, not imported: what stores examples and other frameworks do not depend on it.
        found.append(registry.find("modalities", provider.MODALITY).FEED)
    return tuple(found)
