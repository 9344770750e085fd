"""The table of stages: what the jobs of each stage depend on.

From a stage's entry follow, for each of its jobs, the params of its rule, the listing of the code that its result
depends on, and its environment. A new stage needs an entry here, a rule, a script and a module in ``stages/``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from variability import registry
from variability.config import figure_settings, probe_plan, specs
from variability.config.feature_plan import FeaturePlan
from variability.config.outputs import Outputs
from variability.config.study import Study
from variability.io import content_hash
from variability.io.files import digest
from variability.io.mirrors import find_file
from variability.models import methods
from variability.models.weights_source import weights_kind
from variability.results import imported_files, imported_layout, readers
from variability.results.imported_files import ImportedFile
from variability.training.cpu_kernels import switch

#: Wildcards of a job by name. A job may have more of them than its stage's functions read.
Job = Mapping[str, str]
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """A study, and where its jobs find the user's own files.

    mirrors: folders that are searched for files. hashes: folder that caches the hashes of the user's files.
    kernels: entry of all specs of stages that train or predict, see ``cpu_kernels.switch``.
    """

    study: Study
    mirrors: Sequence[Path]
    hashes: Path
    kernels: Mapping[str, str] = field(default_factory=switch.fingerprint)

    @cached_property
    def features(self) -> FeaturePlan:
        """Activations that the study stores."""
        return FeaturePlan(self.study)

    @cached_property
    def outputs(self) -> Outputs:
        """Analyses, plots and claims of the study."""
        return Outputs(self.study)

    @cached_property
    def imported_files(self) -> dict[str, list[ImportedFile]]:
        """Files of each entry of ``imports``."""
        return {name: imported_files.find(entry, self.mirrors) for name, entry in self.study.imports.items()}

    def imported_inputs(self) -> list[str]:
        """Return the imported files that can be inputs of a rule."""
        return [path for path in self._imported_paths() if "{" not in path]

    def imported_in_braces(self) -> list[tuple[int, str]]:
        """Return position and path of the other imported files: Snakemake reads braces in a name as wildcards."""
        return [(position, path) for position, path in enumerate(self._imported_paths()) if "{" in path]

    def _imported_paths(self) -> list[str]:
        return [str(file.path) for files in self.imported_files.values() for file in files]

    def content(self, *paths: Path | None) -> str | None:
        """Return the hash of all that files and folders contain; None if there are none."""
        present = tuple(path for path in paths if path is not None)
        return _content(present, self.hashes) if present else None

    def release(self, spec: Entry) -> Path | None:
        """Return the user's own files that a provider reads a release from; None for a release that is fetched."""
        return registry.find("providers", spec["provider"])(spec).local_source(self.mirrors)


@cache
def _content(paths: tuple[Path, ...], hashes: Path) -> str:
    return content_hash.content_hash(paths, hashes)


def _one_job(plan: Plan) -> list[Job]:
    return [{}]


def _nothing(plan: Plan, job: Job) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Stage:
    """Dependencies of the jobs of a stage: functions of the plan, and of a job.

    spec: all values but code and inputs that a job's result depends on, a plain dict with sorted keys. Where a rule
    gathers files, their number is among these values. None for a rule without outputs. jobs: wildcards of all jobs of a
    plan; without those that change neither their code nor their environment. plugins: dotted names of the modules of
    the plug-ins that a job uses. extras: names of the optional parts of the environment that it needs. chunks:
    wildcards of all jobs of the rule, if these are others than ``jobs``. together: whether one job of the rule does all
    ``jobs``.
    """

    spec: Callable[[Plan, Job], dict[str, Any]] | None = None
    jobs: Callable[[Plan], Iterable[Job]] = _one_job
    plugins: Callable[[Plan, Job], Iterable[str]] = _nothing
    extras: Callable[[Plan, Job], Iterable[str]] = _nothing
    chunks: Callable[[Plan], Iterable[Job]] | None = None
    together: bool = False

    def jobs_of_rule(self, plan: Plan) -> Iterable[Job]:
        """Return the wildcards of all jobs of the rule."""
        return _one_job(plan) if self.together else (self.chunks or self.jobs)(plan)


