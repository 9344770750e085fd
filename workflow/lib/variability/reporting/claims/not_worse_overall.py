"""Claim of non-inferiority over all tasks: one candidate is at most the margin worse than another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.claims import REFUSED, SUPPORTED, UNDECIDED, Claim
from variability.reporting.claims.not_worse import CANDIDATE, matched

if TYPE_CHECKING:
    import pandas as pd

_SIDE = ["model", "method", "n", "n_failed", "p_not_worse", "p_one_sided"]
_SWAP = {"wins": "losses", "losses": "wins"} | {
    own: other for name in _SIDE for own, other in ((name, f"{name}_b"), (f"{name}_b", name))
}


class NotWorseOverall(Claim):
    """``not_worse`` for all tasks together: the mean difference over tasks, from the one-sided tests of ``overall``.

    Without ``candidate`` all are compared, without ``than`` with the candidate that is ahead. Supported if the mean
    over tasks is shown to be worse by less than the margin of ``overall``, or the candidate beats the other; not
    supported if the unadjusted one-sided test, times twice the number of pairs (Bonferroni), shows that it is worse by
    more. The margin is an option of ``overall``.
    """

    ANALYSES = ("overall",)
    DEFAULT = False
    OPTIONS: ClassVar[dict[str, dict]] = {"candidate": CANDIDATE, "than": CANDIDATE}
    CANDIDATES = ("candidate", "than")

    def findings(self, tables: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
        import pandas as pd

        from variability.reporting import rank_words
        from variability.reporting.claims import overall

        pairs = rank_words.with_ranks(tables["overall"])
        if pairs.empty:
            return []
        where = overall.over(pairs)
        turned = pairs.rename(columns=_SWAP).assign(difference=-pairs["difference"], turned=True)
        pairs = pd.concat([pairs.assign(turned=False), turned], ignore_index=True)
        if self.option("than"):
            chosen = matched(pairs, "_b", self.option("than"))
        else:
            chosen = (pairs["model_b"] == pairs["leader"]) & (pairs["method_b"] == pairs["leader_method"])
        chosen &= matched(pairs, "", self.option("candidate") or "*")
        return [_finding(row, where) for _, row in pairs[chosen].iterrows()]


def _finding(row, where):
    from variability.reporting import claimed_pairs, text_format
    from variability.reporting.claims import overall

    alpha, margin = 1 - row["level"], f"{row['margin']:.3g}"
    # Of "the candidate is worse by less than the margin, or better".
    p_worse = min(1.0, 2 * row["tests"] * (1 - row["p_one_sided"]))
    beats = row["decision"] == "beats" and not row["turned"]
    supported = row["p_not_worse"] <= alpha or beats
    verdict = SUPPORTED if supported else REFUSED if p_worse <= alpha else UNDECIDED
    names = [claimed_pairs.name(row, side) for side in ("", "_b")]
    worse = f"worse by more than {margin}, adjusted p {text_format.p_value(p_worse)}"
    return {
        "sentence": f"{where}, {names[0]} is at most {margin} worse than {names[1]}.",
        "verdict": verdict,
        # The interval is not adjusted, and would not agree with this test.
        **{"effect": row["difference"], "interval": "none", "p_adjusted": row["p_not_worse"]},
        **{key: row[key] for key in ("family", "estimator", "level", "scope", "margin", "p_equivalent")},
        "meaning": worse if verdict == REFUSED else None,
        "n": overall.counted(row),
        "note": row["note"] if row["p_not_worse"] != row["p_not_worse"] else None,
    }
