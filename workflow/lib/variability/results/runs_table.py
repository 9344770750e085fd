"""The runs table: one row per run, phase, split and metric, of runs trained here and of imported ones."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from variability import advice
from variability.errors import UserError
from variability.results import imported_runs
from variability.results.columns import RUN, RUN_VALUE, STREAM_SEED, STREAM_SEEDS, VALUE
from variability.results.run_selection import selects

ORDERS = {"phase": ("before", "after"), "split": ("validation", "test")}
#: What the column ``source`` says of runs that this study trained; else it names the import.
HERE = "trained here"
KINDS = (
    *("source", "provider", "framework", "architecture", "family", "weights", "backbone", "seed_pretrain"),
    "model_options",
    *("preprocess", "method_kind", "method_options", "repeats"),
)
RECORD = (
    *("status", "fail_reason", "epochs", "best_epoch", "seconds", "peak_memory_mb", "energy_j", "bytes"),
    *("device", "versions", "recipe_hash", "n_train", "n_validation"),
    *STREAM_SEEDS,
)
OF_VALUE = (*VALUE, "value", "n_test", "majority", "primary", "higher_is_better", "perfect", "label")
OF_RUN = [*RUN, *KINDS, *RECORD]
#: Columns of the runs table.
COLUMNS = [*RUN, *KINDS, *OF_VALUE, *RECORD]
# Of imported runs whole columns are missing, and an object column of nothing but None has no type of its own.
TYPES = {"energy_j": float, "seed_pretrain": float, "majority": float, "higher_is_better": object}


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
    described = pd.DataFrame([_describe(record, models, methods) for record in records], columns=OF_RUN)
    table = scores.merge(described, on=RUN, how="outer", validate="many_to_one", indicator=True)
    for side, what in (("left_only", "scores but no run.json"), ("right_only", "a run.json but no scores")):
        _refuse(table[table["_merge"] == side], f"has {what}")
    diverged = (table["status"] != "completed") & (table["phase"] == "after")
    _refuse(table[(table["n_test"] == 0) & ~diverged], "completed but lacks predictions")
    _refuse(table[(table["n_test"] > 0) & diverged], "diverged but has predictions from after fine-tuning")
    table = _with_facts(table, imported_runs.facts_of({}))
    table["primary"] = table["metric"] == table["task"].map({name: task["metric"] for name, task in tasks.items()})
    # Of a run that diverged there are no predictions; its examples are those of the others.
    table["majority"] = table.groupby(["task", "split"])["majority"].transform("max")
    return in_order(table[COLUMNS], ["metric"])


def imported_table(
    frame: pd.DataFrame,
    spec: Mapping[str, Any],
    name: str,
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> pd.DataFrame:
    """The runs table of a file of runs made elsewhere; what is not known of them is missing."""
    return of_study(imported_runs.imported_runs(frame, spec, name), spec, name, tasks, grid)


def of_study(
    table: pd.DataFrame,
    spec: Mapping[str, Any],
    name: str,
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> pd.DataFrame:
    """Of the runs of a file, those that the grid selects, with what the study says of their metrics.

    A task's primary metric is the one the study or the import says, else the first of the file's that it has.
    """
    units = table[RUN].drop_duplicates()
    wanted = units[[selects(grid, *unit) for unit in units.itertuples(index=False)]]
    table = table.merge(wanted, on=RUN, how="inner")
    table = _with_facts(table, imported_runs.facts_of(spec))
    said = spec.get("primary", {})
    chosen = table.drop_duplicates("task").set_index("task")["metric"]
    for task in chosen.index:
        given = said if isinstance(said, str) else said.get(task)
        chosen[task] = tasks[task]["metric"] if task in tasks else given or chosen[task]
    table["primary"] = table["metric"] == table["task"].map(chosen)
    for task in chosen.index[~chosen.index.isin(table.loc[table["primary"], "task"])]:
        raise UserError(f"{name}: no run of task {task} has a value of its primary metric {chosen[task]!r}")
    table = table.assign(source=name, family=table["model"], backbone=table["model"])
    return in_order(table.reindex(columns=COLUMNS), ["metric"])


def combined(own: pd.DataFrame, others: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Runs trained here and imported ones, in one table. Raises UserError if two of them are the same run."""
    parts = [part for part in (own, *others) if len(part)]
    if len(parts) <= 1:
        return parts[0] if parts else own
    table = in_order(pd.concat([part.astype(TYPES) for part in parts], ignore_index=True), ["metric"])
    twice = table[table.duplicated(RUN_VALUE, keep=False)]
    if len(twice):
        run, sources = "/".join(str(twice.iloc[0][key]) for key in RUN), " and ".join(twice["source"].unique())
        raise UserError(f"run {run} comes from {sources}; give one of them another method or model name")
    return table


def first_runs(table: pd.DataFrame) -> pd.DataFrame:
    """The runs table without runs made again to see whether they come out the same: they are no further evidence."""
    return table[table["repeats"].isna()]


def in_order(table: pd.DataFrame, last: list[str]) -> pd.DataFrame:
    """The table by run, phase and split, then by the columns ``last``: the order files come in leaves no trace."""
    by = RUN + [name for name in ORDERS if name in table] + last
    ranks = {
        name: pd.Categorical(table[name], ORDERS[name], ordered=True) if name in ORDERS else table[name] for name in by
    }
    order = pd.DataFrame(ranks, index=table.index).sort_values(by, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _with_facts(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    names = table["metric"]
    for fact in ("label", "higher_is_better", "perfect"):
        table[fact] = names.map({name: known[fact] for name, known in facts.items()})
    return table.astype({"perfect": float})


def _describe(record: Mapping[str, Any], models: Mapping[str, Any], methods: Mapping[str, Any]) -> dict[str, Any]:
    model, hardware, streams = models[record["model"]], record["hardware"], record["streams"]
    method = methods[record["method"]]
    plain = ("status", "fail_reason", "epochs", "best_epoch", "seconds", "peak_memory_mb", "energy_j", "bytes")
    return (
        {key: record[key] for key in RUN}
        | {
            "source": HERE,
            "method_kind": method["kind"],
            "repeats": method["repeats"],
            "seed_pretrain": model["seed_pretrain"],
        }
        | {key: model[key] for key in ("provider", "framework", "architecture", "family", "weights", "backbone")}
        | {"model_options": json.dumps(model["options"], sort_keys=True)}
        | {"method_options": json.dumps(method["options"], sort_keys=True)}
        | {"preprocess": json.dumps(record["preprocess"], sort_keys=True)}
        | {key: record[key] for key in plain}
        | {"device": f"{hardware['device'].partition(':')[0]}: {hardware['device_name']}"}
        | {"versions": _joined(record["versions"])}
        | {key: record[key] for key in ("recipe_hash", "n_train", "n_validation")}
        | {column: streams[stream] for stream, column in STREAM_SEED.items()}
    )


def _joined(facts: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}={facts[key]}" for key in sorted(facts))


def _refuse(rows: pd.DataFrame, why: str) -> None:
    if len(rows):
        run = "/".join(str(rows.iloc[0][key]) for key in RUN)
        raise UserError(f"run {run} {why}; {advice.rerun('finetune', 'its folder under finetune')}")
