"""Durations and sizes of earlier runs and jobs, of a study and of others, from what they left."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from variability.io.job_records import RECORDS
from variability.terminal.durations import Cell, Durations

#: Numbers of files that are read: of cells, of chunks of a cell, and of jobs of a stage.
_CELLS, _CHUNKS, _JOBS = 300, 2, 5
#: Stages whose jobs take about as long in every study: a job of ``predict`` finds what ``finetune`` has predicted.
_ALIKE = frozenset({"predict"})
#: Folder of what all studies share.
_SHARED = "downloads"
#: Seconds by which the clock of a file server may be behind.
_SLACK = 2.0


@dataclass(frozen=True)
class Sample:
    """Runs of a cell that one job fitted. seconds: the duration of the job by run. size: bytes by run."""

    seconds: float
    size: float
    n: int


@dataclass
class Earlier:
    """durations, sizes: of runs and jobs. Sizes in bytes. studies: names of those that they are from. runs: number."""

    durations: Durations
    sizes: Durations
    studies: list[str]
    runs: int = 0

    def add_cell(self, cell: Cell, study: str, samples: Iterable[Sample]) -> bool:
        """Add runs of a cell, and return whether there were any."""
        samples = list(samples)
        for sample in samples:
            self.durations.add_runs(cell, sample.seconds * sample.n, sample.n)
            self.sizes.add_runs(cell, sample.size * sample.n, sample.n)
            self.runs += sample.n
        if samples and study not in self.studies:
            self.studies.append(study)
        return bool(samples)


def of_cells(results: Path, study: str, cells: Iterable[Cell], earlier: Earlier) -> None:
    """Add earlier runs of cells, otherwise of the same model and method in the study, otherwise in another.

    results: folder of all studies.
    """
    looked_for: set[tuple[str, str]] = set()
    others = [path.name for path in _folders(results) if path.name != study and (path / "finetune").is_dir()]
    for cell in list(cells)[:_CELLS]:
        model, task, method = cell
        if earlier.add_cell(cell, study, samples(results / study, cell)) or (model, method) in looked_for:
            continue
        looked_for.add((model, method))
        for name in (study, *others):
            tasks = [path.name for path in _folders(results / name / "finetune" / model)]
            if any(
                earlier.add_cell((model, other, method), name, samples(results / name, (model, other, method)))
                for other in tasks
            ):
                break


def samples(folder: Path, cell: Cell) -> Iterator[Sample]:
    """Yield what the last jobs of a cell measured. folder: that of a study."""
    of_cell = folder.joinpath("finetune", *cell)
    manifests = sorted(of_cell.glob("block-*.json"))
    for manifest in manifests[:_CHUNKS]:
        records = [of_cell / str(run["seed"]) / "run.json" for run in _read(manifest).get("runs", [])]
        fitted, seconds = records, None
        benchmark = manifest.with_suffix(".tsv")
        if (measured := benchmark_seconds(benchmark)) is not None:
            # The others were finished before this job.
            start = benchmark.stat().st_mtime - measured - _SLACK
            fitted = [record for record in records if record.is_file() and record.stat().st_mtime >= start]
            seconds = measured / len(fitted) if fitted else None
        if record := next((content for path in (fitted or records) if (content := _read(path))), None):
            predictions = folder.joinpath("predict", *cell, f"{record['seed']}.parquet")
            size = record.get("bytes", 0) + (predictions.stat().st_size if predictions.is_file() else 0)
            yield Sample(record.get("seconds", 0.0) if seconds is None else seconds, size, max(len(fitted), 1))


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
            if _add_jobs(stage, [outputs for path in paths if (outputs := _read(path).get("outputs"))], measured, earlier):
                if name not in (*earlier.studies, _SHARED):
                    earlier.studies.append(name)
                break


def _any_jobs(folder: Path, stage: str) -> list[Path]:
    return list(islice((folder / RECORDS / stage).rglob("*.json"), _JOBS))


def _add_jobs(
    stage: str, jobs: Iterable[list[str]], measured: Callable[[str], float | None], earlier: Earlier
) -> bool:
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
    paths = [Path(file) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