# Entries of the config, with defaults, that a job is about ------------------------------------------------------


def _dataset(plan: Plan, job: Job) -> Entry:
    return specs.datasets(plan.study)[job["key"]]


def _task(plan: Plan, job: Job) -> Entry:
    return plan.study.task_entry(job["task"])


def _weights(plan: Plan, job: Job) -> Entry:
    return specs.weights(plan.study)[job["key"]]


def _assets(plan: Plan, job: Job) -> Entry:
    return specs.assets(plan.study)[job["assets"]]


def _model(plan: Plan, job: Job) -> Entry:
    return plan.study.model_entry(job["model"])


def _method(plan: Plan, job: Job) -> Entry:
    return plan.study.method_entry(job["method"])


def _features(plan: Plan, job: Job) -> dict[str, Any]:
    return plan.features.specs[job["model"], job["task"], job["features"]]


# Plug-ins and extras --------------------------------------------------------------------------------------------


def _modules(family: str, names: Iterable[str]) -> list[str]:
    return [registry.module_name(family, name) for name in names]


def _of_task(entry: Entry) -> list[str]:
    families = {"datasets": "dataset", "modalities": "modality", "kinds": "kind"}
    return [registry.module_name(family, entry[key]) for family, key in families.items()]


def _of_pretraining(plan: Plan, job: Job) -> list[str]:
    task = plan.study.pretraining_of(job["model"])
    assert task is not None, "the job's model is pretrained by the study"
    return [*plan.study.plugin_modules(job["model"], task), *_modules("methods", [methods.PRETRAINING["kind"]])]


def _of_features(plan: Plan, job: Job) -> list[str]:
    method = _features(plan, job)["method"]
    used = plan.study.plugin_modules(job["model"], job["task"])
    return [*used, *_modules("methods", [method["kind"]] if method else [])]


def _of_cell(plan: Plan, job: Job) -> tuple[str, ...]:
    return plan.study.plugin_modules(job["model"], job["task"], job["method"])


def _of_scores(plan: Plan, job: Job) -> list[str]:
    return [*_modules("kinds", [_task(plan, job)["kind"]]), *_modules("metrics", plan.study.metrics(job["task"]))]


def _of_probes(plan: Plan, job: Job) -> list[str]:
    spec = probe_plan.spec(plan.study)
    kinds = dict.fromkeys(plan.study.task_entry(task)["kind"] for task in spec["metrics"])
    metrics = dict.fromkeys(name for names in spec["metrics"].values() for name in names)
    return [*_modules("kinds", kinds), *_modules("metrics", metrics)]


def _of_tables(plan: Plan, job: Job) -> list[str]:
    metrics = dict.fromkeys(name for task in plan.study.tasks for name in plan.study.metrics(task))
    formats = dict.fromkeys(entry.get("format", readers.DEFAULT) for entry in plan.study.imports.values())
    # Metrics of imported examples are computed by this stage.
    of_examples = registry.names("metrics") if any(map(imported_layout.examples, plan.study.imports.values())) else ()
    return [
        *_modules("metrics", dict.fromkeys([*metrics, *of_examples])),
        *_modules("kinds", registry.names("kinds")),
        *_modules("readers", formats),
    ]


def _dataset_extras(entry: Entry) -> list[str]:
    return registry.find("datasets", entry["dataset"]).extras(entry)


def _model_extras(model: Entry, method: Entry | None = None) -> list[str]:
    of_method = registry.find("methods", method["kind"]).extras(method) if method else []
    return registry.find("providers", model["provider"]).extras(model) + of_method


# Specs with the content of the user's own files: replacing one is a change, touching it is none -------------------


def _with_dataset(plan: Plan, spec: Entry) -> dict[str, Any]:
    files = registry.find("datasets", spec["dataset"])(spec["options"]).sources(plan.mirrors)
    return {**spec, "source": plan.content(*files)}


