"""Tokens, assets, downloaded weights, states of fits and stored copies, damaged in each way.

Rows of the table in docs/reliability.md, in addition to those of tests/workflow/test_damaged_artefacts.py, whose study
has none of these files.
"""

import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import text_models
import tiny_study
from damage import DAMAGES

from variability.config import recipe
from variability.data import modalities
from variability.errors import Interrupted, UserError
from variability.io import files
from variability.io.artefacts import read_cached, stamp_path, write_record
from variability.stages import _stored_outputs
from variability.stages._stored_outputs import Output
from variability.stages.download_weights import download_weights
from variability.stages.tokenize import tokenize
from variability.training import frameworks
from variability.training.fit_loop import FitSpec
from variability.training.input_files import InputFiles
from variability.training.saving import Saving
from variability.training.workplace import Workplace

#: In addition to DAMAGES.
REPLACE = "replace"


def damaged(path: Path, damage: Callable[[Path], None] | str, another: Path) -> None:
    if callable(damage):
        damage(path)
    else:
        shutil.copyfile(another, path)


# Files that are fetched or encoded once, for many runs ---------------------------------------------------------------


class Fetched(NamedTuple):
    """A model, the files that its runs on a task read, and files of the same kinds of another model and task."""

    model: dict
    task: Path
    folder: Path
    others: Path

    def input_files(self) -> InputFiles:
        folder = self.folder
        return InputFiles(
            self.task, folder / "release.safetensors", folder / "release.json", folder / "assets/manifest.json",
            folder / "tokens.json",
        )  # fmt: skip


#: File: the rule that made it.
FETCHED = {
    "tokens.npy": "tokenize",
    "tokens.json": "tokenize",
    "assets/files/config.json": "download_assets",
    "assets/files/tokenizer.json": "download_assets",
    "assets/manifest.json": "download_assets",
    "release.safetensors": "download_weights",
    "release.json": "download_weights",
}


def prepare(folder: Path, texts: list[str]) -> Path:
    """Write a task of texts as ``prepare`` does."""
    folder.mkdir(parents=True)
    numbers = np.arange(len(texts))
    text = modalities.find("text", {"max_length": 12})
    facts = text.write(folder / "inputs.npy", SimpleNamespace(read=texts.__getitem__), numbers, "", 1)
    table = {"example_id": numbers, "label": numbers % 2, "split": ["train"] * len(texts), "source": texts}
    pq.write_table(pa.table(table | {"partition": [""] * len(texts)}), folder / "examples.parquet")
    content = {
        "kind": "classification", "modality": "text", "class_names": ["cat", "dog"], "facts": facts, "target": {},
        "counts": {}, "split": {"seed": 0, "resample": False},
        "sha256": {name.partition(".")[0]: files.sha256(folder / name) for name in ("inputs.npy", "examples.parquet")},
    }  # fmt: skip
    files.write_json(folder / "task.json", content)
    return folder / "task.json"


def fetch(folder: Path, model: dict, task: Path) -> None:
    """Make the files of FETCHED with the stages that make them."""
    assets = text_models.assets(model, folder / "assets")
    download_weights(model, folder / "release.safetensors", folder / "release.json", None, assets=assets)
    tokenize(model, task, assets, folder / "tokens.npy", folder / "tokens.json")


@pytest.fixture(scope="module")
def fetched(tmp_path_factory) -> Fetched:
    pytest.importorskip("transformers", reason="`make .venv/.transformers` installs it")
    base = tmp_path_factory.mktemp("fetched")
    for name, seed, texts in (("this", 7, ["the cat", "a dog"] * 2), ("other", 8, ["dog cat dog", "a cat a"] * 2)):
        folder = text_models.folder(base / name / "model", "bert")
        text_models.weights(folder, "bert", seed)
        task = prepare(base / name / "task", texts)
        model = text_models.entry(folder, str(folder / "model.safetensors"))
        fetch(base / name, model, task)
    # Another release may have the same configuration.
    for file in ("config.json", "tokenizer.json"):
        with open(base / "other/assets/files" / file, "a") as opened:
            opened.write("\n")
    manifest = base / "other/assets/manifest.json"
    write_record(manifest, read_cached(manifest) | {"files": {"config.json": "0" * 64}, "sha256": "0" * 64})
    model = text_models.entry(base / "this/model", str(base / "this/model/model.safetensors"))
    return Fetched(model, base / "this/task/task.json", base / "this", base / "other")


