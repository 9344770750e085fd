"""Runs that were made elsewhere, as rows of the runs table.

A file is read by the names of its columns, never by their position or the shape of an array: an axis taken for
another one would make intervals falsely tiny. What the names do not settle is refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability.errors import UserError
from variability.io import tabular
from variability.io.checksums import Checksum
from variability.results.columns import RUN, RUN_VALUE
from variability.results.metrics import scalars

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)

#: What a column can say of a run, beside its metrics.
ROLES = (*RUN, "split", "phase", "metric", "value", "status", "seconds", "n_test", "majority", "energy_j")
DEFAULTS = {"task": "task", "method": "fine-tuned", "split": "test", "phase": "after"}
#: Columns that trackers name alike in all their exports.
FORMATS = {
    "table": {},
    "wandb": {"status": "State", "seconds": "Runtime"},
    "mlflow": {"status": "status"},
}
COMPLETED = {"", "completed", "complete", "finished", "done", "success", "ok", "nan"}
TIMES = ("start_time", "end_time")


def roles_of(spec: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    """The column of every role: those the config names, and those that the tracker's format names always so."""
    usual = {role: column for role, column in FORMATS[spec.get("format", "table")].items() if column in names}
    constants = spec.get("constants", {})
    return {role: column for role, column in usual.items() if role not in constants} | dict(spec.get("columns", {}))


def is_long(spec: Mapping[str, Any], roles: Mapping[str, str]) -> bool:
    """Whether one column (or one per seed) holds the values of all metrics, which another column names."""
    return "value" in roles or bool(spec.get("seeds"))


def imported_runs(frame: pd.DataFrame, spec: Mapping[str, Any], where: str) -> pd.DataFrame:
    """Rows of the runs table: model, task, method, seed, phase, split, metric, value, and what else is known.

    frame: the file. spec: ``columns`` {role: column}, ``constants`` {role: value}, ``metrics`` {column: {metric,
    split, scale, label, higher_is_better, perfect}}, in long tables {name of a metric: {metric, scale, ...}}, ``seeds``
    {column: seed} where every seed has a column, ``primary`` a metric or {task: metric}. where: the file's name, for
    messages. Runs with a status other than completed, and those without any value, are kept as failed. A metric that a
    task has no value of at all is not one of that task. Raises UserError for runs that stand there more than once,
    values that are no numbers, and scores that are better than perfect.
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
    metrics = {name: facts or {} for name, facts in spec.get("metrics", {}).items()}
    if spec.get("seeds"):
        table = _each_column(table, frame, {column: {"seed": seed} for column, seed in spec["seeds"].items()})
    elif not is_long(spec, roles):
        table = _each_column(table, frame, {column: _place(column, facts) for column, facts in metrics.items()})
    else:
        table["column"] = roles["value"]
    table["value"] = _numbers(table, "value", where)
    for role in ("seconds", "n_test", "majority", "energy_j"):
        table[role] = _numbers(table, role, where) if role in table else float("nan")
    for key in ("model", "task", "method", "split", "phase", "metric"):
        _refuse_missing(table, key, where)
        table[key] = table[key].astype(str)
    # By the name that the config knows a metric by: its column's, or in long tables its own.
    entry = table["metric"] if is_long(spec, roles) else table["column"]
    table["value"] *= entry.map({name: facts.get("scale", 1) for name, facts in metrics.items()}).fillna(1)
    if is_long(spec, roles):
        table["metric"] = table["metric"].replace({name: facts.get("metric", name) for name, facts in metrics.items()})
    table["seed"] = _seeds(table, where)
    status = table["status"].astype(str).str.lower() if "status" in table else pd.Series("", index=table.index)
    table["status"] = status.isin(COMPLETED).map({True: "completed", False: "failed"})
    table["fail_reason"] = ("reported as " + status).where(table["status"] != "completed")
    _refuse_duplicates(table, frame, where)
    table["value"] = table["value"].where(table["status"] == "completed")
    _refuse_better_than_perfect(table.assign(entry=entry), facts_of(spec), where)
    has_values = table.groupby(["task", "metric", "split"])["value"].transform("count") > 0
    return table[has_values].drop(columns="column").reset_index(drop=True)


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


def _place(column: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"metric": column} | {key: facts[key] for key in ("metric", "split", "phase") if key in facts}


def _each_column(table, frame, columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The table once per column, whose values become ``value``; columns: what else is to be said of its rows."""
    import pandas as pd

    return pd.concat([table.assign(**say, column=name, value=frame[name]) for name, say in columns.items()])


