"""The table at the end of a dry run: what will be computed, and what that will take."""

from collections.abc import Sequence
from dataclasses import dataclass

from variability.advice import agree, listed, plural
from variability.stages.disk import format_bytes
from variability.terminal.durations import Work, time_left
from variability.terminal.status_words import duration, left_in_words

_UNKNOWN = "?"
_HEADER = ("stage", "jobs", "runs to train", "runs reused", "time", "disk")


@dataclass(frozen=True)
class Row:
    """A stage. runs, reused: numbers of runs that its jobs train, or find; None without runs. size: bytes."""

    stage: str
    jobs: int
    work: Work
    size: float | None
    runs: int | None = None
    reused: int | None = None


def plan_table(rows: Sequence[Row], finished: int, limits: str, studies: Sequence[str], of_others: bool = False) -> str:
    """Return the table, and sentences on finished runs and on what the estimates are based on.

    finished: number of runs that need no job. limits: what the estimates of time are for, such as ``8 cores``. studies:
    those with earlier runs or jobs. of_others: see ``Earlier``.
    """
    cells = [_HEADER, *map(_cells, rows), _total(rows)]
    if not any(row.runs is not None for row in rows):
        cells = [(*row[:2], *row[4:]) for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in cells]
    rule = "  ".join("-" * width for width in widths)
    table = ["", "To be computed:", lines[0], rule, *lines[1:-1], rule, lines[-1]]
    if finished:
        noun = "more run" if any(row.runs for row in rows) else "run"
        table.append(f"{plural(finished, noun)} {agree(finished, 'is', 'are')} finished and used again.")
    return "\n".join([*table, _basis(rows, limits, studies, of_others)])


def _cells(row: Row) -> tuple[str, ...]:
    wall = row.work.wall
    return (
        row.stage,
        str(row.jobs),
        "" if row.runs is None else str(row.runs),
        "" if row.reused is None else str(row.reused),
        _UNKNOWN if wall is None else duration(wall) if wall else "-",
        _UNKNOWN if row.size is None else format_bytes(row.size) if row.size else "-",
    )


def _total(rows: Sequence[Row]) -> tuple[str, ...]:
    left = time_left(row.work for row in rows)
    known = [row.size for row in rows if row.size is not None]
    size = f"{'' if len(known) == len(rows) else 'over '}{format_bytes(sum(known))}" if sum(known) else _UNKNOWN
    return (
        "total",
        str(sum(row.jobs for row in rows)),
        str(sum(row.runs or 0 for row in rows)),
        str(sum(row.reused or 0 for row in rows)),
        left_in_words(left) if left.seconds else _UNKNOWN,
        size,
    )


def _basis(rows: Sequence[Row], limits: str, studies: Sequence[str], of_others: bool) -> str:
    if not studies:
        return "There is no earlier run to estimate time and disk from."
    unknown = [row.stage for row in rows if row.work.seconds is None]
    missing = f"; nothing is known of {listed(unknown, last=' and ')}" if unknown else ""
    rough = "; models or methods that have none, from those of others, which may be far off" if of_others else ""
    of_studies = listed(studies, last=" and ")
    return f"Time on {limits} and disk are estimated from earlier runs of {of_studies}{rough}{missing}."


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