def build(fetched: Fetched) -> None:
    """Read all that a new seed reads, and train it for a step."""
    input_files, method = fetched.input_files(), {"name": "full", "kind": "full"}
    input_files.content(fetched.model)
    with Workplace(fetched.model) as workplace:
        framework = workplace.framework(fetched.model, method, input_files)
        chosen = recipe.resolve({"epochs": 1})
        framework.fit(FitSpec(framework.data(0), chosen, 0, None, "fingerprint"))


def test_the_undamaged_files_are_accepted(fetched):
    build(fetched)


@pytest.mark.parametrize("damage", [*DAMAGES, REPLACE])
@pytest.mark.parametrize("name", FETCHED)
def test_a_damaged_file_is_one_sentence_with_the_command_that_makes_it_again(name, damage, fetched):
    path = fetched.folder / name
    whole = path.read_bytes()
    try:
        damaged(path, damage, fetched.others / name)
        with pytest.raises(UserError) as error:
            build(fetched)
    finally:
        path.write_bytes(whole)
    assert re.search(r"`snakemake --forcerun \w+`", str(error.value)) and "\n" not in str(error.value)
    if damage != REPLACE:  # the file and another one contradict each other: either is named
        assert str(path) in str(error.value) and f"--forcerun {FETCHED[name]}`" in str(error.value)


# States of interrupted fits -----------------------------------------------------------------------------------------


def fit(task_json: Path, folder: Path, fingerprint: str = "fingerprint", **saving) -> tuple[bool, bytes]:
    """Fit a small network; return whether it was resumed, and its checkpoint."""
    model, method = tiny_study.STUDY["model"], tiny_study.STUDY["method"]
    framework = frameworks.of(model)(model, method, InputFiles(task_json), "cpu")
    chosen = recipe.resolve({"epochs": 2, "batch_size": 50})
    spec = FitSpec(framework.data(4), chosen, 4, folder / "state", fingerprint, saving=Saving(math.inf, **saving))
    result = framework.fit(spec)
    framework.save_trained(folder / "checkpoint", "fingerprint")
    return result.resumed, (folder / "checkpoint").read_bytes()


def stopped(task_json: Path, folder: Path, fingerprint: str = "fingerprint") -> Path:
    """Stop a fit after its first step; return its state."""
    folder.mkdir()
    answers = iter([False])
    with pytest.raises(Interrupted):
        fit(task_json, folder, fingerprint, should_stop=lambda: next(answers, True))
    return folder / "state"


@pytest.mark.usefixtures("tiny_provider", "one_thread")
def test_a_damaged_state_is_ignored_and_the_fit_ends_with_the_same_bits(task_json, tmp_path):
    stopped(task_json, tmp_path / "whole")
    resumed, expected = fit(task_json, tmp_path / "whole")
    assert resumed
    another = stopped(task_json, tmp_path / "another", "another fingerprint")
    for damage in [*DAMAGES, REPLACE]:
        state = stopped(task_json, tmp_path / str(damage))
        damaged(state, damage, another)
        assert fit(task_json, state.parent) == (False, expected), damage


# Stored copies ------------------------------------------------------------------------------------------------------


def make(folder: Path) -> list[str]:
    """Make two outputs, or restore them; return the names of those that were made."""
    made = []

    def produce(name: str, paths: tuple[Path, ...]) -> None:
        made.append(name)
        paths[0].write_text(f"table of {name}")

    outputs = {name: Output(f"made from {name}", (folder / f"{name}.csv",)) for name in ("gain", "spread")}
    _stored_outputs.make(outputs, produce, folder / ".stored", 1, ())
    return made


@pytest.mark.parametrize("damage", [*DAMAGES, REPLACE])
@pytest.mark.parametrize("file", ["copy", "stamp"])
def test_a_damaged_copy_is_made_again(file, damage, tmp_path):
    (tmp_path / ".stored").mkdir()
    assert make(tmp_path) == ["gain", "spread"] and make(tmp_path) == []
    copies = {name: next((tmp_path / ".stored").glob(f"*-{name}.csv")) for name in ("gain", "spread")}
    this, another = (stamp_path(path) if file == "stamp" else path for path in copies.values())
    damaged(this, damage, another)
    assert make(tmp_path) == ["gain"]
    assert (tmp_path / "gain.csv").read_text() == "table of gain"
    assert make(tmp_path) == []


@pytest.mark.parametrize("damage", [*DAMAGES, REPLACE])
def test_a_damaged_output_is_restored_from_its_copy(damage, tmp_path):
    (tmp_path / ".stored").mkdir()
    make(tmp_path)
    damaged(tmp_path / "gain.csv", damage, tmp_path / "spread.csv")
    assert make(tmp_path) == []
    assert (tmp_path / "gain.csv").read_text() == "table of gain"
