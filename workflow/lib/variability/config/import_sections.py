"""The section ``imports`` of a config, and the scales of metrics."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from variability.config.section import OMITTED, Section, Seed, Sha256
from variability.io import tabular
from variability.results import imported_layout, readers

_IMPORT_DEFAULTS: dict[str, Any] = dict(imported_layout.DEFAULTS)
_TABLES = tabular.OPTIONS


class Normalisation(Section):
    """Two values of a metric that become the scores 0 and 1."""

    low: float = Field(description="value that becomes 0, such as that of random predictions")
    high: float = Field(description="value that becomes 1, such as that of a person")


class MetricScale(Section):
    """Scale of a metric. What a plug-in declares of its metric need not be repeated."""

    unit: str = Field(OMITTED, description="unit of the values; tasks with one metric in one unit are comparable")
    range: Annotated[list[float | None], Field(min_length=2, max_length=2)] = Field(
        OMITTED,
        description="smallest and largest possible value, nothing for an open end; margins are fractions of a closed "
        "range",
    )
    normalise: Normalisation | Annotated[dict[str, Normalisation], Field(min_length=1)] = Field(
        OMITTED,
        description="values that become the scores 0 and 1 where tasks are compared or averaged, for all tasks or as "
        "{task: {low, high}}",
    )
    reference: float | dict[str, float] = Field(
        OMITTED,
        description="value that constant predictions reach, for all tasks or as {task: value}; a run that is not "
        "better is at chance",
    )


class ImportedMetric(MetricScale):
    """A metric in a file of imported runs."""

    metric: str = Field(OMITTED, description="name of the metric; that of the column by default")
    task: str = Field(OMITTED, description="task that the column is about, in a table with one column per task")
    model: str = Field(OMITTED, description="model that the column is about, in a table with one column per model")
    method: str = Field(OMITTED, description="method that the column is about")
    split: Literal["validation", "test"] = Field(_IMPORT_DEFAULTS["split"], description="split that was measured")
    phase: Literal["before", "after"] = Field(_IMPORT_DEFAULTS["phase"], description="before or after fine-tuning")
    stderr: str = Field(OMITTED, description="column that holds the standard errors over test examples")
    label: str = Field(OMITTED, description="label of axes")
    higher_is_better: bool = Field(OMITTED, description="whether higher values are better")
    perfect: float = Field(OMITTED, description="value of a perfect prediction")
    scale: float = Field(
        OMITTED,
        description="factor that values are multiplied by: 0.01 if they are in percent",
        json_schema_extra={"not": {"const": 0}},
    )


#: Value of a cell, as a condition.
Cell = str | float | bool
Conditions = Annotated[dict[str, Cell | Annotated[list[Cell], Field(min_length=1)]], Field(min_length=1)]


class Import(Section):
    """Files of runs that were made by other programs."""

    path: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="a table, a pattern such as runs/*.json, a folder of tables, or a list of these; mirrors are "
        "searched for a file by its name too"
    )
    sha256: Sha256 = Field(OMITTED, description="checksum of the file")
    format: str = Field(
        readers.DEFAULT,
        description="program that wrote it: a plug-in in workflow/lib/variability/results/readers",
    )
    examples: str = Field(
        OMITTED,
        description="if the rows are examples and not runs, what is known of each: classification, regression, ranking "
        "(y_true and y_pred) or scores",
    )
    classes: Annotated[list[str], Field(min_length=2)] = Field(
        OMITTED, description="names of the classes of examples, in the order of their probabilities"
    )
    probabilities: dict[str, str] = Field(
        OMITTED,
        min_length=2,
        description="columns that hold the probability of one class each: {column: class}",
        examples=[{"p_cat": "cat", "p_dog": "dog"}],
    )
    from_path: str = Field(
        OMITTED,
        description="regular expression whose named groups are columns from the names of the files, such as "
        "(?P<model>.+)_seed(?P<seed>[0-9]+)",
    )
    where: Conditions = Field(
        OMITTED,
        description="only rows with this value, or one of these, in each column",
        examples=[{"optimizer": "adam", "seed": [0, 1]}],
    )
    where_not: Conditions = Field(
        OMITTED, description="no rows with this value, or one of these, in a column", examples=[{"note": "debug"}]
    )
    keep: Literal["last", "best"] = Field(
        OMITTED, description="which of several rows of a run is used: learning curves and reruns; refused by default"
    )
    keep_by: str = Field(OMITTED, description="column that decides which row is the last or the best")
    # Options of ``tabular``.
    separator: str = Field(OMITTED, min_length=1, description=_TABLES["separator"]["description"])
    quotes: bool = Field(OMITTED, description=_TABLES["quotes"]["description"])
    decimal: Literal[".", ","] = Field(OMITTED, description=_TABLES["decimal"]["description"])
    header: Literal["none"] | Annotated[list[str], Field(min_length=1)] = Field(
        OMITTED, description=_TABLES["header"]["description"]
    )
    encoding: str = Field(OMITTED, description=_TABLES["encoding"]["description"])
    sheet: str = Field(OMITTED, description=_TABLES["sheet"]["description"])
    records: str = Field(OMITTED, description=_TABLES["records"]["description"])
    limits: Annotated[dict[str, Any], WithJsonSchema(_TABLES["limits"])] = Field(OMITTED)
    columns: dict[str, str] = Field(
        OMITTED,
        description="columns that hold the model, task, method, seed, split, metric, value, status, seconds, n_test, "
        "n_train or stderr; of examples also example_id, group, y_true, y_pred, probabilities, logits, score, correct "
        "or attempts",
        examples=[{"model": "network", "task": "dataset", "seed": "run"}],
    )
    factors: Annotated[
        dict[str, str],
        WithJsonSchema(
            {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": "^[^ =]+$"}}
        ),
    ] = Field(
        OMITTED,
        description="further factors, such as {shots: num_fewshot}, and the columns that hold their levels, which are "
        "added to the names of methods (full shots=5)",
        examples=[{"shots": "num_fewshot"}],
    )
    constants: dict[str, str | float | dict[str, str | float]] = Field(
        OMITTED,
        description="values that no column holds, the same for all rows; metric, n_test, n_train and majority may have "
        "one per task: {task: value}",
        examples=[{"task": "rte", "method": "full"}],
    )
    statuses: dict[str, Literal["completed", "failed", "diverged"]] = Field(
        OMITTED,
        min_length=1,
        description="meaning of words in the column of the status that are not known",
        examples=[{"aborted": "failed"}],
    )
    metrics: dict[
        str,
        Annotated[
            ImportedMetric | None,
            Field(
                description="a mapping such as {metric: accuracy}, or nothing if the column is called like its metric"
            ),
        ],
    ] = Field(
        OMITTED,
        min_length=1,
        description="columns that hold one metric each; in a table with one value per row, metrics by their names; the "
        "first is the primary one",
    )
    seeds: dict[str, Seed] = Field(
        OMITTED,
        min_length=1,
        description="columns that hold the values of one seed each",
        examples=[{"run_1": 1, "run_2": 2}],
    )
    tasks: dict[str, str] = Field(
        OMITTED,
        min_length=1,
        description="columns that hold the values of one task each",
        examples=[{"rte_acc": "rte", "cola_mcc": "cola"}],
    )
    models: dict[str, str] = Field(
        OMITTED,
        min_length=1,
        description="columns that hold the values of one model each",
        examples=[{"bert_acc": "bert", "roberta_acc": "roberta"}],
    )
    spelling: Literal["merge", "exact"] = Field(
        OMITTED,
        description="names of models, tasks and methods that differ only in case or blanks (BERT, bert): merge them, "
        "for the most frequent spelling, or use those of other cases exactly as written; by default they are refused",
    )
    groups: dict[str, str | Annotated[list[str], Field(min_length=1)]] = Field(
        OMITTED,
        min_length=1,
        description="{group: task, or a list of tasks}; * and ? match as in a shell. Tasks of one group, such as "
        "splits of one data set, count once where all tasks are compared",
        examples=[{"nli": ["rte", "mnli"]}],
    )
    deterministic: list[str] = Field(
        OMITTED,
        min_length=1,
        description="names or patterns of models whose result no seed changes, such as a popularity or zero-shot "
        "baseline: one run of them is compared as a constant",
    )
    folds: bool | Annotated[int, Field(ge=2)] = Field(
        OMITTED,
        description="whether each run has a split of its own: the number of folds, or true for other splits, whose "
        "sizes are n_train and n_test; means are then less precise than as many independent runs",
    )
    primary: str | dict[str, str] = Field(
        OMITTED,
        description="the primary metric of all tasks, or {task: metric}; the first that a task has by default",
    )
