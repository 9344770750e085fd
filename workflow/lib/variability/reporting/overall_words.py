"""The paragraph of the summary about all tasks together."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from variability.advice import listed, plural
from variability.reporting import display_names, rank_words, text_format
from variability.reporting.analyses.decisions import BEATS
from variability.reporting.analyses.overall import TOO_FEW, TOO_MANY
from variability.reporting.claims import REFUSED, SUPPORTED, UNDECIDED, overall
from variability.reporting.equivalent_pairs import NOT_RANKED
from variability.results.columns import CANDIDATE

#: Largest number of candidates that a sentence names.
NAMED = 8
FEW = "so few cannot show that with so many candidates"


def paragraph(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the findings over all tasks in one text, see ``sentences``."""
    return " ".join(sentences(tables))


def sentences(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return who is ahead over all tasks, then the evidence; none if there is a single task.

    tables: ``overall`` and ``decisions``.
    """
    pairs = tables.get("overall")
    if pairs is None or pairs.empty:
        return []
    candidates = [one for one in rank_words.ranked(pairs) if one.low == one.low]
    if len(candidates) < 2:
        return []
    leader, first = candidates[0], pairs.iloc[0]
    every = pairs[(pairs["model"] == leader.model) & (pairs["method"] == leader.method)]
    of_leader = rank_words.with_ranks(every)
    lead = f"{overall.over(pairs)}, {leader.name} is ahead. {_best(candidates, of_leader)}"
    texts = [" ".join([lead, *_ahead_without_rank(every, leader.name)])]
    others = of_leader[(of_leader["model_b"] != leader.model) & of_leader["difference"].notna()]
    rival = (others if len(others) else of_leader).sort_values("difference", kind="stable").iloc[0]
    which = "the best candidate of another model" if len(others) else "the next one"
    texts.append(
        f"Against {which}, {display_names.candidate(rival['model_b'], rival['method_b'])}, {_against(rival, tables)}."
    )
    if note := overall.left_out(first):
        texts.append(f"{note[0].upper()}{note[1:]}.")
    if first["groups"] < first["tasks"]:
        texts.append("Tasks of one group count once.")
    return texts


def _ahead_without_rank(of_leader: pd.DataFrame, leader: str) -> list[str]:
    """Return a sentence on candidates without a rank that are ahead of the leader on the tasks that both have."""
    ahead = of_leader[(of_leader["decision"] == NOT_RANKED) & (of_leader["difference"] < 0)]
    if ahead.empty:
        return []
    names = [
        f"{display_names.candidate(row['model_b'], row['method_b'])} (by "
        f"{text_format.with_interval(-row['difference'], -row['high'], -row['low'])} on "
        f"{overall.units(row, row['n_tasks'])})"
        for _, row in ahead.iterrows()
    ]
    return [f"On the tasks that both have, {leader} is behind {listed(names, 3, last=' and ')}."]


def _best(candidates: list[rank_words.Ranked], of_leader: pd.DataFrame) -> str:
    """Return whether the leader is the best, and how many candidates it beats."""
    what = f"That it is the best of {overall.field(of_leader.iloc[0])} is"
    shared, (verdict, rival) = rank_words.sharing_first(candidates), overall.best(of_leader)
    if verdict == SUPPORTED:
        return f"{what} {SUPPORTED}: it beats {'the other' if len(candidates) == 2 else 'each of the others'}."
    notes = of_leader["note"].astype(str)
    if verdict == REFUSED:
        other = display_names.candidate(rival["model_b"], rival["method_b"])
        return f"{what} {REFUSED}: it and {other} are equivalent within ±{rival['margin']:.3g}."
    if notes.str.startswith(TOO_FEW).any():
        return (
            f"{what} {UNDECIDED}: {_tasks(of_leader)} are too few to show a difference over tasks, however clear it is."
        )
    names = listed([one.name for one in shared], NAMED, last=" and ")
    beaten = int((of_leader["decision"] == BEATS).sum())
    among = f", and {candidates[0].name} beats {beaten} of the {plural(len(candidates) - 1, 'other')}" if beaten else ""
    lost = notes.str.startswith(TOO_MANY).to_numpy()
    blind = [display_names.candidate(row["model_b"], row["method_b"]) for _, row in of_leader[lost].iterrows()]
    why = (
        f" It is ahead of {listed(blind, NAMED, last=' and ')} on each of {_tasks(of_leader)}; {FEW}." if blind else ""
    )
    return f"{what} {UNDECIDED}: the best is one of {names}{among}.{why}"


def _tasks(of_leader: pd.DataFrame) -> str:
    first = of_leader.iloc[0]
    return overall.units(first, first["groups"])


def _against(row: pd.Series, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the evidence about a pair: tasks, mean difference with interval, p-value."""
    better, worse = _decided(row, tables.get("decisions"))
    counts = (
        f"its mean is better on {row['wins']:g}{better}, equal on {row['ties']:g} and worse on "
        f"{row['losses']:g}{worse} of {overall.units(row, row['n_tasks'])}"
    )
    difference = text_format.with_interval(row["difference"], row["low"], row["high"], "+")
    level = f", {text_format.percent(row['level'])} {row['interval']}" if row["low"] == row["low"] else ""
    text = f"{counts}; the mean difference is {difference} ({row['unit']}{level})"
    p = f"signed-rank test over tasks, adjusted p {text_format.p_value(row['p_adjusted'])}"
    return f"{text}; {p}" if row["p_adjusted"] == row["p_adjusted"] else text


def _decided(row: pd.Series, decisions: pd.DataFrame | None) -> tuple[str, str]:
    """Return on how many single tasks the first beats the other, and is beaten by it."""
    if decisions is None or decisions.empty:
        return "", ""
    beats = decisions[decisions["decision"] == BEATS]
    one, other = tuple(row[CANDIDATE]), tuple(row[[f"{key}_b" for key in CANDIDATE]])
    pairs = list(zip(*(beats[key] for key in ("model", "method", "model_b", "method_b")), strict=True))
    counts = [pairs.count((*one, *other)), pairs.count((*other, *one))]
    return tuple(
        f" (single tasks decided: {count})" if number else ""
        for count, number in zip(counts, (row["wins"], row["losses"]), strict=True)
    )
