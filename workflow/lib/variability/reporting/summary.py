"""The study in one page: a table per task, and a paragraph that says what the numbers support."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from variability.reporting import primary_rows, run_counts, text_format
from variability.reporting.claims import REFUSED, SUPPORTED, UNDECIDED, VERDICTS, in_words
from variability.results.runs_table import first_runs
from variability.stats import intervals

CLAIMS = 3
WIDTH = 100


def summarise(tables: Mapping[str, pd.DataFrame], study: str) -> str:
    """Markdown that also reads well in a terminal.

    tables: ``runs``, those made again included, and of the analyses' tables ``spread``, ``intervals`` and ``gain``
    those that there are; without ``spread`` there is nothing to tell but the number of runs. Everything is about each
    task's primary metric on the test split after fine-tuning.
    """
    sections = [f"# {study}", textwrap.fill(run_counts.in_words(tables["runs"]), WIDTH, break_on_hyphens=False)]
    tables = {**tables, "runs": first_runs(tables["runs"])}
    shown = {name: primary_rows.select(tables[name]) for name in ("runs", *primary_rows.SUMMARISED) if name in tables}
    findings = []
    for task in dict.fromkeys(shown["runs"]["task"] if "spread" in shown else []):
        of_task = {name: table[table["task"] == task] for name, table in shown.items()}
        metric = of_task["runs"]["label"].iloc[0]
        sections += [f"## {task}: {metric}, test split", _table(of_task)]
        findings.append(" ".join(_findings(task, of_task)))
    if findings:
        caveat = (
            "Intervals hold the noise of the seeds on these test sets; they are not adjusted for their number, nor for "
            "picking the best after looking."
        )
        sections += [
            "## Findings",
            *(textwrap.fill(text, WIDTH, break_on_hyphens=False) for text in [*findings, caveat]),
        ]
    if "claims" in tables and len(tables["claims"]):
        sections += _claims(tables["claims"])
    return "\n\n".join(sections) + "\n"


# Claims -----------------------------------------------------------------------------------------------------------


def _claims(claims: pd.DataFrame) -> list[str]:
    """The strongest claims, and the first that the runs refuse or leave undecided."""
    counts = ", ".join(f"{(claims['verdict'] == verdict).sum()} {verdict}" for verdict in VERDICTS)
    supported = _foremost(claims[claims["verdict"] == SUPPORTED])
    refused = _foremost(pd.concat([claims[claims["verdict"] == verdict] for verdict in (REFUSED, UNDECIDED)]))
    sections = [f"## Claims: {counts}"]
    for head, rows in (("Strongest:", supported), ("Not supported or undecided:", refused)):
        lines = [_bullet(f"{row['verdict']}: {in_words(row)}") for _, row in rows.iterrows()]
        sections.append("\n".join([head, "", *(lines or ["- none"])]))
    return sections


def _foremost(claims: pd.DataFrame) -> pd.DataFrame:
    """The first CLAIMS of them, of as many kinds as there are: three of one kind would say one thing three times."""
    turn = claims.groupby("kind", sort=False).cumcount()
    return claims.loc[turn.sort_values(kind="stable").index].head(CLAIMS)


def _bullet(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


# Tables -----------------------------------------------------------------------------------------------------------


def _table(tables: Mapping[str, pd.DataFrame]) -> str:
    spread = tables["spread"]
    header = ["model", "method", "n", "diverged" if run_counts.trained_here(tables["runs"]) else "failed"]
    columns = [spread["model"], spread["method"], spread["n"], spread["n_failed"]]
    if spread["n_undefined"].any():
        header.append("undefined")
        columns.append(spread["n_undefined"])
    header.append("mean ± SD")
    columns.append(_each(spread, _mean_and_sd))
    if "intervals" in tables:
        means = tables["intervals"][tables["intervals"]["target"] == "mean"]
        header.append(f"{_percent(means)} t interval")
        columns.append(_lookup(means, spread, lambda row: _ends(row["low"], row["high"])))
    if "gain" in tables:
        gains = tables["gain"][tables["gain"]["comparison"] == "before"]
        # Of imported runs nobody knows what their networks said before.
        if len(gains):
            better = "" if tables["runs"]["higher_is_better"].iloc[0] else " (below 0 is better)"
            header.append(f"gain over untrained head, {_percent(gains)} t{better}")
            columns.append(_lookup(gains, spread, lambda row: _difference(row) if row["n"] else "none"))
    return _aligned(header, list(zip(*columns, strict=True)))


def _each(table: pd.DataFrame, say) -> list[str]:
    return [say(row) for _, row in table.iterrows()]


def _lookup(table: pd.DataFrame, spread: pd.DataFrame, say) -> list[str]:
    said = dict(zip(zip(table["model"], table["method"], strict=True), _each(table, say), strict=True))
    return [said.get(cell, "") for cell in zip(spread["model"], spread["method"], strict=True)]


def _aligned(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    lines = [list(header), *[[str(value) for value in row] for row in rows]]
    widths = [max(len(line[at]) for line in lines) for at in range(len(header))]
    drawn = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(drawn)


# Findings ---------------------------------------------------------------------------------------------------------


def _findings(task: str, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Sentences about one task, each with its n and estimator."""
    higher = bool(tables["runs"]["higher_is_better"].iloc[0])
    level = tables["spread"]["level"].iloc[0]
    ranked = tables["spread"].dropna(subset="mean").sort_values("mean", ascending=not higher, kind="stable")
    if ranked.empty:
        return [f"On {task} no run completed."]
    # A model stands for itself at its best method.
    models = ranked.drop_duplicates("model")
    found = [_leader(task, models, level), _guessing(tables["runs"]), _noise(ranked, models)]
    if "gain" in tables:
        found += [
            _comparison(tables["gain"], "linear_probe", "fine-tuning more than the head", "a linear probe", higher),
            _comparison(
                tables["gain"], "from_scratch", "starting from pretrained weights", "from-scratch training", higher
            ),
        ]
    return [sentence for sentence in found if sentence]


