"""Remarks on the data of the tasks: equal examples, and what was left out."""

from collections.abc import Mapping
from typing import Any

from variability.advice import plural
from variability.reporting.display_names import markdown


def notes(tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one paragraph for each task about which there is something to say.

    tasks: content of each task's task.json. The text is Markdown.
    """
    paragraphs = []
    for name, task in tasks.items():
        left_out = [f"{plural(count, 'example')} left out: {reason}." for reason, count in task["left_out"].items()]
        if sentences := [*task["remarks"], *left_out]:
            paragraphs.append(markdown(f"{name}: {' '.join(sentences)}"))
    return paragraphs
