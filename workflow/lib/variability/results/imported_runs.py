"""Runs that were made outside this workflow, as rows of the runs table.

A file is read by the names of its columns, never by their position or by the shape of an array: models mistaken for
seeds would make intervals falsely narrow. What the names leave open is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from variability.errors import UserError
from variability.results import (
    example_scores,
    imported_examples,
    imported_files,
    imported_layout,
    imported_names,
    imported_problems,
    imported_repeats,
    imported_selection,
    imported_statistics,
    imported_statuses,
    imported_values,
    metric_scales,
    pairing,
    readers,
    run_status,
    runs_table,
)
from variability.results.columns import CELL, RUN, RUN_VALUE, VALUE
from variability.results.imported_files import Source
from variability.results.imported_layout import NUMBERS, is_long, role_columns
from variability.results.metrics import _known, scalar_facts

if TYPE_CHECKING:
    import pandas as pd


class Imported(NamedTuple):
    """Runs and examples of all imports.

    tables: runs tables. labelled: names of the imports whose seeds are labels. examples: of the runs that the grid
    selects, see ``imported_predictions``; None if no import has examples.
    """

    tables: list[pd.DataFrame]
    labelled: list[str]
    examples: pd.DataFrame | None = None


def metric_facts(
    spec: Mapping[str, Any], of_files: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the facts of every metric: from the import's spec, otherwise from the plug-ins or the well-known ones.

    of_files: facts that the files tell. A metric ``name,filter`` has the facts of ``name``.
    """
    facts = _known.FACTS | scalar_facts()
    for name, told in (of_files or {}).items():
        unknown = {"perfect": None, **dict.fromkeys(metric_scales.KEYS)}
        facts[name] = facts.get(name) or facts.get(name.partition(",")[0], unknown) | dict(told)
    for column, entry in (spec.get("metrics") or {}).items():
        entry = entry or {}
        name = entry.get("metric", column)
        # The name of a column is not evidence for the direction of a metric of another name, such as an error rate.
        of_column = facts[column] if column in (of_files or {}) else None
        defaults = facts.get(name) or of_column or {"label": name, "higher_is_better": None, "perfect": None}
        if entry.get("perfect", defaults["perfect"]) != defaults["perfect"]:
            # Percentages, for example: what is known of the range holds in another unit.
            defaults = defaults | {"unit": None, "range": None, "reference": None}
        keys = ("label", "higher_is_better", "perfect", *metric_scales.KEYS)
        facts[name] = defaults | {key: entry[key] for key in keys if key in entry}
    return facts


