"""First screen of the page: the study in a sentence, the answer to its question, who is first, what may be quoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from variability.advice import plural
from variability.reporting import (
    decision_words,
    display_names,
    overall_words,
    primary_rows,
    recipe_notes,
    run_counts,
    share_words,
)
from variability.reporting.analyses import components
from variability.reporting.claims import EQUIVALENT, REFUSED, SUPPORTED, UNDECIDED, evidence
from variability.results.columns import CELL, RUN
from variability.results.runs_table import first_runs

#: Most sentences of claims on the first screen, of each verdict.
CLAIMS = 5
#: Headings of the claims of each verdict, in their order.
HEADINGS = {
    SUPPORTED: "You may write",
    EQUIVALENT: "Equivalent: no difference that matters",
    REFUSED: "The data do not support",
    UNDECIDED: "The data leave undecided",
}
#: Most candidates that a task's first place names.
FIRST = 6
#: Number of colours of sources.
COLORS = 6


@dataclass(frozen=True)
class Part:
    """One part of a stacked bar. share: of the whole, 0 to 1. color: number of its colour, or ``seed``."""

    name: str
    share: float
    text: str
    color: int | str


@dataclass(frozen=True)
class FirstPlace:
    """Candidates that nobody beats on a task, and the reason in words."""

    task: str
    metric: str
    names: Sequence[str]
    others: int
    sure: bool
    text: str


@dataclass(frozen=True)
class FirstScreen:
    """Content of the first screen.

    claims: verdict, heading, and (sentence, evidence) of each, by verdict. recipes: see ``recipe_notes.in_opening``.
    """

    study: str
    about: str
    runs: str
    shares: Mapping[str, Sequence[Part]]
    first: Sequence[FirstPlace]
    sentence: str = ""
    overall: Sequence[str] = ()
    recipes: str = ""
    claims: Sequence[tuple[str, str, Sequence[tuple[str, str]]]] = field(default_factory=list)


def first_screen(study: str, tables: Mapping[str, pd.DataFrame]) -> FirstScreen:
    """Return the first screen of a study. tables: ``runs`` with repeated runs, ``claims`` and the analyses' tables."""
    runs = first_runs(tables["runs"])
    return FirstScreen(
        study=study,
        about=_about(runs),
        runs=run_counts.in_words(tables["runs"], tables.get("failures")),
        sentence=share_words.in_words(tables["components"]) if "components" in tables else "",
        overall=overall_words.sentences(tables),
        recipes=recipe_notes.in_opening(primary_rows.select(tables["recipe_gap"])) if "recipe_gap" in tables else "",
        shares=_shares(tables.get("components")),
        first=_first_places(runs, tables),
        claims=_by_verdict(tables.get("claims")),
    )


def _about(runs: pd.DataFrame) -> str:
    counts = [plural(runs[key].nunique(), key) for key in CELL]
    seeds = runs.drop_duplicates(RUN).groupby(CELL, sort=False).size()
    # Unequal numbers are in the sentence about the runs. All sections count cells, so this names them.
    alike = seeds.min() == seeds.max()
    each = f", {plural(int(seeds.min()), 'run')} of each combination (a cell)" if alike else "; a combination is a cell"
    return f"{', '.join(counts[:-1])} and {counts[-1]}{each}"


def _shares(table: pd.DataFrame | None) -> dict[str, list[Part]]:
    """Return the shares of this grid: over all tasks as in the sentence, then of each task."""
    if table is None or table.empty:
        return {}
    grid = table[(table["population"] == components.GRID)]
    headline = grid["headline"].astype(bool)
    of_tasks = (grid["task"] != components.ALL) & (grid["scale"] == components.METRIC)
    rows = pd.concat([grid[headline], grid[of_tasks & ~headline]])
    shares: dict[str, list[Part]] = {}
    # A source has the same colour in all bars.
    colors: dict[str, int] = {}
    for task, of_task in rows.groupby("task", sort=False):
        sources = [(words, row) for words, row in share_words.sources(of_task) if row["share"] == row["share"]]
        whole = share_words.rounded([row["share"] for _, row in sources])
        shares[str(task)] = [
            Part(
                words.removeprefix("the "),
                float(row["share"]),
                share_words.percent(row["share"], percentage),
                _color(words, row, colors),
            )
            for (words, row), percentage in zip(sources, whole, strict=True)
        ]
    return {task: parts for task, parts in shares.items() if parts}


def _color(words: str, row: pd.Series, colors: dict[str, int]) -> int | str:
    return "seed" if row["role"] == "seed" else colors.setdefault(words, len(colors) % COLORS)


def _first_places(runs: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> list[FirstPlace]:
    if "decisions" not in tables or tables["decisions"].empty:
        return []
    decisions = primary_rows.select(tables["decisions"])
    labels = primary_rows.select(runs).drop_duplicates("task").set_index("task")["label"]
    places = []
    for task, of_task in decisions.groupby("task", sort=False):
        names = decision_words.first_place(of_task)
        about_task = {"decisions": of_task}
        if "claims" in tables:
            about_task["claims"] = tables["claims"][tables["claims"]["task"] == task]
        leader = display_names.candidate(of_task["leader"].iloc[0], of_task["leader_method"].iloc[0])
        text = f"{leader} has the best mean. {decision_words.of_the_best(about_task)}"
        sure = bool(of_task["is_best"].iloc[0])
        # One that is left out would take as much room as its name.
        shown = names if len(names) <= FIRST + 1 else names[:FIRST]
        places.append(FirstPlace(str(task), str(labels.get(task, "")), shown, len(names) - len(shown), sure, text))
    return places


def _by_verdict(claims: pd.DataFrame | None) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return the claims of the verdicts that occur; the supported ones even if there are none."""
    if claims is None or claims.empty:
        return []
    groups = [
        (verdict, heading, _foremost(claims[claims["verdict"] == verdict])) for verdict, heading in HEADINGS.items()
    ]
    return [group for group in groups if group[0] == SUPPORTED or group[2]]


def _foremost(claims: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the first claims of as many kinds as possible, see ``summary``."""
    turn = claims.groupby("kind", sort=False).cumcount()
    chosen = claims.loc[turn.sort_values(kind="stable").index].head(CLAIMS)
    return [(str(row["sentence"]), evidence(row)) for _, row in chosen.iterrows()]
