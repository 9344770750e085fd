"""Pairs of candidates for claims about them, oriented so that the claim is in favour of the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from variability.reporting.claims import REFUSED, SUPPORTED, UNDECIDED, verdict
from variability.results import metric_scales
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd

    from variability.reporting.claims import Verdict

SIDE = ["model", "method", "mean", "sd", "n"]
#: Power to plan further seeds for, and level of the upper confidence limit of the SD (Browne 1995).
POWER = SD_LEVEL = 0.8


def both_ways(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the table ``decisions`` with every pair twice: A against B and B against A.

    An effect above 0 favours the first of the two.
    """
    import pandas as pd

    pairs = pairs.dropna(subset=["mean", "mean_b"])
    swap = {name: f"{name}_b" for name in SIDE} | {f"{name}_b": name for name in SIDE}
    turned = pairs.rename(columns=swap).assign(difference=-pairs["difference"], low=-pairs["high"], high=-pairs["low"])
    return pd.concat([pairs, turned], ignore_index=True)


def name(row: pd.Series, side: str = "") -> str:
    """Format a candidate as model (method). side: "" or "_b"."""
    return f"{row[f'model{side}']} ({row[f'method{side}']})"


def margin_of(margin: float, row: pd.Series) -> float:
    """Return the smallest difference worth a claim: a fraction of the metric's length, see ``metric_scales``.

    A metric without a declared range has no length; the margin is then that fraction of the reference's mean.
    """
    return metric_scales.margin(margin, row["unit_length"], row["mean_b"])


def verdict_of(row: pd.Series, margin: float) -> Verdict:
    """Return the verdict on the claim that the first candidate of a pair is better by more than its noise."""
    smallest = margin_of(margin, row)
    return verdict(row["difference"], row["low"], row["high"], row["p_adjusted"], row["level"], smallest)


def verdict_of_best(decisions: pd.DataFrame, margin: float) -> Verdict:
    """Return the verdict on the claim that the leader of a task is the best, from its rows of ``decisions``.

    It is that it beats every other candidate: refused if that is refused for one of them.
    """
    first = decisions.iloc[0]
    if first["is_best"]:
        return SUPPORTED
    pairs = both_ways(decisions)
    of_leader = pairs[(pairs["model"] == first["leader"]) & (pairs["method"] == first["leader_method"])]
    verdicts = [verdict_of(row, margin) for _, row in of_leader.iterrows()]
    return REFUSED if REFUSED in verdicts else UNDECIDED


def with_controls(pairs: pd.DataFrame, gain: pd.DataFrame, comparison: str, other: str) -> pd.DataFrame:
    """Return the pairs of a network with its control, from one comparison of the table ``gain``.

    other: column that the gain's ``reference`` refers to, "model_b" or "method_b"; the other of the two is the same on
    both sides.
    """
    shown = gain[gain["primary"].astype(bool) & (gain["split"] == "test") & (gain["comparison"] == comparison)]
    keys = [*CELL, other]
    same = "method" if other == "model_b" else "model"
    return pairs[pairs[same] == pairs[f"{same}_b"]].merge(shown.rename(columns={"reference": other})[keys], on=keys)


def finding(row: pd.Series, sentence: str, margin: float) -> dict[str, Any]:
    """Return the finding that the first candidate of a pair is better by more than its noise."""
    decision = verdict_of(row, margin)
    facts = {
        **{"task": row["task"], "sentence": sentence, "verdict": decision},
        **{"effect": row["difference"], "low": row["low"], "high": row["high"]},
        **{key: row[key] for key in ("p", "p_adjusted", "family", "estimator", "interval", "level", "scope")},
        "n": f"{row['n']:g}" if row["n"] == row["n_b"] else f"{row['n']:g} against {row['n_b']:g}",
        "note": row["note"] if row["p_adjusted"] != row["p_adjusted"] else None,
    }
    return facts | ({"n_more": more_seeds(row, margin_of(margin, row))} if decision == UNDECIDED else {})


def more_seeds(row: pd.Series | Mapping[str, Any], smallest: float) -> float:
    """Return the number of further seeds per side that would show the difference of a pair.

    That is the observed difference, or ``smallest`` if that is larger. The level is that of the smallest p-value of the
    family (Bonferroni), and the test is that of the pair: for pairs of runs the SD of their differences counts, however
    much both sides vary together. NaN where nothing was tested, and beyond the upper limit of the search.
    """
    from variability.reporting.analyses import _pairing
    from variability.stats import sample_size

    if row["p"] != row["p"]:
        return float("nan")
    level = 1 - (1 - row["level"]) / max(row["tests"], 1)
    goal = max(abs(row["difference"]), smallest)
    if row["pairing"] == _pairing.UNPAIRED:
        sds = [sample_size.sd_upper(row[f"sd{side}"], row[f"n{side}"], SD_LEVEL) for side in ("", "_b")]
        needed = float(sample_size.for_power(goal, *sds, POWER, level))
    else:
        sd = sample_size.sd_upper(row["sd_difference"], row["n"], SD_LEVEL)
        needed = float(sample_size.for_paired_power(goal, sd, POWER, level))
    return max(needed - min(row["n"], row["n_b"]), 1.0) if needed < sample_size.MOST else float("nan")
