import copy

import pandas as pd
import pytest
import safetensors.torch
import tiny_study
import torch

from variability.config import recipe
from variability.errors import Interrupted, UserError
from variability.io import artefacts, files
from variability.stages.finetune import finetune
from variability.stages.predict import predict
from variability.stages.pretrain import pretrain
from variability.training import torch_fit
from variability.training.input_files import InputFiles
from variability.training.saving import Saving

MODEL = tiny_study.STUDY["model"] | {"weights": "pretrain:digits"}


def run(task_json, folder, model=MODEL, seed=0, saving=None, **settings):
    """Pretrains into a folder; returns the tensors it wrote."""
    chosen = recipe.resolve(tiny_study.STUDY["recipe"], settings)
    outputs = folder / "weights.safetensors", folder / "weights.json", folder / "history.csv"
    spec = {"model": model, "recipe": chosen, "seed": seed}
    pretrain(spec, InputFiles(task_json), "code", *outputs, saving=saving)
    return safetensors.torch.load_file(outputs[0])


@pytest.mark.usefixtures("tiny_provider")
def test_the_whole_network_is_written_with_a_manifest_and_a_history(task_json, tmp_path):
    tensors = run(task_json, tmp_path)
    expected = tiny_study.network().module.state_dict()
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: tensor.shape for name, tensor in expected.items()
    }
    history = pd.read_csv(tmp_path / "history.csv")
    manifest = artefacts.read_weights(tmp_path / "weights.json")
    assert len(manifest.pop("fingerprint")) == 64
    assert manifest == {
        "sha256": files.sha256(tmp_path / "weights.safetensors"),
        "source": "pretrain",
        "architecture": "tiny",
        "task": "digits",
        "seed": 0,
        "micro_batch": 32,
        "gpus_per_run": 1,
        "reductions": [],
        "epochs": 3,
        "validation_loss": history.validation_loss.iloc[-1],
        "validation_accuracy": history.validation_accuracy.iloc[-1],
    }


@pytest.mark.usefixtures("tiny_provider")
def test_an_interrupted_pretraining_resumes_to_the_same_bytes(task_json, tmp_path, monkeypatch):
    # Questions are asked before each epoch and after each step.
    questions = iter([False] * 7)
    with pytest.raises(Interrupted, match="at step 2 of 4 of epoch 2"):
        run(task_json, tmp_path / "interrupted", saving=Saving(should_stop=lambda: next(questions, True)))
    steps, step = [], torch_fit.TorchFitLoop.step
    monkeypatch.setattr(torch_fit.TorchFitLoop, "step", lambda self, of: steps.append(of.number) or step(self, of))
    run(task_json, tmp_path / "interrupted")
    assert steps == list(range(6, 12))
    run(task_json, tmp_path / "whole")
    first, second = tmp_path / "interrupted", tmp_path / "whole"
    assert (first / "weights.safetensors").read_bytes() == (second / "weights.safetensors").read_bytes()
    assert (first / "weights.json").read_bytes() == (second / "weights.json").read_bytes()


@pytest.mark.usefixtures("tiny_provider")
def test_another_seed_pretrains_another_network(task_json, tmp_path):
    first, second = run(task_json, tmp_path / "0", seed=0), run(task_json, tmp_path / "1", seed=1)
    assert not torch.equal(first["0.0.weight"], second["0.0.weight"])


@pytest.mark.usefixtures("tiny_provider")
def test_a_pretraining_that_diverges_is_an_error_and_leaves_no_weights(task_json, tmp_path):
    with pytest.raises(UserError, match=r"pretraining tiny on digits diverged: .* Lower lr"):
        run(task_json, tmp_path, lr=1e30, warmup=0.0)
    assert not (tmp_path / "weights.safetensors").exists()
    assert not (tmp_path / "weights.json").exists()


def test_a_network_of_torchvision_is_pretrained_fine_tuned_and_evaluated(tmp_path):
    task_json = tiny_study.prepare(tmp_path / "digits", size=32)
    model = {
        "name": "squeezenet",
        "provider": "torchvision",
        "architecture": "squeezenet1_1",
        "weights": "pretrain:digits",
        "options": {},
        "preprocess": {},
    }
    run(task_json, tmp_path / "pretrain", model, epochs=1)
    weights = tmp_path / "pretrain" / "weights.safetensors"
    spec = copy.deepcopy(tiny_study.STUDY) | {"model": model, "method": {"name": "probe", "kind": "linear_probe"}}
    spec |= {"seeds": [3], "recipe": recipe.resolve({"epochs": 2, "precision": "bf16", "augmentation": {"crop": 2}})}
    fitted, folder = tmp_path / "finetune", tmp_path / "predict"
    input_files = InputFiles(task_json, weights, weights.with_suffix(".json"))
    finetuned, manifest = fitted / "block-0.json", folder / "block-0.json"
    finetune(spec, input_files, "code", finetuned, tiny_study.workplace(model=model))
    predict(spec, input_files, finetuned, "code", folder, manifest, tiny_study.workplace(model=model))
    table = pd.read_parquet(folder / "3.parquet").query("split == 'validation'")
    history = pd.read_csv(fitted / "3" / "history.csv")
    correct = (table.y_true == table.y_pred).groupby(table.phase, observed=True).mean()
    assert correct["before"] == history.validation_accuracy.iloc[0]
    assert correct["after"] == history.validation_accuracy.iloc[-1]
    pretrained = safetensors.torch.load_file(weights)
    trained = safetensors.torch.load_file(fitted / "3" / "checkpoint.safetensors")
    assert trained and trained.keys() < pretrained.keys()
