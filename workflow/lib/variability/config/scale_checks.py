"""Problems of the declared scales of metrics and groups of tasks, found before the first job."""

from collections.abc import Iterator, Mapping
from typing import Any

from variability import advice
from variability.config.import_checks import Contents
from variability.errors import Problem
from variability.results import imported_runs, metric_scales, task_groups
from variability.results.metrics import scalars


def check(config: Mapping[str, Any], imports: Mapping[str, Contents] | None) -> Iterator[Problem]:
    """Yield the problems of ``scales`` and of the scales in ``imports``.

    imports: contents of the files by name; None if one of them was not read, so that its tasks are not known.
    """
    trained = set(config.get("tasks", {}))
    known = set(scalars())
    for entry in config.get("imports", {}).values():
        known |= set(imported_runs.metric_facts(entry))
    tasks = None if imports is None else trained.union(*(_tasks(contents) for contents in imports.values()))
    for metric, declaration in config.get("scales", {}).items():
        if metric not in known:
            yield Problem(f"scales.{metric}", f"is not a metric of this study; {advice.suggest(metric, sorted(known))}")
        for key, message in metric_scales.problems(declaration, tasks):
            yield Problem(f"scales.{metric}.{key}", message)
    for name, contents in (imports or {}).items():
        for column, declaration in config["imports"][name].get("metrics", {}).items():
            for task in sorted(metric_scales.named_tasks(declaration or {}) - _tasks(contents)):
                message = f"names a task {task!r} that no run has; {advice.suggest(task, sorted(_tasks(contents)))}"
                yield Problem(f"imports.{name}.metrics.{column}", message)


def check_groups(config: Mapping[str, Any], imports: Mapping[str, Contents] | None) -> Iterator[Problem]:
    """Yield the problems of the groups of tasks. imports: as in ``check``."""
    trained = set(config.get("tasks", {}))
    tasks = None if imports is None else trained.union(*(_tasks(contents) for contents in imports.values()))
    yield from (Problem(key, message) for key, message in task_groups.problems(config, tasks))


def _tasks(contents: Contents) -> set[str]:
    return {str(run[1]) for run in contents.runs}
