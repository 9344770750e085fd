"""Claim of non-inferiority: one candidate is at most the margin worse than another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.claims import MARGIN, Claim
from variability.results.run_selection import matches_candidate

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: JSON schema of an option that names candidates.
CANDIDATE = {
    "type": "string",
    "default": "",
    "description": "name or pattern of a model, or of a candidate in the form `model (method)`",
}


class NotWorse(Claim):
    """Per task, every candidate that ``candidate`` matches against every one that ``than`` matches.

    Without ``candidate`` all are compared, without ``than`` with the candidate that has the best mean. From the
    one-sided tests of ``decisions`` (``p_not_worse``). Supported if it is shown to be worse by less than the margin, or
    better; not supported if a one-sided test shows that it is worse by more than the margin.
    """

    ANALYSES = ("decisions",)
    DEFAULT = False
    OPTIONS: ClassVar[dict[str, dict]] = {"candidate": CANDIDATE, "than": CANDIDATE, "margin": MARGIN}
    CANDIDATES = ("candidate", "than")

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        from variability.reporting import claimed_pairs

        pairs = claimed_pairs.both_ways(tables["decisions"], self.options.get("margin"))
        if self.option("than"):
            chosen = matched(pairs, "_b", self.option("than"))
        else:
            chosen = (pairs["model_b"] == pairs["leader"]) & (pairs["method_b"] == pairs["leader_method"])
        chosen &= matched(pairs, "", self.option("candidate") or "*")
        return [claimed_pairs.not_worse(row, claimed_pairs.name(row)) for _, row in pairs[chosen].iterrows()]


def matched(pairs: pd.DataFrame, side: str, pattern: str) -> np.ndarray:
    """Return in which pairs a pattern matches the candidate of a side; each candidate is compared once."""
    keys = [f"model{side}", f"method{side}"]
    names = pairs[keys].drop_duplicates()
    matching = [matches_candidate(*name, pattern) for name in names.itertuples(index=False, name=None)]
    return pairs.set_index(keys).index.isin(list(names[matching].itertuples(index=False, name=None)))
