"""The runs of a study (its grid), and each entry of its config with the defaults filled in.

A study is models x tasks x methods x seeds, without the runs that ``grid`` leaves out.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, TypeVar

from variability import provenance, registry
from variability.config import durations, plugin_choice, recipe
from variability.config.sections import Compute, Config, Model, Split, Task
from variability.data import modalities
from variability.data.augmentation_spec import augments
from variability.data.datasets import Dataset
from variability.models import methods, own_code
from variability.models.weights_source import pretraining_of, weights_kind
from variability.results.metrics import scalars
from variability.results.pairing import BY_SEED
from variability.results.run_selection import Grid, matches
from variability.training import frameworks

#: Jobs that the seeds of a cell are spread over at most, unless the config says otherwise: planning a job takes 2 ms.
MAX_CHUNKS = 10

#: Model, task and method.
Cell = tuple[str, str, str]

Key = TypeVar("Key", bound=Hashable)


class _Computed(dict[Key, dict[str, Any]]):
    """Entries by name, each computed once: checks ask for those of every run. Nobody changes them."""

    def __init__(self, compute: Callable[[Key], dict[str, Any]]):
        super().__init__()
        self._compute = compute

    def __missing__(self, key: Key) -> dict[str, Any]:
        self[key] = self._compute(key)
        return self[key]


@dataclass(frozen=True)
class Study:
    """A config and the grid of runs that it describes. config: as the user wrote it."""

    config: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the study, and of the folder of its results."""
        return self.config["study"]

    @cached_property
    def compute(self) -> dict[str, Any]:
        """The section ``compute``, with ``save_every`` in seconds."""
        section = Compute.defaults() | self.config.get("compute", {})
        features_threads = section["features_threads"] or section["threads"]
        return section | {"features_threads": features_threads, "save_every": durations.seconds(section["save_every"])}

    @property
    def checkpoints(self) -> str:
        """Checkpoints that are retained when the study is done: all, the best of each cell, or none."""
        return (Config.defaults() | self.config)["checkpoints"]

    @property
    def pairing(self) -> str:
        """Runs of different candidates that are pairs, see ``results.pairing``."""
        older = dict(plugin_choice.entries(self.config.get("analyses", {}))).get("pairwise") or {}
        return BY_SEED if older.get("paired") else (Config.defaults() | self.config)["pairing"]

    @cached_property
    def imports(self) -> dict[str, dict[str, Any]]:
        """Descriptions of the files of imported runs, sorted by name."""
        return dict(sorted(self.config.get("imports", {}).items()))

    # Grid -----------------------------------------------------------------------------------------------------------

    @cached_property
    def seeds(self) -> dict[Cell, tuple[int, ...]]:
        """Seeds by cell, in the order of the config.

        Cells without a seed are left out, and those of a model that cannot take the task's examples.
        """
        models, tasks, methods = (self.config.get(axis, {}) for axis in ("models", "tasks", "methods"))
        grid, seeds = Grid(self.config.get("grid", {})), self.config.get("seeds", [])
        cells = {cell: grid.seeds(*cell, seeds) for cell in product(models, tasks, methods) if self.fits(*cell[:2])}
        return {cell: of_cell for cell, of_cell in cells.items() if of_cell}

    @cached_property
    def seed_chunks(self) -> dict[Cell, list[tuple[int, ...]]]:
        """Seeds that one job fits, by cell. A seed added at the end of the list changes only the last chunk.

        If the config leaves the size to each method, this holds until there are so many seeds that the size doubles.
        """
        sizes = {method: self._seeds_per_job(method) for method in self.config.get("methods", {})}
        return {
            cell: [seeds[start : start + sizes[cell[2]]] for start in range(0, len(seeds), sizes[cell[2]])]
            for cell, seeds in self.seeds.items()
        }

    def _seeds_per_job(self, method: str) -> int:
        size = self.compute["seeds_per_job"]
        if size != "auto":
            return size
        size = self.method(method).SEEDS_PER_JOB
        while size * MAX_CHUNKS < len(self.config["seeds"]):
            size *= 2
        return size

    def fits(self, model: str, task: str) -> bool:
        """Return whether a model takes examples and targets such as the task's."""
        name, entry = self.model_entry(model)["provider"], self.task_entry(task)
        if name not in registry.names("providers") or entry["dataset"] not in registry.names("datasets"):
            return True  # ``validate.check`` reports the unknown name
        provider = registry.find("providers", name)
        return entry["modality"] == provider.MODALITY and entry["kind"] in provider.KINDS

    @cached_property
    def models(self) -> list[str]:
        """Models that have a run, in the order of the config."""
        return list(dict.fromkeys(model for model, _, _ in self.seeds))

    @cached_property
    def tasks(self) -> list[str]:
        """Tasks that have a run, in the order of the config."""
        return list(dict.fromkeys(task for _, task, _ in self.seeds))

    # Tasks ----------------------------------------------------------------------------------------------------------

    def task_entry(self, name: str) -> dict[str, Any]:
        """Return a task's entry with all keys but the recipe. name: of a task, or of a pretraining for its task."""
        return self._tasks[name]

    @cached_property
    def _tasks(self) -> _Computed[str]:
        return _Computed(self._complete_task)

    def _complete_task(self, name: str) -> dict[str, Any]:
        entry = self.config["tasks"].get(name) or self.config["pretraining"][name]["task"]
        return complete_task(entry)

    def tokenized(self, task: str) -> bool:
        """Return whether ``tokenize`` converts the task's examples to the form that a model takes."""
        return registry.find("modalities", self.task_entry(task)["modality"]).TOKENIZED

    def metrics(self, task: str) -> list[str]:
        """Return the metric plug-ins computed for a task: the chosen ones of its kind, and its primary metric's."""
        entry = self.task_entry(task)
        chosen = {*self.config.get("metrics", registry.names("metrics")), registry.name_of(scalars()[entry["metric"]])}
        return sorted(name for name in chosen if entry["kind"] == registry.find("metrics", name).KIND)

    # Models ---------------------------------------------------------------------------------------------------------

    def model_entry(self, name: str) -> dict[str, Any]:
        """Return a model's entry with every key that its runs depend on, except the recipe."""
        return self._models[name]

    @cached_property
    def _models(self) -> _Computed[str]:
        return _Computed(self._complete_model)

    def _complete_model(self, name: str) -> dict[str, Any]:
        of_user = self.config["models"][name]
        entry = {"name": name} | Model.defaults() | of_user | {"provider": provider_name(of_user)}
        if entry["provider"] in registry.names("providers"):
            provider = registry.find("providers", entry["provider"])
            entry |= {"code": code} if (code := provider(entry).code()) else {}
        return {key: value for key, value in entry.items() if key not in ("recipe", "family")}

    def weights_kind(self, model: str) -> str:
        """Return where a model's weights come from: none, pretrain, file or named."""
        return weights_kind(self.model_entry(model)["weights"])

    def pretraining_of(self, model: str) -> str | None:
        """Return the pretraining that a model's weights come from; None if it is not pretrained by the study."""
        return pretraining_of(self.model_entry(model)["weights"])

    def backbone(self, model: str) -> str:
        """Return the first model that differs from this one only in the seed of its pretraining, or the model itself.

        Models that the study does not pretrain are always their own backbone.
        """
        if self.weights_kind(model) != "pretrain":
            return model
        identity = self._pretrained_identity(model)
        return next(name for name in [*self.models, model] if self._pretrained_identity(name) == identity)

    def family(self, model: str) -> str:
        """Return the name that the same network has in every framework: its backbone by default."""
        return self.config["models"][model].get("family") or self.backbone(model)

    def _pretrained_identity(self, model: str) -> tuple[dict, dict] | None:
        """Return all that decides a pretrained model but the seed; None for a model that is not pretrained here."""
        if self.weights_kind(model) != "pretrain":
            return None
        entry = {key: value for key, value in self.config["models"][model].items() if key != "weights"}
        # A config that is still being checked may lack the pretraining.
        pretraining = self.config.get("pretraining", {}).get(self.pretraining_of(model), {})
        return entry, {key: value for key, value in pretraining.items() if key != "seed"}

    def stores_features(self, model: str) -> bool:
        """Return whether the activations of a model's frozen part can be computed once for all its runs."""
        entry = self.model_entry(model)
        provider = registry.find("providers", entry["provider"])
        stores = frameworks.of(entry).STORES_FEATURES and provider.HAS_PREFIX and not provider(entry).samples_backbone()
        return self.weights_kind(model) != "none" and stores

    # Methods and recipes --------------------------------------------------------------------------------------------

    def method_entry(self, name: str) -> dict[str, Any]:
        """Return a method's kind and options; those of the repeated method if it is a repeat."""
        fitted = self.fitted_method(name)
        entry = self.config["methods"][fitted] or {}
        options = {key: value for key, value in entry.items() if key != "recipe"}
        return {"kind": fitted} | options | {"name": name}

    def fitted_method(self, name: str) -> str:
        """Return the method whose entry is used: the one that ``repeats`` names, or the method itself."""
        repeated = (self.config["methods"][name] or {}).get("repeats", name)
        return repeated if repeated in self.config["methods"] else name

    def method(self, name: str) -> methods.Method:
        """Return the method's plug-in with its options."""
        return methods.from_entry(self.method_entry(name))

    def recipe(self, model: str, task: str, method: str) -> dict[str, Any]:
        """Return the recipe of a cell.

        The defaults of its kind of method, then the study's recipe, the method's, the model's, the task's and each
        override, of which later ones win.
        """
        return self._recipes[model, task, method]

    @cached_property
    def _recipes(self) -> _Computed[Cell]:
        return _Computed(self._resolved_recipe)

    def _resolved_recipe(self, cell: Cell) -> dict[str, Any]:
        model, task, method = cell
        config, method = self.config, self.fitted_method(method)
        overrides = [entry for entry in config.get("overrides", []) if matches(entry, model, task, method)]
        kind = self.method_entry(method)["kind"]
        resolved = recipe.resolve(
            # The config check reports an unknown kind.
            registry.find("methods", kind).RECIPE if kind in registry.names("methods") else {},
            config.get("recipe"),
            (config["methods"][method] or {}).get("recipe"),
            config["models"][model].get("recipe"),
            config["tasks"][task].get("recipe"),
            *(entry["recipe"] for entry in overrides),
        )
        one_process = resolved["gpus_per_run"] == 1 or self._trains_in_one_process(model, task, method, resolved)
        return resolved | ({"gpus_per_run": 1} if one_process else {})

    def _trains_in_one_process(self, model: str, task: str, method: str, settings: Mapping[str, Any]) -> bool:
        """Return whether several processes would gain nothing: where no recipe matters, and for the steps of a head.

        The steps of a head on stored activations take less time than the exchange of its gradients.
        """
        entry, kind = self.model_entry(model), self.method_entry(method)["kind"]
        if entry["provider"] not in registry.names("providers") or kind not in registry.names("methods"):
            return False
        if not frameworks.of(entry).SEEDED:
            return True
        of_kind, provider = registry.find("methods", kind), registry.find("providers", entry["provider"])
        head_alone = of_kind.HEAD_ALONE and provider.HAS_PREFIX
        return head_alone and not self.augments_each_epoch(task, settings["augmentation"])

    def augments_each_epoch(self, task: str, augmentation: Mapping[str, Any]) -> bool:
        """Return whether training examples of a task are augmented again in every epoch."""
        augmented = registry.find("modalities", self.task_entry(task)["modality"]).AUGMENTED
        return augmented and augments(augmentation) and not augmentation["views"]

    def plugin_modules(self, model: str, task: str, method: str | None = None) -> tuple[str, ...]:
        """Return the dotted names of the plug-in modules that the jobs of a cell use."""
        entry = self.method_entry(method) if method else None
        return provenance.plugins_of_cell(self.model_entry(model), self.task_entry(task), entry)


def provider_name(entry: Mapping[str, Any]) -> str:
    """Return the provider of a model's entry; by default the one of networks in files of the user's, if it is one."""
    default = "python_file" if own_code.reference(entry["architecture"]) else Model.defaults()["provider"]
    return entry.get("provider", default)


def complete_task(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task's entry with all keys but the recipe, defaults of its data set and kind filled in."""
    options = entry.get("options", Task.defaults()["options"])
    if entry["dataset"] in registry.names("datasets"):
        dataset = registry.find("datasets", entry["dataset"])
        kinds = dataset(options).kinds()
    else:
        dataset, kinds = Dataset, Dataset.KINDS
    kind = entry.get("kind") or kinds[0]
    return {
        "dataset": entry["dataset"],
        "options": options,
        "kind": kind,
        "metric": entry.get("metric", registry.find("kinds", kind).PRIMARY),
        "modality": dataset.MODALITY,
        "input": modalities.find(dataset.MODALITY, entry.get(dataset.MODALITY)).options,
        "split": Split.defaults() | dataset.SPLIT | entry.get("split", {}),
    }
