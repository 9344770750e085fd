"""Texts and models of Transformers through the stages, from tokens to predictions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import text_models

from variability import registry
from variability.config import recipe
from variability.data import modalities
from variability.io import files
from variability.stages.features import features
from variability.stages.finetune import finetune
from variability.stages.predict import predict_ahead
from variability.stages.tokenize import tokenize
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers", reason="`make .venv/.transformers` installs it")


def prepare(folder: Path, count=96) -> Path:
    """Writes a task as ``prepare`` does: texts that mention a cat or a dog."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 2
    texts = [
        " ".join([*generator.choice(text_models.WORDS[4:], generator.integers(1, 9)), ("cat", "dog")[label]])
        for label in labels
    ]
    examples = registry.find("datasets", "text_table")
    folder.mkdir(parents=True)
    text = modalities.find("text", {"max_length": 12})
    from types import SimpleNamespace

    facts = text.write(folder / "inputs.npy", SimpleNamespace(read=texts.__getitem__), np.arange(count), "", 1)
    split = ["train"] * (count // 2) + ["validation"] * (count // 4) + ["test"] * (count // 4)
    table = {"example_id": np.arange(count), "label": labels, "split": split, "partition": [""] * count}
    table["source"] = [f"line {example_id}" for example_id in table["example_id"]]
    pq.write_table(pa.table(table), folder / "examples.parquet")
    content = {
        "kind": "classification", "modality": examples.MODALITY, "class_names": ["cat", "dog"], "facts": facts,
        "target": {}, "counts": {}, "split": {"seed": 0, "resample": False},
        "sha256": {name.partition(".")[0]: files.sha256(folder / name) for name in ("inputs.npy", "examples.parquet")},
    }  # fmt: skip
    files.write_json(folder / "task.json", content)
    return folder / "task.json"


@pytest.fixture
def model_and_files(model_folder, tmp_path) -> tuple[dict, InputFiles]:
    """A model and the input files of its runs."""
    made, weights = text_models.converted(model_folder, tmp_path)
    task, tokens = prepare(tmp_path / "task"), tmp_path / "tokens"
    tokens.mkdir()
    tokenize(made.model, task, made.assets, tokens / "tokens.npy", tokens / "tokens.json")
    return made.model, InputFiles(task, weights, tmp_path / "weights.json", made.assets, tokens / "tokens.json")


def fit(model, input_files, folder, kind, seeds, blocks=None, **settings):
    """Fine-tunes and predicts; {seed: table of predictions}."""
    spec = {
        "model": model, "task": {"name": "pets", "kind": "classification"}, "method": {"name": kind, "kind": kind},
        "recipe": recipe.resolve({"epochs": 4, "lr": 0.01, "batch_size": 8} | settings), "seeds": seeds,
    }  # fmt: skip
    if blocks:
        spec["method"]["blocks"] = blocks
    with Workplace(model) as workplace:
        finetune(spec, input_files, "code", folder / "block.json", workplace)
        predict_ahead(spec, input_files, folder / "block.json", "code", folder / "predictions", workplace)
    return {seed: pq.read_table(folder / "predictions" / f"{seed}.parquet") for seed in seeds}


def accuracy(table: pa.Table, phase: str) -> float:
    rows = table.to_pandas()
    rows = rows[(rows["phase"] == phase) & (rows["split"] == "test")]
    return (rows["y_true"] == rows["y_pred"]).mean()


@pytest.mark.parametrize("kind", ["full", "linear_probe", "lora"])
def test_a_seed_gives_the_same_bits_in_every_seed_chunk(model_and_files, tmp_path, kind):
    if kind == "lora":
        pytest.importorskip("peft")
    both = fit(*model_and_files, tmp_path / "both", kind, [0, 1])
    alone = fit(*model_and_files, tmp_path / "alone", kind, [1])
    assert both[1].equals(alone[1])
    assert not both[0].equals(both[1])


def test_a_network_learns_which_animal_a_text_mentions(model_and_files, tmp_path):
    table = fit(*model_and_files, tmp_path / "full", "full", [0], epochs=15, lr=0.003)[0]
    assert accuracy(table, "before") < 0.8 < accuracy(table, "after")


METHODS = {"linear_probe": {}, "partial": {"blocks": 1}}


@pytest.mark.parametrize("kind", METHODS)
def test_a_run_ends_the_same_with_activations_stored_held_in_memory_or_computed_each_time(
    model_and_files, tmp_path, kind, monkeypatch
):
    model, input_files = model_and_files
    method = {"kind": kind, **METHODS[kind]}
    spec = {"model": model, "method": method, "precision": "fp32", "limit_gb": 1}
    spec |= {"augmentation": recipe.DEFAULTS["augmentation"]}
    folder = tmp_path / "features"
    folder.mkdir()
    features(spec, input_files, folder / "activations.npy", folder / "features.json")
    manifest, tokens = files.read_json(folder / "features.json"), files.read_json(input_files.tokens)
    probe = kind == "linear_probe"
    entries = tokens["texts" if probe else "tokens"]
    assert manifest["stored"] and manifest["bytes"] == entries * 16 * 4
    assert manifest["activations"]["each"] == ("example" if probe else "token")

    def probabilities(name, input_files):
        table = fit(model, input_files, tmp_path / name, kind, [0], **METHODS[kind])[0]
        return np.stack(table["probabilities"].to_pylist())

    stored = probabilities("stored", replace(input_files, features=folder / "features.json"))
    held = probabilities("held", input_files)
    monkeypatch.setattr("variability.training.stored_features.MEMORY", 0)
    streamed = probabilities("streamed", input_files)
    np.testing.assert_allclose(stored, held, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stored, streamed, rtol=1e-3, atol=1e-4)