def rows_of_file(source: Source, spec: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Return one row per run, phase, split and metric, with those columns of the runs table that the files determine.

    spec: an entry of ``imports``, see ``import_sections.Import``, with ``metrics_order``, the keys of its metrics in
    the order of the config. name: of the import, for messages.

    Statuses follow ``run_status``; values of runs that did not complete are not used. Raises UserError for rows that
    are not runs, runs that are listed more than once, values that are not numbers, and scores that are better than
    perfect.
    """
    import pandas as pd

    frame = imported_layout.chosen(source, spec, name)
    roles = role_columns(spec, list(frame.columns))
    table = imported_layout.values(frame, spec, roles)
    imported_problems.refuse_statistics(table, roles, source)
    for key in (*RUN, "split", "phase", "metric"):
        imported_problems.refuse_missing(table, key, roles, source)
    imported_problems.refuse_words_among_numbers(table, source)
    table = imported_names.unified(table, spec, source)
    for key, words in imported_layout.SYNONYMS.items():
        table[key] = imported_problems.standard_words(table, key, words, source)
    imported_problems.refuse_nested(table, frame, source)
    table = imported_statuses.with_reasons(table, spec.get("statuses", {}))
    decimal = imported_values.decimal_mark(source, _number_columns(table, roles, spec), spec)
    table = _with_numbers(table, frame, spec, source, decimal)
    entries = {entry: facts or {} for entry, facts in (spec.get("metrics") or {}).items()}
    if is_long(spec, roles):
        renamed = {entry: facts.get("metric", entry) for entry, facts in entries.items()}
        table["metric"] = table["metric"].replace(renamed)
    elif entries:
        table["metric"] = table["entry"].map({entry: facts.get("metric", entry) for entry, facts in entries.items()})
    facts = metric_facts(spec, source.facts)
    imported_problems.refuse_unknown_metrics(table, facts, source)
    table["seed"] = imported_values.seeds(table["seed"], name)
    words = table["status"] if "status" in table else pd.Series(None, table.index, dtype=object)
    table["status"] = imported_statuses.statuses(words, spec.get("statuses", {}), source)
    reported = words.fillna("").astype(str).str.strip().str.lower()
    table["fail_reason"] = reported.radd("reported as ").where(table["status"] != run_status.COMPLETED)
    table = imported_repeats.merged(table, source)
    if "keep" in spec:
        table = imported_repeats.kept(table, frame, spec, facts, source)
    imported_repeats.refuse_repeated(table, frame, source)
    imported_statistics.refuse_computed(table, roles, source)
    table["value"] = table["value"].where(table["status"] == run_status.COMPLETED)
    imported_problems.refuse_better_than_perfect(table, facts, source)
    imported_problems.refuse_outside_range(table, facts, source)
    imported_problems.refuse_vanishing(table, source)
    table = table.reset_index(drop=True).astype(dict.fromkeys((*CELL, *VALUE, "status"), "str"))
    table = runs_table.with_metric_facts(table, facts)
    table = run_status.with_no_value(run_status.with_non_finite(table, table["states_nan"]))
    return table.drop(columns=["column", "entry", "states_nan"])


def read_import(source: Source, spec: Mapping[str, Any], name: str) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the rows of an import, see ``rows_of_file``, and its examples, from which they were computed, if any."""
    if imported_layout.examples(spec) is None:
        return rows_of_file(source, spec, name), None
    facts = metric_facts(spec, source.facts)
    examples = imported_examples.rows(source, spec, facts, name)
    table = example_scores.run_rows(examples, facts)
    _refuse_impossible(table, examples, facts, source)
    return table, examples


def _refuse_impossible(
    table: pd.DataFrame, examples: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], source: Source
) -> None:
    """Raise UserError for means of scores that are beyond what is known of their metric, at the first row of a run."""
    of_run = examples.assign(row=examples.index)[["row", *RUN_VALUE]].drop_duplicates(RUN_VALUE)
    scores = table.merge(of_run, on=RUN_VALUE).set_index("row").assign(column="score")
    scores["entry"] = scores["metric"]
    imported_problems.refuse_better_than_perfect(scores, facts, source)
    imported_problems.refuse_outside_range(scores, facts, source)


def _number_columns(table: pd.DataFrame, roles: Mapping[str, str], spec: Mapping[str, Any]) -> Sequence[str]:
    errors = [facts["stderr"] for facts in (spec.get("metrics") or {}).values() if facts and "stderr" in facts]
    return [*table["column"].unique(), *(column for role, column in roles.items() if role in NUMBERS), *errors]