def _with_weights(plan: Plan, spec: Entry) -> dict[str, Any]:
    if weights_kind(spec["weights"]) == "file":
        return {**spec, "source": plan.content(find_file(spec["weights"], plan.mirrors))}
    return {**spec, "source": plan.content(plan.release(spec))}


def _with_imports(plan: Plan, spec: Entry) -> dict[str, Any]:
    imports = {
        name: entry
        | {"source": plan.content(*(file.path for file in plan.imported_files[name]))}
        | {"names": [file.name for file in plan.imported_files[name]]}
        for name, entry in spec["imports"].items()
    }
    return {**spec, "imports": imports}


def _with_kernels(plan: Plan, spec: Entry, threads: str = "threads") -> dict[str, Any]:
    """Add what the last bits of sums depend on. threads: key of ``compute``."""
    return {**spec, **plan.kernels, "threads": plan.study.compute[threads]}


def _counted(plan: Plan, task: str | None = None) -> str:
    """Return a digest of the number of seed chunks of each cell, of one task or of all."""
    chunks = {
        "/".join(cell): len(of_cell) for cell, of_cell in plan.study.seed_chunks.items() if task in (None, cell[1])
    }
    return digest(chunks)


# The table ------------------------------------------------------------------------------------------------------


def _cells(plan: Plan) -> list[Job]:
    return [{"model": model, "task": task, "method": method} for model, task, method in plan.study.seeds]


def _chunks(plan: Plan) -> list[Job]:
    chunks = plan.study.seed_chunks
    keys = [(*cell, str(chunk)) for cell, of_cell in chunks.items() for chunk in range(len(of_cell))]
    return [dict(zip(("model", "task", "method", "block"), key, strict=True)) for key in keys]


