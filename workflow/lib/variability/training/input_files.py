"""The files that a model's runs on a task are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from variability import registry
from variability.io import files


@dataclass(frozen=True)
class Sources:
    """Paths; None where there is no such file.

    task: its task.json. weights: the whole pretrained network, None for a random backbone, with its manifest. assets:
    manifest of what beside weights a provider needs to build a network (its config, its tokenizer). tokens: manifest of
    the task's examples in the form that the model takes. features: manifest of stored activations.
    """

    task: Path
    weights: Path | None = None
    weights_manifest: Path | None = None
    assets: Path | None = None
    tokens: Path | None = None
    features: Path | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], features: str = "features") -> Sources:
        """From a rule's input. features: the name there of the activations' files, the manifest first."""
        paths = {name: Path(given[name]) for name in ("weights", "weights_manifest", "assets") if given.get(name)}
        lists = {"tokens": given.get("tokens"), "features": given.get(features)}
        paths |= {name: Path(found[0]) for name, found in lists.items() if found}
        return cls(Path(given["task"]), **paths)

    def content(self, model: dict[str, Any]) -> dict[str, Any]:
        """Checksums of all that a result of a model depends on, of the activations only if they were stored."""
        task = files.read_json(self.task)
        found = {"data": task["sha256"], "split": task["split"], "target": task["target"], "facts": task["facts"]}
        if registry.find("providers", model["provider"])(model).reads_class_names():
            found["class_names"] = task["class_names"]
        for name in ("weights_manifest", "assets", "tokens", "features"):
            path = getattr(self, name)
            found[name] = files.read_json(path).get("sha256") if path else None
        return found
