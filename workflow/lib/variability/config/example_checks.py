"""Problems of the description of imported examples: columns that are missing, or that have no meaning together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from variability import advice, registry
from variability.errors import Problem
from variability.results import imported_layout, readers
from variability.results.imported_layout import EXAMPLE_ROLES, NUMBERS
from variability.results.predictions import SCORES

#: Keys of an import that are about tables of runs alone.
_OF_RUNS = ("keep", "keep_by", "statuses", "seeds", "tasks", "models")


def kinds() -> tuple[str, ...]:
    """Return the possible values of ``examples``."""
    return (*registry.names("kinds"), SCORES)


def check_kind(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problem of an unknown format or kind of examples, with which nothing else can be checked."""
    name = spec.get("format", readers.DEFAULT)
    if name not in registry.names("readers"):
        yield Problem("format", registry.unknown("readers", name))
    elif "examples" in spec and spec["examples"] not in kinds():
        yield Problem("examples", f"unknown; {advice.suggest(spec['examples'], kinds())}")


def check(spec: Mapping[str, Any], names: Sequence[str]) -> Iterator[Problem]:
    """Yield the problems of the roles and keys of an import of examples. names: of the columns of its files."""
    kind, roles = str(imported_layout.examples(spec)), imported_layout.role_columns(spec, names)
    stated = {*roles, *imported_layout.constants(spec)}
    for role in spec.get("columns", {}):
        if role in NUMBERS or role in ("status", "value"):
            yield Problem(f"columns.{role}", f"is a fact of runs, and these rows are examples; {_expected(kind)}")
        elif role not in EXAMPLE_ROLES:
            yield Problem(f"columns.{role}", f"unknown; {advice.suggest(role, EXAMPLE_ROLES)}")
    for key in _OF_RUNS:
        if key in spec:
            yield Problem(key, "has no meaning for rows that are examples; remove it")
    for role in ("model", "seed", "example_id"):
        if role not in stated:
            add = "; add `constants: {seed: 0}` if each model has one run" if role == "seed" else ""
            yield Problem("columns", f"does not say which column holds the {role}{add}; {_expected(kind)}")
    yield from _check_scores(spec, names, roles, stated) if kind == SCORES else _check_predictions(spec, names, stated)


def _check_scores(
    spec: Mapping[str, Any], names: Sequence[str], roles: Mapping[str, str], stated: set[str]
) -> Iterator[Problem]:
    attempts = {"correct", "attempts"} & stated
    if attempts and len(attempts) == 1 and "score" not in roles:
        (role,) = {"correct", "attempts"} - attempts
        yield Problem("columns", f"does not say which column holds the number of {role}; {_expected(SCORES)}")
    elif attempts or "score" in roles:
        if "metric" not in stated:
            message = "does not say which metric the scores are; add `metric: <column>`, or a constant"
            yield Problem("columns", message)
        if set(spec.get("metrics", {})) & set(names):
            yield Problem("metrics", "name either the columns that hold metrics, or the one column of the scores")
    elif not spec.get("metrics"):
        yield Problem("columns", f"does not say which column holds the score; {_expected(SCORES)}")
    else:
        for column in spec["metrics"]:
            if column not in names:
                yield Problem(f"metrics.{column}", f"the file has no such column; {advice.suggest(column, names)}")


def _check_predictions(spec: Mapping[str, Any], names: Sequence[str], stated: set[str]) -> Iterator[Problem]:
    kind = spec.get("examples") or str(imported_layout.examples(spec))
    if spec.get("metrics"):
        yield Problem("metrics", "are computed from the predictions; remove them, and choose one by `primary`")
    for column in spec.get("probabilities", {}):
        if column not in names:
            yield Problem(f"probabilities.{column}", f"the file has no such column; {advice.suggest(column, names)}")
    outputs = {"probabilities", "logits"} & stated or spec.get("probabilities")
    if kind != "classification" and (outputs or "classes" in spec):
        yield Problem("examples", f"{kind} has no probabilities and no classes; remove them, or set classification")
    if "y_true" not in stated and kind != "ranking":
        yield Problem("columns", f"does not say which column holds y_true, the true value; {_expected(kind)}")
    if "y_pred" not in stated and not (outputs and kind == "classification"):
        yield Problem("columns", f"does not say which column holds y_pred, the prediction; {_expected(kind)}")


def _expected(kind: str) -> str:
    """Return the columns that a table of examples has."""
    of_kind = {
        SCORES: "score and metric, or correct and attempts, or one column per metric in `metrics`",
        "classification": "y_true, and y_pred, probabilities or logits",
        "ranking": "y_pred, the rank of the right item",
    }
    return (
        f"examples of {kind} have the columns model, seed, example_id, {of_kind.get(kind, 'y_true and y_pred')}; task, "
        "method, split and group are optional"
    )