STAGES: dict[str, Stage] = {
    "download": Stage(
        jobs=lambda plan: [{"key": key} for key in specs.datasets(plan.study)],
        plugins=lambda plan, job: _modules("datasets", [_dataset(plan, job)["dataset"]]),
        extras=lambda plan, job: _dataset_extras(_dataset(plan, job)),
        spec=lambda plan, job: _with_dataset(plan, _dataset(plan, job)),
    ),
    "prepare": Stage(
        jobs=lambda plan: [{"task": task} for task in [*plan.study.tasks, *plan.study.config.get("pretraining", {})]],
        plugins=lambda plan, job: _of_task(_task(plan, job)),
        extras=lambda plan, job: _dataset_extras(_task(plan, job)),
        spec=lambda plan, job: _with_dataset(plan, specs.prepare(plan.study, job["task"])),
    ),
    "download_assets": Stage(
        jobs=lambda plan: [{"assets": key} for key in specs.assets(plan.study)],
        plugins=lambda plan, job: _modules("providers", [_assets(plan, job)["provider"]]),
        extras=lambda plan, job: _model_extras(_assets(plan, job)),
        spec=lambda plan, job: {**_assets(plan, job), "source": plan.content(plan.release(_assets(plan, job)))},
    ),
    "download_weights": Stage(
        jobs=lambda plan: [{"key": key} for key in specs.weights(plan.study)],
        plugins=lambda plan, job: _modules("providers", [_weights(plan, job)["provider"]]),
        extras=lambda plan, job: _model_extras(_weights(plan, job)),
        spec=lambda plan, job: _with_weights(plan, _weights(plan, job)),
    ),
    "tokenize": Stage(
        jobs=lambda plan: [{"assets": key, "task": task} for key, task in specs.tokens(plan.study)],
        plugins=lambda plan, job: [
            *_modules("providers", [_assets(plan, job)["provider"]]),
            *_modules("modalities", [_task(plan, job)["modality"]]),
        ],
        extras=lambda plan, job: _model_extras(_assets(plan, job)),
        spec=lambda plan, job: dict(_assets(plan, job)),
    ),
    "pretrain": Stage(
        jobs=lambda plan: [
            {"model": model} for model in plan.study.models if plan.study.weights_kind(model) == "pretrain"
        ],
        plugins=_of_pretraining,
        extras=lambda plan, job: _model_extras(_model(plan, job)),
        spec=lambda plan, job: _with_kernels(plan, specs.pretrain(plan.study, job["model"])),
    ),
    "features": Stage(
        jobs=lambda plan: [dict(zip(("model", "task", "features"), key, strict=True)) for key in plan.features.specs],
        plugins=_of_features,
        extras=lambda plan, job: _model_extras(_model(plan, job), _features(plan, job)["method"]),
        spec=lambda plan, job: _with_kernels(plan, _features(plan, job), "features_threads"),
    ),
    "finetune": Stage(
        jobs=_cells,
        chunks=_chunks,
        plugins=_of_cell,
        extras=lambda plan, job: _model_extras(_model(plan, job), _method(plan, job)),
        spec=lambda plan, job: _with_kernels(
            plan, specs.finetune(plan.study, job["model"], job["task"], job["method"], int(job["block"]))
        ),
    ),
    "predict": Stage(
        jobs=_cells,
        chunks=_chunks,
        plugins=_of_cell,
        extras=lambda plan, job: _model_extras(_model(plan, job), _method(plan, job)),
        spec=lambda plan, job: _with_kernels(
            plan, specs.predict(plan.study, job["model"], job["task"], job["method"], int(job["block"]))
        ),
    ),
    "score": Stage(
        jobs=lambda plan: [{"task": task} for task in plan.study.tasks],
        plugins=_of_scores,
        spec=lambda plan, job: {"chunks": _counted(plan, job["task"]), "metrics": plan.study.metrics(job["task"])},
    ),
    "reference_probe": Stage(plugins=_of_probes, spec=lambda plan, job: probe_plan.spec(plan.study)),
    "aggregate": Stage(
        plugins=_of_tables,
        spec=lambda plan, job: {"chunks": _counted(plan), **_with_imports(plan, specs.aggregate(plan.study))},
    ),
    "keep_checkpoints": Stage(
        plugins=lambda plan, job: _modules("metrics", registry.names("metrics")),
        spec=lambda plan, job: {"chunks": _counted(plan), "keep": plan.study.checkpoints},
    ),
    "analyse": Stage(
        jobs=lambda plan: [{"analysis": name} for name in plan.outputs.analyses],
        together=True,
        spec=lambda plan, job: {"options": plan.outputs.analyses},
        plugins=lambda plan, job: _modules("analyses", [job["analysis"]]),
    ),
    "plot": Stage(
        jobs=lambda plan: [{"plot": name} for name in plan.outputs.plots],
        together=True,
        spec=lambda plan, job: {
            "options": plan.outputs.plots,
            "study": plan.study.name,
            "figures": figure_settings.of_study(plan.study.config),
        },
        plugins=lambda plan, job: _modules("plots", [job["plot"]]),
    ),
    "claim": Stage(
        plugins=lambda plan, job: _modules("claims", plan.outputs.claims),
        spec=lambda plan, job: {"chosen": plan.outputs.claims, "study": plan.study.name},
    ),
    "summarise": Stage(
        spec=lambda plan, job: {
            "study": plan.study.name,
            "tables": [name for name in plan.outputs.analyses if registry.find("analyses", name).SUMMARISED],
            "tasks": plan.study.tasks,
        }
    ),
    "page": Stage(
        plugins=lambda plan, job: _modules("questions", registry.names("questions")),
        spec=lambda plan, job: specs.page(plan.study, plan.outputs.analyses),
    ),
    "report": Stage(
        spec=lambda plan, job: {
            "figures": list(plan.outputs.plots),
            "tables": list(plan.outputs.analyses),
            "targets": ["summary", "claims", "figures", "tables"],
        }
    ),
    "record": Stage(spec=lambda plan, job: {"study": plan.study.name}),
    "verify": Stage(
        plugins=lambda plan, job: sorted({module for cell in _cells(plan) for module in _of_cell(plan, cell)}),
        extras=lambda plan, job: sorted(
            {extra for cell in _cells(plan) for extra in _model_extras(_model(plan, cell), _method(plan, cell))}
        ),
    ),
}
