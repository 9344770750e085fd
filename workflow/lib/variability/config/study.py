"""From a config to the runs of a study and to what each stage has to know about them.

A study is models x tasks x methods x seeds, less what ``grid`` leaves out. Every ``*_spec`` is a plain dict with
sorted keys that holds exactly what its stage's result depends on: Snakemake compares it to decide what to rerun.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from variability import provenance, recipe, registry
from variability.config import plugin_choice, prerequisites
from variability.data import modalities
from variability.data.datasets import Dataset
from variability.io.files import digest
from variability.models import methods
from variability.models.weights_source import pretraining_of, weights_kind
from variability.results.metrics import scalars
from variability.results.run_selection import matches, selects
from variability.training import frameworks

COMPUTE = {
    "threads": 1,
    "seeds_per_job": "auto",
    "mem_mb": 4000,
    "runtime": 240,
    "features_gb": 20,
    "features_threads": None,
}
#: Jobs that the seeds of a cell are spread over at most, where the config leaves it open: planning a job takes 2 ms.
MAX_BLOCKS = 10
#: validation None: as shipped, or a tenth of the training examples where none is (see ``splits``).
SPLIT = {"train": "all", "validation": None, "test": "shipped", "seed": 0, "resample": False}

Cell = tuple[str, str, str]


@dataclass(frozen=True)
class Study:
    """A checked config. ``config`` is as the user wrote it, after ``validation.check`` found nothing wrong."""

    config: dict[str, Any]

    @property
    def name(self) -> str:
        return self.config["study"]

    @cached_property
    def compute(self) -> dict[str, Any]:
        given = COMPUTE | self.config.get("compute", {})
        return given | {"features_threads": given["features_threads"] or given["threads"]}

    @property
    def checkpoints(self) -> str:
        """Which checkpoints stay when the study is done: all, the best of each cell, or none."""
        return self.config.get("checkpoints", "all")

    @property
    def base_tables(self) -> tuple[str, ...]:
        """Which base tables the study has."""
        return prerequisites.base_tables(self)

    @cached_property
    def analyses(self) -> dict[str, dict]:
        """Options of the analyses by name: of those that are chosen, and of those that figures and claims read."""
        readers = [registry.find("plots", name) for name in self.plots]
        readers += [registry.find("claims", name) for name in self.claims]
        return sorted_keys({name: {} for reader in readers for name in reader.ANALYSES} | self._chosen("analyses"))

    @cached_property
    def plots(self) -> dict[str, dict]:
        return self._chosen("plots")

    @cached_property
    def claims(self) -> dict[str, dict]:
        return self._chosen("claims")

    def lacking(self, family: str, name: str) -> list[str]:
        """What an analysis, a plot or a claim needs and the study has not, in words."""
        plugin = registry.find(family, name)
        parts = [plugin, *(registry.find("analyses", read) for read in getattr(plugin, "ANALYSES", ()))]
        needed = {need for part in parts for need in (*getattr(part, "NEEDS", ()), *getattr(part, "REQUIRES", ()))}
        return [prerequisites.DESCRIPTIONS.get(need, need) for need in sorted(needed - self._prerequisites_met)]

    @cached_property
    def _prerequisites_met(self) -> frozenset[str]:
        return prerequisites.met_by(self)

    def _chosen(self, family: str) -> dict[str, dict]:
        """Options by name. Where the config does not list them: all of which the study has what they need.

        Of figures and claims only those whose analyses are chosen: who switches an analysis off wants it for nothing.
        """
        usual = [name for name in registry.names(family) if registry.find(family, name).DEFAULT]
        if family != "analyses":
            made = set(self._chosen("analyses"))
            usual = [name for name in usual if made >= set(registry.find(family, name).ANALYSES)]
        return sorted_keys(
            plugin_choice.chosen(self.config.get(family), [name for name in usual if not self.lacking(family, name)])
        )

    @cached_property
    def imports(self) -> dict[str, dict[str, Any]]:
        """What is known of each file of runs from elsewhere, by name."""
        return sorted_keys(self.config.get("imports", {}))

    @cached_property
    def seeds(self) -> dict[Cell, tuple[int, ...]]:
        """The study's grid: seeds by (model, task, method), in the order of the config.

        Empty cells are left out, and those of a model that cannot take the task's examples.
        """
        axes = [self.config.get(axis, {}) for axis in ("models", "tasks", "methods")]
        grid = self.config.get("grid", {})
        cells = {
            cell: tuple(seed for seed in self.config.get("seeds", []) if selects(grid, *cell, seed))
            for cell in product(*axes)
            if self.fits(*cell[:2])
        }
        return {cell: seeds for cell, seeds in cells.items() if seeds}

    @cached_property
    def blocks(self) -> dict[Cell, list[tuple[int, ...]]]:
        """Seeds that one job fits, by cell. A new seed at the end of the list changes the last block only.

        Where the size is left to each method, that holds until there are so many seeds that the blocks double.
        """
        sizes = {method: self._seeds_per_job(method) for method in self.config.get("methods", {})}
        return {
            cell: [seeds[at : at + sizes[cell[2]]] for at in range(0, len(seeds), sizes[cell[2]])]
            for cell, seeds in self.seeds.items()
        }

    def fits(self, model: str, task: str) -> bool:
        """Whether a model takes examples and targets such as the task's."""
        name, entry = self.model_entry(model)["provider"], self.task_entry(task)
        if name not in registry.names("providers") or entry["dataset"] not in registry.names("datasets"):
            return True  # the config's check says what is wrong
        provider = registry.find("providers", name)
        return entry["modality"] == provider.MODALITY and entry["kind"] in provider.KINDS

    def _seeds_per_job(self, method: str) -> int:
        asked = self.compute["seeds_per_job"]
        if asked != "auto":
            return asked
        size = self.method(method).SEEDS_PER_JOB
        while size * MAX_BLOCKS < len(self.config["seeds"]):
            size *= 2
        return size

    def method(self, name: str) -> methods.Method:
        """The method's plug-in, with its own options."""
        return methods.plugin(self.method_entry(name))

    @cached_property
    def models(self) -> list[str]:
        """Models that have a run, in the order of the config."""
        return list(dict.fromkeys(model for model, _, _ in self.seeds))

    @cached_property
    def tasks(self) -> list[str]:
        """Tasks that have a run, in the order of the config."""
        return list(dict.fromkeys(task for _, task, _ in self.seeds))

    # What each stage has to know --------------------------------------------------------------------------------

    def task_entry(self, name: str) -> dict[str, Any]:
        """A task's entry with defaults filled in; a pretraining's task goes by the pretraining's name."""
        entry = self.config["tasks"].get(name) or self.config["pretraining"][name]["task"]
        return with_task_defaults(entry)

    def dataset_key(self, task: str) -> str:
        """Names the folder of a downloaded data set, which all tasks with the same data share."""
        entry = self.task_entry(task)
        return f"{entry['dataset']}-{digest(entry['options'])[:12]}"

    def datasets(self) -> dict[str, dict[str, Any]]:
        """What ``download`` has to know, by key, over all tasks and pretrainings of the config."""
        tasks = [*self.config.get("tasks", {}), *self.config.get("pretraining", {})]
        return {
            self.dataset_key(task): sorted_keys({key: self.task_entry(task)[key] for key in ("dataset", "options")})
            for task in tasks
        }

    def prepare_spec(self, task: str) -> dict[str, Any]:
        entry = self.task_entry(task)
        keys = ("dataset", "options", "kind", "modality", "input", "split")
        return sorted_keys({"name": task} | {key: entry[key] for key in keys})

    def model_entry(self, name: str) -> dict[str, Any]:
        """A model's entry with defaults filled in, without its recipe."""
        return with_model_defaults(name, self.config["models"][name])

    def weights_kind(self, model: str) -> str:
        return weights_kind(self.model_entry(model)["weights"])

    def weights_key(self, model: str) -> str:
        """Names the files of downloaded or converted weights, which all models with the same backbone share."""
        return _key(self._backbone(model))

    def all_weights(self) -> dict[str, dict[str, Any]]:
        """What ``download_weights`` has to know, by key."""
        fetched = [model for model in self.config.get("models", {}) if self.weights_kind(model) in ("file", "named")]
        return {self.weights_key(model): self._backbone(model) for model in fetched}

    def assets_key(self, model: str) -> str | None:
        """Names the folder of the files beside weights that a network is built from; None where it takes none."""
        assets = self._assets(model)
        return _key(assets) if assets else None

    def all_assets(self) -> dict[str, dict[str, Any]]:
        """What ``download_assets`` has to know, by key."""
        found = {model: self._assets(model) for model in self.config.get("models", {})}
        return {self.assets_key(model): assets for model, assets in found.items() if assets}

    def assets_of_weights(self) -> dict[str, str | None]:
        """Key of the assets by key of the weights."""
        fetched = [model for model in self.config.get("models", {}) if self.weights_kind(model) in ("file", "named")]
        return {self.weights_key(model): self.assets_key(model) for model in fetched}

    def tokenized(self, task: str) -> bool:
        """Whether models need the task's examples in a form of their own, made by ``tokenize``."""
        return registry.find("modalities", self.task_entry(task)["modality"]).TOKENIZED

    def all_tokens(self) -> list[tuple[str, str]]:
        """Key of the assets and task of all that ``tokenize`` makes."""
        pairs = [(model, task) for model, task, _ in self.seeds]
        made = [model for model in self.models if self.weights_kind(model) == "pretrain"]
        pairs += [(model, self.pretraining_of(model)) for model in made]
        return list(dict.fromkeys((self.assets_key(model), task) for model, task in pairs if self.tokenized(task)))

    def pretrain_spec(self, model: str) -> dict[str, Any]:
        name = self.pretraining_of(model)
        entry = self.config["pretraining"][name]
        return sorted_keys(
            {
                "model": self.model_entry(model),
                "pretraining": name,
                "seed": entry.get("seed", 0),
                "recipe": recipe.resolve(entry.get("recipe")),
            }
        )

    def pretraining_of(self, model: str) -> str | None:
        """The pretraining that a model's weights come from, if it is one of the study's."""
        return pretraining_of(self.model_entry(model)["weights"])

    def finetune_spec(self, model: str, task: str, method: str, block: int) -> dict[str, Any]:
        return sorted_keys(self.predict_spec(model, task, method, block) | {"recipe": self.recipe(model, task, method)})

    def predict_spec(self, model: str, task: str, method: str, block: int) -> dict[str, Any]:
        return sorted_keys(
            {
                "model": self.model_entry(model),
                "task": {"name": task, "kind": self.task_entry(task)["kind"]},
                "method": self.method_entry(method),
                "seeds": list(self.blocks[model, task, method][block]),
            }
        )

    def plugins(self, model: str, task: str, method: str | None = None) -> tuple[str, ...]:
        """Modules of the plug-ins that a cell's stages use."""
        entry = self.method_entry(method) if method else None
        return provenance.plugins_of_cell(self.model_entry(model), self.task_entry(task), entry)

    def stores_features(self, model: str) -> bool:
        """Whether what is frozen of a model can be computed once for all its runs."""
        entry = self.model_entry(model)
        provider = registry.find("providers", entry["provider"])
        stores = frameworks.of(entry).STORES_FEATURES and provider.HAS_PREFIX and not provider(entry).draws_backbone()
        return self.weights_kind(model) != "none" and stores

    def method_entry(self, name: str) -> dict[str, Any]:
        """A method's kind and its own options; of one that repeats another, the other's."""
        repeated = self.repeated(name)
        entry = self.config["methods"][repeated] or {}
        options = {key: value for key, value in entry.items() if key != "recipe"}
        return {"kind": repeated} | options | {"name": name}

    def repeated(self, method: str) -> str:
        """The method that is fitted under this name: another one, of which every run is made again, or itself."""
        named = (self.config["methods"][method] or {}).get("repeats", method)
        return named if named in self.config["methods"] else method

    def recipe(self, model: str, task: str, method: str) -> dict[str, Any]:
        """A run's recipe: the study's, then the method's, the model's, the task's, then ``overrides`` in order."""
        config, method = self.config, self.repeated(method)
        overrides = [entry for entry in config.get("overrides", []) if matches(entry, model, task, method)]
        return recipe.resolve(
            config.get("recipe"),
            (config["methods"][method] or {}).get("recipe"),
            config["models"][model].get("recipe"),
            config["tasks"][task].get("recipe"),
            *(entry["recipe"] for entry in overrides),
        )

    def metrics(self, task: str) -> list[str]:
        """Metric plug-ins computed for a task: those chosen that fit its kind, and the one of its primary metric."""
        entry = self.task_entry(task)
        chosen = {*self.config.get("metrics", registry.names("metrics")), registry.name_of(scalars()[entry["metric"]])}
        return sorted(name for name in chosen if entry["kind"] == registry.find("metrics", name).KIND)

    def aggregate_spec(self) -> dict[str, Any]:
        """What is known of models and tasks beside their runs, for the columns of the runs table."""
        keys = ("provider", "architecture", "weights", "options")
        models = {name: {key: self.model_entry(name)[key] for key in keys} for name in self.models}
        for name, entry in models.items():
            entry |= {"framework": registry.find("providers", entry["provider"]).FRAMEWORK, "family": self.family(name)}
        return sorted_keys(
            {
                "models": {name: entry | self._pretrained(name) for name, entry in models.items()},
                "tasks": {name: {key: self.task_entry(name)[key] for key in ("kind", "metric")} for name in self.tasks},
                "methods": {name: self._method_facts(name) for name in self.config.get("methods", {})},
                "imports": self.imports,
                "grid": self.config.get("grid", {}) if self.imports else {},
            }
        )

    def _method_facts(self, name: str) -> dict[str, Any]:
        entry = self.method_entry(name)
        options = {key: value for key, value in entry.items() if key not in ("name", "kind")}
        repeated = self.repeated(name)
        return {"kind": entry["kind"], "options": options, "repeats": repeated if repeated != name else None}

    def _pretrained(self, model: str) -> dict[str, Any]:
        """The model's backbone, and the seed that it was pretrained with here."""
        here = self.weights_kind(model) == "pretrain"
        return {"backbone": self.backbone(model), "seed_pretrain": self.pretrain_spec(model)["seed"] if here else None}

    def backbone(self, model: str) -> str:
        """The first model that differs from it in nothing but the seed of its pretraining; itself for most."""
        if self.weights_kind(model) != "pretrain":
            return model
        own = self._without_pretraining_seed(model)
        return next(name for name in [*self.models, model] if self._without_pretraining_seed(name) == own)

    def family(self, model: str) -> str:
        """What the same network is called in every framework; its backbone's name, if the config does not say."""
        return self.config["models"][model].get("family") or self.backbone(model)

    def _without_pretraining_seed(self, model: str) -> tuple | None:
        if self.weights_kind(model) != "pretrain":
            return None
        entry = {key: value for key, value in self.config["models"][model].items() if key != "weights"}
        # Not there in a config that is still to be checked.
        pretraining = self.config.get("pretraining", {}).get(self.pretraining_of(model), {})
        return entry, {key: value for key, value in pretraining.items() if key != "seed"}

    def _backbone(self, model: str) -> dict[str, Any]:
        return self._fetched(model, "weights", "sha256")

    def _assets(self, model: str) -> dict[str, Any] | None:
        provider = self.model_entry(model)["provider"]
        return self._fetched(model) if registry.find("providers", provider).ASSETS else None

    def _fetched(self, model: str, *more: str) -> dict[str, Any]:
        """The part of a model's entry that files are fetched by."""
        entry = self.model_entry(model)
        chosen = registry.find("providers", entry["provider"]).FETCHED_BY
        options = {key: value for key, value in entry["options"].items() if chosen is None or key in chosen}
        keys = ("provider", "architecture", "options", *more)
        return sorted_keys({key: entry[key] for key in keys if key in entry} | {"options": options})


