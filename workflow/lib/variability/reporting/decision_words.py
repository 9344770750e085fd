"""Sentences about the decisions on a task, in the words and with the verdicts of the claims."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from variability import registry
from variability.advice import agree, listed, plural
from variability.reporting import claimed_pairs, display_names
from variability.reporting.analyses.decisions import BEATS, NOT_TESTED
from variability.reporting.claims import COLUMNS, EQUIVALENT, ONE_RUN, SUPPORTED, VERDICTS, Verdict, evidence
from variability.reporting.equivalent_pairs import EQUIVALENT as WITHIN_MARGIN

#: Largest number of candidates that a sentence names.
NAMED = 8


def of_the_best(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return whether the leader of a task is the best, and among which candidates the best is otherwise.

    tables: of one task, with ``decisions``, see ``findings``.
    """
    first = tables["decisions"].iloc[0]
    best = f"That it is the best of {first['candidates']} candidates is"
    on_tests = of_tests(tables["decisions"])
    if first["is_best"]:
        others = "the other" if first["candidates"] == 2 else "each of the others"
        return f"{best} {SUPPORTED}: it beats {others}.{on_tests}"
    constant, single = without_spread(tables["decisions"]), not_compared(tables["decisions"])
    ties = [name for name in first_place(tables["decisions"]) if name not in constant]
    reasons = [f"the best is one of {listed(ties, NAMED, last=' and ')}"] if len(ties) > 1 else []
    if constant:
        reasons.append(
            f"{listed(constant, NAMED, last=' and ')} {agree(len(constant), 'is', 'are')} not compared with a "
            "candidate that has a better mean, because neither has a spread"
        )
    if single:
        reasons.append(f"{listed(single, NAMED, last=' and ')} cannot be compared, which needs two runs on both sides")
    return f"{best} {_verdict_of_best(tables)}: {', and '.join(reasons)}.{_equivalent_to_the_first(tables)}{on_tests}"


def of_tests(decisions: pd.DataFrame) -> str:
    """Return which tests other than the usual ones decided about a task, and why; empty if none did."""
    names = _sides(decisions, "separate")
    sentences = []
    if names and (count := int(decisions["permuted"].sum())):
        test = " and ".join(decisions.loc[decisions["permuted"], "test"].unique())
        what = (
            "The comparison is"
            if len(decisions) == 1
            else f"{count} of {plural(len(decisions), 'comparison')} {agree(count, 'is', 'are')}"
        )
        sentences.append(
            f"Runs of {listed(names, NAMED, last=' and ')} collapsed or are outlying. {what} decided by {test}, "
            "which needs no normal values."
        )
    if named := constants(decisions):
        sentences.append(
            f"{listed(named, NAMED, last=' and ')} {agree(len(named), 'is', 'are')} deterministic and "
            f"{agree(len(named), 'counts as a constant', 'count as constants')}."
        )
    if (split := decisions["test"].astype(str).str.contains("overlapping splits")).any():
        shares = decisions.loc[split, "test_share"]
        sentences.append(
            "Each run has a split of its own; the tests allow for the overlap of training examples (Nadeau and Bengio; "
            f"test examples per training example: {shares.max():.3g})."
        )
    return "".join(f" {sentence}" for sentence in sentences)


def _sides(decisions: pd.DataFrame, column: str) -> list[str]:
    """Return the names of the candidates for which a column is true, the best mean first."""
    chosen = {name for side in ("", "_b") for name in _names(decisions[decisions[f"{column}{side}"]], side)}
    return [name for name in _candidates(decisions) if name in chosen]


