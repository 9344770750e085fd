"""Margins of the config: differences of a metric that are too small to matter, for all tasks or for one.

A margin is in the unit of the metric, such as 0.01 of accuracy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from variability import advice

#: {metric: margin} for all tasks, and {task: {metric: margin}}.
Margins = Mapping[str, float | Mapping[str, float]]


def declared(margins: Margins, task: str, metric: str) -> float | None:
    """Return the margin of a metric on a task: that of the task if it has one, otherwise that of the metric."""
    of_task, of_metric = margins.get(task), margins.get(metric)
    if isinstance(of_task, Mapping) and metric in of_task:
        return of_task[metric]
    return None if isinstance(of_metric, Mapping) else of_metric


def entries(margins: Margins) -> Iterator[tuple[str, str, float]]:
    """Yield key, metric and margin of each entry."""
    for name, entry in margins.items():
        if isinstance(entry, Mapping):
            yield from ((f"{name}.{metric}", metric, margin) for metric, margin in entry.items())
        else:
            yield name, name, entry


def problems(
    margins: Margins, ranges: Mapping[str, tuple[float, float] | None], tasks: Collection[str] | None
) -> Iterator[tuple[str, str]]:
    """Yield (key, problem).

    ranges: closed ranges of all metrics by name, None for open ones. tasks: of the study; None if imports were not
    read, so that neither all tasks nor all metrics are known.
    """
    for name, entry in margins.items():
        if isinstance(entry, Mapping) and tasks is not None and name not in tasks:
            yield name, f"is not a task of this study; {advice.suggest(name, sorted(tasks))}"
    for key, metric, margin in entries(margins):
        if metric not in ranges and tasks is not None and metric in tasks and key == metric:
            yield key, "is a task; name the metric, too: {<metric>: <margin>}"
        elif metric not in ranges and tasks is not None:
            yield key, f"{metric!r} is not a metric of this study; {advice.suggest(metric, sorted(ranges))}"
        elif (ends := ranges.get(metric)) and margin >= ends[1] - ends[0]:
            yield (
                key,
                f"{margin:g} is the whole range of {metric}, {ends[0]:g} to {ends[1]:g}, within which all candidates "
                "are equivalent; a margin is in the unit of the metric",
            )
