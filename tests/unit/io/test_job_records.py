"""Specs and records of jobs: what changed is newer than the outputs, what did not is older, whatever the times were."""

import json
import os
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from damage import DAMAGES, cut, empty
from support import ROOT

from variability.errors import UserError
from variability.io import artefacts, job_records
from variability.io.artefacts import read_cached, write_record

FILES = ("code.txt", "task.json", "jobs/specs/score/digits.json", "scores.json")


class Named(dict):
    """Files of a job by name, as the ``snakemake`` object has them."""

    def __getattr__(self, name):
        return self[name]

    def __iter__(self):
        return iter([path for paths in self.values() for path in ([paths] if isinstance(paths, str) else paths)])


class Job:
    """One job: ``made`` runs it, ``planned`` plans it, ``is_due`` compares times as Snakemake does without records."""

    def __init__(self, spec):
        self.spec = spec
        Path("code.txt").write_text("code")
        write_record(Path("task.json"), {"classes": 2})
        self.input = Named(task="task.json", spec=FILES[2], code="code.txt", arrays=["inputs.npy"])
        self.output, self.params = Named(scores="scores.json"), Named(spec=spec)

    def made(self):
        self.planned()
        self.params["spec"] = self.spec
        with job_records.recorded(self):
            Path("scores.json").write_text("{}")

    def planned(self):
        job_records._listing_checksum.cache_clear()
        text = job_records.spec_text(self.spec, [Path("code.txt")])
        job_records.update([(Path(FILES[2]), text)])

    def is_due(self):
        self.planned()
        return any(os.stat(path).st_mtime > os.stat("scores.json").st_mtime for path in (FILES[1], FILES[2]))


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("inputs.npy").write_bytes(b"large")
    job = Job({"metrics": ["accuracy"], "chunks": "2 of each"})
    job.made()
    return job


def set_times(*order):
    for time, path in enumerate(order, 1_000_000_000):
        os.utime(path, (time, time))


def test_the_spec_holds_params_and_the_checksums_of_the_code(job):
    content = json.loads(Path(FILES[2]).read_text())
    assert content["spec"] == job.spec
    assert [(name, len(checksum)) for name, checksum in content["code"].items()] == [("code.txt", 64)]


@pytest.mark.parametrize("order", list(permutations(FILES)), ids=" < ".join)
def test_after_a_copy_with_any_times_nothing_is_due_without_a_change(job, order):
    set_times(*order)
    contents = [Path(path).read_bytes() for path in FILES]
    assert not job.is_due()
    assert [Path(path).read_bytes() for path in FILES] == contents


@pytest.mark.parametrize("order", list(permutations(FILES)), ids=" < ".join)
@pytest.mark.parametrize("edit", ["spec", "code", "input"])
def test_after_a_copy_with_any_times_a_change_is_due_until_the_job_ran(job, order, edit):
    if edit == "spec":
        job.spec = {**job.spec, "chunks": "3 of each"}
    elif edit == "code":
        Path("code.txt").write_text("other code")
    else:
        write_record(Path("task.json"), {"classes": 3})
    job.planned()
    set_times(*order)
    assert job.is_due()
    assert job.is_due(), "as long as the job did not run"
    job.made()
    assert not job.is_due()


def test_a_change_that_was_undone_before_the_job_ran_is_not_due(job):
    before = job.spec
    job.spec = {"metrics": []}
    assert job.is_due()
    job.spec = before
    assert not job.is_due()


def test_a_deleted_spec_is_written_again_and_nothing_is_due(job):
    Path(FILES[2]).unlink()
    assert not job.is_due()
    assert Path(FILES[2]).is_file()


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_text('{"spec"'), lambda path: path.write_text("[]")]
)
def test_without_a_record_times_decide(job, damage):
    damage(Path("jobs/made/score/digits.json"))
    set_times(*FILES)
    assert not job.is_due()
    set_times(FILES[3], *FILES[:3])
    assert job.is_due()


def test_a_job_that_failed_keeps_no_record_of_the_attempt(job):
    job.spec = {"metrics": ["nll"]}
    job.params["spec"] = job.spec
    with pytest.raises(RuntimeError), job_records.recorded(job):
        raise RuntimeError("failed")
    assert job.is_due()


def test_nothing_is_touched_where_all_is_in_order(job):
    set_times(*FILES)
    before = [os.stat(path).st_mtime_ns for path in FILES]
    assert not job.is_due()
    assert [os.stat(path).st_mtime_ns for path in FILES] == before


def test_large_inputs_are_left_to_the_manifests_that_list_them(job):
    record = json.loads(Path("jobs/made/score/digits.json").read_text())
    assert list(record["inputs"]) == ["task.json"]
    assert record["outputs"] == ["scores.json"]


def test_measurements_of_snakemake_are_not_older_than_the_inputs_either(job):
    Path("scores.tsv").write_text("s\n1\n")
    set_times("scores.tsv", "scores.json", *FILES[:3])
    assert not job.is_due()
    assert os.stat("scores.tsv").st_mtime >= os.stat("task.json").st_mtime