def _numbers(table, role: str, where: str) -> pd.Series:
    import pandas as pd

    values = pd.to_numeric(table[role], errors="coerce")
    wrong = table.loc[values.isna() & table[role].notna(), role].astype(str)
    wrong = wrong[~wrong.str.strip().str.lower().isin({"", "nan", "none", "null"})]
    if len(wrong):
        count = wrong.index.nunique()
        more = f" (one of {count} such rows)" * (count > 1)
        raise UserError(f"{where}, row {wrong.index[0] + 2}: the {role} {wrong.iloc[0]!r} is no number{more}")
    return values.astype(float)


def _refuse_missing(table, key: str, where: str) -> None:
    missing = table.index[table[key].isna()]
    if len(missing):
        count = missing.nunique()
        raise UserError(
            f"{where}, row {missing[0] + 2}: no {key} ({count} such row{'s' * (count > 1)}); "
            f"name another column, or a constant, for it"
        )


def _refuse_better_than_perfect(table, facts: Mapping[str, Mapping[str, Any]], where: str) -> None:
    known = {name: fact for name, fact in facts.items() if fact["perfect"] is not None}
    sign = table["metric"].map({name: 1.0 if fact["higher_is_better"] else -1.0 for name, fact in known.items()})
    perfect = table["metric"].map({name: float(fact["perfect"]) for name, fact in known.items()})
    # Sums of rounded shares may exceed 1 in their last digits.
    beyond = table[sign * (table["value"] - perfect) > 1e-6 * perfect.abs().clip(lower=1)]
    if beyond.empty:
        return
    first = beyond.iloc[0]
    of_metric = table.loc[table["entry"] == first["entry"], "value"]
    count = int((beyond["entry"] == first["entry"]).sum())
    best = known[first["metric"]]["perfect"]
    percent = best == 1 and first["value"] > 1 and of_metric.max() <= 100
    scale = "percent, `scale: 0.01`" if percent else "another unit or sign, its `scale`"
    raise UserError(
        f"{where}, row {first.name + 2}: {first['value']:g} in column {first['column']!r} is better than a perfect "
        f"{first['metric']}, which is {best:g} ({count} of {of_metric.count()} values are); if it is in {scale} "
        f"under {first['entry']!r} in the import's `metrics` puts that right"
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
    unit = RUN_VALUE
    twice = table[table.duplicated(unit, keep=False)]
    if twice.empty:
        return
    first = twice.iloc[0]
    rows = frame.loc[twice.index[(twice[unit] == first[unit]).all(axis=1)].unique()]
    differing = [str(column) for column in frame if len(set(rows[column].astype(str))) > 1]
    run = ", ".join(f"{key} {first[key]}" for key in unit)
    listed = ", ".join(str(at + 2) for at in rows.index[:5]) + (", ..." if len(rows) > 5 else "")
    raise UserError(
        f"{where}: {len(twice[RUN].drop_duplicates())} of {len(table[RUN].drop_duplicates())} runs stand there more "
        f"than once, for example {run}, in rows {listed}, which differ in {', '.join(differing) or 'nothing'}. "
        "Map to seed, task, method or split the column that tells them apart"
    )


def _times(column: pd.Series) -> pd.Series:
    """Times as MLflow writes them: ISO text, or milliseconds since 1970."""
    import pandas as pd

    numeric = pd.to_numeric(column, errors="coerce")
    return pd.to_datetime(numeric, unit="ms", utc=True) if numeric.notna().any() else pd.to_datetime(column, utc=True)


def load(path: Path, spec: Mapping[str, Any]) -> pd.DataFrame:
    """The file as text columns and numbers, nothing guessed beyond that.

    What models, tasks, methods and metrics are called is text: a model may be called 1.10, or None. Raises UserError if
    it is not the one whose ``sha256`` the spec gives, cannot be read, or has no rows.
    """
    if "sha256" in spec and not (expected := Checksum.parse(f"sha256:{spec['sha256']}")).matches(path):
        raise expected.mismatch_error(str(path), path)
    quotes = spec.get("quotes")
    try:
        names = tabular.header(path, quotes)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    roles = roles_of(spec, names)
    called = {roles[role] for role in ("model", "task", "method", "metric") if roles.get(role) in names}
    return tabular.read(path, text=called, quotes=quotes)
