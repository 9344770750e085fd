"""What is wrong with the description of runs made elsewhere, and with their file, before the first job."""

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from variability import advice
from variability.errors import Problem
from variability.results import imported_runs
from variability.results.imported_runs import DEFAULTS, KEYS, ROLES, is_long, roles_of

VALUE = ("phase", "split", "metric")

#: Bytes of a file that is read before the first job. The check runs at every start; a larger file is told of by the job
#: that reads it.
LARGEST = 10_000_000


class Found(NamedTuple):
    """What is in a file: all runs (model, task, method, seed), and the values (run, phase, split, metric) of the study.

    The study's are those that its grid selects.
    """

    runs: set[tuple[str, str, str, int]]
    values: set[tuple[str, str, str, int, str, str, str]]


def check(spec: Mapping[str, Any], names: list[str]) -> Iterator[Problem]:
    """What is wrong with the description of a file that has columns of these names."""
    roles = roles_of(spec, names)
    for role in spec.get("columns", {}):
        if role not in ROLES:
            yield Problem(f"columns.{role}", f"unknown; {advice.suggest(role, ROLES)}")
    for role, column in roles.items():
        if column not in names:
            yield Problem(f"columns.{role}", f"the file has no column {column!r}; {advice.suggest(column, names)}")
    for role, column in roles.items():
        if column in KEYS and column != role and column in names:
            yield Problem(f"columns.{role}", f"the column {column!r} holds the {column}s, by its name, not the {role}")
    long = is_long(spec, roles)
    for key in ("seeds",) if long else ("metrics",):
        for column in spec.get(key, {}):
            if column not in names:
                yield Problem(f"{key}.{column}", f"the file has no such column; {advice.suggest(column, names)}")
    known = {*roles, *spec.get("constants", {}), *DEFAULTS}
    seeds, metrics = spec.get("seeds", {}), spec.get("metrics", {})
    for role in ("model", "seed"):
        if role not in known and not (role == "seed" and seeds):
            yield Problem("columns", f"nothing says which column holds the {role}; add `{role}: <column>`")
    if seeds and "seed" in known:
        yield Problem("seeds", "the seeds stand in columns of their own and in one column; take one of them out")
    if (long and set(metrics) & set(names)) or not (long or metrics):
        yield Problem("metrics", "say either which columns hold metrics, or which one column (or seeds) the values")
    if long and "metric" not in known:
        yield Problem("columns", "nothing says which metric the values are; add `metric: <column>` or a constant")
    for seed, columns in _by_value(seeds).items():
        if len(columns) > 1:
            yield Problem("seeds", f"the columns {' and '.join(columns)} are both seed {seed}")
    yield from _metric_problems(spec, long)


def found(
    path: Path, spec: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]], grid: Mapping[str, Any]
) -> Found | None:
    """What is in a file whose description is sound; None of one that is too large to be read before the first job.

    tasks, grid: those of the study, as in the spec of ``aggregate``. Raises UserError for what that job would refuse.
    """
    if path.stat().st_size > LARGEST:
        return None
    # The job's own code, so that it has nothing to add. It takes pandas, which only studies with imports pay for.
    from variability.results import runs_table

    every = imported_runs.imported_runs(imported_runs.load(path, spec), spec, path.name)
    chosen = runs_table.of_study(every, spec, path.name, tasks, grid)
    return Found(*(set(rows.itertuples(index=False, name=None)) for rows in (every[KEYS], chosen[[*KEYS, *VALUE]])))


def _metric_problems(spec: Mapping[str, Any], long: bool) -> Iterator[Problem]:
    facts = imported_runs.facts_of(spec)
    metrics = {column: given or {} for column, given in spec.get("metrics", {}).items()}
    for column, given in metrics.items():
        name = given.get("metric", column)
        if facts[name]["higher_is_better"] is None:
            yield Problem(f"metrics.{column}", f"nothing is known of {name!r}; add `higher_is_better: true` or false")
        for key in ("split", "phase") if long else ():
            if key in given:
                yield Problem(
                    f"metrics.{column}.{key}", f"is for columns of one metric; add `{key}` to columns or constants"
                )
    if not long:
        defaults = DEFAULTS | spec.get("constants", {})
        places = {
            column: (given.get("metric", column), *(given.get(key, defaults[key]) for key in ("split", "phase")))
            for column, given in metrics.items()
        }
        for place, columns in _by_value(places).items():
            if len(columns) > 1:
                yield Problem(
                    "metrics", f"the columns {' and '.join(columns)} are both {' '.join(place)}; tell them apart"
                )
    primary = spec.get("primary")
    for name in [primary] if isinstance(primary, str) else (primary or {}).values():
        if name not in facts:
            yield Problem("primary", f"{name!r} is no metric of the file; {advice.suggest(name, list(facts))}")


def _by_value(columns: Mapping[str, Hashable]) -> dict[Hashable, list[str]]:
    found: dict[Hashable, list[str]] = {}
    for column, value in columns.items():
        found.setdefault(value, []).append(column)
    return found
