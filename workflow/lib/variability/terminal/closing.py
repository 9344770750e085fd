"""The last lines of an execution: the answer, and where the report is."""

import re
import textwrap
from collections.abc import Sequence

from variability.advice import plural
from variability.terminal.tracker import Status

#: Lines that the answer and the path of the report take together at most, and columns of a line.
LINES, WIDTH = 15, 100
#: Most lines of the error that the end of a failed execution repeats.
MOST_OF_ERROR = 5
_MORE = "[more in the report]"
#: Words by which a sentence is shortened that is too long by itself.
_WORDS = 5


def closing(answer: str, report: str, columns: int = WIDTH) -> str:
    """Return the answer and the path of the report in at most LINES lines of a terminal.

    answer: a heading and paragraphs, separated by empty lines. As long as it is too long, the longest paragraph loses
    its last sentence. columns: of the terminal.
    """
    width = max(min(columns, WIDTH), 20)
    heading, *paragraphs = (" ".join(part.split()) for part in answer.strip().split("\n\n"))
    sentences = [re.split(r"(?<=[.;]) (?=[A-Z\d])", text) for text in paragraphs]
    whole = [list(pieces) for pieces in sentences]
    where = textwrap.wrap(f"Report: {report}", width, break_on_hyphens=False, subsequent_indent="  ")
    # Without the path and the empty line before everything.
    room = LINES - 1 - len(where)
    while len(lines := _lines(heading, sentences, whole, width)) > room and any(sentences):
        longest = max(sentences, key=lambda pieces: len(" ".join(pieces)))
        longest[:] = _shorter(longest)
    return "\n".join(["", *lines[:room], *where])


def closing_of_failure(status: Status, failed: Sequence[tuple[str, str]], error: str = "", columns: int = WIDTH) -> str:
    """Return which jobs have failed, in at most LINES lines of a terminal.

    failed: name and log of each job. error: the first error of the first of them.
    """
    if not failed:
        return ""
    runs = (
        f"; {status.runs_done} of {plural(status.runs, 'run')} finished, {status.runs_failed} failed"
        if status.runs
        else ""
    )
    lines = [f"{name}: {log}" for name, log in failed]
    problem = _wrapped_error(error, columns) if error else []
    if len(lines) > (room := LINES - 4 - len(problem)):
        lines = [*lines[: room - 1], f"and {len(lines) - room + 1} more"]
    head = f"{plural(len(failed), 'job')} failed{runs}. Logs:"
    return "\n".join(
        ["", head, *lines, *problem, "Run the same command again to continue; what is finished is used again."]
    )


def closing_of_interruption(status: Status) -> str:
    """Return the end of an interrupted execution, in two lines."""
    runs = f" ({status.runs_done} of {plural(status.runs, 'run')} finished)" if status.runs else ""
    return f"\nInterrupted; finished work and saved states are kept{runs}.\nRun the same command again to continue."


def _wrapped_error(error: str, columns: int) -> list[str]:
    width = max(min(columns, WIDTH), 20)
    wrapping = {"break_on_hyphens": False, "subsequent_indent": "  ", "max_lines": MOST_OF_ERROR}
    return textwrap.wrap(f"First error: {error}", width, **wrapping)


def _lines(heading: str, sentences: list[list[str]], whole: list[list[str]], width: int) -> list[str]:
    lines = textwrap.wrap(heading, width)
    for position, (pieces, complete) in enumerate(zip(sentences, whole, strict=True)):
        text = " ".join(pieces if pieces == complete else [*pieces, _MORE])
        lines += [""] * (position > 0) + textwrap.wrap(text, width, break_on_hyphens=False)
    return lines


def _shorter(pieces: Sequence[str]) -> list[str]:
    if len(pieces) > 1:
        return list(pieces[:-1])
    words = pieces[0].split() if pieces else []
    return [" ".join(words[:-_WORDS])] if len(words) > _WORDS else []
