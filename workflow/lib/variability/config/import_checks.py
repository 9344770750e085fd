"""Problems of the description of imported runs, and of their files, found before the first job."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from variability import advice, extras
from variability.config import example_checks
from variability.errors import Problem, UserError
from variability.io import json_records, table_files, tabular
from variability.results import (
    imported_files,
    imported_layout,
    imported_runs,
    imported_selection,
    metric_scales,
    named_columns,
    readers,
)
from variability.results.columns import CELL, RUN, RUN_VALUE
from variability.results.imported_layout import DEFAULTS, OF_TASKS, ROLES, STACKED, TEXT_ROLES, is_long, role_columns

if TYPE_CHECKING:
    import pandas as pd

Value = TypeVar("Value", bound=Hashable)

#: Largest file in bytes that is read before the first job, because this check runs at every start. The job that
#: imports a larger file reports its problems.
MAX_BYTES = 10_000_000
#: Roles whose columns hold nothing else.
_ALONE = (*RUN, "split", "phase", "metric", "value", "status")
_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?")


class Contents(NamedTuple):
    """Contents of a file: all its runs (model, task, method, seed), and the values that the study's grid selects.

    A value is (model, task, method, seed, phase, split, metric). labelled_seeds: True if seeds are not all numbers.
    """

    runs: set[tuple[str, str, str, int]]
    values: set[tuple[str, str, str, int, str, str, str]]
    labelled_seeds: bool = False


def check(
    entries: Mapping[str, Mapping[str, Any]],
    mirrors: Sequence[Path],
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> tuple[dict[str, list[Problem]], dict[str, Contents]]:
    """Return the problems of all imports, and the contents of those whose files are read here.

    tasks, grid: of the study, as in the spec of ``aggregate``. Files larger than MAX_BYTES are left to that job.
    """
    problems: dict[str, list[Problem]] = {}
    rows: dict[str, pd.DataFrame] = {}
    labelled: dict[str, bool] = {}
    for name, spec in entries.items():
        if unknown := list(example_checks.check_kind(spec)):
            problems[name] = unknown
            continue
        if missing := extras.missing(type(readers.of(spec))):
            problems[name] = [Problem("format", missing)]
            continue
        try:
            files = imported_files.find(spec, mirrors)
            problems[name] = [
                *check_files(spec, files),
                *_check_names(spec, files[0].name, imported_files.header(files, spec)),
            ]
            if problems[name]:
                problems[name] = list(_nested_records(spec, files[0])) or problems[name]
            elif sum(file.path.stat().st_size for file in files) <= MAX_BYTES:
                # The code of the job, so that the job finds no further problems. It loads pandas, which only studies
                # with imports need.
                source = imported_files.read(files, spec)
                rows[name], _ = imported_runs.read_import(source, spec, name)
                labelled[name] = imported_runs.has_seed_labels(source, spec)
        except UserError as error:
            problems[name] = [*problems.get(name, []), Problem("path", str(error))]
    if not rows or rows.keys() != entries.keys():
        return problems, {}
    try:
        selected = imported_selection.select_for_study(rows, entries, tasks, grid)
    except UserError as error:
        name, _, message = str(error).partition(": ")
        key, _, rest = message.partition(": ")
        problems[name].append(Problem(key, rest) if key == "deterministic" else Problem("primary", message))
        return problems, {}
    values = {name: set(table[RUN_VALUE].itertuples(index=False, name=None)) for name, table in selected.items()}
    runs = {name: set(table[RUN].itertuples(index=False, name=None)) for name, table in rows.items()}
    return problems, {name: Contents(runs[name], values[name], labelled[name]) for name in rows}


def check_files(spec: Mapping[str, Any], files: Sequence[imported_files.ImportedFile]) -> Iterator[Problem]:
    """Yield the problems of the options that say how files are read."""
    files = imported_files.with_rows(files, spec)
    if "sha256" in spec and len(files) > 1:
        yield Problem("sha256", f"is that of one file, and there are {len(files)}; remove it")
    # An option without a meaning has none for every file of a kind.
    of_files = [problem for file in files for problem in tabular.check_options(spec, file.path)]
    yield from {problem.key: problem for problem in of_files}.values()


def _nested_records(spec: Mapping[str, Any], file: imported_files.ImportedFile) -> Iterator[Problem]:
    """Yield the keys that may hold the rows of a JSON file, in which other problems were found."""
    try:
        is_json = table_files.table_format(file.path) == table_files.JSON
        keys = json_records.list_keys(file.path, spec) if is_json and "records" not in spec else []
    except (OSError, ValueError):
        return  # A reader's own format, such as arrays of NumPy, or a file that cannot be read: not a table.
    for key in keys:
        yield Problem("path", f"{file.name} has a list of records in {key!r}; `records: {key}` makes them the rows")


def _check_names(spec: Mapping[str, Any], file: str, names: list[str]) -> Iterator[Problem]:
    """Yield the problems of ``check_columns``, or one for a file whose first line does not name its columns.

    file: the name of the first file.
    """
    wanted = list(dict.fromkeys([*spec.get("columns", {}).values(), *_value_columns(spec)]))
    if not any(name.strip() for name in names):
        yield Problem("path", f"{file} is empty; fill it, or use another file")
    elif "header" in spec or len(wanted) < 2 or set(wanted) & set(names):
        yield from check_columns(spec, names)
    elif len(names) == 1 and not advice.similar(wanted[0], names):
        yield Problem("path", f"{file} has no column {wanted[0]!r}; {tabular.suggest_column(wanted[0], names)}")
    elif any(map(_NUMBER.fullmatch, names)):
        count = advice.plural(len(names), "name")
        yield Problem(
            "path",
            f"{file} has no column {advice.listed(map(repr, wanted), last=' or ')}; if its first row, "
            f"{advice.listed(names)}, does not name the columns, list their names in `header` ({count})",
        )
    else:
        yield from check_columns(spec, names)


def _value_columns(spec: Mapping[str, Any]) -> list[str]:
    """Return the columns that the config names for values: of seeds, tasks or models, or those of metrics."""
    of_columns = imported_layout.stacked(spec)
    if of_columns or "value" in {*spec.get("columns", {}), *readers.of(spec).COLUMNS}:
        return list(spec[of_columns[0]]) if of_columns else []
    return list(spec.get("metrics") or {})


def check_columns(spec: Mapping[str, Any], names: list[str]) -> Iterator[Problem]:
    """Yield the problems of the description of files. names: of their columns."""
    roles = role_columns(spec, names)
    yield from _check_conditions(spec, names, roles)
    if imported_layout.examples(spec) is not None:
        yield from example_checks.check(spec, names)
    else:
        yield from _check_layout(spec, names, roles)


def _check_conditions(spec: Mapping[str, Any], names: list[str], roles: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the columns that are named and missing, or named for another role, and names that YAML changes."""
    for role, column in roles.items():
        if column not in names:
            yield Problem(
                f"columns.{role}", f"the file has no column {column!r}; {tabular.suggest_column(column, names)}"
            )
    for role, column in roles.items():
        if column in RUN and column != role and column in names and role in ROLES:
            yield Problem(f"columns.{role}", f"by its name, the column {column!r} holds the {column}, not the {role}")
    yield from _check_uses(spec, roles)
    for role, value in spec.get("constants", {}).items():
        if isinstance(value, dict):
            yield from _check_constants_of_tasks(spec, role, roles)
        elif role in TEXT_ROLES and not isinstance(value, str):
            yield Problem(f"constants.{role}", f'{value} is read as a number; quote it, as in "{value}"')
    for key in ("where", "where_not"):
        for column in spec.get(key, {}):
            if column not in names:
                yield Problem(f"{key}.{column}", f"the file has no such column; {advice.suggest(column, names)}")
    for factor, column in spec.get("factors", {}).items():
        if column not in names:
            yield Problem(f"factors.{factor}", f"the file has no column {column!r}; {advice.suggest(column, names)}")
        elif column in roles.values():
            yield Problem(
                f"factors.{factor}", f"the column {column!r} holds something else already; remove one of the two"
            )


