"""Runs as a table for scripts and notebooks: those of a study, of a file, or of a data frame."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from variability import advice, registry
from variability.config import plain_values, schema_messages, specs, validate
from variability.config.schema import config_schema
from variability.errors import ConfigError, UserError
from variability.interactive import data_frames
from variability.io.artefacts import require_listed
from variability.results import (
    base_tables,
    imported_facts,
    imported_files,
    imported_layout,
    imported_runs,
    metric_scales,
    named_columns,
    pairing,
    readers,
    runs_table,
    study_folders,
)
from variability.results.columns import RUN_VALUE
from variability.stages.aggregate import all_runs

#: Columns that tables of earlier versions lack.
_LATER = {*metric_scales.COLUMNS, *imported_facts.COLUMNS, "pairing", "gpus_per_run"}
#: Columns by which a runs table is recognised.
_MARKS = {*RUN_VALUE, "primary", "repeats", "status"}
_NAME = "table"


def read_runs(source: Any, **options: Any) -> pd.DataFrame:
    """Return a runs table: one row per run, phase, split and metric, with the columns of a study's runs.parquet.

    source: the folder of a finished study, the path of a table, or a data frame (pandas, polars, Arrow, or anything
    else that exports Arrow). A table of one's own has a row per run with columns ``model``, ``seed``, and ``task`` and
    ``method`` if there are any, and its values in columns called like their metrics, or in ``metric`` and ``value``.
    options: the keys of an entry of ``imports`` in the config, such as ``columns`` and ``metrics`` where the names are
    others, and ``pairing``. Raises UserError with all that is wrong.
    """
    if isinstance(source, str | Path):
        return _of_path(Path(source), options)
    table = data_frames.table(source)
    if not options and set(table.column_names) >= _MARKS:
        return complete(table.to_pandas(), "the table")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{_NAME}.parquet")
        pq.write_table(table, path)
        try:
            return _imported(path, options)
        except UserError as error:
            raise UserError(str(error).replace(str(path), "the table").replace(path.name, "the table")) from error


def complete(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a runs table with the columns that tables of earlier versions lack. Raises UserError for any others."""
    if lacking := [column for column in runs_table.COLUMNS if column not in {*table, *_LATER}]:
        raise UserError(
            f"{name} has no column {lacking[0]!r} of a runs table: keep all columns of runs.parquet, and if an earlier "
            "version made it, run the study again"
        )
    if not set(metric_scales.COLUMNS) <= set(table):
        table = metric_scales.with_declared(table, imported_runs.metric_facts({}))
    return table if "pairing" in table else table.assign(pairing=pairing.AUTO)


def _of_path(path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    if path.is_dir() and not options:
        if not (path / study_folders.TABLE).is_file():
            raise UserError(study_folders.unfinished(path))
        path = path / study_folders.TABLE
    if not (options or path.exists() or path.suffix or glob.has_magic(str(path))):
        raise UserError(study_folders.absent(path))
    if not options and path.with_suffix(".parquet").is_file():
        parquet = path.with_suffix(".parquet")
        try:
            names = set(pq.read_schema(parquet).names)
        except (OSError, ValueError) as error:
            raise UserError(f"{parquet} cannot be read: {error}") from error
        if names >= _MARKS:
            return complete(base_tables.read(require_listed(parquet)), str(parquet))
    return _imported(path, options)


def _imported(path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    """Return the runs of a table that another program wrote, by the code that imports runs for a study."""
    entry = {"path": str(path), **{key: value for key, value in options.items() if key != "pairing"}}
    study: dict[str, Any] = {"study": _NAME, "imports": {_NAME: entry}}
    study |= {"pairing": options["pairing"]} if "pairing" in options else {}
    study, problems = plain_values.plain(study)
    try:
        if problems := problems or list(schema_messages.problems(study, config_schema())):
            raise ConfigError(problems)
        entry = study["imports"][_NAME] = _with_columns(study["imports"][_NAME])
        spec = specs.aggregate(validate.check(study))
    except ConfigError as error:
        # The keys of the entry are the arguments of the call.
        prefix = f"imports.{_NAME}."
        shown = [str(problem).removeprefix(prefix).removeprefix("path: ") for problem in error.problems]
        raise UserError(f"these are not runs:\n{advice.one_per_line(shown)}") from error
    files = imported_files.find(entry)
    spec["imports"][_NAME]["names"] = [file.name for file in files]
    imported = imported_runs.read_all({_NAME: [file.path for file in files]}, spec)
    return all_runs(pd.DataFrame(columns=runs_table.COLUMNS), imported, spec)


def _with_columns(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the entry with the columns that are called like their roles, and like metrics that are known.

    entry: its keys have the types of the schema. Files that a program wrote with names of its own stay as they are.
    """
    if "format" in entry and (entry["format"] not in registry.names("readers") or _has_layout_of_its_own(entry)):
        return entry
    names = imported_files.header(imported_files.find(entry), entry)
    columns = named_columns.roles(names, entry) | entry.get("columns", {})
    if imported_layout.examples(entry) is not None:
        return entry | {"columns": columns}
    if imported_layout.is_long(entry, columns):
        return entry | {"columns": columns}
    columns.pop("metric", None)
    if entry.get("metrics"):
        return entry | {"columns": columns}
    if not (known := named_columns.metrics(names, imported_runs.metric_facts({}))):
        examples = named_columns.proposals(names) or {"my_score": {"higher_is_better": True}}
        raise UserError(
            "the table has no column 'value' and none called like a known metric; name those with the metrics, as in "
            f"metrics={examples}. The columns are {advice.listed(names, 30)}"
        )
    return entry | {"columns": columns, "metrics": dict.fromkeys(known)}


def _has_layout_of_its_own(entry: Mapping[str, Any]) -> bool:
    return isinstance(readers.of(entry), readers.WrittenReader)
