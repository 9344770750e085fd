"""From the scores and records of all runs, and from runs made elsewhere, to the base tables of the study."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from variability import advice
from variability.data import kinds
from variability.errors import UserError
from variability.io.files import read_json, replacing, sha256, write_json
from variability.results import imported_runs
from variability.results.columns import RUN
from variability.results.runs_table import combined, imported_table, in_order, runs_table
from variability.stages.score import SCHEMA

#: Rows of a group, pyarrow's default.
GROUP = 2**20
TABLES = ("runs.parquet", "per_class.parquet", "history.parquet")


def aggregate(
    scores: Sequence[Path],
    manifests: Sequence[Path],
    spec: Mapping[str, Any],
    folder: Path,
    imported: Mapping[str, Path] | None = None,
) -> None:
    """Writes ``runs.parquet``, ``runs.csv``, ``per_class.parquet``, ``history.parquet`` and their ``manifest.json``.

    scores: manifests of the tables of ``score``, which lie below them. manifests: of all blocks of ``finetune``; each
    run's ``run.json`` and ``history.csv`` lie in a folder named by its seed beside the manifest. spec: ``models``
    {name: {provider, framework, architecture, family, weights, options, backbone, seed_pretrain}}, ``tasks``
    {name: {kind, metric}},
    ``methods`` {name: {kind, options}}, ``imports`` {name: how to read that file, see ``imports.imported_runs``},
    ``grid`` which of their runs to keep.
    imported: {name: file}. The bytes do not depend on the order of the files. Raises UserError if scores and records
    disagree, a run's files are gone or cannot be read, or an import makes no sense.
    """
    folders = [Path(path).parent / str(run["seed"]) for path in manifests for run in read_json(path)["runs"]]
    records = [_read(run / "run.json", read_json) for run in folders]
    tables = [Path(path).parent / name for path in scores for name in read_json(path)["tables"]]
    scored = pa.concat_tables([SCHEMA.empty_table(), *(_read(path, _scores) for path in tables)])
    # First, and then out of memory: these are most of the rows.
    per_class = scored.filter(pc.is_valid(scored["class"])).to_pandas()
    _write_parquet(in_order(per_class, ["metric", "class", "predicted"]), folder / "per_class.parquet")
    del per_class
    scored = scored.filter(pc.is_null(scored["class"])).drop_columns(["class", "predicted"]).to_pandas()
    here = {key: spec[key] for key in ("models", "tasks", "methods")}
    own = runs_table(scored, records, **here)
    del scored
    others = [
        imported_table(
            imported_runs.load(path, spec["imports"][name]), spec["imports"][name], name, spec["tasks"], spec["grid"]
        )
        for name, path in (imported or {}).items()
    ]
    runs = combined(own, others)
    _write_parquet(runs, folder / "runs.parquet")
    with replacing(folder / "runs.csv") as aside:
        _write(runs, lambda schema: pa.csv.CSVWriter(aside, schema))
    del runs
    again = {name for name, method in spec["methods"].items() if method["repeats"]}
    first = [(run, record) for run, record in zip(folders, records, strict=True) if record["method"] not in again]
    curves = history_table([run / "history.csv" for run, _ in first], [record for _, record in first], spec["tasks"])
    _write_parquet(curves, folder / "history.parquet")
    # Small, so that Snakemake compares it by checksum, whatever the size of the tables.
    write_json(folder / "manifest.json", {name: sha256(folder / name) for name in TABLES})


def _scores(path: Path) -> pa.Table:
    return pq.read_table(path).replace_schema_metadata(None)


def history_columns() -> list[str]:
    """Columns of the learning curves that hold numbers, whatever the kinds of a study's tasks."""
    measures = sorted({each.MEASURE for each in kinds.all_kinds().values()})
    measured = ["train_loss", "validation_loss", *(f"validation_{measure}" for measure in measures)]
    return ["epoch", *measured, "lr", "seconds", "examples_per_second"]


def history_table(
    histories: Sequence[Path], records: Sequence[Mapping[str, Any]], tasks: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """The learning curves: one row per run and epoch (0 = before training), with the run's status and task's kind.

    What a task's kind does not measure is missing: accuracy in regression.
    """
    columns = history_columns()
    if not histories:
        return pd.DataFrame(columns=[*RUN, "status", "kind", *columns])
    types = {name: pa.int64() if name == "epoch" else pa.float64() for name in columns}
    convert = pa.csv.ConvertOptions(column_types=types, include_columns=columns, include_missing_columns=True)
    curves = [_read(path, lambda found: pa.csv.read_csv(found, convert_options=convert)) for path in histories]
    table = pa.concat_tables(curves).to_pandas()
    rows = [curve.num_rows for curve in curves]
    keys = {key: np.repeat([record[key] for record in records], rows) for key in [*RUN, "status"]}
    keys["kind"] = np.repeat([tasks[record["task"]]["kind"] for record in records], rows)
    return in_order(pd.DataFrame(keys).join(table), ["epoch"])


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is gone; {advice.rerun('finetune')}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); {advice.rerun('finetune')}") from error


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as aside:
        _write(table, lambda schema: pq.ParquetWriter(aside, schema))


def _write(table: pd.DataFrame, writer: Callable[[pa.Schema], Any]) -> None:
    """Writes a table as many rows at a time as a group of parquet has: Arrow spells out every word of every row."""
    # Without pandas' own metadata, which names library versions, equal tables make equal files.
    schema = pa.schema([(name, pa.array(table[name].drop_duplicates(), from_pandas=True).type) for name in table])
    with writer(schema) as opened:
        for at in range(0, max(len(table), 1), GROUP):
            part = table.iloc[at : at + GROUP]
            columns = [pa.array(part[name], schema.field(name).type, from_pandas=True) for name in table]
            opened.write_table(pa.table(columns, schema))
