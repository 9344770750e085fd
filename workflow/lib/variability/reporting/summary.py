"""Summary of a study on one page: a table per task, and a paragraph of what the numbers support."""

import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from variability.advice import agree, listed, plural
from variability.reporting import (
    decision_words,
    display_names,
    orientation,
    overall_words,
    primary_rows,
    rank_words,
    recipe_notes,
    run_counts,
    share_words,
    test_noise_words,
    text_format,
)
from variability.reporting.claims import EQUIVALENT, ONE_RUN, REFUSED, SUPPORTED, UNDECIDED, VERDICTS, in_words
from variability.results import run_status
from variability.results.columns import CANDIDATE
from variability.results.runs_table import first_runs
from variability.stats.rounding import is_rounding

#: Last paragraphs of the findings, with and without repeated runs.
NOISE = (
    "The intervals cover the noise of the seeds on these test sets. Those in the tables are not adjusted for their "
    "number; verdicts are: all candidates of a task are decided together, so that the probability of any false "
    '"beats" on a task is at most 1 - level, and likewise that of any false "equivalent" (table decisions; its '
    "column p_study adjusts for all tasks together). The ranks in the tables are simultaneous limits; candidates with "
    "a common letter do not beat each other."
)
NO_REPEATS = (
    "Every candidate has a single run on a task, so the study does not show how much runs differ by chance: it has "
    "neither intervals nor verdicts. Run every candidate with several seeds to compare them."
)
CLAIMS = 3
WIDTH = 100
_MOMENTS = ["mean", "sd", "n"]
#: Names are not broken, however long they are.
_WRAPPING: dict[str, bool] = {"break_on_hyphens": False, "break_long_words": False}


def summarise(tables: Mapping[str, pd.DataFrame], study: str, data_notes: Sequence[str] = ()) -> str:
    """Return the summary as Markdown, see ``with_answer``."""
    return with_answer(tables, study, data_notes)[0]


def with_answer(tables: Mapping[str, pd.DataFrame], study: str, data_notes: Sequence[str] = ()) -> tuple[str, str]:
    """Return the summary as Markdown that is also readable in a terminal, and the answer that a terminal shows.

    The answer is the beginning of the summary. In a study of one task, which has no paragraph over all tasks, it also
    says which candidate is the best.

    tables: ``runs``, including repeated runs, and those of ``spread``, ``intervals``, ``gain``, ``failures``,
    ``recipe_gap``, ``decisions``, ``components``, ``overall``, ``test_noise`` and ``claims`` that exist; without
    ``spread`` the summary only reports shares, the number of runs and what holds over all tasks, and without
    ``decisions`` it compares nothing on a task. Everything refers to each task's primary metric on the test split after
    fine-tuning. data_notes: paragraphs on the tasks' data.
    """
    opening = [run_counts.in_words(tables["runs"], tables.get("failures"))]
    if "components" in tables:
        opening.insert(0, share_words.in_words(tables["components"]))
    opening.insert(len(opening) - 1, overall_words.paragraph(tables))
    sections: list[str] = []
    tables = {**tables, "runs": first_runs(tables["runs"])}
    names = ("runs", "spread", "intervals", "gain", "recipe_gap", "decisions")
    names = [name for name in names if name in tables]
    primary = {name: primary_rows.select(tables[name]) for name in names}
    primary |= {name: tables[name] for name in ("claims",) if name in tables}
    findings = []
    for task in dict.fromkeys(primary["runs"]["task"] if "spread" in primary else []):
        of_task = {name: table[table["task"] == task] for name, table in primary.items()}
        metric = of_task["runs"]["label"].iloc[0]
        sections += [f"## {task}: {metric}, test split", _table(of_task)]
        findings.append(_findings(task, of_task))
    if findings:
        repeated = (primary["spread"]["n"] > 1).any()
        sections += [
            "## Findings",
            *(
                textwrap.fill(text, WIDTH, **_WRAPPING)
                for text in [*map(" ".join, findings), NOISE if repeated else NO_REPEATS]
            ),
        ]
    if noise := test_noise_words.sentence(tables):
        sections.append(textwrap.fill(noise, WIDTH, **_WRAPPING))
    if "claims" in tables and len(tables["claims"]):
        sections += _claims(tables["claims"])
    if data_notes:
        sections += ["## Data", *(textwrap.fill(text, WIDTH, **_WRAPPING) for text in data_notes)]
    if "recipe_gap" in primary:
        # With the runs, because a terminal has few lines.
        opening[-1] = " ".join(filter(None, [recipe_notes.in_opening(primary["recipe_gap"]), opening[-1]]))
    best = [findings[0][0]] if len(findings) == 1 else []
    answer = _joined(study, [*opening[:-1], *best, opening[-1]])
    return "\n\n".join([_joined(study, opening), *sections]) + "\n", answer


