"""Runs that were made elsewhere, as rows of the runs table.

A file is read by the names of its columns, never by their position or the shape of an array: an axis taken for
another one would make intervals falsely tiny. What the names do not settle is refused.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability import registry
from variability.errors import Problem, UserError
from variability.metrics import scalars

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)

KEYS = ["model", "task", "method", "seed"]
#: What a column can say of a run, beside its metrics.
ROLES = (*KEYS, "split", "phase", "metric", "value", "status", "seconds", "n_test", "majority", "energy_j")
DEFAULTS = {"task": "task", "method": "fine-tuned", "split": "test", "phase": "after"}
#: Columns that trackers name alike in all their exports.
FORMATS = {
    "table": {},
    "wandb": {"status": "State", "seconds": "Runtime"},
    "mlflow": {"status": "status"},
}
COMPLETED = {"", "completed", "complete", "finished", "done", "success", "ok", "nan"}
TIMES = ("start_time", "end_time")


def header(path: Path) -> list[str]:
    """Names of the columns of a CSV (or TSV) or parquet file; reads no more than that."""
    if Path(path).suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_schema(path).names
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        return next(csv.reader(file, delimiter=_delimiter(path)), [])


def check(spec: Mapping[str, Any], names: list[str]) -> Iterator[Problem]:
    """What is wrong with the description of a file that has columns of these names."""
    roles = roles_of(spec, names)
    for role in spec.get("columns", {}):
        if role not in ROLES:
            yield Problem(f"columns.{role}", f"unknown; {registry.suggest(role, ROLES)}")
    for role, column in roles.items():
        if column not in names:
            yield Problem(f"columns.{role}", f"the file has no column {column!r}; {registry.suggest(column, names)}")
    for role, column in roles.items():
        if column in KEYS and column != role and column in names:
            yield Problem(f"columns.{role}", f"the column {column!r} holds the {column}s, by its name, not the {role}")
    for key in ("metrics", "seeds"):
        for column in spec.get(key, {}):
            if column not in names:
                yield Problem(f"{key}.{column}", f"the file has no such column; {registry.suggest(column, names)}")
    known = {*roles, *spec.get("constants", {}), *DEFAULTS}
    seeds, metrics = spec.get("seeds", {}), spec.get("metrics", {})
    for role in ("model", "seed"):
        if role not in known and not (role == "seed" and seeds):
            yield Problem("columns", f"nothing says which column holds the {role}; add `{role}: <column>`")
    if seeds and "seed" in known:
        yield Problem("seeds", "the seeds stand in columns of their own and in one column; take one of them out")
    if bool(metrics) == bool("value" in roles or seeds):
        yield Problem("metrics", "say either which columns hold metrics, or which one column (or seeds) the values")
    if not metrics and "metric" not in known:
        yield Problem("columns", "nothing says which metric the values are; add `metric: <column>` or a constant")
    yield from _metric_problems(spec)


def roles_of(spec: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    """The column of every role: those the config names, and those that the tracker's format names always so."""
    usual = {role: column for role, column in FORMATS[spec.get("format", "table")].items() if column in names}
    constants = spec.get("constants", {})
    return {role: column for role, column in usual.items() if role not in constants} | dict(spec.get("columns", {}))