def _with_numbers(
    table: pd.DataFrame, frame: pd.DataFrame, spec: Mapping[str, Any], source: Source, decimal: str
) -> pd.DataFrame:
    """Return the table with its values, scaled, and other numbers as such."""
    import pandas as pd

    table = table.assign(states_nan=imported_values.states_nan(table["value"]), position=range(len(table)))
    scales = {entry: (facts or {}).get("scale", 1) for entry, facts in (spec.get("metrics") or {}).items()}
    parts = []
    # By metric, because the values of one may have percent signs, and those of another not.
    for (_, entry), part in table.groupby(["column", "entry"], sort=False):
        values = imported_values.parse(part["value"], "value", source, decimal)
        parts.append(part.assign(value=values.to_numpy() * scales.get(entry, 1)))
    table = pd.concat(parts).sort_values("position").drop(columns="position")
    times = readers.of(spec).TIMES
    if times and set(times) <= set(frame) and "seconds" not in spec.get("columns", {}):
        start, end = (frame[name] for name in times)
        seconds = imported_values.elapsed(start, end, source)[table.index].to_numpy()
    elif "seconds" in table:
        seconds = imported_values.seconds(table["seconds"], source, decimal)
    else:
        seconds = float("nan")
    others = [role for role in NUMBERS if role != "seconds"]
    numbers = {
        role: imported_values.parse(table[role], role, source, decimal) if role in table else float("nan")
        for role in others
    }
    numbers["stderr"] = numbers["stderr"] * table["entry"].map(lambda entry: abs(scales.get(entry, 1)))
    imported_problems.refuse_negative_errors(table.assign(**numbers), source)
    return table.assign(seconds=seconds, **numbers)


def read_imports(
    sources: Mapping[str, Source],
    specs: Mapping[str, Mapping[str, Any]],
    tasks: Mapping[str, Mapping[str, Any]],
    grid: Mapping[str, Any],
) -> tuple[list[pd.DataFrame], pd.DataFrame | None]:
    """Return the runs tables of all imports, and their examples. Arguments: see ``read_import`` and
    ``imported_selection.select_for_study``.
    """
    read = {name: read_import(source, specs[name], name) for name, source in sources.items()}
    tables = imported_selection.select_for_study({name: rows for name, (rows, _) in read.items()}, specs, tasks, grid)
    selected = {name: _of_runs(examples, tables[name]) for name, (_, examples) in read.items() if examples is not None}
    return [table.assign(pairing=pairing.AUTO) for table in tables.values()], _joined(selected)


def _of_runs(examples: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the examples of the runs of a runs table, and of scores only those of the primary metrics."""
    primary = table[table["primary"]].drop_duplicates("task").set_index("task")["metric"]
    wanted = examples["metric"].isna() | (examples["metric"] == examples["task"].map(primary))
    return examples[wanted].merge(table[RUN].drop_duplicates(), on=RUN, how="inner")


def _joined(examples: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Return the examples of all imports. Raises UserError if a task has scores in one and predictions in another."""
    import pandas as pd

    kind_of: dict[str, tuple[str, str]] = {}
    for name, table in examples.items():
        for task, kind in table[["task", "kind"]].drop_duplicates().itertuples(index=False):
            if kind_of.setdefault(task, (kind, name))[0] != kind:
                other = f"{kind_of[task][0]} in {kind_of[task][1]}"
                raise UserError(f"{name}: the examples of task {task} are {kind} here and {other}; import them alike")
    return pd.concat(examples.values(), ignore_index=True) if examples else None


def read_all(files: Mapping[str, Sequence[Path]], spec: Mapping[str, Any]) -> Imported:
    """Return the runs and examples of all imports. files: of each import. spec: of ``aggregate``."""
    # In the order of the config, which decides the primary metric.
    specs = {name: spec["imports"][name] for name in files}
    specs = dict(sorted(specs.items(), key=lambda item: item[1].get("position", 0)))
    sources = {
        name: imported_files.read(imported_files.named(files[name], entry.get("names")), entry)
        for name, entry in specs.items()
    }
    if not sources:
        return Imported([], [])
    labelled = [name for name, source in sources.items() if has_seed_labels(source, specs[name])]
    tables, examples = read_imports(sources, specs, spec["tasks"], spec["grid"])
    return Imported(tables, labelled, examples)


def has_seed_labels(source: Source, spec: Mapping[str, Any]) -> bool:
    """Return whether seeds are labels, which are numbered within the import."""
    column = role_columns(spec, list(source.frame.columns)).get("seed")
    if column not in source.frame:
        return False
    return bool(imported_values.seed_labels(source.frame[column].dropna()))