def _joined(study: str, opening: Sequence[str]) -> str:
    return "\n\n".join([f"# {study}", *(textwrap.fill(text, WIDTH, **_WRAPPING) for text in opening if text)])


# Claims -----------------------------------------------------------------------------------------------------------


def _claims(claims: pd.DataFrame) -> list[str]:
    """Return the strongest claims, and the first ones that are not supported or undecided."""
    counts = ", ".join(f"{(claims['verdict'] == verdict).sum()} {verdict}" for verdict in VERDICTS)
    supported = _foremost(claims[claims["verdict"] == SUPPORTED])
    others = (EQUIVALENT, REFUSED, UNDECIDED)
    refused = _foremost(pd.concat([claims[claims["verdict"] == verdict] for verdict in others]))
    sections = [f"## Claims: {counts}"]
    for head, rows in (("Strongest:", supported), ("Equivalent, not supported or undecided:", refused)):
        lines = [_bullet(f"{row['verdict']}: {in_words(row)}") for _, row in rows.iterrows()]
        sections.append("\n".join([head, "", *(lines or ["- none"])]))
    return sections


def _foremost(claims: pd.DataFrame) -> pd.DataFrame:
    """Return the first CLAIMS claims, of as many kinds as possible, so that they do not repeat each other."""
    turn = claims.groupby("kind", sort=False).cumcount()
    return claims.loc[turn.sort_values(kind="stable").index].head(CLAIMS)


