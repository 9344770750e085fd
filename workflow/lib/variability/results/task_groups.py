"""Groups of tasks that are not independent of each other, such as splits of one data set, as the study declares them.

Over all tasks, a group counts once. A task without a group is a group of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from variability import advice
from variability.results.run_selection import matches_name

if TYPE_CHECKING:
    import pandas as pd

#: Column of the runs table.
COLUMN = "task_group"


def declared(runs: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the runs table with the groups of its tasks. groups: {group: names or patterns of its tasks}."""
    names = {task: (groups_of(task, groups) or [task])[0] for task in runs["task"].unique()}
    return runs.assign(**{COLUMN: runs["task"].map(names)})


def of_tasks(runs: pd.DataFrame) -> dict[str, str]:
    """Return the group of each task, in the order of the tasks; a task is its own where the table has no groups."""
    first = runs.drop_duplicates("task")
    groups = first[COLUMN] if COLUMN in first else first["task"]
    return dict(zip(first["task"], groups, strict=True))


def of_config(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the names or patterns of the tasks of each group, of tasks trained here and of imported ones."""
    groups: dict[str, list[str]] = {}
    for task, entry in config.get("tasks", {}).items():
        if "group" in entry:
            groups.setdefault(entry["group"], []).append(task)
    for entry in config.get("imports", {}).values():
        for group, tasks in entry.get("groups", {}).items():
            groups.setdefault(group, []).extend([tasks] if isinstance(tasks, str) else tasks)
    return {group: sorted(set(tasks)) for group, tasks in sorted(groups.items())}


def groups_of(task: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the groups whose names or patterns match a task."""
    return [group for group, tasks in groups.items() if any(matches_name(task, pattern) for pattern in tasks)]


def problems(config: Mapping[str, Any], tasks: Collection[str] | None) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) of groups. tasks: all of the study; None if they are not known."""
    groups = of_config(config)
    for name, entry in config.get("imports", {}).items():
        for group, patterns in entry.get("groups", {}).items():
            for pattern in [patterns] if isinstance(patterns, str) else patterns:
                if tasks is not None and not any(matches_name(task, pattern) for task in tasks):
                    suggestion = advice.suggest(pattern, sorted(tasks))
                    yield f"imports.{name}.groups.{group}", f"{pattern!r} matches no task; {suggestion}"
    for task in sorted(tasks or ()):
        if len(several := groups_of(task, groups)) > 1:
            key = f"tasks.{task}.group" if task in config.get("tasks", {}) else "imports"
            yield key, f"task {task!r} is in the groups {advice.listed(several)}; leave it in one of them"
        elif task in groups and not several:
            message = f"the group {task!r} has the name of a task that is not in it; rename the group, or add the task"
            yield _key_of_group(task, config), message


def _key_of_group(group: str, config: Mapping[str, Any]) -> str:
    """Return the key of the config that first names a group."""
    tasks = (f"tasks.{task}.group" for task, entry in config.get("tasks", {}).items() if entry.get("group") == group)
    imports = (
        f"imports.{name}.groups.{group}"
        for name, entry in config.get("imports", {}).items()
        if group in entry.get("groups", {})
    )
    return next((key for keys in (tasks, imports) for key in keys), "imports")
