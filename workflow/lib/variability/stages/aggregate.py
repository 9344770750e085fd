"""From the scores and records of all runs to the base tables of the study."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from variability import remedies, seeding
from variability.errors import UserError
from variability.files import read_json, replacing, sha256, write_json
from variability.metrics import scalars

KEYS = ["model", "task", "method", "seed"]
ORDERS = {"phase": ("before", "after"), "split": ("validation", "test")}
HISTORY = (
    *("epoch", "train_loss", "validation_loss", "validation_accuracy", "validation_rmse"),
    *("lr", "seconds", "images_per_second"),
)
TABLES = ("runs.parquet", "per_class.parquet", "history.parquet")


def aggregate(scores: Sequence[Path], manifests: Sequence[Path], spec: Mapping[str, Any], folder: Path) -> None:
    """Writes ``runs.parquet``, ``runs.csv``, ``per_class.parquet``, ``history.parquet`` and their ``manifest.json``.

    scores: of all blocks. manifests: of all blocks of ``finetune``; each run's ``run.json`` and ``history.csv`` lie in
    a folder named by its seed beside the manifest. spec: ``models`` {name: {provider, architecture, weights,
    options}}, ``tasks`` {name: {kind, metric}}, ``methods`` {name: {kind}}. The bytes do not depend on the order of
    the files. Raises UserError if scores and records disagree, or a run's files are gone or cannot be read.
    """
    folders = [Path(path).parent / str(run["seed"]) for path in manifests for run in read_json(path)["runs"]]
    records = [_read(run / "run.json", read_json) for run in folders]
    scored = pa.concat_tables([pq.read_table(path) for path in scores]).to_pandas()
    per_class = scored["class"].notna()
    runs = runs_table(scored[~per_class].drop(columns=["class", "predicted"]), records, **spec)
    _write_parquet(runs, folder / "runs.parquet")
    with replacing(folder / "runs.csv") as aside:
        pa.csv.write_csv(_arrow(runs), aside)
    _write_parquet(_sorted(scored[per_class], ["metric", "class", "predicted"]), folder / "per_class.parquet")
    histories = [run / "history.csv" for run in folders]
    _write_parquet(history_table(histories, records, spec["tasks"]), folder / "history.parquet")
    # Small, so that Snakemake compares it by checksum, whatever the size of the tables.
    write_json(folder / "manifest.json", {name: sha256(folder / name) for name in TABLES})


def runs_table(
    scores: pd.DataFrame,
    records: Sequence[Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    methods: Mapping[str, Mapping[str, Any]],
) -> pd.DataFrame:
    """The runs table: one row per run, phase, split and metric, with all that is known of the run.

    scores: model, task, method, seed, phase, split, metric, value, n_test. records: the runs' ``run.json``. The other
    arguments are those of the spec in ``aggregate``.
    ``perfect`` is the metric's value of a perfect prediction. Values of diverged runs are NaN with n_test 0.
    """
    described = pd.DataFrame([_describe(record, models, methods) for record in records])
    table = scores.merge(described, on=KEYS, how="outer", validate="many_to_one", indicator=True)
    for side, what in (("left_only", "scores but no run.json"), ("right_only", "a run.json but no scores")):
        _refuse(table[table["_merge"] == side], f"has {what}")
    diverged = (table["status"] != "completed") & (table["phase"] == "after")
    _refuse(table[(table["n_test"] == 0) & ~diverged], "completed but lacks predictions")
    _refuse(table[(table["n_test"] > 0) & diverged], "diverged but has predictions from after fine-tuning")
    names = table["metric"]
    known = scalars()
    table["label"] = names.map({name: plugin.LABELS[name] for name, plugin in known.items()})
    table["higher_is_better"] = names.map({name: plugin.HIGHER_IS_BETTER for name, plugin in known.items()})
    table["perfect"] = names.map({name: plugin.PERFECT for name, plugin in known.items()}).astype(float)
    table["primary"] = names == table["task"].map({name: task["metric"] for name, task in tasks.items()})
    of_run = [column for column in described if column not in KEYS]
    of_value = ["phase", "split", "metric", "value", "n_test", "primary", "higher_is_better", "perfect", "label"]
    kinds = ["provider", "architecture", "weights", "model_options", "preprocess", "method_kind"]
    columns = KEYS + kinds + of_value + [column for column in of_run if column not in kinds]
    return _sorted(table[columns], ["metric"])


def history_table(
    histories: Sequence[Path], records: Sequence[Mapping[str, Any]], tasks: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """The learning curves: one row per run and epoch (0 = before training), with the run's status and task's kind.

    What a task's kind does not measure (accuracy in regression, RMSE in classification) is missing.
    """
    if not histories:
        return pd.DataFrame(columns=[*KEYS, "status", "kind", *HISTORY])
    types = {name: pa.int64() if name == "epoch" else pa.float64() for name in HISTORY}
    convert = pa.csv.ConvertOptions(column_types=types, include_columns=list(HISTORY), include_missing_columns=True)
    curves = [_read(path, lambda found: pa.csv.read_csv(found, convert_options=convert)) for path in histories]
    table = pa.concat_tables(curves).to_pandas()
    rows = [curve.num_rows for curve in curves]
    keys = {key: np.repeat([record[key] for record in records], rows) for key in [*KEYS, "status"]}
    keys["kind"] = np.repeat([tasks[record["task"]]["kind"] for record in records], rows)
    return _sorted(pd.DataFrame(keys).join(table), ["epoch"])


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is gone; {remedies.again('finetune')}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); {remedies.again('finetune')}") from error


def _describe(record: Mapping[str, Any], models: Mapping[str, Any], methods: Mapping[str, Any]) -> dict[str, Any]:
    model, hardware, streams = models[record["model"]], record["hardware"], record["streams"]
    plain = ("status", "fail_reason", "epochs", "best_epoch", "seconds", "peak_memory_mb", "energy_j")
    return (
        {key: record[key] for key in KEYS}
        | {key: model[key] for key in ("provider", "architecture", "weights")}
        | {"model_options": json.dumps(model["options"], sort_keys=True)}
        | {"preprocess": json.dumps(record["preprocess"], sort_keys=True)}
        | {"method_kind": methods[record["method"]]["kind"]}
        | {key: record[key] for key in plain}
        | {"device": f"{hardware['device'].partition(':')[0]}: {hardware['device_name']}"}
        | {"versions": _joined(record["versions"])}
        | {key: record[key] for key in ("recipe_hash", "n_train", "n_validation")}
        | {f"seed_{stream}": streams[stream] for stream in seeding.STREAMS}
    )


def _joined(facts: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}={facts[key]}" for key in sorted(facts))


def _refuse(rows: pd.DataFrame, why: str) -> None:
    if len(rows):
        run = "/".join(str(rows.iloc[0][key]) for key in KEYS)
        raise UserError(f"run {run} {why}; {remedies.again('finetune', 'its folder under finetune')}")


def _sorted(table: pd.DataFrame, last: list[str]) -> pd.DataFrame:
    by = KEYS + [name for name in ORDERS if name in table] + last
    ranks = {
        name: pd.Categorical(table[name], ORDERS[name], ordered=True) if name in ORDERS else table[name] for name in by
    }
    order = pd.DataFrame(ranks, index=table.index).sort_values(by, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _arrow(table: pd.DataFrame) -> pa.Table:
    # Without pandas' own metadata, which names library versions, equal tables make equal files.
    return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with replacing(path) as aside:
        pq.write_table(_arrow(table), aside)