def test_the_outputs_of_one_job_are_the_inputs_of_the_next(tmp_path, monkeypatch):
    """Made newer in the order of the jobs, so that each is newer than what it is made from."""
    monkeypatch.chdir(tmp_path)
    Path("code.txt").write_text("code")
    jobs, files = [], ["0.json", "1.json", "2.json", "3.json"]
    Path("0.json").write_text("{}")
    for before, after in pairwise(files):
        job = Job({"makes": after})
        job.input = Named(before=before, spec=f"jobs/specs/{after}", code="code.txt")
        job.output = Named(after=after)
        jobs.append((Path(f"jobs/specs/{after}"), job_records.spec_text(job.spec, [Path("code.txt")])))
        job_records.update(jobs[-1:])
        with job_records.recorded(job):
            Path(after).write_text(f'["{after}"]')
    set_times(*files[::-1])
    job_records.update(jobs)
    times = [os.stat(path).st_mtime_ns for path in files]
    assert times == sorted(times)


def test_a_record_names_what_the_job_read_and_whether_its_spec_is_the_one_of_the_time(job):
    made = job_records.made(Path(FILES[2]))
    assert made == ("score", job.spec, {"task.json": artefacts.checksum_of(Path("task.json"))}, True)
    job.spec = {"metrics": ["f1"]}
    job.planned()
    assert job_records.made(Path(FILES[2])) == made._replace(spec=job.spec, current=False)
    assert job_records.made(Path("jobs/specs/score/letters.json")) is None


def test_a_damaged_record_of_a_job_is_an_error_with_the_command(job):
    Path("jobs/made/score/digits.json").write_text("{")
    with pytest.raises(UserError, match=r"digits\.json cannot be read .*--forcerun score"):
        job_records.made(Path(FILES[2]))


@pytest.mark.parametrize("damage", [cut, empty])
def test_a_damaged_spec_of_a_job_that_has_run_is_an_error_with_the_command(job, damage):
    """Only Snakemake's start writes it again, and model cards read it at other times."""
    damage(Path(FILES[2]))
    with pytest.raises(UserError, match=r"digits\.json cannot be read .*--forcerun score"):
        job_records.made(Path(FILES[2]))


def test_an_input_that_fits_its_own_checksum_but_is_another_one_is_named_with_its_readers(job, tmp_path):
    made, other = job_records.made(Path(FILES[2])), job_records.Made("analyse", {}, {"task.json": "another"}, True)
    assert list(job_records.replaced_inputs([made], Path())) == []
    write_record(Path("task.json"), {"classes": 3})
    (problem,) = job_records.replaced_inputs([made, other], Path())
    assert problem.startswith("task.json is not the file that analyse and score read: ")
    assert list(job_records.replaced_inputs([made], tmp_path / "another study")) == []


SPEC, RECORD = Path(FILES[2]), Path("jobs/made/score/digits.json")


@pytest.mark.parametrize("damage", [*DAMAGES, "replace"])
def test_a_damaged_spec_is_written_again_and_its_job_does_not_run(job, damage):
    whole, time = SPEC.read_text(), os.stat("scores.json").st_mtime
    another = job_records.spec_text({"metrics": ["f1"]}, [Path("code.txt")])
    damage(SPEC) if callable(damage) else SPEC.write_text(another)
    assert not job.is_due()
    assert SPEC.read_text() == whole
    assert os.stat("scores.json").st_mtime >= time


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_its_record_a_job_is_judged_by_the_times_of_its_files(job, damage):
    damage(RECORD)
    set_times("code.txt", "task.json", FILES[2], "scores.json")
    assert not job.is_due()
    set_times("code.txt", "task.json", "scores.json", FILES[2])
    assert job.is_due()


@pytest.mark.parametrize("key", ["spec", "inputs", "outputs"])
@pytest.mark.parametrize("value", [None, 5, [], {}, [1], {"task.json": None}])
def test_a_record_with_parts_of_another_type_is_damaged(job, key, value):
    record = read_cached(RECORD)
    write_record(RECORD, record | {key: value} if value is not None else {k: v for k, v in record.items() if k != key})
    set_times("code.txt", "task.json", FILES[2], "scores.json")
    assert not job.is_due()
    if (key, value) not in [("outputs", []), ("inputs", {})]:
        with pytest.raises(UserError, match=rf"{RECORD} cannot be read \({key}.*; .*--forcerun score"):
            job_records.made(Path(FILES[2]))


def test_the_record_of_another_job_makes_this_one_run(job):
    write_record(RECORD, read_cached(RECORD) | {"spec": "0" * 64})
    set_times("code.txt", "task.json", FILES[2], "scores.json")
    assert job.is_due()


def test_the_parts_of_the_report_page_are_compared_by_content():
    """Otherwise a copy of a study, whose files may have any times, makes the page again, or keeps an old one."""
    suffixes = {path.suffix for path in (ROOT / "workflow/lib/variability/reporting/page/parts").iterdir()}
    assert suffixes and suffixes <= job_records._COMPARED
