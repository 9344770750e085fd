"""Claims: one file each, sentences that the analyses' tables support, refuse, or leave undecided."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from variability.reporting import text_format

if TYPE_CHECKING:
    import pandas as pd

SUPPORTED, UNDECIDED, REFUSED = "supported", "undecided", "not supported"
VERDICTS = (SUPPORTED, UNDECIDED, REFUSED)
#: What every finding says. effect, low and high are in the unit that ``unit`` names; n_more is the number of further
#: seeds of each side that would decide, where that can be reckoned.
COLUMNS = [
    *("kind", "task", "sentence", "verdict", "effect", "low", "high", "unit", "p", "p_adjusted", "family"),
    *("n", "n_more", "estimator", "interval", "level", "scope", "strength"),
]
#: Schema of the option ``margin``: the smallest effect that anybody would act on.
MARGIN = {
    "type": "number",
    "minimum": 0,
    "default": 0.01,
    "description": "smallest effect worth a claim, in the metric's unit; a share of the reference's |mean| where the "
    "metric is not between 0 and 1",
}

Verdict = Literal["supported", "undecided", "not supported"]


class Claim(ABC):
    """A kind of sentence about a study, with its verdict, from the tables of analyses."""

    #: Analyses whose tables it reads.
    ANALYSES: ClassVar[tuple[str, ...]]
    #: Whether it is made where the config does not list claims.
    DEFAULT: ClassVar[bool] = True
    #: JSON schema of its options in the config.
    OPTIONS: ClassVar[dict[str, dict]] = {}

    def __init__(self, options: dict[str, Any]):
        self.options = options

    def option(self, name: str) -> Any:
        """An option of the config, or its schema's default."""
        return self.options.get(name, self.OPTIONS[name].get("default"))

    @abstractmethod
    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        """One dict per sentence, with the keys COLUMNS less ``kind``; what does not apply is left out."""


def verdict(effect: float, low: float, high: float, p: float, level: float, margin: float) -> Verdict:
    """What an effect that is claimed to be above 0 deserves.

    supported: it is above 0 and its (adjusted) p-value is at most 1 - level. not supported: it is below 0 with such a
    p-value, or even the upper end of its interval is no larger than the margin. undecided: the runs allow both.
    Without an interval and a p-value nothing is supported, and no effect above 0 is refused: the interval of runs that
    have no spread is a point.
    """
    if p <= 1 - level and effect != 0:
        return SUPPORTED if effect > 0 else REFUSED
    return REFUSED if high <= margin and (p == p or effect <= 0) else UNDECIDED


def in_words(row: pd.Series) -> str:
    """A claim as one sentence, with effect, interval, adjusted p, n, and what would decide it."""
    unit = f" {row['unit']}" if _known(row["unit"]) else ""
    facts = [
        f"{text_format.number(row['effect'])}{unit}" if unit else f"effect {text_format.number(row['effect'], '+')}"
    ]
    if _known(row["low"]):
        ends = f"[{text_format.number(row['low'])}, {text_format.number(row['high'])}]"
        facts.append(f"{text_format.percent(row['level'])} {row['interval']} {ends}")
    if _known(row["p_adjusted"]):
        facts.append(f"adjusted p {_p(row['p_adjusted'])}")
    facts.append(f"n = {row['n']}" if isinstance(row["n"], str) else f"n = {int(row['n'])}")
    if row["verdict"] == UNDECIDED and _known(row["n_more"]):
        facts.append(f"about {int(row['n_more']):,} more seeds of each would decide")
    return f"{row['sentence']} ({'; '.join(facts)})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _known(value: Any) -> bool:
    return value is not None and value == value
