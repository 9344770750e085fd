"""Words about recipes, of the summary and the report page: how far the runs are from the network's reference probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from variability.advice import listed, plural
from variability.reporting import display_names, text_format

if TYPE_CHECKING:
    import pandas as pd

#: Most cells that the sentence about all tasks names, and the one at the beginning of page and summary.
MOST_NAMES, MOST_IN_OPENING = 3, 2


def header(gaps: pd.DataFrame) -> str:
    """Return the header of the column of ``in_table``."""
    return f"reference probe, unused by the recipe ({text_format.percent(gaps['level'].iloc[0])} t)"


def in_table(gap: pd.Series) -> str:
    """Return the value of the reference probe, and how much of it a cell leaves unused: ``0.902, +0.204``."""
    if gap["probe"] != gap["probe"]:
        return "none"
    return (
        f"{text_format.number(gap['probe'])}, {_unused(gap)}{_everywhere(gap)}"
        if gap["n"]
        else text_format.number(gap["probe"])
    )


def sentences(task: str, gaps: pd.DataFrame) -> list[str]:
    """Return one sentence for each cell that is shown to leave more than the margin unused, and for the others lists.

    Listed are cells beyond the margin whose interval includes 0, those with a single run, and those without a probe.
    """
    exceeding, decided = gaps["exceeds_margin"].astype(bool), gaps["decided"].astype(bool)
    texts = [_named(task, gap) for _, gap in gaps[exceeding & decided].iterrows()]
    better = f"a linear model of the frozen features is better on {task}"
    undecided, single = (gaps[exceeding & ~decided & chosen] for chosen in (gaps["n"] > 1, gaps["n"] == 1))
    if len(undecided):
        texts.append(f"That {better} is undecided for {_listed(undecided)}.")
    if len(single):
        texts.append(f"{better[0].upper()}{better[1:]} than the single runs of {_listed(single)}.")
    missing = gaps[gaps["probe"].isna()]
    if len(missing):
        cells = ", ".join(_name(gap) for _, gap in missing.iterrows())
        reasons = "; ".join(dict.fromkeys(note.partition(": ")[2] for note in missing["note"].dropna()))
        texts.append(f"There is no reference probe for {cells}: {reasons}.")
    return texts


def in_opening(gaps: pd.DataFrame) -> str:
    """Return which cells are shown to be worse than the margin allows; empty if there are none. gaps: primary rows."""
    worse = gaps[gaps["exceeds_margin"].astype(bool) & gaps["decided"].astype(bool)]
    if worse.empty:
        return ""
    worse = worse.sort_values("unused", ascending=False, kind="stable")
    several = gaps["task"].nunique() > 1
    names = [_name(gap) + (f" on {gap['task']}" if several else "") for _, gap in worse.iterrows()]
    whose = "its recipe limits its" if len(worse) == 1 else "their recipes limit their"
    model = "A linear model of the frozen features"
    return f"{model} is better than {listed(names, MOST_IN_OPENING, last=' and ')}: {whose} results."


def over_all_tasks(gaps: pd.DataFrame) -> str:
    """Return how many cells are shown to be worse, by more than the margin in the mean; empty without any probe.

    The interval of the gap is above 0, and its estimate above the margin, a share of the probe's value.
    """
    gaps = gaps[gaps["probe"].notna() & gaps["unused"].notna()]
    if gaps.empty:
        return ""
    exceeding, decided = gaps["exceeds_margin"].astype(bool), gaps["decided"].astype(bool)
    worse, cells = gaps[exceeding & decided], plural(len(gaps), "cell")
    undecided = int((exceeding & ~decided).sum())
    open_cells = f" For {undecided} it is undecided." if undecided else ""
    model = "a linear model of the same frozen features"
    # The same share of every probe; of a probe of 0 it is not known.
    share = (gaps["margin"].astype(float) / gaps["probe"].astype(float).abs()).max()
    mean = f"in the mean by more than {text_format.percent(share)} of its value" if share == share else "in the mean"
    if worse.empty:
        return f"In 0 of {cells} the runs are shown to be worse than {model}, {mean}.{open_cells}"
    names = [f"{_name(gap)} on {gap['task']}" for _, gap in worse.head(MOST_NAMES).iterrows()]
    names += [f"{len(worse) - MOST_NAMES} more"] * (len(worse) > MOST_NAMES)
    return (
        f"In {len(worse)} of {cells} the runs are worse than {model}, {mean} ({', '.join(names)}): "
        f"{'its recipe limits its' if len(worse) == 1 else 'their recipes limit their'} results.{open_cells}"
    )


def _named(task: str, gap: pd.Series) -> str:
    metric, probe = gap["metric"], f"a {gap['probe_estimator']}"
    runs = f"n = {int(gap['n'])}"
    if gap["method_kind"] == "linear_probe":
        return (
            f"The recipe of {_name(gap)} on {task} leaves {_unused(gap, metric)} unused{_everywhere(gap)}: "
            f"{probe} on the same features reaches {text_format.number(gap['probe'])} ({runs}). Its "
            "results show the recipe as much as the model and the seed."
        )
    return (
        f"{_name(gap)} on {task} is {_unused(gap, metric)} worse{_everywhere(gap)} than {probe} on its frozen "
        f"features, which reaches {text_format.number(gap['probe'])} ({runs}): its recipe loses what the pretrained "
        "network offers."
    )


def _listed(gaps: pd.DataFrame) -> str:
    return ", ".join(
        f"{_name(gap)} (by {_unused(gap, gap['metric'])}{_everywhere(gap)}, n = {int(gap['n'])})"
        for _, gap in gaps.iterrows()
    )


def _unused(gap: pd.Series, metric: str = "") -> str:
    """Return the size of a gap, with its interval unless all runs are equal. metric: name that follows."""
    if _everywhere(gap):
        size = text_format.number(gap["unused"])
    else:
        size = text_format.with_interval(gap["unused"], gap["low"], gap["high"])
    return f"{size} of {metric}" if metric else size


def _everywhere(gap: pd.Series) -> str:
    """Return the words that replace an interval where all runs are equal."""
    return " in all runs" if gap["low"] == gap["high"] and gap["n"] > 1 else ""


def _name(gap: pd.Series) -> str:
    return display_names.candidate(gap["model"], gap["method"])
