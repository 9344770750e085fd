"""Base tables of a study, from the scores and records of all its runs and from imported runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from variability.data import kinds
from variability.errors import UserError
from variability.io.artefacts import (
    FITTED,
    LISTING,
    PROBES,
    SCORES,
    Kind,
    read_record,
    require,
    write_checksums,
)
from variability.io.files import replacing
from variability.io.spreadsheet_text import guarded
from variability.results import (
    imported_predictions,
    imported_runs,
    pairing,
    probe_table,
    score_table,
    task_groups,
)
from variability.results.columns import RUN
from variability.results.metric_scales import with_declared
from variability.results.runs_table import RECORD_SHAPE, combine, runs_table, sort_rows
from variability.stages._records import read_run

#: Rows of a row group of parquet, pyarrow's default.
GROUP_ROWS = 2**20
TABLES = (
    *("runs.parquet", "per_class.parquet", "history.parquet", "reference_probe.parquet"),
    imported_predictions.FILE,
)


def aggregate(
    scores: Sequence[Path],
    manifests: Sequence[Path],
    spec: Mapping[str, Any],
    folder: Path,
    imported: Mapping[str, Sequence[Path]] | None = None,
    probes: Sequence[Path] = (),
) -> None:
    """Write the tables, ``runs.csv`` and ``manifest.json``.

    scores: manifests of ``score``, whose tables are below their folders. manifests: of all seed chunks of ``finetune``;
    next to each, a folder for each seed contains the run's ``run.json`` and ``history.csv``. spec: ``models`` {name:
    {provider, framework, architecture, family, weights, options, backbone, seed_pretrain}}, ``tasks`` {name: {kind,
    metric}}, ``methods`` {name: {kind, options, repeats}}, ``imports`` {name: how to read that file, see
    ``imported_runs.rows_of_file``, its ``position`` in the config and the ``names`` of its files}, ``grid`` the
    selection of imported runs, ``scales`` {metric: declaration, see ``metric_scales``}, ``pairing`` and
    ``task_groups`` see ``results``. imported: {name: files}. probes: manifests of ``reference_probe``, none or one.

    The bytes written do not depend on the order of the files. Raises UserError if scores and records contradict each
    other, a run's files are missing or cannot be read, or an import is inconsistent.
    """
    folders, records = _runs(manifests)
    tables = [score_table.read(path) for path in _tables(scores, SCORES)]
    scored = pa.concat_tables([score_table.SCHEMA.empty_table(), *tables])
    # First, so that their memory, most of the rows, is free again for the rest.
    per_class = scored.filter(pc.is_valid(scored["class"])).to_pandas()
    _write_parquet(sort_rows(per_class, ["metric", "class", "predicted"]), folder / "per_class.parquet")
    del per_class
    scored = scored.filter(pc.is_null(scored["class"])).drop_columns(["class", "predicted"]).to_pandas()
    trained = runs_table(scored, records, spec["models"], spec["tasks"], spec["methods"])
    del scored
    statuses = trained.groupby(RUN, sort=False)["status"].first()
    others = imported_runs.read_all(imported or {}, spec)
    with replacing(folder / imported_predictions.FILE) as temporary:
        imported_predictions.write(others.examples, temporary)
    others = others._replace(examples=None)
    runs = all_runs(trained, others, spec)
    _write_parquet(runs, folder / "runs.parquet")
    with replacing(folder / "runs.csv") as temporary:
        _write(runs, lambda schema: pa.csv.CSVWriter(temporary, schema), _guarded)
    del runs
    repeating = {name for name, method in spec["methods"].items() if method["repeats"]}
    # The status of the runs table, in which an infinite score also means that a run diverged.
    first = [
        (run, record | {"status": statuses[tuple(record[key] for key in RUN)]})
        for run, record in zip(folders, records, strict=True)
        if record["method"] not in repeating
    ]
    curves = history_table([run / "history.csv" for run, _ in first], [record for _, record in first], spec["tasks"])
    _write_parquet(curves, folder / "history.parquet")
    _write_probes(probes, folder / "reference_probe.parquet")
    # Small, so that Snakemake compares it by checksum, whatever the size of the tables.
    write_checksums(folder / LISTING, (*TABLES, "runs.csv"))


def all_runs(trained: pd.DataFrame, imported: imported_runs.Imported, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Return the runs table of a study: runs trained here and imported ones, with what the study declares of them.

    Raises UserError if two of them are the same run, and if seeds that are labels are declared to be pairs.
    """
    declared = spec.get("pairing", pairing.AUTO)
    sources = len(imported.tables) + bool(len(trained))
    if declared == pairing.BY_SEED and (message := pairing.problem_of_labels(imported.labelled, sources)):
        raise UserError(f"pairing: {message}")
    runs = pairing.declared(with_declared(combine(trained, imported.tables), spec["scales"]), declared)
    return task_groups.declared(runs, spec.get("task_groups", {}))


