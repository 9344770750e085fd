"""Rows of imported files that are refused, all of them at once: they are not runs, or would be misread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from variability.advice import agree, plural
from variability.errors import UserError
from variability.results import metric_scales, run_status
from variability.results.columns import CELL
from variability.results.imported_files import Source
from variability.results.statistic_words import statistic

if TYPE_CHECKING:
    import pandas as pd

#: Names of statistics that are needed among models or methods: one may be that of a baseline.
_FEWEST = 2


def refuse_statistics(table: pd.DataFrame, roles: Mapping[str, str], source: Source) -> None:
    """Raise UserError for rows that are statistics of runs. table: text, with columns of RUN. roles: {role: column}.

    Such a row has the name of a statistic for its seed or its task, or for its model or method if several names of
    statistics are there: one could be that of a baseline that always predicts the mean. Tasks may be shares of the data
    that are named like quartiles.
    """
    for role in ("seed", "task", *CELL):
        if role not in table:
            continue
        names = [name for name in table[role].dropna().unique() if statistic(name)]
        is_statistic = table[role].isin(names)
        kinds = {statistic(name) for name in names}
        one_is_enough = role == "seed" or (role == "task" and kinds != {"quartile"})
        if names and (one_is_enough or len(kinds) >= _FEWEST):
            rows = table.index[is_statistic]
            count = len(set(rows))
            it = agree(count, "it", "them")
            # Names of columns, in a table with one column per task, are not values of a column.
            condition = f"where_not: {{{roles[role]}: [{', '.join(names)}]}}" if role in roles else ""
            leave_out = f"leave {it} out by `{condition}`" if condition else "leave the column out of the import"
            rename = "" if role == "seed" else f"; or write other names if they are {role}s"
            what = agree(count, "this row is not a run but a statistic", "these rows are not runs but statistics")
            raise UserError(
                f"{source.at(rows)}: {what} of runs: the {role} is {', '.join(map(repr, names))}; remove {it}, or "
                f"{leave_out}{rename}"
            )


def refuse_words_among_numbers(table: pd.DataFrame, source: Source) -> None:
    """Raise UserError for seeds without a digit where others are numbers: such rows are totals, in any language."""
    seeds = table["seed"].astype(str).str.strip()
    is_word = ~seeds.str.contains(r"[0-9]")
    if is_word.any() and seeds[~is_word].str.fullmatch(r"[-+]?[0-9]+(\.0*)?").any():
        names = list(dict.fromkeys(table.loc[is_word, "seed"]))
        raise UserError(
            f"{source.at(table.index[is_word])}: the seed is {', '.join(map(repr, names))}, and others are numbers; "
            "leave these rows out by `where_not` if they are no runs, otherwise number them"
        )


def refuse_missing(table: pd.DataFrame, key: str, roles: Mapping[str, str], source: Source) -> None:
    """Raise UserError for rows without a value of ``key``. roles: {role: column}."""
    missing = table[key].isna() | (table[key].astype(str).str.strip() == "")
    if not missing.any():
        return
    # Summaries and notes below the runs have names that no run has.
    or_else = ""
    for role in (role for role in CELL if role in roles and role != key and not missing.all()):
        names = list(dict.fromkeys(table.loc[missing, role].dropna()))
        if names and not table.loc[~missing, role].isin(names).any() and not table.loc[missing, role].isna().any():
            condition = ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
            or_else = f"; or, if these are not runs, leave them out by `where_not: {{{roles[role]}: [{condition}]}}`"
            break
    problem = f"{source.at(table.index[missing])}: no {key}"
    raise UserError(f"{problem}; fill it in, or name another column, or a constant, for it{or_else}")


def refuse_nested(table: pd.DataFrame, frame: pd.DataFrame, source: Source) -> None:
    """Raise UserError for rows whose value is a mapping where others have a number, in records of JSON.

    A mapping has columns of its own (``acc.value``), so that the value would be missing. frame: columns of the files.
    """
    for column, part in table.groupby("column", sort=False):
        below = [name for name in frame if str(name).startswith(f"{column}.")]
        if not below or not part["value"].notna().any():
            continue
        rows = part.index[part["value"].isna()]
        of_json = np.array([".json" in str(name).lower() for name in source.files[rows]], bool)
        nested = rows[frame.loc[rows, below].notna().any(axis=1).to_numpy() & of_json]
        if len(nested):
            raise UserError(
                f"{source.at(nested)}: {column} is a mapping ({', '.join(below[:5])}), and a single value in other "
                "records; write it alike in all"
            )


def refuse_unknown_metrics(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], source: Source) -> None:
    """Raise UserError for metrics of which nobody says whether more is better."""
    known = {name for name, fact in facts.items() if fact["higher_is_better"] is not None}
    unknown = ~table["metric"].isin(known)
    if unknown.any():
        names = list(dict.fromkeys(table.loc[unknown, "metric"]))
        raise UserError(
            f"{source.at(table.index[unknown])}: {', '.join(map(repr, names))} "
            f"{'is not a known metric' if len(names) == 1 else 'are not known metrics'}; list them in the import's "
            f"`metrics`, as in `{names[0]}: {{higher_is_better: true}}`, or leave these rows out by `where_not`"
        )


def refuse_vanishing(table: pd.DataFrame, source: Source) -> None:
    """Raise UserError for metrics whose values are so small that their squares, and so their variances, are 0."""
    for metric, values in table.groupby("metric", sort=False)["value"]:
        largest = values.abs().max()
        if 0 < largest < 1 / run_status.LARGEST:
            raise UserError(
                f"{source.at(values.index[values.notna()])}: no value of {metric} is above {largest:g}, too small to "
                "compute variances; set a `scale`, such as 1.0e+200, or import the logarithms"
            )


def refuse_better_than_perfect(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], source: Source) -> None:
    """Raise UserError for values better than perfect. table: ``entry`` is the metric's key in the config."""
    bounded = {name: fact for name, fact in facts.items() if fact["perfect"] is not None}
    sign = table["metric"].map({name: 1.0 if fact["higher_is_better"] else -1.0 for name, fact in bounded.items()})
    perfect = table["metric"].map({name: float(fact["perfect"]) for name, fact in bounded.items()})
    finite = table["value"].abs() < float("inf")
    # Sums of rounded shares may exceed 1 in their last digits.
    beyond = table[finite & (sign * (table["value"] - perfect) > 1e-6 * perfect.abs().clip(lower=1))]
    if beyond.empty:
        return
    first = beyond.iloc[0]
    of_metric = table.loc[finite & (table["entry"] == first["entry"]), "value"]
    same = beyond[beyond["entry"] == first["entry"]]
    best = bounded[first["metric"]]["perfect"]
    percent = best == 1 and first["value"] > 1 and of_metric.max() <= 100
    fix = "in percent, set `scale: 0.01`" if percent else "in another unit or has the opposite sign, set its `scale`"
    raise UserError(
        f"{source.at(same.index)}: {first['value']:g} in column {first['column']!r} is better than a perfect "
        f"{first['metric']}, which is {best:g} ({len(same)} of {plural(of_metric.count(), 'value')} "
        f"{agree(len(same), 'is', 'are')}); if it is {fix} under {first['entry']!r} in the import's `metrics`"
    )


