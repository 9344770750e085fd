import json
import os
from pathlib import Path

import pytest

from variability.terminal.durations import Durations, job_seconds, run_seconds
from variability.terminal.earlier_runs import Earlier, benchmark_seconds, of_cells, of_stages, sample

CELL = ("resnet", "cifar", "full")


def write_cell(folder: Path, cell=CELL, seeds=(0, 1), seconds=3.0, size=1000, job: float | None = None, old=()) -> None:
    """Write what a job leaves. job: its duration by its benchmark. old: seeds that were finished before it."""
    of_cell, predictions = folder.joinpath("finetune", *cell), folder.joinpath("predict", *cell)
    predictions.mkdir(parents=True)
    for seed in seeds:
        record = of_cell / str(seed) / "run.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"seed": seed, "seconds": seconds, "bytes": size}))
        os.utime(record, (0, 1000.0 - (500 if seed in old else 0)))
        (predictions / f"{seed}.parquet").write_bytes(b"p" * 50)
    (of_cell / "block-0.json").write_text(json.dumps({"runs": [{"seed": seed} for seed in seeds]}))
    if job is not None:
        (of_cell / "block-0.tsv").write_text(f"s\th:m:s\n{job}\t0:00:{job}\n")
        os.utime(of_cell / "block-0.tsv", (0, 1001.0))


@pytest.fixture
def earlier() -> Earlier:
    return Earlier(Durations(), Durations(), [])


@pytest.mark.parametrize("content", [[], {"runs": 5}, {"runs": [{}]}, {"runs": [{"seed": None}]}])
def test_manifests_of_another_type_measure_nothing(content, tmp_path):
    write_cell(tmp_path)
    tmp_path.joinpath("finetune", *CELL, "block-0.json").write_text(json.dumps(content))
    assert sample(tmp_path, CELL) is None


@pytest.mark.parametrize("record", [[], {"seed": 0}, {"seed": 0, "bytes": "1", "seconds": 1.0}])
def test_records_of_another_type_measure_nothing(record, tmp_path):
    write_cell(tmp_path)
    for path in tmp_path.joinpath("finetune", *CELL).rglob("run.json"):
        path.write_text(json.dumps(record))
    assert sample(tmp_path, CELL) is None


def test_a_run_takes_its_part_of_the_job_that_fitted_it(tmp_path):
    write_cell(tmp_path, seeds=(0, 1, 2, 3), job=30.0, old=(0,))
    measured = sample(tmp_path, CELL)
    assert (measured.seconds, measured.size, measured.n) == (10.0, 1050, 3)


def test_without_a_benchmark_it_takes_as_long_as_its_training(tmp_path):
    write_cell(tmp_path)
    assert sample(tmp_path, CELL).seconds == 3.0
    assert sample(tmp_path, ("resnet", "cifar", "probe")) is None


@pytest.mark.parametrize("content", ["", "s\n", "a\tb\n1\t2\n", "s\nsoon\n"])
def test_a_damaged_benchmark_is_none(tmp_path, content):
    (tmp_path / "b.tsv").write_text(content)
    assert benchmark_seconds(tmp_path / "b.tsv") is None and benchmark_seconds(tmp_path / "none.tsv") is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"runs": []}'])
def test_a_damaged_manifest_is_no_earlier_run(tmp_path, content):
    write_cell(tmp_path)
    tmp_path.joinpath("finetune", *CELL, "block-0.json").write_text(content)
    assert sample(tmp_path, CELL) is None


def test_runs_of_the_study_come_before_those_of_others(tmp_path, earlier):
    write_cell(tmp_path / "mine", seconds=3.0)
    write_cell(tmp_path / "other", seconds=9.0)
    of_cells(tmp_path, "mine", [CELL], earlier)
    assert run_seconds(CELL, [earlier.durations]) == 3.0 and earlier.studies == ["mine"] and not earlier.of_others


def test_then_come_those_of_the_same_model_and_method(tmp_path, earlier):
    write_cell(tmp_path / "other", ("resnet", "cifar", "full"), seconds=9.0)
    write_cell(tmp_path / "another", ("vit", "cifar", "full"), seconds=50.0)
    of_cells(tmp_path, "mine", [("resnet", "digits", "full"), ("resnet", "digits", "probe")], earlier)
    assert run_seconds(("resnet", "digits", "full"), [earlier.durations]) == 9.0 and earlier.studies == ["other"]
    assert run_seconds(("resnet", "digits", "full"), [earlier.sizes]) == 1050
    assert earlier.of_others  # probe


def test_then_come_those_of_the_same_method_and_then_any(tmp_path, earlier):
    write_cell(tmp_path / "other", ("vit", "cifar", "full"), seconds=50.0)
    write_cell(tmp_path / "other", ("vit", "cifar", "probe"), seconds=2.0)
    cells = [("resnet", "digits", "probe"), ("resnet", "digits", "lora")]
    of_cells(tmp_path, "mine", cells, earlier)
    assert [run_seconds(cell, [earlier.durations]) for cell in cells] == [2.0, 2.0] and earlier.of_others
    of_cells(tmp_path, "mine", cells[1:], only_any := Earlier(Durations(), Durations(), []))
    assert run_seconds(cells[1], [only_any.durations]) == 50.0 and only_any.studies == ["other"]


def test_without_results_there_is_nothing(tmp_path, earlier):
    of_cells(tmp_path / "results", "mine", [CELL], earlier)
    of_stages(tmp_path / "results", "mine", [("plot", Path("jobs/made/plot.json"))], lambda path: 1.0, earlier)
    assert earlier.studies == [] and not earlier.of_others and run_seconds(CELL, [earlier.durations]) is None


def write_record(results: Path, study: str, job: str, seconds: float) -> None:
    """Write the record of a job, whose output has its duration as its name and size."""
    output = results / study / f"{seconds}"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(b"x" * int(seconds))
    record = results / study / "jobs/made" / f"{job}.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"outputs": [str(output)]}))


@pytest.mark.parametrize(
    ("written", "stage", "job", "seconds", "study"),
    [
        ([("mine", "plot", 7), ("other", "plot", 9)], "plot", "plot", 7, "mine"),
        ([("other", "plot", 9)], "plot", "plot", 9, "other"),
        # Of another task of the study, not of another task of another study.
        ([("mine", "prepare/a", 7)], "prepare", "prepare/b", 7, "mine"),
        ([("other", "prepare/a", 9)], "prepare", "prepare/b", None, None),
        ([("other", "prepare/b", 9)], "prepare", "prepare/b", 9, "other"),
        ([("other", "predict/m/t/full/0", 2)], "predict", "predict/m/u/full/0", 2, "other"),
    ],
)
def test_jobs_are_compared_with_the_same_jobs(tmp_path, earlier, written, stage, job, seconds, study):
    for entry in written:
        write_record(tmp_path, *entry)
    measured = {path.as_posix(): float(path.name) for path in tmp_path.glob("*/[0-9]*")}
    of_stages(tmp_path, "mine", [(stage, Path(f"jobs/made/{job}.json"))], measured.get, earlier)
    assert job_seconds(stage, [earlier.durations]) == job_seconds(stage, [earlier.sizes]) == seconds
    assert earlier.studies == ([study] if study else [])


def test_a_job_of_which_snakemake_has_no_record_only_has_a_size(tmp_path, earlier):
    write_record(tmp_path, "mine", "plot", 7)
    of_stages(tmp_path, "mine", [("plot", Path("jobs/made/plot.json"))], lambda path: None, earlier)
    assert job_seconds("plot", [earlier.durations]) is None and job_seconds("plot", [earlier.sizes]) == 7
