"""The sections of a config: types, defaults and descriptions of all keys.

Options of plug-ins are not here: a data set, a provider, a method, a modality, an analysis, a plot and a claim state
theirs in their own files (``OPTIONS``).
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from variability import registry
from variability.config.durations import Duration
from variability.config.import_sections import Import, MetricScale
from variability.config.recipe import Recipe
from variability.config.section import DEPENDS, EMPTY, OMITTED, Section, Seed, Sha256
from variability.io import http_limits
from variability.results import pairing


def _reserved(*names: str) -> dict[str, Any]:
    """Return the schema of names that must not be used: devices of Windows, file names of the workflow, and some more.

    In upper or lower case, which file systems may ignore; editors that read the schema lack the flag (?i).
    """
    words = "con", "prn", "aux", "nul", "com[0-9]", "lpt[0-9]"
    pattern = rf"^({_any_case(words)})(\.|$)|\.({_any_case(('json', 'log'))})?$"
    pattern += f"|^({_any_case(names)})$" if names else ""
    return {
        "not": {"type": "string", "pattern": pattern, "title": "for a device of Windows, or for files of the workflow"}
    }


def _any_case(words: Iterable[str]) -> str:
    """Return a pattern of words; a range of digits in brackets stays as it is."""
    return re.sub(r"[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", "|".join(words))


Name = Annotated[
    str,
    Field(
        max_length=100,
        pattern=r"^(?![\s\S]*\n)[A-Za-z0-9][A-Za-z0-9_.-]*$",
        title="a name that is safe in paths: letters, digits, '_', '-' and '.', starting with a letter or digit",
        json_schema_extra=_reserved(),
    ),
]
Folder = Annotated[str, Field(min_length=1)]
#: Patterns of names, as in a selection.
Names = Annotated[
    str | Annotated[list[str], Field(min_length=1)],
    Field(description="a name, or a list of names; * and ? match as in a shell"),
]

PluginEntry = Annotated[
    str | Annotated[dict[str, dict[str, Any] | None], Field(min_length=1, max_length=1)],
    Field(description="a name, or one name with its options: {name: {option: value}}"),
]
PluginOptions = Annotated[
    dict[str, Any] | Literal[False] | None,
    Field(description="options, nothing for the default options, or false to switch it off"),
]
Plugins = list[PluginEntry] | dict[str, PluginOptions]

Margin = Annotated[float, Field(ge=0)]

Count = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[float, Field(gt=0, lt=1)] | Literal["all", "shipped"],
    Field(
        description="a number of examples (200), a fraction of the available examples (0.2), all (the rest), or "
        "shipped (the partition that the data set ships)"
    ),
]


# Models -------------------------------------------------------------------------------------------------------------


class Preprocess(Section):
    """Preprocessing of images for a network, in place of the weights' own."""

    size: int = Field(OMITTED, ge=8, description="side of the network's input in pixels")
    resize: int = Field(OMITTED, ge=8, description="shorter side in pixels before the centre crop to size")
    mean: list[float] = Field(OMITTED, min_length=3, max_length=3, description="mean of each channel")
    std: list[Annotated[float, Field(gt=0)]] = Field(
        OMITTED, min_length=3, max_length=3, description="standard deviation of each channel"
    )
    interpolation: Literal["nearest", "bilinear", "bicubic"] = Field(OMITTED, description="interpolation of the resize")


class Model(Section):
    """A network and the weights it starts from."""

    provider: str = Field("torchvision", description="a plug-in in workflow/lib/variability/models/providers")
    architecture: str = Field(
        description="name of the network, as the provider knows it; or a function of yours, my_nets.py:build"
    )
    weights: str = Field(
        "none", description="a named release, a file, pretrain:<name of a pretraining>, or none for random weights"
    )
    sha256: Sha256 = Field(OMITTED, description="checksum of a weights file")
    family: str = Field(
        OMITTED,
        min_length=1,
        description="models of one family are the same network in different frameworks, which are then compared",
    )
    options: dict[str, Any] = Field({}, description="keyword arguments of the architecture")
    head: str = Field(
        OMITTED, min_length=1, description="dotted name of the layer that computes the outputs of a network of your own"
    )
    preprocess: Preprocess = Field(EMPTY, description="preprocessing of images; what the weights need by default")
    recipe: Recipe = Field(OMITTED, description="recipe of this model's runs; other keys are those of the study")


# Tasks --------------------------------------------------------------------------------------------------------------


class Split(Section):
    """Examples that train, validate and test."""

    train: Count = "all"
    # As shipped, or a share of the training examples (``split_counts.DEFAULT_VALIDATION``) if none are shipped.
    validation: Count = DEPENDS
    test: Count = "shipped"
    seed: Seed = Field(0, description="seed of the split")
    resample: bool = Field(False, description="sample the training and validation examples again for every seed")
    duplicates: Literal["group", "drop", "refuse", "allow"] = Field(
        "group",
        description="examples with equal content: keep them in one split, drop them from training if they are held "
        "out, refuse those in several partitions, or allow them",
    )