def refuse_negative_errors(table: pd.DataFrame, source: Source) -> None:
    """Raise UserError for standard errors below 0, or infinite ones."""
    if (wrong := (table["stderr"] < 0) | (table["stderr"] == float("inf"))).any():
        value = table.loc[wrong, "stderr"].iloc[0]
        raise UserError(f"{source.at(table.index[wrong])}: the standard error {value:g} is not a width; correct it")


def refuse_outside_range(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], source: Source) -> None:
    """Raise UserError for finite values outside the range that is declared of their metric."""
    declared = metric_scales.with_declared(table[["task", "metric", "value"]].reset_index(drop=True), facts)
    outside = (metric_scales.outside(declared) & (declared["value"].abs() < float("inf"))).to_numpy()
    if not outside.any():
        return
    metric = table["metric"][outside].iloc[0]
    rows = table[outside & (table["metric"] == metric).to_numpy()]
    ends = " to ".join("any" if end is None else f"{end:g}" for end in facts[metric]["range"])
    first = rows.iloc[0]
    raise UserError(
        f"{source.at(rows.index)}: {first['value']:g} in column {first['column']!r} is outside the range of {metric}, "
        f"{ends}; set another `range`, or a `scale`, under {first['entry']!r} in the import's `metrics`"
    )


def standard_words(table: pd.DataFrame, key: str, words: Mapping[str, str], source: Source) -> pd.Series:
    """Return a column in the words of this project. Raises UserError for others.

    words: {word in lower case: word of this project}.
    """
    written = table[key].astype(str).str.strip().str.lower()
    unknown = ~written.isin(list(words))
    if unknown.any():
        listed = ", ".join(map(repr, dict.fromkeys(table.loc[unknown, key])))
        known = " or ".join(dict.fromkeys(words.values()))
        raise UserError(
            f"{source.at(table.index[unknown])}: the {key} {listed} is not {known}; leave these rows out by "
            f"`where_not`, or name another column"
        )
    return written.map(words)
