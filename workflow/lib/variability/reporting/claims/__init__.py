"""Claims: one file each, sentences about a study that its tables support, do not support, or leave undecided.

To add a claim, write a module in this folder with one subclass of ``Claim``: the module's name is the name in the
config, and all claims are written to ``claim/claims.md`` and ``claim/claims.csv``. Most claims follow this pattern:

    class Better(Claim):
        '''For every two candidates of a task: the first is better than the second.'''

        ANALYSES = ("decisions",)
        OPTIONS = {"margin": MARGIN}

        def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
            from variability.reporting import claimed_pairs

            findings = []
            for _, row in claimed_pairs.both_ways(tables["decisions"], self.options.get("margin")).iterrows():
                better, other = claimed_pairs.name(row), claimed_pairs.name(row, "_b")
                sentence = f"On {row['task']}, {better} is better than {other}."
                findings.append(claimed_pairs.finding(row, sentence))
            return findings

``claimed_pairs`` has helpers for claims about two candidates; ``verdict`` decides claims about any effect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from variability.reporting import text_format

if TYPE_CHECKING:
    import pandas as pd

SUPPORTED, EQUIVALENT, UNDECIDED, REFUSED = "supported", "equivalent", "undecided", "not supported"
VERDICTS = (SUPPORTED, EQUIVALENT, UNDECIDED, REFUSED)
#: Columns of the table of claims. effect, low and high are in the unit named by ``unit``; against names the other side
#: of the effect where the sentence does not; n_more is the number of further seeds per side that would decide the
#: claim, where it can be computed; n_more_of names the side that they are for if the other one is deterministic; note
#: is the reason why nothing was tested. meaning explains a verdict that has several meanings: not supported because the
#: opposite is supported, or because the difference is less than the margin.
COLUMNS = [
    *("kind", "task", "sentence", "verdict", "effect", "low", "high", "unit", "against", "p", "p_adjusted", "family"),
    *(
        "margin",
        "p_equivalent",
        "meaning",
        "n",
        "n_more",
        "n_more_of",
        "estimator",
        "interval",
        "level",
        "scope",
        "strength",
        "note",
    ),
]
#: Start of the unit of an SD.
SD_OF = "SD of "
#: Units of effects that are counts.
COUNTED = ("not beaten", "of the ranks possible")
#: JSON schema of the option ``margin``: the smallest effect worth acting on.
MARGIN = {
    "type": "number",
    "minimum": 0,
    "default": 0.01,
    "description": "smallest effect worth a claim, as a fraction of the metric's declared range (0.01 of accuracy is a "
    "point); of the |mean| if no range is declared. For comparisons, `margins` of the config come first",
}

#: Reasons why a comparison is not tested: no run differs from another, and no candidate has a second run.
NO_SPREAD = "no spread, so not tested"
ONE_RUN = "one run per candidate allows no comparison"

Verdict = Literal["supported", "equivalent", "undecided", "not supported"]


class Claim(ABC):
    """A kind of sentence about a study, with its verdict, from the tables of analyses."""

    #: Analyses whose tables it reads.
    ANALYSES: ClassVar[tuple[str, ...]]
    #: True if it is made when the config does not list claims.
    DEFAULT: ClassVar[bool] = True
    #: JSON schema of each option in the config.
    OPTIONS: ClassVar[dict[str, dict]] = {}
    #: Options that are names or patterns of candidates, which the config check compares with those of the study.
    CANDIDATES: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: dict[str, Any]):
        self.options = options

    def option(self, name: str) -> Any:
        """Return an option from the config, or the default of its schema."""
        return self.options.get(name, self.OPTIONS[name].get("default"))

    @abstractmethod
    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        """Return one dict per sentence, with keys from COLUMNS except ``kind``.

        Leave out keys that do not apply. ``verdict`` decides most claims.
        """


def verdict(effect: float, low: float, high: float, p: float, level: float, margin: float) -> Verdict:
    """Return the verdict on the claim that an effect is above 0, where it is not about a pair of ``decisions``.

    supported: the effect is above 0 and its (adjusted) p-value is at most 1 - level. not supported: the effect is below
    0 with such a p-value, or the upper end of its interval is at most the margin. undecided: the runs are compatible
    with both, or nothing was tested, because a side has a single run or no run differs from another.
    """
    if p <= 1 - level and effect != 0:
        return SUPPORTED if effect > 0 else REFUSED
    return REFUSED if high <= margin and p == p else UNDECIDED


def in_words(row: pd.Series) -> str:
    """Format a claim as one sentence, with its evidence."""
    return f"{row['sentence']} ({evidence(row)})"


def evidence(row: pd.Series) -> str:
    """Format the evidence for a claim: effect, interval, adjusted p-value, n, and what would decide it."""
    unit = row["unit"] if _known(row["unit"]) else ""
    digits = None
    if _known(row["low"]):
        digits = text_format.decimals(text_format.half_width(row["low"], row["high"]), row["low"], row["high"])
    digits = 0 if unit in COUNTED else digits
    of_effect = text_format.digits_of_sd(row["effect"], digits) if unit.startswith(SD_OF) else digits
    effect = text_format.number(row["effect"], "" if unit else "+", of_effect)
    # "13 SD of mse" would be read as 13 SDs.
    facts = [f"{effect} {unit}" if unit and not unit.startswith(SD_OF) else f"{unit or 'effect'} {effect}"]
    if _known(row.get("against")):
        facts[0] += f" against {row['against']}"
    if unit in COUNTED:
        facts.append(f"{text_format.percent(row['level'])} {row['interval']}")
    if _known(row["note"]) and not _known(row["p_adjusted"]):
        facts.append(row["note"])
    elif _known(row["low"]):
        ends = text_format.interval(row["low"], row["high"], digits=digits)
        facts.append(f"{text_format.percent(row['level'])} {row['interval']} {ends}")
    if _known(row["p_adjusted"]):
        facts.append(f"adjusted p {text_format.p_value(row['p_adjusted'])}")
        if _known(row["note"]):
            facts.append(row["note"])
    if _known(row.get("meaning")):
        facts.append(row["meaning"])
    facts.append(f"n = {row['n']}" if isinstance(row["n"], str) else f"n = {int(row['n'])}")
    if row["verdict"] == UNDECIDED and _known(row["n_more"]):
        from variability.reporting import seeds_to_decide

        side = row.get("n_more_of")
        facts.append(seeds_to_decide.in_words(row["n_more"], *([f"seed of {side}"] if _known(side) else [])))
    return "; ".join(facts)


def _known(value: Any) -> bool:
    return value is not None and value == value
