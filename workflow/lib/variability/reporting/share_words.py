"""One sentence on how much of the differences between a study's results is due to what."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from variability.advice import agree, listed, plural
from variability.reporting import text_format
from variability.reporting.analyses import _component_rows, components

#: Words for components whose names are not words for what they are.
_WORDS = {"pretrained": "pretraining", "pretraining seed": "seed of the pretraining"}
_SCALES: Mapping[str, str] = {
    components.METRIC: "",
    components.LOG_ODDS: " in log odds",
    components.RANK: " in rank within a task",
}
_FACTORS = ("factor", "pretraining")
#: The share of a factor when it is counted last and first, in its note.
_OVERLAP = re.compile(re.escape(_component_rows.OVERLAPS) + r"([0-9]+) % to ([0-9]+) %")
#: Smallest difference between the two that a sentence mentions.
_NOTABLE = 0.05


def in_words(table: pd.DataFrame) -> str:
    """Return the sentence, empty if there are fewer than two results. table: of ``components``."""
    rows = table[(table["population"] == components.GRID) & table["headline"].astype(bool)]
    if rows.empty or rows["variance"].isna().all():
        return ""
    first = rows.iloc[0]
    where = (
        f"on {plural(int(first['n_tasks']), 'task')}" if first["task"] == components.ALL else (f"on {first['task']}")
    )
    results = f"{int(first['n']):,} results {where}"
    parts = sources(rows)
    shares = np.array([row["share"] for _, row in parts])
    if np.isnan(shares).any():
        return f"The {results} are all equal."
    differences = f"the differences{_SCALES[first['scale']]} between the {results}{_size(first, parts)}"
    if len(parts) == 1:
        return f"All of {differences} are due to {parts[0][0]}: nothing else varies."
    texts = [
        f"{percent(row['share'], whole)}{_interval(row)}{' are due' if at == 0 else ''} to {words}"
        for at, ((words, row), whole) in enumerate(zip(parts, rounded(shares), strict=True))
    ]
    level = text_format.percent(first["level"])
    end = f" (in parentheses: {level} intervals)" if first["interval"] != "none" else " (one run each: no intervals)"
    confounded = [_word(row["component"]) for _, row in rows.iterrows() if _is_confounded(row)]
    more = f"; it is not possible to separate the {' and the '.join(confounded)} from these" if confounded else ""
    return f"Of {differences}, {', '.join(texts[:-1])} and {texts[-1]}{end}{more}{_overlaps(parts)}."


def sources(rows: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Return (words, row) of the sources that together are 100 %: factors, their combinations, pairs and the seed.

    rows: those of one task and scale of this grid.
    """
    known = rows[rows["variance"].notna()]
    parts = []
    together = known[known["role"] == "sum"]
    combinations = together if len(together) else known[known["role"] == "interaction"]
    for _, row in known[known["role"].isin(_FACTORS)].iterrows():
        # A rank within the task does not depend on how difficult the task is.
        if not (row["scale"] == components.RANK and row["component"] == "task"):
            parts.append((f"the {_word(row['component'])}", row))
    ranked = len(known) > 0 and known["scale"].iloc[0] == components.RANK
    words = "their combination" if len(parts) == 2 and together.empty else "combinations of these"
    words = "combinations with the task" if ranked else words
    if len(combinations) > 1:
        # With one run each there is no row of all of them, and no interval.
        combinations = combinations.head(1).assign(**combinations[["share", "variance"]].sum())
    parts += [(words, row) for _, row in combinations.iterrows()]
    for _, row in known[known["role"] == "pair"].iterrows():
        parts.append(("what runs with equal seeds share", row))
    for _, row in known[known["role"].isin(["seed", "residual"])].iterrows():
        residual = row["role"] == "residual"
        parts.append(("combinations of these or the seed, which cannot be separated" if residual else "the seed", row))
    return parts


def rounded(shares: Sequence[float] | np.ndarray) -> list[int]:
    """Return shares as whole percentages that add up to 100 (largest remainders), if the shares add up to 1."""
    exact = 100 * np.asarray(shares, dtype=float)
    whole = np.floor(exact + 1e-9)
    missing = round(exact.sum()) - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:missing]] += 1
    return whole.astype(int).tolist()


def percent(share: float, whole: int) -> str:
    """Return a share in words. whole: its percentage from ``rounded``, which may be 0 although the share is not."""
    return "under 1 %" if whole == 0 and share > 0 else f"{whole} %"


def _size(first: pd.Series, parts: Sequence[tuple[str, pd.Series]]) -> str:
    """Return the SD of all results: a large share of differences that are all small is small.

    That of ranks is the same however large the differences are.
    """
    if first["scale"] == components.RANK:
        return ""
    sd = math.sqrt(sum(row["variance"] for _, row in parts))
    return f" (SD {text_format.number(sd, digits=text_format.decimals(sd))})"


def _overlaps(parts: Sequence[tuple[str, pd.Series]]) -> str:
    """Return that missing cells make shares depend on the order of counting, if they leave their intervals."""
    texts = []
    for words, row in parts:
        overlap = _OVERLAP.search(str(row["note"]))
        last, first = (int(each) / 100 for each in overlap.groups()) if overlap else (np.nan, np.nan)
        if first - last >= _NOTABLE and (last < row["share_low"] or first > row["share_high"]):
            texts.append(f"{100 * last:.0f} to {100 * first:.0f} % for {words}")
    if not texts:
        return ""
    shares = agree(len(texts), "that share depends", "these shares depend")
    return f"; because cells are missing, {shares} on which factor is counted first: {listed(texts, last=' and ')}"


def _interval(row: pd.Series) -> str:
    if np.isnan(row["share_low"]):
        return ""
    low, high = 100 * row["share_low"], 100 * row["share_high"]
    # An interval is not a point.
    low, high = (round(low), round(high)) if round(low) < round(high) else (math.floor(low), math.ceil(high))
    return f" ({low} to {high} %)"


def _word(component: str) -> str:
    return _WORDS.get(component, component)


def _is_confounded(row: pd.Series) -> bool:
    return row["role"] in _FACTORS and np.isnan(row["variance"])
