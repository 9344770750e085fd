"""Arguments, output and exit status of the command that compares old runs with new ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from variability.compare import gate, matching, sentences, sides
from variability.errors import UserError, visible
from variability.reporting.analyses import LEVEL
from variability.reporting.claims import MARGIN

#: Exit statuses. An error is none of the verdicts.
STATUSES = {gate.NOT_WORSE: 0, gate.WORSE: 1, gate.CANNOT_TELL: 2}
ERROR = 3
_DESCRIPTION = "Compare old runs with new ones, and end with a status that says whether the new ones are worse."
_EPILOG = (
    "Exit status: 0 not worse than the margin, 1 worse beyond noise, 2 cannot tell, 3 arguments or files that cannot "
    "be used. OLD and NEW are folders of finished studies (results/<study>) or tables of runs (CSV, parquet, ...) with "
    "the columns model, seed, metric and value, and task, method and status if there are any."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `--help` shows the arguments")


def main(arguments: Sequence[str]) -> int:
    """Print one sentence per comparison and one on all of them, and return the exit status."""
    try:
        options = _parser().parse_args(arguments)
        directions = dict.fromkeys(options.lower_is_better, False) | dict.fromkeys(options.higher_is_better, True)
        old, new = (sides.read(path, options.metric, directions) for path in (options.old, options.new))
        names = {"task": options.task, "model": options.model, "method": options.method}
        cells = matching.match(old, new, names)
        comparisons = gate.compare(old, new, cells.both, options.level, options.margin, options.paired)
    except UserError as error:
        print(visible(f"error: {error}"), file=sys.stderr)
        return ERROR
    comparisons += [gate.missing(cell) for cell in cells.only_old]
    for comparison in sorted(comparisons, key=lambda each: gate.FIRST_WORST.index(each.verdict)):
        print(visible(sentences.of(comparison, options.level)))
    print(visible(sentences.overall(comparisons, cells.only_new)))
    return STATUSES[gate.overall(comparisons)]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m variability.compare", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("old", metavar="OLD", help="study or table to compare with")
    parser.add_argument("new", metavar="NEW", help="study or table that may be worse")
    parser.add_argument("--metric", help="metric to compare; by default the primary metric of each task")
    parser.add_argument(
        "--margin", type=_margin, default=MARGIN["default"], help="largest loss that counts as not worse, as "
        "a fraction of the metric's declared range (0.01 of accuracy is a point), otherwise of the old |mean|; 0.01",
    )  # fmt: skip
    parser.add_argument("--level", type=_level, default=LEVEL["default"], help="confidence level; 0.95")
    for axis in ("task", "model", "method"):
        parser.add_argument(
            f"--{axis}", action="append", default=[], metavar="NAME[=NEWNAME]",
            help=f"compare only this {axis} (* and ? match); with =, its name in NEW. May be repeated",
        )  # fmt: skip
    parser.add_argument("--paired", action="store_true", help="runs of equal seeds are pairs, such as folds")
    for word in ("higher", "lower"):
        parser.add_argument(
            f"--{word}-is-better", action="append", default=[], metavar="METRIC",
            help="direction of a metric of a table that this project does not know. May be repeated",
        )  # fmt: skip
    return parser


def _margin(text: str) -> float:
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    if value >= 1:
        raise argparse.ArgumentTypeError(
            f"{text} is a fraction of the metric's range: with a loss of the whole range, nothing could be worse; "
            "0.02 is two points of accuracy"
        )
    return value


def _level(text: str) -> float:
    value = _number(text)
    if not 0.5 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0.5 to below 1, such as 0.95")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
