"""Input files of a training job, with their checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from variability import registry
from variability.io import artefacts


@dataclass(frozen=True)
class InputFiles:
    """Paths of the files that the runs of a model on a task are computed from; None for a file that a job lacks.

    task: its task.json. weights: the whole pretrained network, None for a random backbone. weights_manifest, assets,
    tokens, features: manifests of the weights; of the files other than weights that a provider needs to build a network
    (its config, its tokenizer); of the task's examples in the form that the model takes; of stored activations.
    """

    task: Path
    weights: Path | None = None
    weights_manifest: Path | None = None
    assets: Path | None = None
    tokens: Path | None = None
    features: Path | None = None

    @classmethod
    def from_rule(cls, rule_input: Mapping[str, Any], features: str = "features") -> InputFiles:
        """Take the paths from the ``input`` of a Snakemake rule.

        features: name of the stored activations in the rule's input, a list of files that starts with the manifest.
        """
        names = ("weights", "weights_manifest", "assets")
        paths = {name: Path(rule_input[name]) for name in names if rule_input.get(name)}
        lists = {"tokens": rule_input.get("tokens"), "features": rule_input.get(features)}
        paths |= {name: Path(listed[0]) for name, listed in lists.items() if listed}
        return cls(Path(rule_input["task"]), **paths)

    def content(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checksums of all files that a model's result depends on, as part of a fingerprint.

        The checksum of the activations is None if the manifest lists none.
        """
        task = artefacts.read_record(self.task, artefacts.TASK)
        content = {"data": task["sha256"], "split": task["split"], "target": task["target"], "facts": task["facts"]}
        if registry.find("providers", model["provider"])(model).reads_class_names():
            content["class_names"] = task["class_names"]
        for name, record in self._manifests().items():
            content[name] = record and record.get("sha256")
        return content

    def verify(self) -> None:
        """Compare the weights, and the files that a network is built from, with their checksums.

        The other files are compared by what reads them. Raises UserError naming the first that differs.
        """
        if self.weights and self.weights_manifest:
            checksum = artefacts.read_weights(self.weights_manifest)["sha256"]
            artefacts.require(self.weights, checksum, artefacts.kind_of_weights(self.weights).rule)
        if self.assets:
            artefacts.require_folder(self.assets, artefacts.ASSETS)

    def _manifests(self) -> dict[str, dict[str, Any] | None]:
        """Return the manifests of the files other than the task's; None for those that the job lacks."""
        readers = {
            "weights_manifest": artefacts.read_weights,
            "assets": partial(artefacts.read_record, kind=artefacts.ASSETS),
            "tokens": partial(artefacts.read_record, kind=artefacts.TOKENS),
            "features": artefacts.read_features,
        }
        paths = {name: getattr(self, name) for name in readers}
        return {name: readers[name](path) if path else None for name, path in paths.items()}
