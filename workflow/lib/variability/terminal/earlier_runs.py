"""Durations and sizes of earlier runs and jobs, of a study and of others, from what they left."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from variability.io.artefacts import read_cached
from variability.io.job_records import RECORDS
from variability.terminal.durations import Cell, Durations

#: Numbers of cells, and of jobs of a stage, of which files are read.
_CELLS, _JOBS = 100, 5
#: Stages whose jobs take about as long in every study: a job of ``predict`` finds what ``finetune`` has predicted.
_ALIKE = frozenset({"predict"})
#: Folder of what all studies share.
_SHARED = "downloads"
#: Seconds by which the clock of a file server may be behind.
_SLACK = 2.0
#: Shapes of what is read of a manifest of runs, and of the record of a run, see ``artefacts.Kind``.
_LISTED = {"runs": [{"seed": int}]}
_MEASURED = {"seed": int, "bytes": int, "seconds": (int, float)}


@dataclass(frozen=True)
class Sample:
    """Runs of a cell that one job fitted. seconds: the duration of the job by run. size: bytes by run."""

    seconds: float
    size: float
    n: int


@dataclass
class Earlier:
    """durations, sizes: of runs and jobs, in seconds and bytes. studies: names of those that they are from.

    of_others: whether a cell is estimated from runs of other models or methods.
    """

    durations: Durations
    sizes: Durations
    studies: list[str]
    of_others: bool = False

    def add_cell(self, cell: Cell, study: str, runs: Sample | None) -> bool:
        """Add runs of a cell, and return whether there were any."""
        if runs is None:
            return False
        self.durations.add_runs(cell, runs.seconds * runs.n, runs.n)
        self.sizes.add_runs(cell, runs.size * runs.n, runs.n)
        self.add_study(study)
        return True

    def add_study(self, study: str) -> None:
        """Note that something is of a study."""
        if study not in self.studies:
            self.studies.append(study)


def of_cells(results: Path, study: str, cells: Iterable[Cell], earlier: Earlier) -> None:
    """Add earlier runs of cells, otherwise of the same model and method in the study, otherwise in another.

    Where no study has any, runs of the same method are added, and where there are none either, any runs.

    results: folder of all studies.
    """
    cells = list(cells)[:_CELLS]
    looked_for: set[tuple[str, str]] = set()
    others = [path.name for path in _folders(results) if path.name != study and (path / "finetune").is_dir()]
    for cell in cells:
        model, _, method = cell
        if earlier.add_cell(cell, study, sample(results / study, cell)) or (model, method) in looked_for:
            continue
        looked_for.add((model, method))
        for name in (study, *others):
            tasks = [path.name for path in _folders(results / name / "finetune" / model)]
            if any(
                earlier.add_cell((model, other, method), name, sample(results / name, (model, other, method)))
                for other in tasks
            ):
                break
    for method in dict.fromkeys(method for *_, method in cells):
        if not _knows(earlier, ("method", method)):
            _add_any(results, (study, *others), method, earlier)
    if cells and not _knows(earlier, ("runs",)):
        _add_any(results, (study, *others), None, earlier)
    own = (_knows(earlier, ("model and method", model, method)) for model, _, method in cells)
    earlier.of_others = _knows(earlier, ("runs",)) and not all(own)


def _knows(earlier: Earlier, key: tuple[str, ...]) -> bool:
    return earlier.durations.mean(key) is not None


def _add_any(results: Path, studies: Iterable[str], method: str | None, earlier: Earlier) -> None:
    """Add runs of the first cell that has any. method: of the cell; any if None."""
    for study in studies:
        for model in _folders(results / study / "finetune"):
            for task in _folders(model):
                methods = [path.name for path in _folders(task)] if method is None else [method]
                for name in methods:
                    cell = (model.name, task.name, name)
                    if earlier.add_cell(cell, study, sample(results / study, cell)):
                        return


def sample(folder: Path, cell: Cell) -> Sample | None:
    """Return what the first job of a cell measured; None if there was none. folder: that of a study."""
    of_cell = folder.joinpath("finetune", *cell)
    manifest = of_cell / "block-0.json"
    records = [of_cell / str(run["seed"]) / "run.json" for run in read_cached(manifest, _LISTED).get("runs", [])]
    fitted, seconds = records, None
    benchmark = manifest.with_suffix(".tsv")
    if (measured := benchmark_seconds(benchmark)) is not None:
        # The others were finished before this job.
        start = benchmark.stat().st_mtime - measured - _SLACK
        fitted = [record for record in records if (_modified(record) or 0.0) >= start]
        seconds = measured / len(fitted) if fitted else None
    record = next((content for path in (fitted or records) if (content := read_cached(path, _MEASURED))), None)
    if record is None:
        return None
    size = record["bytes"] + _size([str(folder.joinpath("predict", *cell, f"{record['seed']}.parquet"))])
    return Sample(record["seconds"] if seconds is None else seconds, size, max(len(fitted), 1))


def benchmark_seconds(path: Path) -> float | None:
    """Return the duration of a job from Snakemake's file of it; None without such a file."""
    try:
        header, values = path.read_text(encoding="utf-8").splitlines()[:2]
        return float(dict(zip(header.split("\t"), values.split("\t"), strict=False))["s"])
    except (OSError, ValueError, KeyError):
        return None


def of_stages(
    results: Path,
    study: str,
    jobs: Iterable[tuple[str, Path]],
    measured: Callable[[str], float | None],
    earlier: Earlier,
) -> None:
    """Add earlier jobs of stages without runs: the same jobs, of the study or of others, otherwise jobs of the study.

    jobs: stage of each job, and path of the record of what it was made from, inside the folder of a study. measured:
    duration of the job that made a file; None if unknown.
    """
    others = [path.name for path in _folders(results) if path.name != study]
    records: dict[str, list[Path]] = {}
    for stage, record in jobs:
        records.setdefault(stage, []).append(record)
    for stage, same in records.items():
        candidates = [(name, [results / name / record for record in same[:_JOBS]]) for name in (study, *others)]
        candidates.insert(1, (study, _any_jobs(results / study, stage)))
        if stage in _ALIKE:
            candidates += [(name, _any_jobs(results / name, stage)) for name in others]
        for name, paths in candidates:
            outputs = [outputs for path in paths if (outputs := read_cached(path, {"outputs": [str]}).get("outputs"))]
            if _add_jobs(stage, outputs, measured, earlier):
                if name != _SHARED:
                    earlier.add_study(name)
                break


def _any_jobs(folder: Path, stage: str) -> list[Path]:
    return list(islice((folder / RECORDS / stage).rglob("*.json"), _JOBS))


def _add_jobs(stage: str, jobs: Iterable[list[str]], measured: Callable[[str], float | None], earlier: Earlier) -> bool:
    """Add jobs with these outputs, and return whether any was measured."""
    any_measured = False
    for outputs in jobs:
        if (seconds := measured(outputs[0])) is not None:
            earlier.durations.add_job(stage, seconds)
            any_measured = True
        if size := _size(outputs):
            earlier.sizes.add_job(stage, size)
    return any_measured


def _size(files: Iterable[str]) -> int:
    return sum(os.path.getsize(file) for file in files if os.path.isfile(file))


def _modified(path: Path) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
