"""The study of two frameworks at a reduced size: each pretrains and fine-tunes, and neither depends on the other."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from support import ROOT, Checkout, presented

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("keras", "tensorflow")),
        reason="Keras and TensorFlow are an extra: make .venv/.tensorflow",
    ),
]
STUDY = "results/small/aggregate/manifest.json", "--configfile", "small.yaml"
LIB = "workflow/lib/variability"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    checkout = Checkout.of_project(tmp_path_factory.mktemp("frameworks") / "project")
    config = yaml.safe_load((ROOT / "studies/frameworks.yaml").read_text())
    config["study"], config["seeds"] = "small", [0, 1]
    config["models"] = {name: entry for name, entry in config["models"].items() if not name.endswith("-scratch")}
    config["grid"] = {"exclude": [{"task": "letter-case"}]}
    config["recipe"] |= {"epochs": 2, "batch_size": 50}
    config["pretraining"]["letters"]["task"]["split"] = {"train": 100, "validation": 50, "test": 50}
    config["pretraining"]["letters"]["recipe"]["epochs"] = 1
    del config["overrides"], config["tasks"]["letter-case"]
    config["grid"] = {"exclude": [{"method": "full-again", "model": "mobilenet-torch"}]}
    config["plots"] = ["components", "gain_slopes", "nondeterminism"]  # other studies draw every figure
    (checkout.folder / "small.yaml").write_text(yaml.safe_dump(config))
    checkout.snakemake("--cores", "2", *STUDY, forks="snakemake")  # TensorFlow is not to be mixed with torch
    presented(config, checkout.folder / "results/small")
    return checkout


def test_the_framework_is_a_factor_of_the_components(checkout):
    runs = pd.read_parquet(checkout.folder / "results/small/aggregate/runs.parquet")
    assert dict(zip(runs["model"], runs["framework"], strict=True)) == {
        "mobilenet-torch": "pytorch",
        "mobilenet-keras": "keras",
    }
    assert set(runs["family"]) == {"mobilenet"}
    keras = runs[runs["framework"] == "keras"]
    assert (keras["status"] == "completed").all()
    assert keras["versions"].str.contains("keras=").all() and not keras["versions"].str.contains("torch=").any()
    components = pd.read_csv(checkout.folder / "results/small/analyse/components.csv")
    assert {"framework", "method", "framework x method"} <= set(components["component"])


def test_a_repeated_run_of_keras_is_the_same_bit_for_bit(checkout):
    for seed in (0, 1):
        first, again = (
            pd.read_parquet(checkout.folder / f"results/small/predict/mobilenet-keras/digits/{method}/{seed}.parquet")
            for method in ("full", "full-again")
        )
        assert np.array_equal(np.stack(first["probabilities"]), np.stack(again["probabilities"]))
    assert len(pd.read_csv(checkout.folder / "results/small/analyse/nondeterminism.csv"))


def test_an_edit_of_one_framework_reruns_no_run_of_the_other(checkout, tmp_path):
    assert checkout.jobs(*STUDY) == set()
    for framework, other, names in (
        (
            "keras",
            "torch",
            ("training/frameworks/keras.py", "training/frameworks/_keras_training.py", "models/providers/keras.py"),
        ),
        (
            "torch",
            "keras",
            ("training/frameworks/pytorch.py", "training/torch_fit.py", "models/providers/torchvision.py"),
        ),
    ):
        edited = checkout.copy(tmp_path / framework)
        for name in names:
            edited.append(f"{LIB}/{name}", "\nEDITED = 1\n")
        jobs = edited.jobs(*STUDY)
        assert f"pretrain model=mobilenet-{framework}" in jobs
        assert not [job for job in jobs if f"model=mobilenet-{other}" in job]


def test_a_job_of_keras_loads_no_torch(checkout, tmp_path):
    program = f"""
import sys
from pathlib import Path
from variability.config import recipe
from variability.training.input_files import InputFiles
from variability.stages.finetune import finetune
from variability.stages.predict import predict
from variability.training.workplace import Workplace

model = {{"name": "m", "provider": "keras", "architecture": "MobileNetV2", "weights": "none",
         "options": {{"alpha": 0.35}}, "preprocess": {{"size": 32}}}}
spec = {{"model": model, "task": {{"name": "digits", "kind": "classification"}},
        "method": {{"name": "probe", "kind": "linear_probe"}}, "recipe": recipe.resolve({{"epochs": 1}}), "seeds": [0]}}
files, out = InputFiles(Path("results/small/prepare/digits/task.json")), Path({str(tmp_path)!r})
with Workplace(model, 1) as workplace:
    finetune(spec, files, "code", out / "block-0.json", workplace)
    predict(spec, files, out / "block-0.json", "code", out / "predictions", None, workplace)
assert (out / "predictions" / "0.parquet").is_file()
assert "tensorflow" in sys.modules and "torch" not in sys.modules
"""
    environ = os.environ | {"PYTHONPATH": str(checkout.folder / "workflow/lib")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout.folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "oneDNN" not in done.stderr