def _leader(task: str, models: pd.DataFrame, level: float) -> str:
    best = models.iloc[0]
    kind = "mean ± SD" if best["n"] > 1 else "a single run"
    said = f"On {task} the best mean is that of {_name(best)}: {_mean_and_sd(best)} ({kind}, n = {best['n']})"
    if len(models) == 1:
        return said + "."
    other = models.iloc[1]
    low, high = intervals.welch_interval(*best[["mean", "sd", "n"]], *other[["mean", "sd", "n"]], level)
    said += f"; the best of another model is {_name(other)}: {_mean_and_sd(other)} (n = {other['n']})."
    if np.isnan(low):
        return said + _beside_one_run(best, other)
    verdict = "is no larger than seed noise explains" if low <= 0 <= high else "is larger than seed noise explains"
    ends = f"{text_format.percent(level)} Welch interval {_ends(low, high)}"
    return said + f" Their difference of {text_format.number(best['mean'] - other['mean'])} ({ends}) {verdict}."


def _beside_one_run(best: pd.Series, other: pd.Series) -> str:
    several, one = (best, other) if best["n"] > other["n"] else (other, best)
    said = " Whether they differ by more than seed noise no interval says: that takes two completed runs of each."
    if several["n"] < 2 or one["n"] != 1:
        return said
    where = "within" if several["min"] <= one["mean"] <= several["max"] else "outside"
    ends = f"{text_format.number(several['min'])} to {text_format.number(several['max'])}"
    return f"{said} The one of {_name(one)} lies {where} the {several['n']} of {_name(several)}, {ends}."


def _guessing(runs: pd.DataFrame) -> str:
    """Which candidates' mean accuracy is no higher than that of the most frequent class."""
    known = runs[(runs["metric"] == "accuracy") & (runs["status"] == "completed") & runs["majority"].notna()]
    means = known.groupby(["model", "method"], sort=False)[["value", "majority"]].mean()
    below = means[means["value"] <= means["majority"]]
    if below.empty:
        return ""
    named = ", ".join(f"{model} ({method})" for model, method in below.index)
    level, verb = text_format.number(below["majority"].iloc[0]), "is" if len(below) == 1 else "are"
    return f"Always saying the most frequent class is right in {level}; {named} {verb} no better."


def _noise(ranked: pd.DataFrame, models: pd.DataFrame) -> str:
    sds = ranked["sd"].dropna()
    if sds.empty:
        return ""
    typical, counts = sds.median(), ranked.loc[sds.index, "n"]
    of = f"median of {text_format.plural(len(sds), 'cell')}, {text_format.count(counts)} runs each"
    said = f"The typical SD between seeds is {text_format.number(typical)} ({of})"
    if len(models) > 1:
        gap = abs(models["mean"].iloc[0] - models["mean"].iloc[-1])
        times = f", {gap / typical:.1f} times as much" if typical > 0 else ""
        said += (
            f"; the means of the best and the worst of {len(models)} models lie {text_format.number(gap)} apart{times}"
        )
    return said + "."


def _comparison(gain: pd.DataFrame, comparison: str, what: str, reference: str, higher: bool) -> str:
    rows = gain[(gain["comparison"] == comparison) & (gain["n"] > 0) & gain["gain"].notna()]
    if rows.empty:
        return ""
    estimator, counts = rows["interval"].iloc[0], text_format.count(pd.concat([rows["n"], rows["n_reference"]]))
    start = f"{what[0].upper()}{what[1:]} changed the mean against {reference}"
    if len(rows) == 1:
        row, better = rows.iloc[0], "" if higher else "; below 0 is better"
        return f"{start} by {_difference(row)} ({_percent(rows)} {estimator}, {counts}{better}) for {_name(row)}."
    sign = 1 if higher else -1
    better = (np.minimum(sign * rows["low"], sign * rows["high"]) > 0).sum()
    worse = (np.maximum(sign * rows["low"], sign * rows["high"]) < 0).sum()
    spanned = f"between {text_format.number(rows['gain'].min(), '+')} and {text_format.number(rows['gain'].max(), '+')}"
    return (
        f"{start} by {spanned}; the {_percent(rows)} interval excludes 0 for the better in {better} and for the worse "
        f"in {worse} of {len(rows)} cells ({estimator}, {counts})."
    )


# Words ------------------------------------------------------------------------------------------------------------


def _name(row: pd.Series) -> str:
    return f"{row['model']} ({row['method']})"


def _mean_and_sd(row: pd.Series) -> str:
    if np.isnan(row["mean"]):
        return "none"
    return text_format.number(row["mean"]) + (f" ± {text_format.number(row['sd'])}" if not np.isnan(row["sd"]) else "")


def _difference(row: pd.Series) -> str:
    ends = "" if np.isnan(row["low"]) else f" {_ends(row['low'], row['high'])}"
    return text_format.number(row["gain"], "+") + ends


def _ends(low: float, high: float) -> str:
    if low == high:
        return "all runs equal"
    return "needs 2 runs" if np.isnan(low) else f"[{text_format.number(low)}, {text_format.number(high)}]"


def _percent(table: pd.DataFrame) -> str:
    return text_format.percent(table["level"].iloc[0])