def _bullet(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ", **_WRAPPING)


# Tables -----------------------------------------------------------------------------------------------------------


def _table(tables: Mapping[str, pd.DataFrame]) -> str:
    spread = tables["spread"]
    header = ["model", "method", "n", run_counts.incomplete_word(tables["runs"])]
    columns = [spread["model"], spread["method"], spread["n"], spread["n_failed"]]
    if spread["n_undefined"].any():
        header.append("undefined")
        columns.append(spread["n_undefined"])
    header.append("mean ± SD")
    if "intervals" in tables:
        means = tables["intervals"][tables["intervals"]["target"] == "mean"]
        ends = means.set_index(CANDIDATE)[["low", "high"]].reindex(pd.MultiIndex.from_frame(spread[CANDIDATE]))
        # The digits of a row are those of its SD, and enough for the ends of its interval.
        rows = list(zip(spread["mean"], spread["sd"], spread["n"], *(ends[end] for end in ends), strict=True))
        digits = [text_format.decimals(sd, low, high) for _, sd, _, low, high in rows]
        columns.append([_mean_and_sd(*moments[:3], many) for moments, many in zip(rows, digits, strict=True)])
        header.append(f"{_percent(means)} t interval")
        cells = [_ends(low, high, many) for (*_, low, high), many in zip(rows, digits, strict=True)]
        constants = decision_words.constants(tables.get("decisions"))
        alone = [n < 2 and _name(row) in constants for n, (_, row) in zip(spread["n"], spread.iterrows(), strict=True)]
        columns.append(["deterministic" if one else cell for one, cell in zip(alone, cells, strict=True)])
    else:
        columns.append(
            [_mean_and_sd(*moments) for moments in zip(spread["mean"], spread["sd"], spread["n"], strict=True)]
        )
    if "gain" in tables:
        gains = orientation.turned(tables["gain"][tables["gain"]["comparison"] == "before"])
        # Imported runs have no values from before fine-tuning.
        if len(gains):
            better = "" if tables["runs"]["higher_is_better"].iloc[0] else f" ({orientation.LOWER})"
            header.append(f"gain over untrained head, {_percent(gains)} t{better}")
            columns.append(_lookup(gains, spread, lambda row: _difference(row) if row["n"] else "none"))
    gaps = tables.get("recipe_gap")
    if gaps is not None and gaps["probe"].notna().any():
        header.append(recipe_notes.header(gaps))
        columns.append(_lookup(gaps, spread, recipe_notes.in_table))
    if len(tables.get("decisions", ())):
        ranks = {(one.model, one.method): one for one in rank_words.ranked(tables["decisions"])}
        shown = [ranks.get(cell) for cell in zip(spread["model"], spread["method"], strict=True)]
        header += ["rank", "letters"]
        columns += [[one.limits if one else "" for one in shown], [one.letters if one else "" for one in shown]]
    return text_format.aligned(header, list(zip(*columns, strict=True)))


def _format_rows(table: pd.DataFrame, format_row: Callable[[pd.Series], str]) -> list[str]:
    return [format_row(row) for _, row in table.iterrows()]


def _lookup(table: pd.DataFrame, spread: pd.DataFrame, format_row: Callable[[pd.Series], str]) -> list[str]:
    cells = zip(table["model"], table["method"], strict=True)
    texts = dict(zip(cells, _format_rows(table, format_row), strict=True))
    return [texts.get(cell, "") for cell in zip(spread["model"], spread["method"], strict=True)]


# Findings ---------------------------------------------------------------------------------------------------------


def _findings(task: str, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return sentences about one task, each with its n and estimator."""
    higher = bool(tables["runs"]["higher_is_better"].iloc[0])
    ranked = tables["spread"].dropna(subset="mean").sort_values("mean", ascending=not higher, kind="stable")
    if ranked.empty:
        undefined = run_status.undefined(tables["runs"])
        reason = "the metric is undefined on the test examples" if undefined.any() else "no run completed"
        return [f"On {task} {reason}."]
    if len(tables.get("decisions", ())):
        # Candidates whose means are equal are in the same order as in the decisions.
        leader = tables["decisions"][["leader", "leader_method"]].iloc[0]
        leads = (ranked["model"] == leader["leader"]) & (ranked["method"] == leader["leader_method"])
        ranked = pd.concat([ranked[leads], ranked[~leads]])
    # A model is represented by its best method.
    models = ranked.drop_duplicates("model")
    sentences = [_leader(task, ranked, models, tables), _guessing(tables["runs"]), _noise(ranked, models)]
    if "gain" in tables:
        controls = {
            "linear_probe": ("fine-tuning more than the head", "a linear probe", "gain_over_probe"),
            "from_scratch": ("starting from pretrained weights", "from-scratch training", "pretraining_helps"),
        }
        sentences += [_comparison(tables, comparison, *words, higher) for comparison, words in controls.items()]
    if "recipe_gap" in tables:
        sentences += recipe_notes.sentences(task, tables["recipe_gap"])
    return [sentence for sentence in sentences if sentence]


def _leader(task: str, ranked: pd.DataFrame, models: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> str:
    best = ranked.iloc[0]
    constants = decision_words.constants(tables.get("decisions"))
    # One run of a deterministic candidate says all.
    single = [row["n"] < 2 and _name(row) not in constants for _, row in ranked.iterrows()]
    alone, what = ranked["n"].max() < 2 and sum(single) > len(single) - 2, "mean" if best["n"] > 1 else "value"
    one_run = "deterministic" if _name(best) in constants else "a single run"
    kind = f"mean ± SD, n = {best['n']}" if best["n"] > 1 else one_run
    moments = _mean_and_sd(*best[_MOMENTS]) + ("" if best["sd"] == 0 else f" ({kind})")
    # Sums of the same values in another order may differ in their last bits.
    equal = ranked[np.isclose(ranked["mean"], best["mean"], rtol=1e-12, atol=0)]
    other = models.iloc[1] if len(models) > 1 else None
    if len(equal) > 1:
        names = listed([_name(row) for _, row in equal.iterrows()], decision_words.NAMED, last=" and ")
        sentence = f"On {task}, {names} share the best {what}; {_name(best)}: {moments}"
    else:
        sentence = f"On {task}, {_name(best)} has the best {what}: {moments}"
    if other is not None and other.name not in equal.index:
        moments = _mean_and_sd(*other[_MOMENTS]) + ("" if other["sd"] == 0 else f" (n = {other['n']})")
        sentence += f"; the best candidate of another model is {_name(other)}: {moments}"
    sentences = [sentence + "."]
    if alone:
        return " ".join([*sentences, *[f"{ONE_RUN[0].upper()}{ONE_RUN[1:]}."] * (len(ranked) > 1)])
    if len(tables.get("decisions", ())):
        sentences.append(decision_words.of_the_best(tables))
        if other is not None:
            sentences.append(decision_words.of_a_pair(task, _name(best), other, tables))
    if other is not None and any(row["n"] < 2 and _name(row) not in constants for row in (best, other)):
        sentences.append(_against_one_run(best, other))
    return " ".join(sentence for sentence in sentences if sentence)


def _against_one_run(best: pd.Series, other: pd.Series) -> str:
    several, one = (best, other) if best["n"] > other["n"] else (other, best)
    sentence = "There is no interval for their difference: it needs two completed runs per model."
    if several["n"] < 2 or one["n"] != 1:
        return sentence
    where = "within" if several["min"] <= one["mean"] <= several["max"] else "outside"
    digits = text_format.decimals(several["sd"])
    ends = " to ".join(text_format.number(several[end], digits=digits) for end in ("min", "max"))
    return (
        f"{sentence} The run of {_name(one)} is {where} the range of the {several['n']} runs of {_name(several)}, "
        f"{ends}."
    )


def _guessing(runs: pd.DataFrame) -> str:
    """Name the candidates whose mean accuracy does not exceed that of the most frequent class."""
    known = runs[(runs["metric"] == "accuracy") & ~run_status.incomplete(runs) & runs["majority"].notna()]
    means = known.groupby(CANDIDATE, sort=False)[["value", "majority"]].mean()
    not_better = means[means["value"] <= means["majority"]]
    if not_better.empty:
        return ""
    candidates = ", ".join(display_names.candidate(model, method) for model, method in not_better.index)
    level, verb = text_format.number(not_better["majority"].iloc[0]), agree(len(not_better), "is", "are")
    return f"Always predicting the most frequent class has an accuracy of {level}; {candidates} {verb} no better."


def _noise(ranked: pd.DataFrame, models: pd.DataFrame) -> str:
    sds = ranked["sd"].dropna()
    if sds.empty:
        return ""
    typical, counts = sds.median(), ranked.loc[sds.index, "n"]
    of = f"median of {plural(len(sds), 'cell')}, {text_format.count(counts)} runs each"
    digits = text_format.decimals(typical)
    sentence = f"The typical SD between seeds is {text_format.number(typical, digits=digits)} ({of})"
    if typical == 0:
        which = "every cell" if not sds.any() else "most cells"
        sentence = f"All runs of {which} are equal ({of.removeprefix('median of ')})"
    if len(models) > 1:
        gap = abs(models["mean"].iloc[0] - models["mean"].iloc[-1])
        gap = 0.0 if is_rounding(gap, models["mean"].iloc[0]) else gap
        times = f", {gap / typical:.1f} times as much" if typical > 0 else ""
        difference = text_format.number(gap, digits=digits)
        sentence += f"; the best and the worst of {len(models)} models differ by {difference}{times}"
    return sentence + "."


def _comparison(
    tables: Mapping[str, pd.DataFrame], comparison: str, what: str, reference: str, kind: str, higher: bool
) -> str:
    gain = orientation.turned(tables["gain"])
    rows = gain[(gain["comparison"] == comparison) & (gain["n"] > 0) & gain["gain"].notna()]
    if rows.empty:
        return ""
    estimator, counts = rows["interval"].iloc[0], text_format.count(pd.concat([rows["n"], rows["n_reference"]]))
    better = "" if higher else f"; {orientation.LOWER}"
    start = f"{what[0].upper()}{what[1:]} changed the mean against {reference}"
    decided = decision_words.of_gains(kind, tables)
    estimator = estimator if rows["low"].notna().any() else "no interval"
    end = f"; {decided}." if decided else "."
    if len(rows) == 1:
        row = rows.iloc[0]
        level = "" if np.isnan(row["low"]) else f"{_percent(rows)} "
        return f"{start} by {_difference(row)} ({level}{estimator}, {counts}{better}) for {_name(row)}{end}"
    smallest, largest = rows["gain"].min(), rows["gain"].max()
    digits = text_format.decimals(text_format.half_width(rows["low"], rows["high"]).median(), smallest, largest)
    ends = (text_format.number(gain, "+", digits) for gain in (smallest, largest))
    return f"{start} by between {' and '.join(ends)} ({estimator}, {counts}{better}){end}"


# Words ------------------------------------------------------------------------------------------------------------


def _name(row: pd.Series) -> str:
    return display_names.candidate(row["model"], row["method"])


def _mean_and_sd(mean: float, sd: float, n: float, digits: int | None = None) -> str:
    return "none" if np.isnan(mean) else text_format.with_spread(mean, sd, n, digits)


def _difference(row: pd.Series) -> str:
    digits = text_format.decimals(text_format.half_width(row["low"], row["high"]), row["low"], row["high"])
    ends = "" if np.isnan(row["low"]) else f" {_ends(row['low'], row['high'], digits)}"
    return text_format.number(row["gain"], "+", digits) + ends


def _ends(low: float, high: float, digits: int | None = None) -> str:
    if low == high:
        return "all runs equal"
    return "needs 2 runs" if np.isnan(low) else text_format.interval(low, high, digits=digits)


def _percent(table: pd.DataFrame) -> str:
    return text_format.percent(table["level"].iloc[0])
