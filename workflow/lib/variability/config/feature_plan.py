"""Stored activations of frozen parts: those that a study computes, and the runs that use them."""

from functools import cached_property
from typing import Any

from variability import registry
from variability.config import recipe
from variability.config.specs import sorted_keys
from variability.config.study import Cell, Study
from variability.data.augmentation_spec import NO_AUGMENTATION, augments
from variability.io.files import digest
from variability.models.methods import BACKBONE


class FeaturePlan:
    """Names and specs of the stored activations of a study.

    Activations are named by what is frozen, the precision and the augmentation. All runs of a model on a task with the
    same name share them, whatever their seed and method.
    """

    def __init__(self, study: Study):
        self._study = study

    def for_training(self, model: str, task: str, method: str) -> str | None:
        """Return the name of the activations that the runs of a cell train on; None if they share none.

        They share none if nothing is frozen, if every seed has its own backbone, or if the recipe asks for new
        augmentations in every epoch.
        """
        frozen, settings = self._study.method(method).frozen(), self._study.recipe(model, task, method)
        augmented = self._augments(task, settings["augmentation"])
        new_in_each_epoch = self._study.augments_each_epoch(task, settings["augmentation"])
        if frozen is None or not self._study.stores_features(model) or new_in_each_epoch:
            return None
        parts = [frozen] + ([settings["precision"]] if settings["precision"] != "fp32" else [])
        return "-".join(parts + ([digest(settings["augmentation"])[:8]] if augmented else []))

    def before_training(self, model: str, task: str, method: str) -> str | None:
        """Return the name of the activations that give a cell's predictions before training; None if there are none.

        For a method that freezes nothing, these are the backbone's, which before training is the same for every seed.
        The same holds for a method that freezes the backbone and trains on new augmentations, because predictions are
        made from images without augmentation.
        """
        name, frozen = self.for_training(model, task, method), self._study.method(method).frozen()
        uses_backbone = name is None and frozen in (None, BACKBONE) and self._study.stores_features(model)
        return BACKBONE if uses_backbone else name

    def before_head(self, model: str, task: str) -> str | None:
        """Return the name of the activations before the head that a linear model is fitted on as the reference probe.

        They are those that runs use anyway, preferably in full precision; otherwise they are stored for this purpose.
        None for a task of a kind without a probe, and for a model whose activations cannot be shared by all runs.
        """
        kind = registry.find("kinds", self._study.task_entry(task)["kind"])
        if kind.PROBE is None or not self._study.stores_features(model):
            return None
        names = {
            name
            for cell in self._study.seeds
            if cell[:2] == (model, task) and self._study.method(cell[2]).frozen() in (None, BACKBONE)
            if (name := self.before_training(*cell)) is not None
        }
        return min(names, key=lambda name: (len(name), name), default=BACKBONE)

    @cached_property
    def specs(self) -> dict[Cell, dict[str, Any]]:
        """Specs of ``features`` by model, task and name of the activations."""
        specs = {}
        for cell in self._study.seeds:
            model, task, method = cell
            if name := self.for_training(*cell):
                # Every network has a backbone, so the spec of its activations does not depend on the method.
                frozen = self._study.method(method).frozen()
                entry = None if frozen == BACKBONE else self._study.method_entry(method)
                specs[model, task, name] = self._spec(model, task, entry, self._study.recipe(*cell))
            elif name := self.before_training(*cell):
                specs[model, task, name] = self._spec(model, task, None, recipe.DEFAULTS)
        for model, task in dict.fromkeys((model, task) for model, task, _ in self._study.seeds):
            name = self.before_head(model, task)
            if name and (model, task, name) not in specs:
                specs[model, task, name] = self._spec(model, task, None, recipe.DEFAULTS)
        return specs

    def _augments(self, task: str, augmentation: dict[str, Any]) -> bool:
        modality = registry.find("modalities", self._study.task_entry(task)["modality"])
        return modality.AUGMENTED and augments(augmentation)

    def _spec(self, model: str, task: str, method: dict[str, Any] | None, settings: dict[str, Any]) -> dict[str, Any]:
        augmentation = settings["augmentation"]
        return sorted_keys(
            {
                "model": self._study.model_entry(model),
                "method": method and {key: value for key, value in method.items() if key != "name"},
                "precision": settings["precision"],
                "augmentation": augmentation if self._augments(task, augmentation) else NO_AUGMENTATION,
                "limit_gb": self._study.compute["features_gb"],
            }
        )
