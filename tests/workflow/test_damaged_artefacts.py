"""Each artefact, damaged in each way: the table in docs/reliability.md, cell by cell.

Every artefact of a finished study is damaged in every way, and read by what reads it in the workflow, in this process.
Then Snakemake makes each of them again by the command that the errors name, and the study is what it was.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from damage import DAMAGES, delete, flip
from support import ROOT

import variability
from variability import registry
from variability.config import specs
from variability.config.stage_table import STAGES, Plan
from variability.config.study import Study
from variability.errors import UserError
from variability.io.artefacts import read_cached, write_record
from variability.io.files import sha256
from variability.stages import claim, keep_checkpoints, summarise
from variability.stages.aggregate import aggregate
from variability.stages.analyse import analyse_all
from variability.stages.plot import plot_all
from variability.stages.predict import predict
from variability.stages.prepare import prepare
from variability.stages.reference_probe import reference_probe
from variability.stages.score import score
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace

pytestmark = pytest.mark.faults

STUDY = Study(yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text()))
RESULTS = Path("results/tiny")
DIGITS, LETTERS, PRETRAINED = RESULTS / "prepare/digits", RESULTS / "prepare/letters", RESULTS / "pretrain/pretrained"
FEATURES = RESULTS / "features/pretrained/digits/backbone"
CELL = "pretrained/digits/full"
FITTED, PREDICTED, PROBE = (
    RESULTS / "finetune" / CELL,
    RESULTS / "predict" / CELL,
    RESULTS / "finetune/scratch/digits/full",
)


# Readers: what reads an artefact in the workflow --------------------------------------------------------------------


def input_files(model: str, features: bool) -> InputFiles:
    weights = (
        (PRETRAINED / "weights.safetensors", PRETRAINED / "weights.json") if model == "pretrained" else (None, None)
    )
    return InputFiles(DIGITS / "task.json", *weights, features=FEATURES / "features.json" if features else None)


def train(target: Path, method: str = "linear_probe") -> None:
    """Read what a new seed reads, before it trains."""
    spec = specs.finetune(STUDY, "pretrained", "digits", method, 0)
    files = input_files("pretrained", features=True)
    files.content(spec["model"])
    with Workplace(spec["model"]) as workplace:
        workplace.framework(spec["model"], spec["method"], files)


def predict_again(target: Path) -> None:
    spec = specs.predict(STUDY, "pretrained", "digits", "full", 0)
    with Workplace(spec["model"]) as workplace:
        files = input_files("pretrained", features=True)
        predict(spec, files, FITTED / "block-0.json", "code", target, target / "block-0.json", workplace)


def load_run(target: Path) -> None:
    variability.load_run(FITTED / "0").predict([str(target / "a.png")])


def manifests(stage: str) -> list[Path]:
    return [RESULTS / stage / "/".join(cell) / "block-0.json" for cell in STUDY.seed_chunks]


def score_again(target: Path) -> None:
    score(manifests("predict"), DIGITS / "task.json", ["accuracy"], "code", target, target / "scores.json")


def probe_again(target: Path) -> None:
    spec = STAGES["reference_probe"].spec(Plan(STUDY, [], target), {})
    features = [FEATURES / "features.json" for pair in spec["pairs"] if pair["features"]]
    reference_probe(spec, {"digits": DIGITS / "task.json"}, features, "code", target / "probes.json")


def aggregate_again(target: Path) -> None:
    scores, probes = [RESULTS / "score/digits/scores.json"], [RESULTS / "reference_probe/probes.json"]
    aggregate(scores, manifests("finetune"), specs.aggregate(STUDY), target, probes=probes)


def analyse_again(target: Path, name: str = "churn") -> None:
    plugin = registry.find("analyses", name)
    tables = {table: RESULTS / f"aggregate/{table}.parquet" for table in ("runs", "history") if table in plugin.NEEDS}
    listing = next(Path("results/code").glob(f"analyse-{name}.txt"))
    predictions = manifests("predict")
    analyse_all({name: {}}, {name: listing}, RESULTS / "aggregate/manifest.json", tables, predictions, target, 1)


def plot_again(target: Path) -> None:
    listing = next(Path("results/code").glob("plot-gain_slopes.txt"))
    plugin = registry.find("plots", "gain_slopes")
    tables = {name: RESULTS / f"aggregate/{name}.parquet" for name in plugin.NEEDS}
    tables |= {name: RESULTS / f"analyse/{name}.csv" for name in plugin.ANALYSES}
    manifest = RESULTS / "aggregate/manifest.json"
    plot_all({"gain_slopes": {}}, {"gain_slopes": listing}, manifest, tables, "tiny", target, 1)


def claim_again(target: Path) -> None:
    chosen = Plan(STUDY, [], target).outputs.claims
    names = {name for kind in chosen for name in registry.find("claims", kind).ANALYSES}
    tables = {name: RESULTS / f"analyse/{name}.csv" for name in names}
    outputs = [target / f"claims.{suffix}" for suffix in ("csv", "md", "html")]
    claim.claim("tiny", chosen, tables, *outputs)


def summarise_again(target: Path) -> None:
    names = [name for name in Plan(STUDY, [], target).outputs.analyses if registry.find("analyses", name).SUMMARISED]
    tables = [*(RESULTS / f"analyse/{name}.csv" for name in names), RESULTS / "claim/claims.csv"]
    outputs = target / "summary.md", target / "answer.txt", target / "summary.html"
    summarise.summarise("tiny", RESULTS / "aggregate/runs.parquet", tables, *outputs, [DIGITS / "task.json"])


def keep(target: Path) -> None:
    keep_checkpoints.keep_checkpoints(
        "best", RESULTS / "aggregate/runs.parquet", manifests("finetune"), target / "checkpoints.json"
    )


def prepare_again(target: Path) -> None:
    spec = specs.prepare(STUDY, "digits")
    prepare(spec, Path("results/downloads/datasets/own/files"), target)


# Artefacts and damages ----------------------------------------------------------------------------------------------


class Artefact(NamedTuple):
    """A file, the rule that makes it, what reads it, and another file of its kind or what makes one of it."""

    path: Path
    rule: str
    readers: tuple[Callable[[Path], None], ...]
    another: Path | Callable[[dict], dict]


OTHER_SUM = {"sha256": "0" * 64}
ARTEFACTS = {
    "data set": Artefact(
        Path("results/downloads/datasets/own/files/data.txt"), "download", (prepare_again,), LETTERS / "task.json"
    ),
    "manifest of a data set": Artefact(
        Path("results/downloads/datasets/own/manifest.json"),
        "download",
        (prepare_again,),
        lambda record: record | {"files": {"data.txt": "0" * 64}},
    ),
    "task.json": Artefact(
        DIGITS / "task.json", "prepare", (train, predict_again, score_again, probe_again), LETTERS / "task.json"
    ),
    "inputs.npy": Artefact(DIGITS / "inputs.npy", "prepare", (train, predict_again), LETTERS / "inputs.npy"),
    "examples.parquet": Artefact(
        DIGITS / "examples.parquet", "prepare", (train, predict_again, probe_again), LETTERS / "examples.parquet"
    ),
    "weights": Artefact(
        PRETRAINED / "weights.safetensors", "pretrain", (train, predict_again), FITTED / "0/checkpoint.safetensors"
    ),
    "manifest of weights": Artefact(
        PRETRAINED / "weights.json", "pretrain", (train, predict_again), lambda record: record | OTHER_SUM
    ),
    "features.json": Artefact(
        FEATURES / "features.json", "features", (train, probe_again), lambda record: record | OTHER_SUM
    ),
    "activations": Artefact(FEATURES / "activations.npy", "features", (train, probe_again), LETTERS / "inputs.npy"),
    "checkpoint": Artefact(
        FITTED / "0/checkpoint.safetensors", "finetune", (predict_again, load_run), FITTED / "1/checkpoint.safetensors"
    ),
    "history.csv": Artefact(FITTED / "0/history.csv", "finetune", (aggregate_again,), FITTED / "1/history.csv"),
    "run.json": Artefact(FITTED / "0/run.json", "finetune", (aggregate_again,), FITTED / "1/run.json"),
    "manifest of runs": Artefact(
        FITTED / "block-0.json", "finetune", (predict_again, aggregate_again), PROBE / "block-0.json"
    ),
    "predictions": Artefact(PREDICTED / "0.parquet", "predict", (score_again, analyse_again), PREDICTED / "1.parquet"),
    "manifest of predictions": Artefact(
        PREDICTED / "block-0.json",
        "predict",
        (score_again, analyse_again),
        RESULTS / "predict/scratch/digits/full/block-0.json",
    ),
    "scores": Artefact(
        RESULTS / "score/digits/pretrained/full.parquet",
        "score",
        (aggregate_again,),
        RESULTS / "score/digits/scratch/full.parquet",
    ),
    "scores.json": Artefact(
        RESULTS / "score/digits/scores.json",
        "score",
        (aggregate_again,),
        lambda record: {"tables": dict.fromkeys(record["tables"], "0" * 64)},
    ),
    "reference probe": Artefact(
        RESULTS / "reference_probe/pretrained/digits.parquet",
        "reference_probe",
        (aggregate_again,),
        RESULTS / "score/digits/scratch/full.parquet",
    ),
    "probes.json": Artefact(
        RESULTS / "reference_probe/probes.json",
        "reference_probe",
        (aggregate_again,),
        lambda record: {"tables": dict.fromkeys(record["tables"], "0" * 64)},
    ),
    "runs.parquet": Artefact(
        RESULTS / "aggregate/runs.parquet",
        "aggregate",
        (analyse_again, plot_again, summarise_again, keep),
        RESULTS / "aggregate/history.parquet",
    ),
    "manifest of base tables": Artefact(
        RESULTS / "aggregate/manifest.json",
        "aggregate",
        (analyse_again, plot_again),
        lambda record: dict.fromkeys(record, "0" * 64),
    ),
    "table of an analysis": Artefact(
        RESULTS / "analyse/gain.csv",
        "analyse",
        (plot_again, claim_again, summarise_again),
        RESULTS / "analyse/churn.csv",
    ),
    "claims.csv": Artefact(RESULTS / "claim/claims.csv", "claim", (summarise_again,), RESULTS / "analyse/gain.csv"),
}


def replace(artefact: Artefact) -> None:
    if callable(artefact.another):
        write_record(artefact.path, artefact.another(read_cached(artefact.path)))
    else:
        shutil.copyfile(artefact.another, artefact.path)


@pytest.fixture(scope="module")
def files(finished, tmp_path_factory) -> Path:
    """A finished study, in addition with the files of a data set that was downloaded."""
    folder = finished.copy(tmp_path_factory.mktemp("damaged") / "project").folder
    own = folder / "results/downloads/datasets/own"
    (own / "files").mkdir(parents=True)
    (own / "files/data.txt").write_text("the data")
    write_record(own / "manifest.json", {"files": {"data.txt": sha256(own / "files/data.txt")}})
    return folder


@pytest.mark.parametrize("damage", [*DAMAGES, replace])
@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_damaged_artefact_is_one_sentence_with_the_command_that_makes_it_again(
    name, damage, files, tmp_path, monkeypatch
):
    monkeypatch.chdir(files)
    artefact = ARTEFACTS[name]
    whole = artefact.path.read_bytes()
    try:
        damage(artefact if damage is replace else artefact.path)
        for index, reader in enumerate(artefact.readers):
            if damage is delete and artefact.path.name == "manifest.json" and reader is not analyse_again:
                continue  # Snakemake makes a missing output before the job that reads it.
            target = tmp_path / str(index)
            target.mkdir()
            with pytest.raises(UserError) as error:
                reader(target)
            message = str(error.value)
            assert re.search(r"`snakemake --forcerun \w+`", message) and "Traceback" not in message
            if damage is not replace:  # the file and another one contradict each other: either is named
                assert str(artefact.path) in message and f"--forcerun {artefact.rule}`" in message
    finally:
        artefact.path.write_bytes(whole)


def test_the_readers_accept_the_whole_study(files, tmp_path, monkeypatch):
    monkeypatch.chdir(files)
    readers = {reader for artefact in ARTEFACTS.values() for reader in artefact.readers} - {
        load_run,
        prepare_again,
        keep,
    }
    for reader in readers:
        target = tmp_path / reader.__name__
        target.mkdir()
        reader(target)


# Commands -----------------------------------------------------------------------------------------------------------

#: Contents that hold measured times, or checksums of such files.
TIMED = {
    "reference probe",
    "probes.json",
    "history.csv",
    "run.json",
    "manifest of runs",
    "runs.parquet",
    "manifest of base tables",
    "claims.csv",
}
RULES = ("prepare", "pretrain", "features", "finetune", "predict", "score", "reference_probe")


@pytest.mark.parametrize("rules", [("finetune",), ("predict",), RULES], ids=" ".join)
def test_the_command_makes_again_what_was_damaged_and_nothing_else(rules, study, monkeypatch):
    monkeypatch.chdir(study.folder)
    damaged = {name: artefact for name, artefact in ARTEFACTS.items() if artefact.rule in rules}
    before = {name: artefact.path.read_bytes() for name, artefact in ARTEFACTS.items() if artefact.path.is_file()}
    whole = {path: path.stat().st_mtime_ns for path in (FITTED / "1/run.json", PREDICTED / "1.parquet")}
    for artefact in damaged.values():
        flip(artefact.path)
    study.snakemake("--cores", "2", "--configfile", "tiny.yaml", "--forcerun", *rules)
    for name, content in before.items():
        if name not in TIMED:
            assert ARTEFACTS[name].path.read_bytes() == content, name
    assert {path: path.stat().st_mtime_ns for path in whole} == whole, "runs that were not damaged are reused"
    assert not any(artefact.path.read_bytes() == b"" for artefact in damaged.values())
    assert study.jobs("--configfile", "tiny.yaml") == set()
    assert (FITTED / "0/run.json").stat().st_mtime_ns > whole[FITTED / "1/run.json"] or rules == ("predict",)