def _check_uses(spec: Mapping[str, Any], roles: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the columns that are to hold two things at once."""
    uses: dict[str, str] = {}
    for role, column in roles.items():
        if role in _ALONE and (first := uses.setdefault(column, role)) != role:
            yield Problem(f"columns.{role}", f"the column {column!r} holds the {first} already; name another one")
    of_columns = imported_layout.stacked(spec)
    key = of_columns[0] if of_columns else "metrics"
    for column in (spec.get(key) or {}) if of_columns or "value" not in roles else ():
        if column in uses:
            message = f"the column holds the {uses[column]} by `columns`; remove one of the two"
            yield Problem(f"{key}.{column}", message)


def _check_constants_of_tasks(spec: Mapping[str, Any], role: str, roles: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the problem of a constant with a value for each task, if it cannot have that."""
    if role not in OF_TASKS or imported_layout.examples(spec) is not None:
        message = f"is one value for all rows; of runs, {', '.join(OF_TASKS)} may have one per task"
        yield Problem(f"constants.{role}", message)
    elif role == "metric" and not is_long(spec, roles):
        yield Problem(
            "constants.metric", "every column holds one metric; name its task there, `{metric: ..., task: ...}`"
        )
    elif role in roles:
        yield Problem(f"constants.{role}", f"the column {roles[role]!r} holds the {role}; remove one of the two")


def _check_layout(spec: Mapping[str, Any], names: list[str], roles: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the problems of the roles and keys of an import of runs."""
    unknown = {role: column for role, column in spec.get("columns", {}).items() if role not in ROLES}
    meant = {role: column if column in ROLES else advice.similar(role, ROLES) for role, column in unknown.items()}
    for role, column in unknown.items():
        turned = f"the role comes first: write `{column}: {role}`" if column in ROLES and role in names else ""
        likely = f"did you mean {meant[role]!r}?" if meant[role] else advice.suggest(role, ROLES)
        yield Problem(f"columns.{role}", f"unknown; {turned or likely}")
    for key in ("classes", "probabilities"):
        if key in spec:
            yield Problem(key, "has no meaning for rows that are runs; set `examples: classification` if they are not")
    long, of_columns = is_long(spec, roles), imported_layout.stacked(spec)
    if several := [key for key in STACKED if spec.get(key)][1:]:
        yield Problem(
            several[0], f"a table has one column per {STACKED[several[0]]}, or {of_columns}; name one of them"
        )
    for key in (of_columns[0],) if of_columns else () if long else ("metrics",):
        for column in spec.get(key, {}):
            if column not in names:
                yield Problem(f"{key}.{column}", f"the file has no such column; {advice.suggest(column, names)}")
    metrics = {column: entry or {} for column, entry in spec.get("metrics", {}).items()}
    stated, by_column = {*roles, *readers.of(spec).CONSTANTS, *spec.get("constants", {})}, {} if long else metrics
    known = (
        stated | set(DEFAULTS) | {key for key in CELL if by_column and all(key in by_column[name] for name in metrics)}
    )
    known |= {*meant.values()} | ({of_columns[1]} if of_columns else set())
    for role in ("model", "seed"):
        if role not in known:
            single = (
                ", or `constants: {seed: 0}` if each row is the only run of its model and task"
                if role == "seed"
                else ""
            )
            message = f"does not say which column holds the {role}; add `{role}: <column>`{single}"
            yield Problem("columns", f"{message} (columns: {advice.listed(names, 20)})")
    if of_columns and of_columns[1] in stated:
        key, role = of_columns
        message = f"every {role} has its own column, and one column holds the {key}; remove one of the two"
        yield Problem(key, message)
    if (long and set(metrics) & set(names)) or not (long or metrics):
        message = "name either the columns that hold metrics, or the one column (or the seeds) that holds the values"
        proposed = "" if long else named_columns.proposed_text(names)
        yield Problem("metrics", message + (f"; perhaps `metrics: {proposed}`" if proposed else ""))
    if long and "metric" not in known:
        yield Problem("columns", "does not say which metric the values are; add `metric: <column>` or a constant")
    for seed, columns in _columns_by_value(spec.get("seeds", {})).items():
        if len(columns) > 1:
            yield Problem("seeds", f"the columns {' and '.join(columns)} are both seed {seed}")
    for column, entry in by_column.items():
        for key in set(entry) & set(CELL) & set(roles):
            yield Problem(
                f"metrics.{column}.{key}", f"the column {roles[key]!r} holds the {key}; remove one of the two"
            )
    yield from _check_metrics(spec, metrics, names, long)
    yield from _check_keep(spec, metrics, names, long)


def _check_metrics(
    spec: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]], names: list[str], long: bool
) -> Iterator[Problem]:
    facts = imported_runs.metric_facts(spec)
    for column, entry in metrics.items():
        name = entry.get("metric", column)
        if facts[name]["higher_is_better"] is None:
            message = f"{name!r} is not a known metric; add `higher_is_better: true` or `higher_is_better: false`"
            yield Problem(f"metrics.{column}", message)
        for key, message in metric_scales.problems(entry):
            yield Problem(f"metrics.{column}.{key}", message)
        if "stderr" in entry and not long and entry["stderr"] not in names:
            message = f"the file has no column {entry['stderr']!r}; {advice.suggest(entry['stderr'], names)}"
            yield Problem(f"metrics.{column}.stderr", message)
        for key in ("split", "phase", "stderr", *CELL) if long else ():
            if key in entry:
                message = f"applies to a column that holds one metric; add `{key}` to columns or constants"
                yield Problem(f"metrics.{column}.{key}", message)
    primary = spec.get("primary")
    for name in [primary] if isinstance(primary, str) else (primary or {}).values():
        if name not in facts:
            yield Problem("primary", f"{name!r} is not a metric of the file; {advice.suggest(name, list(facts))}")


def _check_keep(spec: Mapping[str, Any], metrics: Mapping[str, Any], names: list[str], long: bool) -> Iterator[Problem]:
    column = spec.get("keep_by")
    if column is not None and "keep" not in spec:
        yield Problem("keep_by", "has no effect without `keep: last` or `keep: best`")
    elif column is not None and column not in names:
        yield Problem("keep_by", f"the file has no column {column!r}; {advice.suggest(column, names)}")
    elif spec.get("keep") == "best" and long:
        yield Problem("keep", "best needs one column per metric, so that a row holds all values of a step; use last")
    elif spec.get("keep") == "best" and column is not None and column not in metrics:
        yield Problem(
            "keep_by",
            f"{column!r} is not among the metrics, of which `keep: best` needs one; `keep: last` takes a step",
        )


def _columns_by_value(columns: Mapping[str, Value]) -> dict[Value, list[str]]:
    by_value: dict[Value, list[str]] = {}
    for column, value in columns.items():
        by_value.setdefault(value, []).append(column)
    return by_value
