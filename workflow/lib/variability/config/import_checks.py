"""Problems of the description of imported runs, and of their file, found before the first job."""

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from variability import advice
from variability.errors import Problem
from variability.results import imported_runs, metric_scales
from variability.results.columns import RUN, RUN_VALUE
from variability.results.imported_runs import DEFAULTS, ROLES, TEXT_ROLES, is_long, role_columns

Value = TypeVar("Value", bound=Hashable)

#: Largest file in bytes that is read before the first job, because this check runs at every start. The job that
#: imports a larger file reports its problems.
MAX_BYTES = 10_000_000


class Contents(NamedTuple):
    """Contents of a file: all its runs (model, task, method, seed), and the values that the study's grid selects.

    A value is (model, task, method, seed, phase, split, metric). labelled_seeds: True if seeds are not all numbers.
    """

    runs: set[tuple[str, str, str, int]]
    values: set[tuple[str, str, str, int, str, str, str]]
    labelled_seeds: bool = False


def check(spec: Mapping[str, Any], names: list[str]) -> Iterator[Problem]:
    """Yield the problems of the description of a file. names: of its columns."""
    roles = role_columns(spec, names)
    for role in spec.get("columns", {}):
        if role not in ROLES:
            yield Problem(f"columns.{role}", f"unknown; {advice.suggest(role, ROLES)}")
    for role, column in roles.items():
        if column not in names:
            yield Problem(f"columns.{role}", f"the file has no column {column!r}; {advice.suggest(column, names)}")
    for role, column in roles.items():
        if column in RUN and column != role and column in names:
            yield Problem(f"columns.{role}", f"by its name, the column {column!r} holds the {column}, not the {role}")
    for role, value in spec.get("constants", {}).items():
        if role in TEXT_ROLES and not isinstance(value, str):
            yield Problem(f"constants.{role}", f'{value} is read as a number; quote it, as in "{value}"')
    long = is_long(spec, roles)
    for key in ("seeds",) if long else ("metrics",):
        for column in spec.get(key, {}):
            if column not in names:
                yield Problem(f"{key}.{column}", f"the file has no such column; {advice.suggest(column, names)}")
    known = {*roles, *spec.get("constants", {}), *DEFAULTS}
    seeds, metrics = spec.get("seeds", {}), spec.get("metrics", {})
    for role in ("model", "seed"):
        if role not in known and not (role == "seed" and seeds):
            yield Problem("columns", f"does not say which column holds the {role}; add `{role}: <column>`")
    if seeds and "seed" in known:
        yield Problem("seeds", "every seed has its own column, and one column holds the seeds; remove one of the two")
    if (long and set(metrics) & set(names)) or not (long or metrics):
        message = "name either the columns that hold metrics, or the one column (or the seeds) that holds the values"
        yield Problem("metrics", message)
    if long and "metric" not in known:
        yield Problem("columns", "does not say which metric the values are; add `metric: <column>` or a constant")
    for seed, columns in _columns_by_value(seeds).items():
        if len(columns) > 1:
            yield Problem("seeds", f"the columns {' and '.join(columns)} are both seed {seed}")
    yield from _check_metrics(spec, long)


def contents(
    path: Path, spec: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]], grid: Mapping[str, Any]
) -> Contents | None:
    """Return the contents of a file whose description has no problems; None if it is larger than MAX_BYTES.

    tasks, grid: of the study, as in the spec of ``aggregate``. Raises UserError for what that job would refuse.
    """
    if path.stat().st_size > MAX_BYTES:
        return None
    # The code of the job, so that the job finds no further problems. It loads pandas, which only studies with imports
    # need.
    frame = imported_runs.read_file(path, spec)
    all_runs = imported_runs.rows_of_file(frame, spec, path.name)
    selected = imported_runs.select_for_study(all_runs, spec, path.name, tasks, grid)
    tables = (all_runs[RUN], selected[RUN_VALUE])
    runs, values = (set(table.itertuples(index=False, name=None)) for table in tables)
    return Contents(runs, values, imported_runs.has_seed_labels(frame, spec))


def _check_metrics(spec: Mapping[str, Any], long: bool) -> Iterator[Problem]:
    facts = imported_runs.metric_facts(spec)
    metrics = {column: entry or {} for column, entry in spec.get("metrics", {}).items()}
    for column, entry in metrics.items():
        name = entry.get("metric", column)
        if facts[name]["higher_is_better"] is None:
            message = f"{name!r} is not a known metric; add `higher_is_better: true` or `higher_is_better: false`"
            yield Problem(f"metrics.{column}", message)
        for key, message in metric_scales.problems(entry):
            yield Problem(f"metrics.{column}.{key}", message)
        for key in ("split", "phase") if long else ():
            if key in entry:
                message = f"applies to a column that holds one metric; add `{key}` to columns or constants"
                yield Problem(f"metrics.{column}.{key}", message)
    if not long:
        defaults = DEFAULTS | spec.get("constants", {})
        values = {
            column: (entry.get("metric", column), *(entry.get(key, defaults[key]) for key in ("split", "phase")))
            for column, entry in metrics.items()
        }
        for value, columns in _columns_by_value(values).items():
            if len(columns) > 1:
                message = f"the columns {' and '.join(columns)} are both {' '.join(value)}; change one of them"
                yield Problem("metrics", message)
    primary = spec.get("primary")
    for name in [primary] if isinstance(primary, str) else (primary or {}).values():
        if name not in facts:
            yield Problem("primary", f"{name!r} is not a metric of the file; {advice.suggest(name, list(facts))}")


def _columns_by_value(columns: Mapping[str, Value]) -> dict[Value, list[str]]:
    by_value: dict[Value, list[str]] = {}
    for column, value in columns.items():
        by_value.setdefault(value, []).append(column)
    return by_value