def _add_plugins(schema: dict[str, Any]) -> None:
    """Add the options of all modalities, and the names of all kinds, to the schema of a task."""
    schema["properties"]["kind"] |= {"enum": list(registry.names("kinds"))}
    del schema["properties"]["kind"]["type"]
    for name in registry.names("modalities"):
        options = {"type": "object", "additionalProperties": False}
        options["properties"] = registry.find("modalities", name).OPTIONS
        options["description"] = f"options of the modality {name}"
        schema["properties"][name] = options


class Task(Section):
    """A data set, what is predicted, and which examples train and test. Options of its modality have their own key."""

    model_config = ConfigDict(json_schema_extra=_add_plugins)

    dataset: str = Field(description="a plug-in in workflow/lib/variability/data/datasets")
    options: dict[str, Any] = Field({}, description="options of the data set")
    kind: str = Field(OMITTED, description="what the labels are; the first kind of the data set by default")
    metric: str = Field(
        OMITTED,
        description="primary metric; accuracy by default, rmse in regression, ndcg_at_10 in ranking",
    )
    split: Split = Field(EMPTY, description="examples that train, validate and test")
    group: str = Field(
        OMITTED,
        min_length=1,
        description="tasks of one group, such as splits of one data set, count once where all tasks are compared",
    )
    recipe: Recipe = Field(OMITTED, description="recipe of this task's runs; other keys are those of the study")


class Pretraining(Section):
    """A pretraining that the workflow makes itself."""

    task: Task = Field(description="task that the network is pretrained on")
    seed: Seed = Field(0, description="seed of the pretraining")
    recipe: Recipe = Field(OMITTED, description="recipe of the pretraining; the study's recipe does not apply to it")


# Methods and runs ---------------------------------------------------------------------------------------------------


class Method(Section):
    """A way of fine-tuning; the options of the method are next to these keys."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(
        OMITTED, description="a plug-in in workflow/lib/variability/models/methods; the entry's name by default"
    )
    repeats: str = Field(
        OMITTED,
        description="a method whose runs are made again with the same seeds, to see whether the results are the same",
    )
    recipe: Recipe = Field(OMITTED, description="recipe of this method's runs; other keys are those of the study")


class Override(Section):
    """A recipe for some runs only."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    model: Names = OMITTED
    task: Names = OMITTED
    method: Names = OMITTED
    recipe: Recipe = Field(description="keys of the recipe that differ for these runs")


