"""Runs of one side of a comparison: of a study's folder, or of a table of runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability.advice import listed, suggest
from variability.errors import UserError
from variability.io import tabular
from variability.io.artefacts import require_listed
from variability.reporting import primary_rows
from variability.results import (
    imported_facts,
    imported_files,
    imported_repeats,
    imported_runs,
    metric_scales,
    named_columns,
    pairing,
    runs_table,
    study_folders,
)
from variability.results.columns import RUN_VALUE, STREAM_SEEDS

if TYPE_CHECKING:
    import pandas as pd

#: What helps where names of columns do not.
STUDY = "import the table in a study (docs/importing.md) and name the study's folder"
#: Other names that columns of runs often have. They are used in messages alone.
ALIASES = {
    "task": {"dataset", "data_set", "data", "benchmark", "corpus", "domain"},
    "method": {"strategy", "approach", "finetuning", "fine_tuning", "setting", "mode", "variant"},
    "split": {"subset", "partition"},
}
#: Columns of the runs table that no comparison reads.
_UNUSED = {*runs_table.RECORD, *runs_table.SETUP, "n_test", "stderr", "majority"} - {*STREAM_SEEDS, "repeats", "status"}


def read(path: str, metric: str | None, directions: Mapping[str, bool]) -> pd.DataFrame:
    """Return the rows of the runs table that are compared: one metric per task, on the test split after fine-tuning.

    metric: the primary metric if None. directions: {metric: True if higher is better}, of metrics that are not known.
    Raises UserError for files that are not such runs.
    """
    runs = _runs(Path(path), metric, directions)
    if metric is not None:
        runs = runs.assign(primary=runs["metric"] == metric)
        if not runs["primary"].any():
            raise UserError(_no_metric(path, metric, sorted(runs["metric"].unique())))
    rows = primary_rows.select(runs)
    if rows.empty:
        raise UserError(f"{path} has no values of the test split after fine-tuning; name other runs")
    return rows


def _no_metric(path: Path | str, metric: str, names: list[str]) -> str:
    return f"{path} has no metric {metric!r}; {suggest(metric, names)}"


def _runs(path: Path, metric: str | None, directions: Mapping[str, bool]) -> pd.DataFrame:
    if path.is_dir():
        if not (path / study_folders.TABLE).is_file():
            raise UserError(study_folders.unfinished(path))
        return _runs_table(path / study_folders.TABLE)
    if not path.is_file():
        raise UserError(study_folders.absent(path))
    if not tabular.is_table(path):
        raise UserError(
            f"{path} is not a table ({', '.join(tabular.PLAIN_SUFFIXES)}); name a table, or a study's folder"
        )
    names = imported_files.header(imported_files.find({"path": str(path)}), {})
    if {*RUN_VALUE, "primary", "repeats", "status"} <= set(names) and path.with_suffix(".parquet").is_file():
        return _runs_table(path.with_suffix(".parquet"))
    return _imported(path, names, metric, directions)


def _runs_table(path: Path) -> pd.DataFrame:
    """Return a study's runs, without those that repeat others. Studies of older versions lack the last columns."""
    import pandas as pd

    try:
        table = pd.read_parquet(require_listed(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    optional = {*metric_scales.COLUMNS, *imported_facts.COLUMNS, "pairing"}
    if lacking := [name for name in runs_table.COLUMNS if name not in {*table, *optional, *_UNUSED}]:
        raise UserError(f"{path} has no column {lacking[0]!r}, so another version made it; make the study again")
    if not set(metric_scales.COLUMNS) <= set(table):
        table = metric_scales.with_declared(table, imported_runs.metric_facts({}))
    return runs_table.first_runs(table if "pairing" in table else table.assign(pairing=pairing.AUTO))


def _imported(path: Path, names: list[str], metric: str | None, directions: Mapping[str, bool]) -> pd.DataFrame:
    """Return the runs of a table that another program wrote, read by the names of its columns."""
    for role in ("model", "seed"):
        if role not in names:
            raise UserError(
                f"{path} has no column {role!r}; {tabular.suggest_column(role, names)}. Rename the column, or {STUDY}"
            )
    declared = {name: {"higher_is_better": higher} for name, higher in directions.items()}
    known = named_columns.metrics(list(facts := imported_runs.metric_facts({"metrics": declared})), facts)
    spec: dict[str, Any] = {"path": str(path), "columns": {"model": "model", "seed": "seed"}}
    spec["columns"] |= named_columns.roles(names, spec)
    source = imported_files.read(imported_files.find(spec), spec)
    if "value" not in spec["columns"]:
        used = [metric] if metric else named_columns.metrics(names, facts)
        if not set(used) & set(names):
            raise UserError(_no_value(path, metric, names))
        spec["columns"].pop("metric", None)
        spec["metrics"] = {name: declared.get(name) for name in used}
    elif "metric" in spec["columns"]:
        names = list(source.frame["metric"].dropna().unique())
        if metric is not None and metric not in names:
            raise UserError(_no_metric(path, metric, names))
        used = [metric] if metric else names
        spec |= {"where": {"metric": [metric]}} if metric else {}
        spec["metrics"] = {name: declared[name] for name in used if name in declared}
    else:
        if metric is None:
            raise UserError(f"{path} has values but no column 'metric'; say with --metric which metric they are")
        used, spec["constants"] = [metric], {"metric": metric}
        spec["metrics"] = {name: declared[name] for name in used if name in declared}
    if unknown := [name for name in used if name not in known]:
        raise UserError(
            f"{path} has metrics that this project does not know: {listed(unknown)}; compare another with --metric, or "
            f"add --higher-is-better {unknown[0]!r} or --lower-is-better {unknown[0]!r}"
        )
    try:
        tables, _ = imported_runs.read_imports({path.name: source}, {path.name: spec}, {}, {})
    except UserError as error:
        raise UserError(f"{_with_names(str(error), list(source.frame.columns))}, or {STUDY}") from error
    return tables[0]


def _with_names(message: str, names: Sequence[str]) -> str:
    """Return a message with what to change in the table instead of options of imports. names: of its columns."""
    if not message.endswith(imported_repeats.CHOICES):
        return f"{message}. This command has no options of imports: change the table"
    called = {role: [name for name in names if name.lower() in {role, *others}] for role, others in ALIASES.items()}
    renamed = [f"{found[0]!r} to {role!r}" for role, found in called.items() if found and role not in names]
    advice = "Call the column that distinguishes them seed, task, method or split, and leave out steps and reruns"
    if renamed:
        advice = f"Rename the column {listed(renamed, last=' and ')}"
    return message.removesuffix(imported_repeats.CHOICES) + advice


def _no_value(path: Path, metric: str | None, names: list[str]) -> str:
    if metric is not None:
        return f"{path} has no column {metric!r}; {tabular.suggest_column(metric, names)}"
    message = f"{path} has no column 'value' and none called like a known metric; name one with --metric"
    # The column keeps its name, which is not that of a metric, so that its direction has to be stated.
    facts = imported_runs.metric_facts({})
    for column, entry in list(named_columns.proposals(names).items())[:1]:
        direction = "higher" if facts[entry["metric"]]["higher_is_better"] else "lower"
        message += f", as in --metric {shlex.quote(column)} --{direction}-is-better {shlex.quote(column)}"
    return message
