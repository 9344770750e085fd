"""Pairs of candidates as claims about them need them: turned so that the first is the one spoken well of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from variability.reporting.claims import UNDECIDED, verdict

if TYPE_CHECKING:
    import pandas as pd

SIDE = ["model", "method", "mean", "sd", "n"]
#: Power with which further seeds are to decide, at the upper limit of the SDs seen so far (Browne 1995).
POWER = SD_LEVEL = 0.8


def both_ways(pairs: pd.DataFrame) -> pd.DataFrame:
    """The table ``pairwise`` with every pair twice: A against B and B against A, each better when above 0.

    tests: how many p-values the pair's family has.
    """
    import pandas as pd

    pairs = pairs.assign(tests=pairs.groupby("family")["p"].transform("count")).dropna(subset=["mean", "mean_b"])
    swap = {name: f"{name}_b" for name in SIDE} | {f"{name}_b": name for name in SIDE}
    turned = pairs.rename(columns=swap).assign(difference=-pairs["difference"], low=-pairs["high"], high=-pairs["low"])
    return pd.concat([pairs, turned], ignore_index=True)


def name(row: pd.Series, side: str = "") -> str:
    """A candidate in words."""
    return f"{row[f'model{side}']} ({row[f'method{side}']})"


def margin_of(margin: float, row: pd.Series) -> float:
    """The smallest difference worth a claim: absolute for means between 0 and 1, else a share of the reference's."""
    means = row["mean"], row["mean_b"]
    return margin if min(means) >= 0 and max(means) <= 1 else margin * abs(row["mean_b"])


def with_controls(pairs: pd.DataFrame, gain: pd.DataFrame, comparison: str, other: str) -> pd.DataFrame:
    """The pairs of a network with its control, a comparison of the table ``gain`` that names it in ``reference``.

    other: what the reference is of, "model_b" or "method_b"; the other of the two is the same on both sides.
    """
    shown = gain[gain["primary"].astype(bool) & (gain["split"] == "test") & (gain["comparison"] == comparison)]
    keys = ["model", "task", "method", other]
    same = "method" if other == "model_b" else "model"
    return pairs[pairs[same] == pairs[f"{same}_b"]].merge(shown.rename(columns={"reference": other})[keys], on=keys)


def finding(row: pd.Series, sentence: str, margin: float) -> dict[str, Any]:
    """What to say of a pair: that the first is better by more than its noise."""
    smallest = margin_of(margin, row)
    decided = verdict(row["difference"], row["low"], row["high"], row["p_adjusted"], row["level"], smallest)
    found = {
        **{"task": row["task"], "sentence": sentence, "verdict": decided},
        **{"effect": row["difference"], "low": row["low"], "high": row["high"]},
        **{key: row[key] for key in ("p", "p_adjusted", "family", "estimator", "interval", "level", "scope")},
        "n": f"{row['n']:g}" if row["n"] == row["n_b"] else f"{row['n']:g} against {row['n_b']:g}",
    }
    return found | ({"n_more": more_seeds(row, smallest)} if decided == UNDECIDED else {})


def more_seeds(row: pd.Series, smallest: float) -> float:
    """Further seeds of each that would show the difference seen, or the smallest one that matters, if that is larger.

    At the level that the smallest p-value of the family has to reach (Bonferroni), by the test that the pair had: of
    pairs the SD of their differences counts, however much both sides vary together. NaN from fewer than two runs, and
    where the number goes beyond what is looked for.
    """
    from variability.reporting.analyses import _pairing
    from variability.stats import sample_size

    level = 1 - (1 - row["level"]) / max(row["tests"], 1)
    goal = max(abs(row["difference"]), smallest)
    if row["pairing"] == _pairing.UNPAIRED:
        sds = [sample_size.sd_upper(row[f"sd{side}"], row[f"n{side}"], SD_LEVEL) for side in ("", "_b")]
        needed = float(sample_size.for_power(goal, *sds, POWER, level))
    else:
        sd = sample_size.sd_upper(row["sd_difference"], row["n"], SD_LEVEL)
        needed = float(sample_size.for_paired_power(goal, sd, POWER, level))
    return max(needed - min(row["n"], row["n_b"]), 1.0) if needed < sample_size.MOST else float("nan")
