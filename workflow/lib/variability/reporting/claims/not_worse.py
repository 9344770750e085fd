"""Claim of non-inferiority: one candidate is worse than another by less than the margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.claims import MARGIN, Claim
from variability.results.run_selection import matches_candidate

if TYPE_CHECKING:
    import pandas as pd

_CANDIDATE = {
    "type": "string",
    "default": "",
    "description": "name or pattern of a model, or of a candidate in the form `model (method)`",
}


class NotWorse(Claim):
    """Per task, every candidate that ``candidate`` matches against every one that ``than`` matches.

    Without ``candidate`` all are compared, without ``than`` with the candidate that has the best mean. From the
    one-sided tests of ``decisions`` (``p_not_worse``). Supported if it is shown to be worse by less than the margin, or
    better; not supported if the interval shows that it is worse by more than the margin.
    """

    ANALYSES = ("decisions",)
    DEFAULT = False
    OPTIONS: ClassVar[dict[str, dict]] = {"candidate": _CANDIDATE, "than": _CANDIDATE, "margin": MARGIN}
    CANDIDATES = ("candidate", "than")

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting.claims import _pairs

        pairs = _pairs.both_ways(tables["decisions"], self.options.get("margin"))
        return [_pairs.not_worse(row, _pairs.name(row)) for _, row in pairs.iterrows() if self._names(row)]

    def _names(self, row):
        """Return whether the claim is about a pair."""
        than = self.option("than")
        if than:
            is_other = matches_candidate(row["model_b"], row["method_b"], than)
        else:
            is_other = (row["model_b"], row["method_b"]) == (row["leader"], row["leader_method"])
        return is_other and matches_candidate(row["model"], row["method"], self.option("candidate") or "*")