class Selection(Section):
    """Some runs, by model, task, method and seed. A key that is left out matches everything."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    model: Names = OMITTED
    task: Names = OMITTED
    method: Names = OMITTED
    seed: int | list[int] = Field(OMITTED, description="a seed, or a list of seeds")


class Grid(Section):
    """Runs of models x tasks x methods x seeds that are made."""

    include: list[Selection] = Field(OMITTED, min_length=1, description="only runs that match one of these are made")
    exclude: list[Selection] = Field(OMITTED, description="runs that match one of these are not made")


# The config ---------------------------------------------------------------------------------------------------------


class Compute(Section):
    """Resources of jobs."""

    threads: int = Field(1, ge=1, description="CPU threads of one job")
    seeds_per_job: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="a whole number of runs that share one start of the frameworks, or auto to suit the method"
    )
    # As many as ``threads``.
    features_threads: int = Field(
        DEPENDS,
        ge=1,
        description="CPU threads of jobs that compute a frozen part for all runs; threads by default",
    )
    features_gb: float = Field(20, ge=0, description="largest size on disk of the stored activations of a frozen part")
    mem_mb: int = Field(4000, ge=1, description="memory of one training job")
    runtime: int = Field(240, ge=1, description="time limit of one training job in minutes")
    verify_runs: int = Field(3, ge=0, description="number of runs that `snakemake verify` trains again")
    runs_per_gpu: int = Field(1, ge=1, description="training jobs that share one GPU, on a machine without a scheduler")
    save_every: Duration = Field(
        "10 min",
        description="the time after which a training saves its state again: 10 min, 90 s, 1 h, or whole seconds",
    )


class Downloads(Section):
    """Limits of downloads. Changing them reruns nothing."""

    timeout: float = Field(http_limits.TIMEOUT, gt=0, description="seconds that a server may stay silent")
    least_speed: float = Field(
        http_limits.LEAST_SPEED,
        ge=0,
        description="bytes per second, on average over a minute; a slower connection is closed and tried again",
    )
    hours: float = Field(http_limits.HOURS, gt=0, description="total time of one file, over all attempts")


class Figures(Section):
    """Size and format of figures, for a column of a paper. Changing them draws all figures again."""

    width: str = Field(
        OMITTED,
        pattern=r"^\d+(\.\d+)? ?(cm|mm|in)$",
        description="width of every figure with its unit: 8.5 cm, 85 mm, or 3.35 in; by default each has what it needs",
    )
    font_size: float = Field(8, ge=5, le=14, description="size of the texts in points; with a width only")
    font: str = Field(OMITTED, min_length=1, description="family of the texts, such as Liberation Sans; installed here")
    formats: list[Literal["svg", "png", "pdf"]] = Field(
        ["svg", "png"], description="formats of the files; SVG is always written, because reports show it"
    )


class Config(Section):
    """A study."""

    model_config = ConfigDict(
        json_schema_extra={
            # A study trains runs, imports runs, or does both.
            "if": {"required": ["imports"], "not": {"required": ["models"]}},
            "else": {"required": ["seeds", "models", "tasks", "methods"]},
        }
    )

    study: Name = Field(
        description="name of the study and of the folder of its results",
        json_schema_extra=_reserved("downloads", "code", "contents"),
    )
    seeds: list[Annotated[int, Field(ge=0, le=2**32 - 1)]] = Field(
        OMITTED, min_length=1, description="seeds: each is one repetition of all runs"
    )
    models: dict[Name, Model] = Field(OMITTED, min_length=1, description="networks and the weights they start from")
    tasks: dict[Name, Task] = Field(OMITTED, min_length=1, description="tasks that the networks are fine-tuned for")
    methods: dict[
        Name, Annotated[Method | None, Field(description="a mapping of kind, recipe and options, or nothing")]
    ] = Field(OMITTED, min_length=1, description="ways of fine-tuning")
    recipe: Recipe = Field(OMITTED, description="how networks are trained; entries of other sections may differ")
    overrides: list[Override] = Field(
        OMITTED,
        description="recipes for some runs only; later entries win, and all win over those of models, tasks, methods",
    )
    pretraining: dict[Name, Pretraining] = Field(
        OMITTED, description="pretrainings that the workflow makes itself, for models with weights pretrain:<name>"
    )
    grid: Grid = Field(OMITTED, description="runs of models x tasks x methods x seeds that are made; all by default")
    imports: dict[Name, Import] = Field(
        OMITTED, min_length=1, description="files of runs that other programs made, read by the names of their columns"
    )
    pairing: Literal["auto", "seed"] = Field(
        pairing.AUTO,
        description="which runs of different candidates are pairs; auto: runs of this study that share what makes them "
        "vary, and no imported ones; seed: all runs of a task with equal seeds, such as those of one fold",
    )
    metrics: list[str] = Field(
        OMITTED,
        min_length=1,
        description="plug-ins in workflow/lib/variability/results/metrics; all that fit the task by default",
    )
    scales: dict[str, MetricScale] = Field(
        OMITTED, min_length=1, description="unit, range, normalisation and reference of metrics, by their names"
    )
    margins: Annotated[dict[str, Margin | Annotated[dict[str, Margin], Field(min_length=1)]], Field(min_length=1)] = (
        Field(
            OMITTED,
            description="differences that are too small to matter, within which candidates are equivalent, in the "
            "unit of the metric: {metric: margin}, and {task: {metric: margin}} for a task with a margin of its own; "
            "by default the option margin of the analysis decisions",
            examples=[{"accuracy": 0.01}],
        )
    )
    analyses: Plugins = Field(
        OMITTED,
        description="a list of the wanted analyses, or a mapping that sets options of some and leaves the others on; "
        "by default all whose requirements the study meets",
    )
    plots: Plugins = Field(
        OMITTED,
        description="a list of the wanted plots, or a mapping that sets options of some and leaves the others on; "
        "by default all whose requirements the study meets",
    )
    claims: Plugins = Field(
        OMITTED,
        description="a list of the wanted claims, or a mapping that sets options of some and leaves the others on; "
        "by default all whose requirements the study meets",
    )
    plugins: list[Folder] = Field(
        [],
        description="folders of your own plug-ins, each with subfolders named after the families (metrics, datasets)",
    )
    mirrors: list[Folder] = Field(
        [], description="folders searched for data and weights before the network; VARIABILITY_MIRROR adds to them"
    )
    figures: Figures = Field(EMPTY, description="size and format of figures, for a column of a paper")
    downloads: Downloads = Field(EMPTY, description="limits of downloads")
    checkpoints: Literal["all", "best", "none"] = Field(
        "all",
        description="checkpoints that are retained when the study is done; best: of each model, task and method the "
        "one of the seed that is best on validation",
    )
    compute: Compute = Field(EMPTY, description="resources of jobs")
