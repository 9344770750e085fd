"""Several rows of one run: learning curves and reruns, of which one row is kept, or which are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from variability.advice import agree, plural
from variability.errors import UserError
from variability.results import imported_values, readers, run_status
from variability.results.columns import RUN, RUN_VALUE
from variability.results.imported_files import Source
from variability.results.imported_layout import listed_metrics

if TYPE_CHECKING:
    import pandas as pd

_HELPERS = ["row", "when", "failed", "informative"]
#: Names of columns by which programs number the rows of a learning curve.
_STEPS = ("epoch", "step", "global_step", "iteration", "iter", "training_iteration", "trainer/global_step")

#: What to do about rows of the same run, the end of the message about them.
CHOICES = (
    "Assign the column that distinguishes them to seed, task, method or split, choose rows by `where`, or set `keep: "
    "last` or `keep: best` if they are steps or reruns of one run"
)


def merged(table: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Return the table with one row for each value of a run that two columns of a row could hold, but only one does.

    Raises UserError if both do.
    """
    table = table.assign(row=table.index, position=range(len(table)))
    keys = [*RUN_VALUE, "row"]
    several = table[table.duplicated(keys, keep=False)]
    with_value = several[several["value"].notna()]
    if (double := with_value.duplicated(keys, keep=False)).any():
        first = with_value[double].iloc[0]
        same = with_value[(with_value[keys] == first[keys]).all(axis=1)]
        raise UserError(
            f"{source.at(with_value.index[double])}: the columns {' and '.join(same['column'])} both have a value of "
            f"{first['metric']} ({first['split']}, {first['phase']}); give one of them another metric, split or phase"
        )
    # Rows with a value first, so that they are the ones that remain.
    by_value = table.assign(empty=table["value"].isna()).sort_values(["empty", "position"], kind="stable")
    return by_value.drop_duplicates(keys).sort_values("position").drop(columns=["row", "position", "empty"])


def kept(
    table: pd.DataFrame, frame: pd.DataFrame, spec: Mapping[str, Any], facts: Mapping[str, Any], source: Source
) -> pd.DataFrame:
    """Return the table with one row for each value of a run, by ``keep`` and ``keep_by``.

    ``last``: the last value of each metric, in the order of the column ``keep_by``, by default that of the file or, in
    exports of trackers, of the start; if the last row reports a failure, the run failed. ``best``: the row with the
    best value in the column ``keep_by``, by default the first listed metric of the validation split, or else the first
    listed metric; if splits or phases have rows of their own, the rows of the same step as the best validation row.
    Raises UserError if that leaves out all values of a split or phase, or says nothing about a run.
    """
    return _best(table, frame, spec, facts, source) if spec["keep"] == "best" else _last(table, frame, spec, source)


def refuse_repeated(table: pd.DataFrame, frame: pd.DataFrame, source: Source) -> None:
    """Raise UserError for several rows of one value of a run."""
    repeated = table[table.duplicated(RUN_VALUE, keep=False)]
    if repeated.empty:
        return
    first = repeated.iloc[0]
    rows = frame.loc[repeated.index[(repeated[RUN_VALUE] == first[RUN_VALUE]).all(axis=1)].unique()]
    differing = [str(column) for column in frame if len(set(rows[column].astype(str))) > 1]
    run = ", ".join(f"{key} {first[key]}" for key in RUN_VALUE)
    run += _same_number(rows[column] for column in differing)
    twice, all_runs = len(repeated[RUN].drop_duplicates()), len(table[RUN].drop_duplicates())
    raise UserError(
        f"{source.at(rows.index)}: {twice} of {plural(all_runs, 'run')} {agree(twice, 'is', 'are')} listed more than "
        f"once, for example {run}; these rows differ in {', '.join(differing) or 'nothing'}. {CHOICES}"
    )


def _same_number(columns: Iterable[pd.Series]) -> str:
    """Return that the texts of a column are one whole number, such as 1 and 01; nothing if those of none are."""
    for column in columns:
        if imported_values.are_one_number(column.dropna().astype(str)):
            return f" ({' and '.join(column.dropna().astype(str).unique())} are the same number)"
    return ""


def _last(table: pd.DataFrame, frame: pd.DataFrame, spec: Mapping[str, Any], source: Source) -> pd.DataFrame:
    import pandas as pd

    column = spec.get("keep_by") or next((name for name in readers.of(spec).STARTS if name in frame), None)
    when = imported_values.order(frame[column], column, source) if column else pd.Series(0.0, frame.index)
    if column is None:
        _refuse_unordered(table, frame, source)
    table = table.assign(row=table.index, when=when[table.index].to_numpy(), failed=~_completed(table))
    table = table.sort_values(["when", "row"], kind="stable", na_position="first")
    # A log has rows about other things than the metrics; only a run without any value keeps one of them.
    table["informative"] = table["value"].notna() | table["failed"]
    table = table[table["informative"] | ~table.groupby(RUN)["informative"].transform("any")]
    by_run = table.groupby(RUN)
    is_last = table["row"] == by_run["row"].transform("last")
    # After a failure at the end earlier values do not count, and after a success earlier failures do not.
    retained = table[is_last.where(by_run["failed"].transform("last"), ~table["failed"])]
    return retained.drop_duplicates(RUN_VALUE, keep="last").sort_values("row").drop(columns=_HELPERS)


