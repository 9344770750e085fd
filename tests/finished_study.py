"""A finished study of synthetic runs: the files of its folder that are read outside the workflow."""

import shutil
from pathlib import Path

import synthetic_study as synthetic

from variability import registry
from variability.io import job_records
from variability.io.artefacts import LISTING, write_checksums, write_record
from variability.io.files import sha256
from variability.results import analysis_tables, imported_predictions
from variability.stages import analyse
from variability.stages.claim import claims

MODELS, TASKS, METHODS, SEEDS = ("a", "b"), ("digits",), ("full",), (0, 1, 2)
#: Analyses of the study, with their options: those of all claims about runs, and one that reads predictions.
ANALYSES = {"decisions": {}, "intervals": {"level": 0.9}, "best_of_n": {}, "gain": {}, "pairwise": {}, "churn": {}}
CLAIMS = {"beats": {}, "best_seed_optimism": {}}
LOST = ("b", "digits", "full", 2)


def copy(study: Path, folder: Path, name: str = "my-study") -> Path:
    """Copy the folder of a study to ``<folder>/results/<name>``, and return that."""
    return Path(shutil.copytree(study, Path(folder, "results", name)))


def write(folder: Path, failed=(LOST,)) -> Path:
    """Write the study, of which the runs ``failed`` diverged, and return its folder, ``<folder>/results/my-study``."""
    study = Path(folder, "results", "my-study")
    manifests = synthetic.study_files(study, MODELS, TASKS, METHODS, SEEDS, failed)
    runs = synthetic.runs(MODELS, TASKS, METHODS, SEEDS, failed)
    aggregate = study / "aggregate"
    aggregate.mkdir()
    runs.to_parquet(aggregate / "runs.parquet")
    synthetic.history(MODELS, TASKS, METHODS, SEEDS, failed).to_parquet(aggregate / "history.parquet")
    imported_predictions.write(None, aggregate / imported_predictions.FILE)
    write_checksums(aggregate / LISTING, [path.name for path in aggregate.glob("*.parquet")])
    (study / "analyse").mkdir()
    tables = {name: aggregate / f"{name}.parquet" for name in ("runs", "history")}
    for name, options in ANALYSES.items():
        analyse.analyse(name, tables, options, study / f"analyse/{name}.csv", manifests["predict"])
    write_checksums(study / "analyse" / LISTING, [f"{name}.csv" for name in ANALYSES])
    read = {name for claim in CLAIMS for name in registry.find("claims", claim).ANALYSES}
    (study / "claim").mkdir()
    frames = {name: analysis_tables.read(study / f"analyse/{name}.csv") for name in read}
    analysis_tables.write(claims(CLAIMS, frames), study / "claim/claims.csv")
    _record(study, "analyse", {"options": ANALYSES}, manifests["predict"])
    _record(study, "claim", {"chosen": CLAIMS, "study": "my-study"}, [])
    return study


def _record(study: Path, rule: str, spec: dict, inputs: list[Path]) -> None:
    """Write what the job of a rule was made from, as the job does."""
    path = study / job_records.SPECS / f"{rule}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(job_records.spec_text(spec, []))
    made = {str(Path(*each.parts[-7:])): sha256(each) for each in inputs}
    record = {"spec": sha256(path), "inputs": made, "outputs": []}
    (study / job_records.RECORDS).mkdir(parents=True, exist_ok=True)
    write_record(study / job_records.RECORDS / f"{rule}.json", record)
