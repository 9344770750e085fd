"""Which activations of frozen parts a study stores, and which of its runs use them."""

from functools import cached_property
from typing import Any

from variability import recipe, registry
from variability.config.study import Cell, Study, sorted_keys
from variability.io.files import digest
from variability.models.methods import BACKBONE


class FeaturePlan:
    """Activations are named by what is frozen, the precision and the augmentation: all runs of a model on a task whose
    name is the same share them, whatever their seed and method."""

    def __init__(self, study: Study):
        self._study = study

    def of(self, model: str, task: str, method: str) -> str | None:
        """Names the activations that the runs of a cell train on; None where there are none to share.

        That is where nothing is frozen, every seed has a backbone of its own, or each epoch asks for new augmentations.
        """
        frozen, settings = self._study.method(method).frozen(), self._study.recipe(model, task, method)
        augments = self._augments(task, settings["augmentation"])
        fresh = augments and not settings["augmentation"]["views"]
        if frozen is None or not self._study.stores_features(model) or fresh:
            return None
        parts = [frozen] + ([settings["precision"]] if settings["precision"] != "fp32" else [])
        return "-".join(parts + ([digest(settings["augmentation"])[:8]] if augments else []))

    def before(self, model: str, task: str, method: str) -> str | None:
        """Names the activations that give a cell's predictions before training; None where there are none.

        Of a method that freezes nothing they are the backbone's: before training it is what it is for every seed. So
        they are of one that freezes the backbone and trains on new augmentations: images are predicted as they are.
        """
        own, frozen = self.of(model, task, method), self._study.method(method).frozen()
        shared = own is None and frozen in (None, BACKBONE) and self._study.stores_features(model)
        return BACKBONE if shared else own

    @cached_property
    def specs(self) -> dict[Cell, dict[str, Any]]:
        """What ``features`` has to know, by model, task and the name of the activations."""
        found = {}
        for cell in self._study.seeds:
            model, task, method = cell
            if own := self.of(*cell):
                # Any network has a backbone, so its features are not the method's.
                kind = None if self._study.method(method).frozen() == BACKBONE else self._study.method_entry(method)
                found[model, task, own] = self._spec(model, task, kind, self._study.recipe(*cell))
            elif before := self.before(*cell):
                found[model, task, before] = self._spec(model, task, None, recipe.DEFAULTS)
        return found

    def _augments(self, task: str, augmentation: dict[str, Any]) -> bool:
        modality = registry.find("modalities", self._study.task_entry(task)["modality"])
        return modality.AUGMENTED and recipe.augments(augmentation)

    def _spec(self, model: str, task: str, method: dict[str, Any] | None, settings: dict[str, Any]) -> dict[str, Any]:
        augmentation = settings["augmentation"]
        return sorted_keys(
            {
                "model": self._study.model_entry(model),
                "method": method and {key: value for key, value in method.items() if key != "name"},
                "precision": settings["precision"],
                "augmentation": augmentation if self._augments(task, augmentation) else recipe.DEFAULTS["augmentation"],
                "limit_gb": self._study.compute["features_gb"],
            }
        )