def _refuse_unordered(table: pd.DataFrame, frame: pd.DataFrame, source: Source) -> None:
    """Raise UserError if, by a column of steps, the last row of a run is not its last step."""
    for name in frame:
        if str(name).lower().lstrip("_") not in _STEPS:
            continue
        try:
            steps = imported_values.order(frame[name], name, source)
        except UserError:
            continue  # Not a column of steps.
        rows = table.assign(step=steps[table.index].to_numpy(), row=table.index)
        rows = rows[rows["value"].notna()].sort_values("row", kind="stable")
        largest = rows.groupby(RUN_VALUE)["step"].max()
        last = rows.drop_duplicates(RUN_VALUE, keep="last").set_index(RUN_VALUE)
        if (earlier := last["step"] < largest[last.index]).any():
            wrong = last.loc[earlier, "row"]
            raise UserError(
                f"{source.at(wrong)}: the last row of a run has {name} "
                f"{frame.loc[wrong.iloc[0], name]}, and an earlier one a larger {name}; set `keep_by: {name}` "
                "if the rows are steps in another order, or `keep_by` to a column of times if they are reruns"
            )


def _completed(table: pd.DataFrame) -> pd.Series:
    return table["status"] == run_status.COMPLETED


def _best(
    table: pd.DataFrame, frame: pd.DataFrame, spec: Mapping[str, Any], facts: Mapping[str, Any], source: Source
) -> pd.DataFrame:
    entries = {name: (spec.get("metrics") or {}).get(name) or {} for name in listed_metrics(spec)}
    validation = [name for name, entry in entries.items() if entry.get("split") == "validation"]
    column = spec.get("keep_by") or next(iter([*validation, *entries]))
    sign = 1.0 if facts[entries[column].get("metric", column)]["higher_is_better"] else -1.0
    table = table.assign(row=table.index)
    scores = table[(table["entry"] == column) & _completed(table)]
    scores = scores.assign(score=sign * scores["value"]).dropna(subset=["score"])
    # A column of splits may give validation and test rows of their own: the test must not choose.
    of_validation = scores.assign(chooses=scores["split"] == "validation").groupby(RUN)["chooses"]
    scores = scores[(scores["split"] == "validation") | ~of_validation.transform("any")]
    scores = scores.sort_values("score", kind="stable")
    # The first of equally good rows, as programs that store the best checkpoint do.
    best = scores.drop_duplicates([*RUN, "score"]).drop_duplicates(RUN, keep="last").set_index(RUN)["row"]
    joined = table.join(best.rename("best"), on=RUN).reset_index(drop=True)
    _refuse_without_score(joined, column, source)
    retained = joined[joined["row"].eq(joined["best"]) | joined["best"].isna()]
    lost = _lost(joined, retained)
    if step := next((name for step in _STEPS for name in frame if _is_step(name, step)), None):
        chosen = frame[step].reindex(joined["best"]).to_numpy(object)
        retained = joined[
            joined.index.isin(retained.index) | (lost & (frame[step][joined["row"]].to_numpy() == chosen))
        ]
        lost = _lost(joined, retained)
    if lost.any():
        first = joined[lost].iloc[0]
        raise UserError(
            f"{source.at(joined.loc[lost, 'row'])}: `keep: best` would leave out these rows: for example, the best row "
            f"of {', '.join(f'{key} {first[key]}' for key in RUN)} has no value of its {first['split']} split "
            f"({first['phase']}). Give all rows of a step the same number in a column called {_STEPS[0]} or "
            f"{_STEPS[1]}, leave these rows out by `where_not`, or set `keep: last`"
        )
    retained = retained.drop_duplicates(RUN_VALUE, keep="last").drop(columns=["best"])
    return retained.set_index("row").rename_axis(None)


def _lost(table: pd.DataFrame, retained: pd.DataFrame) -> pd.Series:
    """Return a mask of the values of those runs, splits and phases of which no value is retained."""
    keys = [*RUN, "split", "phase"]
    with_value = table["value"].notna() & _completed(table)
    rest = retained.loc[retained["value"].notna(), keys].drop_duplicates().assign(remains=True)
    return with_value & table[keys].merge(rest, "left", keys)["remains"].isna().to_numpy()


def _refuse_without_score(joined: pd.DataFrame, column: str, source: Source) -> None:
    """Raise UserError for runs of several rows, none of which has a value to choose by."""
    several = joined["best"].isna() & joined["value"].notna() & _completed(joined)
    several &= joined[several].duplicated(RUN_VALUE, keep=False).reindex(joined.index, fill_value=False)
    if several.any():
        first = joined[several].iloc[0]
        run = ", ".join(f"{key} {first[key]}" for key in RUN)
        raise UserError(
            f"{source.at(joined.loc[several, 'row'])}: `keep: best` chooses rows by the column {column!r}, which has "
            f"no value for {run}; name another column in `keep_by`, give these runs an import of their own, or set "
            "`keep: last`"
        )


def _is_step(name: object, step: str) -> bool:
    return str(name).lower().lstrip("_") == step
