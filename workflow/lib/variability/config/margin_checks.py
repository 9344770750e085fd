"""Problems of the margins of equivalence, and of claims that name candidates, found before the first job."""

from collections.abc import Iterator, Mapping
from typing import Any

from variability import advice, registry
from variability.config import plugin_choice
from variability.config.import_checks import Contents
from variability.errors import Problem
from variability.results import equivalence_margins, imported_runs
from variability.results.metrics import scalar_facts
from variability.results.run_selection import matches_candidate


def check(config: Mapping[str, Any], imports: Mapping[str, Contents] | None) -> Iterator[Problem]:
    """Yield the problems of ``margins``.

    imports: contents of the files by name; None if one of them was not read, so that its tasks are not known.
    """
    facts = scalar_facts()
    for entry in config.get("imports", {}).values():
        facts |= imported_runs.metric_facts(entry)
    for metric, declaration in config.get("scales", {}).items():
        facts[metric] = facts.get(metric, {}) | declaration
    trained = set(config.get("tasks", {}))
    tasks = None if imports is None else trained.union(*({str(run[1]) for run in of.runs} for of in imports.values()))
    ranges = dict.fromkeys(value[6] for contents in (imports or {}).values() for value in contents.values)
    ranges |= {metric: _closed(of_metric.get("range")) for metric, of_metric in facts.items()}
    for key, message in equivalence_margins.problems(config.get("margins", {}), ranges, tasks):
        yield Problem(f"margins.{key}", message)


def check_claims(
    config: Mapping[str, Any], cells: Mapping[tuple[str, str, str], Any], imports: Mapping[str, Contents]
) -> Iterator[Problem]:
    """Yield the options of claims that name no candidate. cells: (model, task, method) that the study trains."""
    imported = {tuple(map(str, run[:3])) for contents in imports.values() for run in contents.runs}
    candidates = sorted({(model, method) for model, _, method in (*cells, *imported)})
    for name, options in plugin_choice.entries(config.get("claims", {})):
        if name not in registry.names("claims") or not isinstance(options, Mapping):
            continue
        for option in registry.find("claims", name).CANDIDATES:
            pattern = options.get(option)
            if pattern and not any(matches_candidate(*candidate, pattern) for candidate in candidates):
                known = [f"{model} ({method})" for model, method in candidates]
                message = f"{pattern!r} matches no candidate; {advice.suggest(pattern, known)}"
                yield Problem(f"claims.{name}.{option}", message)


def _closed(ends: Any) -> tuple[float, float] | None:
    return (ends[0], ends[1]) if ends and None not in (ends[0], ends[1]) else None