def imported_runs(frame: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    """Rows of the runs table: model, task, method, seed, phase, split, metric, value, and what else is known.

    frame: the file. spec: ``columns`` {role: column}, ``constants`` {role: value}, ``metrics`` {column: {metric,
    split, label, higher_is_better, perfect}} or {} where one column holds values, ``seeds`` {column: seed} where every
    seed has a column, ``primary`` a metric or {task: metric}. where: the file's name, for messages. Runs with a status
    other than completed, and those without any value, are kept as failed. A metric that a task has no value of at all
    is not one of that task. Raises UserError for rows that say the same run twice, or values that are no numbers.
    """
    import pandas as pd

    names = list(frame.columns)
    roles = roles_of(spec, names)
    said = {role: frame[column] for role, column in roles.items()}
    fixed = {role: value for role, value in (DEFAULTS | dict(spec.get("constants", {}))).items() if role not in said}
    table = pd.DataFrame(said, index=frame.index).assign(**fixed)
    if spec.get("format") == "mlflow" and set(TIMES) <= set(names):
        start, end = (_times(frame[name]) for name in TIMES)
        table["seconds"] = (end - start).dt.total_seconds()
    if spec.get("seeds"):
        table = _each_column(table, frame, spec["seeds"], "seed", lambda seed: {"seed": seed})
    elif spec.get("metrics"):
        facts = {column: facts or {} for column, facts in spec["metrics"].items()}
        table = _each_column(table, frame, facts, "metric", lambda facts: _place(facts))
    table["value"] = _numbers(table, "value", where)
    for role in ("seconds", "n_test", "majority", "energy_j"):
        table[role] = _numbers(table, role, where) if role in table else float("nan")
    for key in ("model", "task", "method", "split", "phase", "metric"):
        _refuse_missing(table, key, where)
        table[key] = table[key].astype(str)
    table["seed"] = _seeds(table, where)
    status = table["status"].astype(str).str.lower() if "status" in table else pd.Series("", index=table.index)
    table["status"] = status.isin(COMPLETED).map({True: "completed", False: "failed"})
    table["fail_reason"] = ("reported as " + status).where(table["status"] != "completed")
    _refuse_duplicates(table, frame, where)
    table["value"] = table["value"].where(table["status"] == "completed")
    has_values = table.groupby(["task", "metric", "split"])["value"].transform("count") > 0
    return table[has_values].reset_index(drop=True)


def facts_of(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Label, higher_is_better and perfect of every metric: as the config says, else as the metric of that name."""
    found = {name: _known(name) for name in scalars()}
    for column, given in (spec.get("metrics") or {}).items():
        given = given or {}
        name = given.get("metric", column)
        defaults = found.get(name, {"label": name, "higher_is_better": None, "perfect": None})
        found[name] = defaults | {key: given[key] for key in ("label", "higher_is_better", "perfect") if key in given}
    return found


def _known(name: str) -> dict[str, Any]:
    plugin = scalars()[name]
    return {"label": plugin.LABELS[name], "higher_is_better": plugin.HIGHER_IS_BETTER, "perfect": plugin.PERFECT}


def _metric_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    facts = facts_of(spec)
    for column, given in (spec.get("metrics") or {}).items():
        name = (given or {}).get("metric", column)
        if facts[name]["higher_is_better"] is None:
            yield Problem(f"metrics.{column}", f"nothing is known of {name!r}; add `higher_is_better: true` or false")
    primary = spec.get("primary")
    for name in [primary] if isinstance(primary, str) else (primary or {}).values():
        if name not in facts:
            yield Problem("primary", f"{name!r} is no metric of the file; {registry.suggest(name, list(facts))}")


def _place(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: facts[key] for key in ("metric", "split", "phase") if key in facts}


def _each_column(table, frame, columns: Mapping[str, Any], role: str, say) -> pd.DataFrame:
    """The table once per column, whose values become ``value``."""
    import pandas as pd

    parts = [table.assign(**({role: column} | say(facts)), value=frame[column]) for column, facts in columns.items()]
    return pd.concat(parts)


def _numbers(table, role: str, where: str) -> pd.Series:
    import pandas as pd

    values = pd.to_numeric(table[role], errors="coerce")
    wrong = table.loc[values.isna() & table[role].notna(), role].astype(str)
    wrong = wrong[~wrong.str.strip().str.lower().isin({"", "nan", "none", "null"})]
    if len(wrong):
        raise UserError(f"{where}, row {wrong.index[0] + 2}: the {role} {wrong.iloc[0]!r} is no number")
    return values.astype(float)


def _refuse_missing(table, key: str, where: str) -> None:
    missing = table.index[table[key].isna()]
    if len(missing):
        raise UserError(
            f"{where}, row {missing[0] + 2}: no {key} ({len(missing)} such rows); "
            f"name another column, or a constant, for it"
        )


def _seeds(table, where: str) -> pd.Series:
    """Seeds as integers; labels that are none (``0_4``) get the numbers after the largest, in their natural order."""
    import pandas as pd

    _refuse_missing(table, "seed", where)
    texts = table["seed"].astype(str).str.replace(r"\.0$", "", regex=True)
    plain = texts.str.fullmatch(r"\d{1,18}")
    if plain.all():
        return texts.astype("int64")
    first = int(pd.to_numeric(texts[plain]).max()) + 1 if plain.any() else 0
    labels = sorted(set(texts[~plain]), key=_natural)
    numbers = {label: first + at for at, label in enumerate(labels)}
    _log.info("%s: seeds that are no whole numbers are numbered: %s", where, numbers)
    return texts.map(lambda text: numbers[text] if text in numbers else int(text)).astype("int64")


def _natural(text: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _refuse_duplicates(table, frame, where: str) -> None:
    unit = [*KEYS, "phase", "split", "metric"]
    twice = table[table.duplicated(unit, keep=False)]
    if twice.empty:
        return
    first = twice.iloc[0]
    same = twice[(twice[unit] == first[unit]).all(axis=1)]
    rows = frame.loc[same.index]
    differing = [str(column) for column in frame if len(set(rows[column].astype(str))) > 1]
    run = ", ".join(f"{key} {first[key]}" for key in unit)
    raise UserError(
        f"{where}: {len(same)} rows are the same run ({run}), {len(twice)} rows in all are such; they differ in "
        f"{', '.join(differing) or 'nothing'}. Map to seed, task, method or split the column that tells them apart"
    )


def _times(column: pd.Series) -> pd.Series:
    """Times as MLflow writes them: ISO text, or milliseconds since 1970."""
    import pandas as pd

    numeric = pd.to_numeric(column, errors="coerce")
    return pd.to_datetime(numeric, unit="ms", utc=True) if numeric.notna().any() else pd.to_datetime(column, utc=True)


def _delimiter(path: Path) -> str:
    return "\t" if Path(path).suffix == ".tsv" else ","


def read(path: Path) -> pd.DataFrame:
    """The file as text columns and numbers, nothing guessed beyond that."""
    import pandas as pd

    if Path(path).suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep=_delimiter(path), encoding="utf-8-sig", low_memory=False)