def _equivalent_to_the_first(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return which candidates are equivalent to the leader within the margin; empty if none is."""
    decisions = tables["decisions"]
    first = decisions.iloc[0]
    of_leader = (decisions["model"] == first["leader"]) & (decisions["method"] == first["leader_method"])
    equivalent = decisions[of_leader & (decisions["decision"] == WITHIN_MARGIN)]
    if equivalent.empty:
        return ""
    largest = equivalent["margin"].max()
    names = listed(_names(equivalent, "_b"), NAMED, last=" and ")
    leader = display_names.candidate(first["leader"], first["leader_method"])
    return f" Equivalent to {leader} within ±{largest:.3g}: {names}."


def _verdict_of_best(tables: Mapping[str, pd.DataFrame]) -> Verdict:
    first = tables["decisions"].iloc[0]
    sentence = f" is the best of {first['candidates']} candidates."
    if "claims" in tables:
        verdicts = tables["claims"].loc[tables["claims"]["sentence"].str.endswith(sentence), "verdict"]
        if len(verdicts):
            return verdicts.iloc[0]
    return claimed_pairs.best(tables["decisions"])[0]


def first_place(decisions: pd.DataFrame) -> list[str]:
    """Return the names of the candidates that can be compared and that nobody beats, the best mean first."""
    lost = set(_names(decisions[decisions["decision"] == BEATS], "_b"))
    single = not_compared(decisions)
    return [name for name in _candidates(decisions) if name not in lost and name not in single]


def without_spread(decisions: pd.DataFrame) -> list[str]:
    """Return the names of candidates that are not beaten only because no run of them and of a better one differs."""
    not_beaten, enough = set(first_place(decisions)), _enough(decisions)
    untested = set(
        _names(decisions[(decisions["decision"] == NOT_TESTED) & enough & (decisions["difference"] > 0)], "_b")
    )
    return [name for name in _candidates(decisions) if name in untested & not_beaten]


def not_compared(decisions: pd.DataFrame) -> list[str]:
    """Return the names of the candidates that cannot be compared with any other, for lack of runs."""
    tested = decisions[_enough(decisions)]
    compared = {*_names(tested), *_names(tested, "_b")}
    return [name for name in _candidates(decisions) if name not in compared]


def constants(decisions: pd.DataFrame | None) -> list[str]:
    """Return the names of the deterministic candidates of a task, of which one run says all."""
    return [] if decisions is None or decisions.empty else _sides(decisions, "deterministic")


def _enough(decisions: pd.DataFrame) -> pd.Series:
    """Return which pairs can be compared: both candidates have two runs, or are constants."""
    runs = [decisions[f"n{side}"].mask(decisions[f"deterministic{side}"], 2) for side in ("", "_b")]
    return (runs[0] >= 2) & (runs[1] >= 2)


def _candidates(decisions: pd.DataFrame) -> list[str]:
    """Return the names of the candidates of a task, the best mean first."""
    first = decisions.iloc[0]
    rivals = decisions[(decisions["model"] == first["leader"]) & (decisions["method"] == first["leader_method"])]
    return [display_names.candidate(first["leader"], first["leader_method"]), *_names(rivals, "_b")]


def _names(pairs: pd.DataFrame, side: str = "") -> list[str]:
    """Return the names of one side of pairs. side: "" or "_b"."""
    return [
        display_names.candidate(model, method)
        for model, method in zip(pairs[f"model{side}"], pairs[f"method{side}"], strict=True)
    ]


def of_a_pair(task: str, name: str, other: pd.Series, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return whether the leader beats the best candidate of another model, with the evidence; empty if no claim says.

    name: model (method) of the leader. tables: of one task, see ``findings``.
    """
    rival = display_names.candidate(other["model"], other["method"])
    sentences = {
        "beats": f"On {task}, {name} beats {rival}.",
        "pretraining_helps": f"On {task}, pretraining helps {name}: it beats {other['model']}.",
    }
    for kind, sentence in sentences.items():
        rows = findings(kind, tables)
        for _, row in rows[rows["sentence"] == sentence].iterrows():
            if row["verdict"] == EQUIVALENT:
                return f"It and {rival} are equivalent within the margin ({evidence(row)})."
            return f"That it beats {rival} is {row['verdict']} ({evidence(row)})."
    return ""


def of_gains(kind: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return how many claims of a kind are supported, undecided and not supported; empty if there are none.

    kind: a kind of claim about candidates and their controls. tables: of one task, see ``findings``.
    """
    rows = findings(kind, tables)
    verdicts = list(rows["verdict"])
    if verdicts and (rows["note"] == ONE_RUN).all():
        return ONE_RUN
    if verdicts == [EQUIVALENT]:
        return "both are equivalent within the margin"
    if len(verdicts) == 1:
        return f"that it is better is {verdicts[0]}"
    counts = [f"{verdict} in {verdicts.count(verdict)}" for verdict in VERDICTS if verdict in verdicts]
    return f"that it is better is {', '.join(counts)} of {len(verdicts)} cells" if verdicts else ""


def findings(kind: str, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the claims of a kind about a task: those of the study, or with default options if it makes none.

    tables: ``claims``, ``decisions`` and ``gain``, as far as they exist, of one task.
    """
    if "claims" in tables and len(of_kind := tables["claims"][tables["claims"]["kind"] == kind]):
        return of_kind
    plugin = registry.find("claims", kind)
    rows = plugin({}).findings(dict(tables)) if set(plugin.ANALYSES) <= set(tables) else []
    return pd.DataFrame(rows, columns=COLUMNS)