def _runs(manifests: Sequence[Path]) -> tuple[list[Path], list[dict[str, Any]]]:
    """Return the folders and the records of all runs that manifests of ``finetune`` list."""
    folders, records = [], []
    for manifest in manifests:
        for run in read_record(manifest, FITTED)["runs"]:
            folders.append(Path(manifest).parent / str(run["seed"]))
            records.append(read_run(manifest, run, RECORD_SHAPE | {"sha256": {"history": str}}))
    return folders, records


def _tables(manifests: Sequence[Path], kind: Kind) -> Iterator[Path]:
    """Yield the tables that manifests list, after comparing them with their checksums."""
    for manifest in manifests:
        for name, checksum in read_record(manifest, kind)["tables"].items():
            yield require(Path(manifest).parent / name, checksum, kind.rule)


def _write_probes(manifests: Sequence[Path], target: Path) -> None:
    tables = [probe_table.SCHEMA.empty_table(), *(probe_table.read(path) for path in _tables(manifests, PROBES))]
    with replacing(target) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary)


def history_columns() -> list[str]:
    """Return the numeric columns of the learning curves, for tasks of all kinds."""
    measures = sorted({kind.MEASURE for kind in kinds.all_kinds().values()})
    measured = ["train_loss", "validation_loss", *(f"validation_{measure}" for measure in measures)]
    return ["epoch", *measured, "lr", "seconds", "examples_per_second"]


def history_table(
    histories: Sequence[Path], records: Sequence[Mapping[str, Any]], tasks: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Return the learning curves: one row per run and epoch (0 = before training), with run, status and task kind.

    histories, records: a ``history.csv`` and the contents of ``run.json`` for each run. A measure that a task's kind
    does not have is missing: accuracy in regression.
    """
    columns = history_columns()
    if not histories:
        return pd.DataFrame(columns=[*RUN, "status", "kind", *columns])
    types = {name: pa.int64() if name == "epoch" else pa.float64() for name in columns}
    convert = pa.csv.ConvertOptions(column_types=types, include_columns=columns, include_missing_columns=True)
    checksums = [record["sha256"]["history"] for record in records]
    curves = [
        pa.csv.read_csv(require(path, checksum, "finetune"), convert_options=convert)
        for path, checksum in zip(histories, checksums, strict=True)
    ]
    table = pa.concat_tables(curves).to_pandas()
    rows = [curve.num_rows for curve in curves]
    keys = {key: np.repeat([record[key] for record in records], rows) for key in [*RUN, "status"]}
    keys["kind"] = np.repeat([tasks[record["task"]]["kind"] for record in records], rows)
    return sort_rows(pd.DataFrame(keys).join(table), ["epoch"])


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        _write(table, lambda schema: pq.ParquetWriter(temporary, schema))


def _write(
    table: pd.DataFrame,
    writer: Callable[[pa.Schema], Any],
    change: Callable[[pd.Series], pd.Series] = lambda column: column,
) -> None:
    """Write a table group by group: Arrow needs memory for every string of every row that it converts at once.

    change: function that is applied to each column of a group.
    """
    # Without pandas' own metadata, which names library versions, equal tables make equal files.
    schema = pa.schema([(name, pa.array(table[name].drop_duplicates(), from_pandas=True).type) for name in table])
    with writer(schema) as opened:
        for start in range(0, max(len(table), 1), GROUP_ROWS):
            part = table.iloc[start : start + GROUP_ROWS]
            columns = [pa.array(change(part[name]), schema.field(name).type, from_pandas=True) for name in table]
            opened.write_table(pa.table(columns, schema))


def _guarded(column: pd.Series) -> pd.Series:
    """Return a column of text as it is written to a CSV file that a spreadsheet may open, other columns unchanged."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    texts = [value for value in column.drop_duplicates() if isinstance(value, str)]
    marked = {text: safe for text in texts if (safe := guarded(text)) != text}
    return column.replace(marked) if marked else column
