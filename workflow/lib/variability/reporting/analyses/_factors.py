"""Factors that runs are classified by: model, framework, pretraining, task, method, and those that a study names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from variability.advice import listed
from variability.errors import UserError
from variability.results.columns import CELL

if TYPE_CHECKING:
    import pandas as pd

#: Columns that ``classified`` adds: a run's task, method and model without the levels of named factors; its
#: architecture and whether it was pretrained, where controls from scratch cross these two.
TASK, METHOD, MODEL, ARCHITECTURE, PRETRAINED = "_task", "_method", "_model", "_architecture", "_pretrained"
_OF = {"model": MODEL, "task": TASK, "method": METHOD}
_NAMED = "_factor "
#: Level of names whose pattern leaves it open.
NO_LEVEL = "none"
#: Levels in the names of imported methods, as ``imported_layout`` writes them: ``full shots=5``.
_TOKEN = re.compile(r" ([^ =]+)=([^ =]*)")
#: Largest number of names in a message.
_LISTED = 5

#: JSON schema of the option ``factors``.
SCHEMA = {
    "type": "object",
    "default": {},
    "description": "further factors, whose levels are parts of the names of models, tasks or methods",
    "propertyNames": {"not": {"enum": ["model", "task", "method", "seed", "framework", "architecture", "pretrained"]}},
    "additionalProperties": {
        "type": "object",
        "properties": {
            "of": {"enum": list(CELL), "description": "whose names have the level"},
            "pattern": {
                "type": "string",
                "description": "regular expression for whole names, with the groups `base`, the name without its "
                "level, and `level`, such as (?P<base>.+)-(?P<level>[0-9]+)shot",
            },
        },
        "required": ["of", "pattern"],
        "additionalProperties": False,
    },
}


def problems(factors: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) of the option ``factors``. names: {model, task or method: those that the study trains}."""
    for name, spec in factors.items():
        try:
            pattern = re.compile(spec["pattern"])
        except re.error as error:
            yield f"{name}.pattern", f"is not a regular expression: {error}"
            continue
        if lacking := [group for group in ("base", "level") if group not in pattern.groupindex]:
            yield f"{name}.pattern", f"has no group {' and no group '.join(lacking)}; write (?P<{lacking[0]}>...)"
        elif unmatched := [each for each in names.get(spec["of"], ()) if not pattern.fullmatch(each)]:
            yield f"{name}.pattern", _unmatched(spec["of"], unmatched)


def _unmatched(of: str, names: Sequence[str]) -> str:
    return (
        f"does not match the {of} {listed(names, _LISTED)}; extend it so that it matches every {of}, for example by an "
        "optional group: (-(?P<level>...))?"
    )


def classified(runs: pd.DataFrame, factors: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return the runs with the columns of their factors. factors: the option of the analysis.

    Raises UserError for names that a pattern does not match.
    """
    runs = runs.assign(**{column: runs[key] for key, column in _OF.items()})
    for name, spec in factors.items():
        column, pattern = _OF[spec["of"]], re.compile(spec["pattern"])
        matches = {each: pattern.fullmatch(each) for each in runs[column].unique()}
        if unmatched := [each for each, match in matches.items() if match is None]:
            raise UserError(f"analyses.components.factors.{name}.pattern {_unmatched(spec['of'], unmatched)}")
        parts = {each: match.groupdict() for each, match in matches.items() if match}
        runs[_NAMED + name] = runs[column].map({each: part["level"] or NO_LEVEL for each, part in parts.items()})
        runs[column] = runs[column].map({each: part["base"] or NO_LEVEL for each, part in parts.items()})
    runs = _with_tokens(runs)
    renamed = runs[MODEL] != runs["model"]
    known = {"backbone": runs["backbone"].fillna(runs["model"])}
    if "family" in runs:
        # The framework of imported runs is unknown.
        known |= {
            "family": runs["family"].fillna(runs["model"]).mask(renamed, runs[MODEL]),
            "framework": runs["framework"].astype(object).fillna("unknown"),
        }
    runs = runs.assign(**known)
    runs["backbone"] = runs["backbone"].mask(renamed, runs[MODEL])
    return _with_controls(runs)


def _with_tokens(runs: pd.DataFrame) -> pd.DataFrame:
    tokens = {method: dict(_TOKEN.findall(method)) for method in runs[METHOD].unique()}
    for name in dict.fromkeys(name for of_method in tokens.values() for name in of_method):
        levels = {method: of_method.get(name, NO_LEVEL) for method, of_method in tokens.items()}
        runs[_NAMED + name] = runs[METHOD].map(levels)
    return runs.assign(**{METHOD: runs[METHOD].map({method: _TOKEN.sub("", method) for method in tokens})})


def _with_controls(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with their architecture and pretraining, if an architecture is there with and without weights.

    Models are of one architecture if it has the same name, provider and options, or if they are of one family.
    """
    if "weights" not in runs:
        return runs
    models = runs.drop_duplicates(MODEL)
    group = dict(zip(models[MODEL], range(len(models)), strict=True))
    links = [["family"], ["provider", "architecture", "model_options"]] if "family" in runs else []
    for columns in links:
        for _, same in models.dropna(subset=columns).groupby(columns, sort=False):
            numbers = {group[model] for model in same[MODEL]}
            group = {model: min(numbers) if number in numbers else number for model, number in group.items()}
    name = {number: model for model, number in reversed(group.items())}
    architecture = runs[MODEL].map(group).map(name)
    pretrained = (runs["weights"] != "none").map({True: "yes", False: "no"}).where(runs["weights"].notna())
    if not (pretrained.groupby(architecture).nunique() > 1).any():
        return runs
    return runs.assign(**{ARCHITECTURE: architecture, PRETRAINED: pretrained.fillna("unknown")})


def columns(runs: pd.DataFrame, across: bool) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the columns of the factors by name, and {factor: those that it is nested in}.

    across: True for several tasks. Factors with one level are left out. Models are nested in their backbone if some
    differ in nothing but the seed of their pretraining. If models of one family were trained with several frameworks,
    the framework is a factor, and the family is the model. If controls from scratch exist, pretraining is a factor, and
    the architecture is the model; weights are nested in these two if an architecture has several.
    """
    seeds = runs.groupby("backbone")["seed_pretrain"].nunique()
    crossed = "family" in runs and runs.drop_duplicates(["family", "framework"])["family"].duplicated().any()
    nested = bool((seeds > 1).any())
    if PRETRAINED in runs:
        chosen = {"architecture": ARCHITECTURE, "pretrained": PRETRAINED}
    else:
        chosen = {"model": "family" if crossed else "backbone" if nested else MODEL}
    chosen |= {"framework": "framework"} if crossed else {}
    outer = list(chosen)
    several = PRETRAINED in runs and len(runs.drop_duplicates([*chosen.values(), "backbone"])) > len(
        runs.drop_duplicates([*chosen.values()])
    )
    chosen |= {"weights": "backbone"} if several else {}
    chosen |= {"pretraining seed": "model"} if nested else {}
    chosen |= {"task": TASK} if across else {}
    chosen |= {"method": METHOD}
    chosen |= {column.removeprefix(_NAMED): column for column in runs if str(column).startswith(_NAMED)}
    chosen = {name: column for name, column in chosen.items() if runs[column].nunique() > 1}
    above = {"weights": outer, "pretraining seed": [*outer, "weights"]}
    inside = {name: [each for each in outers if each in chosen] for name, outers in above.items() if name in chosen}
    return chosen, {name: outers for name, outers in inside.items() if outers}
