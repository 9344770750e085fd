"""The runs table: one row per run, phase, split and metric, of runs trained here and of imported ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from variability import advice
from variability.errors import UserError
from variability.results import metric_scales, metrics, pairing, run_status
from variability.results.columns import RUN, RUN_VALUE, STREAM_SEED, STREAM_SEEDS, VALUE

if TYPE_CHECKING:
    import pandas as pd

ORDERS = {"phase": ("before", "after"), "split": ("validation", "test")}
#: Value of the column ``source`` for runs that this study trained; imported runs have the name of their import there.
TRAINED_HERE = "trained here"
#: Columns that follow from the config: what was trained.
SETUP = (
    *("source", "provider", "framework", "architecture", "family", "weights", "backbone", "seed_pretrain"),
    *("model_options", "preprocess", "method_kind", "method_options", "repeats"),
)
_OUTCOME = ("status", "fail_reason", "epochs", "best_epoch", "seconds", "peak_memory_mb", "energy_j", "bytes")
_SIZES = ("recipe_hash", "micro_batch", "gpus_per_run", "n_train", "n_validation")
#: Columns from the record of a run: how training went, and on what.
RECORD = (*_OUTCOME, "device", "versions", *_SIZES, *STREAM_SEEDS)
#: What these columns need of a record, see ``artefacts.Kind``.
RECORD_SHAPE = (
    dict.fromkeys((*_OUTCOME, *_SIZES), (int, float, type(None)))
    | {"status": str, "fail_reason": (str, type(None)), "recipe_hash": str, "preprocess": (dict, type(None))}
    | {"hardware": {"device": str, "device_name": str}, "versions": dict}
    | {"streams": dict.fromkeys(STREAM_SEED, (int, type(None)))}
)
#: Columns of a value and its metric.
VALUE_FACTS = (
    *(*VALUE, "value", "n_test", "stderr", "majority", "primary", "higher_is_better", "perfect", "label"),
    *metric_scales.COLUMNS,
)
#: Columns of the runs table. The last two: see ``imported_facts``; splits of runs made here are in ``seed_split``.
COLUMNS = [*RUN, *SETUP, *VALUE_FACTS, *RECORD, "pairing", "deterministic", "folds"]
# In imported runs whole columns are missing, and a column of None alone has no type of its own.
_TYPES = {"energy_j": float, "stderr": float, "seed_pretrain": float, "majority": float, "higher_is_better": object}
_TYPES |= {"folds": float}
_TYPES |= {column: object if column == "unit" else float for column in metric_scales.COLUMNS}


def runs_table(
    scores: pd.DataFrame,
    records: Sequence[Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    methods: Mapping[str, Mapping[str, Any]],
) -> pd.DataFrame:
    """Return the runs table of the runs trained here.

    scores: the columns RUN_VALUE, value and n_test. records: contents of the runs' ``run.json``. The other arguments
    are those of the spec of ``aggregate``. Values of diverged runs are NaN with n_test 0. Raises UserError if scores
    and records contradict each other.
    """
    import pandas as pd

    columns = [*RUN, *SETUP, *RECORD, "deterministic"]
    runs = pd.DataFrame([_describe(record, models, methods) for record in records], columns=columns)
    table = scores.merge(runs, on=RUN, how="outer", validate="many_to_one", indicator=True)
    for side, problem in (("left_only", "has scores but no run.json"), ("right_only", "has a run.json but no scores")):
        _refuse(table[table["_merge"] == side], problem)
    diverged = (table["status"] != "completed") & (table["phase"] == "after")
    _refuse(table[(table["n_test"] == 0) & ~diverged], "completed but has no predictions")
    _refuse(table[(table["n_test"] > 0) & diverged], "diverged but has predictions from after fine-tuning")
    table = run_status.with_non_finite(with_metric_facts(table, metrics.scalar_facts()))
    table["primary"] = table["metric"] == table["task"].map({name: task["metric"] for name, task in tasks.items()})
    # A diverged run has no predictions, but the same examples as the others.
    table["majority"] = table.groupby(["task", "split"])["majority"].transform("max")
    # Predictions are here: nobody has to state the error of their mean.
    table = table.assign(pairing=pairing.AUTO, stderr=float("nan"), folds=float("nan"))
    return sort_rows(table[COLUMNS], ["metric"])


def combine(trained: pd.DataFrame, imported: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the runs trained here and imported ones in one table. Raises UserError if two of them are the same run."""
    import pandas as pd

    parts = [part for part in (trained, *imported) if len(part)]
    if len(parts) <= 1:
        return parts[0] if parts else trained
    table = sort_rows(pd.concat([part.astype(_TYPES) for part in parts], ignore_index=True), ["metric"])
    duplicates = table[table.duplicated(RUN_VALUE, keep=False)]
    if len(duplicates):
        sources = " and ".join(duplicates["source"].unique())
        raise UserError(f"run {_first_run(duplicates)} comes from {sources}; rename the model or the method of one")
    return table


def first_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs table without runs that repeat others to compare results: they are no further evidence."""
    return table[table["repeats"].isna()]


def sort_rows(table: pd.DataFrame, last: list[str]) -> pd.DataFrame:
    """Return the table sorted by run, phase and split, then by the columns ``last``.

    So a table does not depend on the order in which files were read.
    """
    import pandas as pd

    by = RUN + [name for name in ORDERS if name in table] + last
    keys = {
        name: pd.Categorical(table[name], ORDERS[name], ordered=True) if name in ORDERS else table[name] for name in by
    }
    order = pd.DataFrame(keys, index=table.index).sort_values(by, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def with_metric_facts(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the table with the columns label, higher_is_better, perfect and those of the metric's scale.

    facts: {metric: {label, higher_is_better, perfect, and the keys of ``metric_scales.KEYS``}}.
    """
    names = table["metric"]
    for column in ("label", "higher_is_better", "perfect"):
        table[column] = names.map({name: fact[column] for name, fact in facts.items()})
    return metric_scales.with_declared(table.astype({"perfect": float}), facts)


def _describe(record: Mapping[str, Any], models: Mapping[str, Any], methods: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of SETUP and RECORD of a run."""
    model, method = models[record["model"]], methods[record["method"]]
    hardware, streams = record["hardware"], record["streams"]
    return (
        {key: record[key] for key in (*RUN, *_OUTCOME, *_SIZES)}
        | {key: model[key] for key in ("provider", "framework", "architecture", "family", "weights", "backbone")}
        | {
            "source": TRAINED_HERE,
            "seed_pretrain": model["seed_pretrain"],
            "deterministic": not model.get("seeded", True),
            "model_options": json.dumps(model["options"], sort_keys=True),
            "preprocess": json.dumps(record["preprocess"], sort_keys=True),
            "method_kind": method["kind"],
            "method_options": json.dumps(method["options"], sort_keys=True),
            "repeats": method["repeats"],
            "device": f"{hardware['device'].partition(':')[0]}: {hardware['device_name']}",
            "versions": "; ".join(f"{name}={version}" for name, version in sorted(record["versions"].items())),
        }
        | {column: streams[stream] for stream, column in STREAM_SEED.items()}
    )


def _refuse(rows: pd.DataFrame, problem: str) -> None:
    if len(rows):
        message = f"run {_first_run(rows)} {problem}; {advice.rerun('finetune', 'its folder under finetune')}"
        raise UserError(message)


def _first_run(rows: pd.DataFrame) -> str:
    return "/".join(str(rows.iloc[0][key]) for key in RUN)
