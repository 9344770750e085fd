"""Columns of a table of runs that tell by their names what they hold: roles and metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from variability.results import imported_layout, imported_runs

#: Columns whose names have one of these words hold values of the training set, or of the spread of several runs.
_NO_RESULT = {"train", "training", "std", "sd", "stderr", "sem", "min", "max", "best"}


def roles(names: Sequence[str], spec: Mapping[str, Any]) -> dict[str, str]:
    """Return {role: column} of the columns that are called like their roles and that the import does not use.

    names: of the columns of the files. spec: of the import; what it states, and what its format implies, comes first.
    """
    known = imported_layout.ROLES if imported_layout.examples(spec) is None else imported_layout.EXAMPLE_ROLES
    stated = imported_layout.role_columns(spec, names)
    taken = {*stated, *stated.values(), *(spec.get("constants") or {}), *(spec.get("factors") or {}).values()}
    if isinstance(spec.get("probabilities"), Mapping):
        taken.add("probabilities")
    return {role: role for role in known if role in names and role not in taken}


def metrics(names: Sequence[str], facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the columns that are called like a metric whose direction is known. facts: of all metrics."""
    return [name for name in names if name in facts and facts[name]["higher_is_better"] is not None]


def proposals(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return entries of ``metrics`` for the columns whose names end with that of a known metric.

    ``val/Accuracy`` may be ``{metric: accuracy, split: validation}``. They are proposals for a message and never used
    unasked, because a name like ``best_accuracy`` may mean anything.
    """
    facts = imported_runs.metric_facts({})
    # The longest name first: f1_macro before f1.
    known = sorted(metrics(list(facts), facts), key=len, reverse=True)
    proposed, splits = {}, imported_layout.SYNONYMS["split"]
    for name in names:
        words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
        remaining = [word for word in words if word not in splits]
        metric = next((metric for metric in known if f"_{'_'.join(remaining)}".endswith(f"_{metric}")), None)
        if metric is not None and not _NO_RESULT & set(words):
            validation = "validation" in {splits.get(word) for word in words}
            proposed[name] = {"metric": metric} | ({"split": "validation"} if validation else {})
    return proposed


def proposed_text(names: Sequence[str]) -> str:
    """Return the first proposals as they are written in a config; "" if there are none."""
    first = dict(list(proposals(names).items())[:4])
    return yaml.safe_dump(first, default_flow_style=True, sort_keys=False, width=10_000).strip() if first else ""
