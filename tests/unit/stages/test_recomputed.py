"""Files that were damaged or removed together with their records, when ``verify`` computes tables from them again."""

from pathlib import Path

import finished_study
import pandas as pd
import pytest
from damage import cut, delete, empty

from variability.io import job_records
from variability.io.artefacts import write_record
from variability.io.files import sha256
from variability.results import imported_predictions
from variability.stages import _recomputed
from variability.stages._recomputed import Jobs, differences

pytestmark = pytest.mark.slow

STUDY = Path("results/my-study")


def no_text(path: Path) -> None:
    """Write bytes that are no UTF-8."""
    path.write_bytes(b"\xff\xfe\x00name,value\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    study = finished_study.write(tmp_path_factory.mktemp("finished"))
    for suffix in ("md", "html"):
        (study / f"claim/claims.{suffix}").write_text("")
    return study


@pytest.fixture
def study(finished, tmp_path, monkeypatch) -> Path:
    finished_study.copy(finished, tmp_path)
    monkeypatch.chdir(tmp_path)
    spec, tables = STUDY / job_records.SPECS / "claim.json", sorted(STUDY.glob("analyse/*.csv"))
    made = {"spec": sha256(spec), "inputs": {str(path): sha256(path) for path in tables}, "outputs": []}
    write_record(STUDY / job_records.RECORDS / "claim.json", made)
    for listing in STUDY.glob("*/manifest.json"):
        listing.unlink()
    return STUDY


def reported(study: Path) -> list[str]:
    specs = sorted((study / job_records.SPECS).rglob("*.json"))
    return list(differences(study, Jobs(specs, ("history", "imported_predictions", "runs"))))


@pytest.mark.parametrize(
    "name",
    [
        *("analyse/gain.csv", "analyse/decisions.csv", "claim/claims.csv", "claim/claims.md"),
        *("aggregate/runs.parquet", "aggregate/imported_predictions.parquet", "predict/a/digits/full/0.parquet"),
        *("predict/a/digits/full/block-0.json", "jobs/made/analyse.json"),
    ],
)
@pytest.mark.parametrize("damage", [cut, empty, delete, no_text])
def test_a_file_that_cannot_be_read_is_a_sentence_that_names_it(name, damage, study):
    path = study / name
    damage(path)
    if damage is delete and "jobs/made" in name:  # as if the job had not run
        assert not [problem for problem in reported(study) if "analyse" in problem]
        return
    problems = reported(study)
    named = [problem for problem in problems if str(path) in problem]
    assert named and all("\n" not in problem and "Traceback" not in problem for problem in problems)


def test_a_table_with_other_columns_does_not_keep_other_jobs_from_being_computed(study):
    pd.DataFrame({"model": ["a"]}).to_parquet(study / "aggregate/runs.parquet")
    problems = reported(study)
    assert any(
        problem.startswith("analyse cannot be computed again from what is stored (KeyError") for problem in problems
    )
    assert any(str(study / "claim/claims.md") in problem for problem in problems)


def test_probabilities_of_imported_runs_are_compared(tmp_path):
    row = {name: None for name in imported_predictions.COLUMNS} | {"model": "a", "task": "t", "method": "m", "seed": 0}
    row |= {"example_id": 0, "y_true": 1.0, "y_pred": 1.0, "probabilities": [0.25, 0.75]}
    stored, again = tmp_path / "stored.parquet", tmp_path / "again.parquet"
    imported_predictions.write(pd.DataFrame([row, row | {"example_id": 1, "probabilities": None}]), stored)
    imported_predictions.write(pd.DataFrame([row, row | {"example_id": 1, "probabilities": None}]), again)
    assert _recomputed._difference(stored, again, "aggregate") is None
    row["probabilities"] = [0.25, 0.5]
    imported_predictions.write(pd.DataFrame([row, row | {"example_id": 1, "probabilities": None}]), again)
    difference = _recomputed._difference(stored, again, "aggregate")
    assert "1 of" in difference and "[0.25, 0.75] is stored, [0.25, 0.5] was computed" in difference
