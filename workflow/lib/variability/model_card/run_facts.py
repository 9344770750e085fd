"""Facts of a model card about a run: its record, its task, and how it compares with the other seeds of its cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from variability.errors import UserError
from variability.interactive.answers import analyse, claims
from variability.interactive.sources import Source
from variability.io import artefacts, job_records
from variability.reporting import display_names
from variability.reporting.claims import EQUIVALENT, SUPPORTED
from variability.results.columns import CELL
from variability.stages import _run_folders
from variability.stages._records import RECORD

#: Statistic of ``best_of_n`` without bias.
_UNBIASED = "U"


@dataclass(frozen=True)
class RunFacts:
    """Facts of a run. record: its run.json. task: its task.json. data: the spec of ``prepare``.

    values: rows of the runs table of this run on the test split, after and before fine-tuning. rank: position of its
    primary value among the completed runs of its cell, 1 is the best; ties share the best position. tied: number of
    other runs with the same value. spread, mean, next_run, best: rows of analyses of the cell, on its primary metric.
    sentences: supported claims about the cell.
    """

    folder: Path
    record: Mapping[str, Any]
    task: Mapping[str, Any]
    data: Mapping[str, Any]
    values: pd.DataFrame
    rank: int
    tied: int
    spread: pd.Series
    mean: pd.Series
    next_run: pd.Series
    best: pd.Series | None
    sentences: pd.DataFrame

    @property
    def primary(self) -> pd.Series:
        """The row of the primary metric after fine-tuning."""
        return self.values[self.values["primary"] & (self.values["phase"] == "after")].iloc[0]


def read(folder: Path) -> RunFacts:
    """Return the facts of a run, by its folder.

    Raises UserError if its study is not finished, or if the run did not complete.
    """
    folder = folder.resolve()
    _run_folders.require(folder)
    record = artefacts.read_record(folder / RECORD, artefacts.RUN_RECORD)
    if record["status"] != "completed":
        reason = f"{record['status']}: {record['fail_reason']}"
        raise UserError(f"the run in {folder} {reason}; there is no model to describe")
    study = folder.parents[4]
    source = Source.of(study)
    cell = {key: record[key] for key in CELL}
    of_cell = _of_cell(source.runs, cell)
    runs = of_cell[(of_cell["phase"] == "after") & (of_cell["split"] == "test") & of_cell["primary"]]
    if not (runs["seed"] == record["seed"]).any():
        raise UserError(f"the tables of {study} do not have the run in {folder}; run the study again")
    spread, intervals, best = (_primary(analyse(source, name), cell) for name in ("spread", "intervals", "best_of_n"))
    best = best[(best["statistic"] == _UNBIASED) & (best["best_of"] == best["n"])]
    job = job_records.made(study / job_records.SPECS / "prepare" / f"{record['task']}.json")
    return RunFacts(
        folder=folder,
        record=record,
        task=artefacts.read_record(study / "prepare" / record["task"] / "task.json", artefacts.TASK),
        data=job.spec if job else {},
        values=of_cell[(of_cell["seed"] == record["seed"]) & (of_cell["split"] == "test")],
        rank=_rank(runs, record["seed"]),
        tied=int((runs["value"] == runs.loc[runs["seed"] == record["seed"], "value"].iloc[0]).sum()) - 1,
        spread=spread.iloc[0],
        mean=intervals[intervals["target"] == "mean"].iloc[0],
        next_run=intervals[intervals["target"] == "next_run"].iloc[0],
        best=best.iloc[0] if len(best) else None,
        sentences=_about(claims(source), record),
    )


def _of_cell(table: pd.DataFrame, cell: Mapping[str, str]) -> pd.DataFrame:
    return table[(table[list(cell)] == pd.Series(cell)).all(axis=1)]


def _primary(table: pd.DataFrame, cell: Mapping[str, str]) -> pd.DataFrame:
    rows = _of_cell(table, cell)
    return rows[rows["primary"] & (rows["phase"] == "after") & (rows["split"] == "test")]


def _rank(runs: pd.DataFrame, seed: int) -> int:
    values = runs.set_index("seed")["value"]
    better = values > values[seed] if bool(runs["higher_is_better"].iloc[0]) else values < values[seed]
    return 1 + int(better.sum())


def _about(table: pd.DataFrame, record: Mapping[str, Any]) -> pd.DataFrame:
    """Return the supported claims on the run's task that begin with its candidate, or name it after a comma."""
    name = display_names.candidate(record["model"], record["method"])
    starts = (f"On {record['task']}, {name} ", f"On {record['task']}, the seeds of {name} ")
    starts += (f"On {record['task']}, the gain of {name} ", f"On {record['task']}, pretraining helps {name}")
    about = table["sentence"].str.startswith(starts) | table["sentence"].str.contains(f" seeds of {name} ", regex=False)
    decided = table["verdict"].isin([SUPPORTED, EQUIVALENT])
    return table[about & decided & (table["task"] == record["task"])]