def _key(fetched: dict[str, Any]) -> str:
    """A name that is safe in paths for what is fetched, whatever an architecture is called."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", fetched["architecture"]).lstrip("-._")
    return f"{readable}-{digest(fetched)[:12]}".lstrip("-")


def with_model_defaults(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """A model's entry with every key that its runs depend on, its recipe left out."""
    defaults = {"name": name, "provider": "torchvision", "weights": "none", "options": {}, "preprocess": {}}
    return defaults | {key: value for key, value in entry.items() if key not in ("recipe", "family")}


def with_task_defaults(entry: dict[str, Any]) -> dict[str, Any]:
    """A task's entry with every key, its recipe left out."""
    known = entry["dataset"] in registry.names("datasets")
    plugin = registry.find("datasets", entry["dataset"]) if known else Dataset
    kind = entry.get("kind") or (plugin(entry.get("options", {})).kinds() if known else plugin.KINDS)[0]
    return {
        "dataset": entry["dataset"],
        "options": entry.get("options", {}),
        "kind": kind,
        "metric": entry.get("metric", registry.find("kinds", kind).PRIMARY),
        "modality": plugin.MODALITY,
        "input": modalities.find(plugin.MODALITY, entry.get(plugin.MODALITY)).options,
        "split": SPLIT | plugin.SPLIT | entry.get("split", {}),
    }


def sorted_keys(value: Any) -> Any:
    """The same plain value with sorted keys at every depth, so that equal values have equal reprs."""
    return json.loads(json.dumps(value, sort_keys=True))
