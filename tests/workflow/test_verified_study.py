"""``snakemake verify``: a finished study that was edited, also with records that fit, is not what was computed."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from support import Checkout

from variability.errors import UserError
from variability.io import artefacts, job_records
from variability.io.files import read_json, sha256, write_json
from variability.stages import verify as stage
from variability.stages.record import CHECKSUM, CRATE
from variability.stages.verify import Jobs, verify

pytestmark = pytest.mark.slow

RESULTS = Path("results/tiny")
CELL = "pretrained/digits/full"
GAIN, PREDICTIONS = RESULTS / "analyse/gain.csv", RESULTS / "predict" / CELL / "1.parquet"
VERIFY = ("verify", "--cores", "2", "--configfile", "tiny.yaml")


def jobs() -> Jobs:
    """Return the jobs of the study in the working directory, as the rule does."""
    base = [path.stem for path in (RESULTS / "aggregate").glob("*.parquet")]
    assert {"runs", "history"} <= {*base}
    return Jobs(sorted((RESULTS / job_records.SPECS).rglob("*.json")), base)


@pytest.fixture
def edited(study, monkeypatch) -> Checkout:
    """A copy of the finished study, which is the working directory."""
    monkeypatch.chdir(study.folder)
    return study


# Edits: of a file, then of the records that list it -----------------------------------------------------------------


def edit_number(path: Path = GAIN) -> None:
    """Change one digit of a number in a CSV file."""
    header, row, rest = path.read_text().split("\n", 2)
    at = re.search(r",\d\.\d*(\d)", row).start(1)
    digit = str((int(row[at]) + 1) % 10)
    path.write_text("\n".join([header, row[:at] + digit + row[at + 1 :], rest]))


def edit_prediction(path: Path = PREDICTIONS) -> None:
    """Change what one run predicts after training for one example."""
    table = pq.read_table(path)
    rows = table.to_pandas()
    at = int((rows["phase"] == "after").to_numpy().argmax())
    values = rows["y_pred"].tolist()
    values[at] = (values[at] + 1) % 10
    index = table.schema.get_field_index("y_pred")
    values = pa.array(values, table.schema.types[index])
    pq.write_table(
        table.set_column(index, table.schema.field(index), pa.array(values, table.schema.types[index])), path
    )


def forge(edit: Callable[[Path], None], path: Path) -> None:
    """Edit a file, all records that hold its checksum, and those that hold the checksums of these records."""
    files = [file for file in RESULTS.rglob("*") if file.is_file()]
    checksums = {file: sha256(file) for file in files}
    edit(path)
    while changed := {checksums[file]: sha256(file) for file in files if sha256(file) != checksums[file]}:
        checksums = {file: sha256(file) for file in files}
        for record in RESULTS.rglob("*.json"):
            text = new = record.read_text()
            for old, checksum in changed.items():
                new = new.replace(old, checksum)
            if new != text and record.name == CRATE:
                record.write_text(new)
            elif new != text:
                content = json.loads(new)
                content.pop(artefacts.CHECKSUM, None)
                artefacts.write_record(record, content)


# In this process ----------------------------------------------------------------------------------------------------


def test_what_is_computed_again_is_what_is_stored(edited, caplog):
    caplog.set_level("INFO")
    verify(RESULTS, runs=0, seed=0, jobs=jobs())
    assert "computed again from predictions: tables and pages, 0 differ" in caplog.text
    assert "nothing differs: results/" in caplog.text.splitlines()[-1]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("edit", "path", "message"),
    [
        (edit_number, GAIN, r"analyse/gain\.csv: 1 of \d+ values differ .*, row 1: \S+ is stored, \S+ was computed"),
        (edit_number, RESULTS / "claim/claims.csv", r"claim/claims\.csv: 1 of \d+ values differ"),
        (edit_prediction, PREDICTIONS, r"score/digits/pretrained/full\.parquet.* computed again"),
    ],
    ids=["table", "claims", "prediction"],
)
def test_an_edit_with_records_that_fit_differs_from_what_is_computed_again(edit, path, message, edited):
    forge(edit, path)
    with pytest.raises(UserError, match=message):
        verify(RESULTS, runs=0, seed=0, jobs=jobs())


def test_an_edit_with_its_listing_is_noticed_by_the_jobs_that_read_the_file(edited):
    edit_number()
    artefacts.write_checksums(RESULTS / "analyse/manifest.json", [path.name for path in GAIN.parent.glob("*.csv")])
    crate = read_json(RESULTS / CRATE)
    for entity in crate["@graph"]:
        if entity["@id"] == "analyse/gain.csv":
            entity["sha256"] = sha256(GAIN)
    write_json(RESULTS / CRATE, crate)
    artefacts.write_record(RESULTS / CHECKSUM, {"sha256": sha256(RESULTS / CRATE)})
    with pytest.raises(
        UserError, match=r"gain\.csv is not the file that claim, page, plot, record, report and summarise read"
    ) as error:
        verify(RESULTS, runs=0, seed=0, jobs=jobs())
    assert "restore it, or delete the folder results/tiny/analyse, and run the study" in str(error.value)


#: Files that hold nothing that is reported: logs, measured times, locks, copies that are compared when they are used,
#: and specs, which are written at every start.
LEFT_OUT = re.compile(r"\.log$|\.tsv$|/\.lock$|/\.stored/|/jobs/specs/|report/config\.json$")


@pytest.mark.faults
def test_each_file_of_a_study_is_compared(edited):
    unnoticed, all_jobs = [], jobs()
    assert not stage._damaged(RESULTS, all_jobs)
    files = [path for path in sorted(RESULTS.rglob("*")) if not LEFT_OUT.search(path.as_posix())]
    files = [path for path in files if path.is_file() and path.stat().st_size]
    for path in files:
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
        if not any(str(path) in problem for problem in stage._damaged(RESULTS, all_jobs)):
            unnoticed.append(str(path))
        path.write_bytes(content)
    assert len(files) > 100 and not unnoticed


# The rule -----------------------------------------------------------------------------------------------------------


def test_a_changed_number_and_a_changed_prediction_are_exit_status_1_and_a_sentence_each(edited):
    edit_number()
    edit_prediction()
    done = edited.snakemake(*VERIFY, check=False)
    assert done.returncode == 1
    assert "error: results/tiny is not what was computed (2 differ):" in done.stderr
    for path, rule in ((GAIN, "analyse"), (PREDICTIONS, "predict")):
        assert re.search(rf"- {path} is not the file that {rule} wrote: .*`snakemake --forcerun {rule}`", done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.faults
@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() == "DEFAULT", reason="the CPU has no vector instructions")
def test_other_instructions_of_the_cpu_are_exit_status_1_and_named(edited):
    done = edited.snakemake(*VERIFY, check=False, forks="none", ATEN_CPU_CAPABILITY="default")
    assert done.returncode == 1
    instructions = torch.backends.cpu.get_cpu_capability()
    differing = rf"- .* / seed \d: .*trained tensors differ; .*; instructions was {instructions}, is DEFAULT"
    assert len(set(re.findall(differing, done.stderr))) == 3
