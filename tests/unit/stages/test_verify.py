"""The record of a study, and its comparison with what is on disk and with runs that are trained again."""

import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import tiny_study
from damage import cut, delete, empty
from rocrate.rocrate import ROCrate

from variability import advice, provenance
from variability.errors import UserError
from variability.io import artefacts
from variability.io.files import sha256
from variability.stages import verify as stage
from variability.stages.finetune import finetune
from variability.stages.predict import predict
from variability.stages.record import CONFIG, CRATE, record
from variability.stages.verify import verify
from variability.training.input_files import InputFiles

pytestmark = [pytest.mark.usefixtures("tiny_provider"), pytest.mark.slow]

STUDY = Path("results/tiny")
CELL = Path("small/digits/everything")
CONFIG_OF_USER = {"study": "tiny", "seeds": [0, 1]}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of two runs, with its record, in the working directory."""
    monkeypatch.chdir(tmp_path)
    # The tests' provider is no file of the library, whose code could be listed.
    monkeypatch.setattr(provenance, "plugins_of_cell", lambda *entries: ())
    monkeypatch.setattr(provenance, "code_digest", lambda *stages: "code")
    task = tiny_study.prepare(STUDY / "prepare/digits")
    spec, files = copy.deepcopy(tiny_study.STUDY), InputFiles(task)
    fitted, predicted = STUDY / "finetune" / CELL / "block-0.json", STUDY / "predict" / CELL / "block-0.json"
    finetune(spec, files, "code", fitted, tiny_study.workplace())
    predict(spec, files, fitted, "code", predicted.parent, predicted, tiny_study.workplace())
    page = STUDY / "report/summary.md"
    page.parent.mkdir()
    page.write_text("Two runs.\n", encoding="utf-8")
    make_record(task, fitted, predicted, page)
    return STUDY


def make_record(*files):
    Path("listing.txt").write_text("abc  stages/score.py\n", encoding="utf-8")
    record("tiny", CONFIG_OF_USER, files, [], [Path("listing.txt")], STUDY, "2026-01-02T03:04:05+00:00")


def test_the_record_is_a_crate_that_its_library_reads(study):
    crate = ROCrate(study)
    assert crate.version == "1.2"
    assert crate.root_dataset["datePublished"] == "2026-01-02T03:04:05+00:00"
    page = crate.get("report/summary.md")
    assert (page["sha256"], page["contentSize"]) == (sha256(study / "report/summary.md"), "10")
    assert page["encodingFormat"] == "text/markdown"
    assert json.loads((study / CONFIG).read_text()) == CONFIG_OF_USER
    action = crate.get("#study")
    assert {part.id for part in action["result"]} >= {"report/summary.md", f"finetune/{CELL}/block-0.json"}
    versions = artefacts.read_record(study / "finetune" / CELL / "0/run.json", artefacts.RUN_RECORD)["versions"]
    software = {part["name"]: part["version"] for part in action["instrument"]["softwareRequirements"]}
    assert software == versions


def test_the_record_counts_the_runs_of_each_environment(study):
    path = study / "finetune" / CELL / "1/run.json"
    run = artefacts.read_record(path, artefacts.RUN_RECORD)
    run["versions"]["torch"] = "1.0"
    artefacts.write_record(path, run)
    make_record()
    environments = json.loads((study / "record/environments.json").read_text())
    assert sorted((entry["versions"]["torch"] == "1.0", entry["runs"]) for entry in environments) == [
        (False, 1),
        (True, 1),
    ]


@pytest.mark.parametrize("damage", [cut, empty, delete])
@pytest.mark.parametrize(
    ("manifest", "content", "rule"),
    [
        ("datasets/own/manifest.json", {"files": {}}, "download"),
        ("weights/own.json", {"sha256": "0"}, "download_weights"),
    ],
)
def test_a_damaged_download_is_named_and_not_recorded(study, damage, manifest, content, rule):
    path, before = Path("results/downloads", manifest), (study / CRATE).read_bytes()
    path.parent.mkdir(parents=True)
    artefacts.write_record(path, content)
    damage(path)
    with pytest.raises(UserError, match=re.escape(f"{path} ")) as error:
        record("tiny", CONFIG_OF_USER, [], [path], [Path("listing.txt")], STUDY, "2026-01-02T03:04:05+00:00")
    assert f"`snakemake --forcerun {rule}`" in str(error.value)
    assert (study / CRATE).read_bytes() == before


def test_a_run_whose_record_lacks_its_hardware_is_named(study):
    path = study / "finetune" / CELL / "1/run.json"
    run = artefacts.read_record(path, artefacts.RUN_RECORD)
    del run["hardware"]
    artefacts.write_record(path, run)
    with pytest.raises(UserError, match=r"1/run\.json cannot be read \(hardware is missing\).*--forcerun finetune"):
        make_record()


def test_a_study_that_is_as_it_was_computed(study, caplog):
    caplog.set_level("INFO")
    verify(study, runs=5, seed=0)
    assert caplog.text.count("trained again, equal bit for bit") == 2
    assert "0 differ" in caplog.text


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("prepare/digits/inputs.npy", "prepare"),
        ("prepare/digits/task.json", "prepare"),
        (f"finetune/{CELL}/block-0.json", "finetune"),
        (f"finetune/{CELL}/0/run.json", "finetune"),
        (f"finetune/{CELL}/0/history.csv", "finetune"),
        (f"finetune/{CELL}/1/checkpoint.safetensors", "finetune"),
        (f"predict/{CELL}/1.parquet", "predict"),
        ("report/summary.md", "summarise"),
        (CONFIG, "record"),
        (CRATE, "record"),
    ],
)
@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_a_damaged_file_is_named_with_the_rule_that_makes_it(study, file, rule, damage):
    path, content = study / file, bytearray((study / file).read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"flip": content, "cut": content[: len(content) // 2]}
    path.unlink() if damage == "delete" else path.write_bytes(damaged[damage])
    with pytest.raises(UserError, match=re.escape(str(path))) as error:
        verify(study, runs=0, seed=0)
    assert f"--forcerun {rule}" in str(error.value)


def test_a_run_that_comes_out_otherwise_is_named_with_what_differs(study, monkeypatch):
    """Another result of the same run, with right checksums: as if the code of the time had been another."""
    folder = study / "finetune" / CELL / "0"
    tensors = safetensors.numpy.load_file(folder / "checkpoint.safetensors")
    name = sorted(tensors)[0]
    tensors[name] = np.nextafter(tensors[name], np.float32(np.inf))
    safetensors.numpy.save_file(tensors, folder / "checkpoint.safetensors")
    monkeypatch.setattr(stage, "recorded", lambda *_: [])
    monkeypatch.setattr(stage, "_in_crate", lambda *_: [])
    with pytest.raises(UserError, match=f"seed 0: 1 of {len(tensors)} trained tensors differ"):
        verify(study, runs=2, seed=0)


def test_another_environment_is_a_note_if_the_bits_are_the_same(study, caplog):
    caplog.set_level("INFO")
    path = study / "finetune" / CELL / "0/run.json"
    run = artefacts.read_record(path, artefacts.RUN_RECORD)
    torch, instructions = run["versions"]["torch"], run["hardware"]["instructions"]
    run["versions"]["torch"], run["hardware"]["instructions"] = "1.0", "SSE"
    artefacts.write_record(path, run)
    verify(study, runs=2, seed=0)
    for note in (f"torch was 1.0, is {torch}", f"instructions was SSE, is {instructions}"):
        assert f"small / digits / everything / seed 0: {note}" in caplog.text
    assert caplog.text.count("trained again, equal bit for bit") == 2


def test_records_of_earlier_versions_have_no_instructions(study):
    run = artefacts.read_record(study / "finetune" / CELL / "0/run.json", artefacts.RUN_RECORD)
    earlier = copy.deepcopy(run)
    del earlier["hardware"]["instructions"]
    assert stage._environment_differences(earlier, run) == []
    assert stage._environment_differences(earlier, run | {"fingerprint": "another"}) == [
        f"code or inputs changed since; {advice.rerun('finetune')}"
    ]


def test_the_sample_has_a_run_of_each_cell_before_a_second_of_any(tmp_path):
    paths = []
    for method in ("full", "probe", "lora"):
        for seed in range(4):
            path = tmp_path / method / str(seed) / "run.json"
            path.parent.mkdir(parents=True)
            content = {"seed": seed, "fingerprint": "", "status": "completed", "model": "m", "task": "t"}
            settings = {"model": {}, "task": {}, "method": {}, "threads": 1, "trained_from": {}}
            content |= {"recipe": {}, "versions": {}, "hardware": {}, "reductions": [], "micro_batch": 1}
            content |= {"gpus_per_run": 1, "settings": settings}
            artefacts.write_record(path, content | {"method": method, "sha256": {}})
            paths.append(path)

    def sample(count):
        problems = []
        runs = list(stage._sample(paths, count, 1, problems))
        assert not problems
        return runs

    assert {run["method"] for run in sample(3)} == {"full", "probe", "lora"}
    assert len(sample(5)) == 5
    assert sample(5) == sample(5)


@pytest.mark.parametrize("missing", ["gpus_per_run", "recipe"])
def test_a_record_that_does_not_say_how_its_run_was_trained_is_a_sentence(study, missing):
    path = study / "finetune" / CELL / "0/run.json"
    run = artefacts.read_record(path, artefacts.RUN_RECORD)
    del run[missing]
    artefacts.write_record(path, run)
    with pytest.raises(UserError, match=rf"\(1 differ\):\n  - .*0/run\.json cannot be read \({missing} is missing\)"):
        verify(study, runs=2, seed=0)


@pytest.mark.parametrize(
    ("file", "rule"), [("finetune/{}/0/checkpoint.safetensors", "finetune"), ("predict/{}/0.parquet", "predict")]
)
@pytest.mark.parametrize("damage", [cut, empty, delete])
def test_a_file_that_cannot_be_read_when_its_run_was_trained_again_is_a_sentence(
    study, file, rule, damage, monkeypatch
):
    """Damaged together with all checksums, or after they were compared."""
    path = study / file.format(CELL)
    damage(path)
    monkeypatch.setattr(stage, "_damaged", lambda *_: [])
    with pytest.raises(UserError, match=re.escape(str(path))) as error:
        verify(study, runs=2, seed=0)
    assert "(1 differ)" in str(error.value) and f"--forcerun {rule}" in str(error.value)


def test_the_rule_has_no_inputs_for_which_a_changed_file_would_be_recorded_first():
    rules = (Path(stage.__file__).parents[3] / "rules" / "record.smk").read_text(encoding="utf-8")
    assert re.search(r"^rule verify:\n    log:\n", rules, re.MULTILINE)
