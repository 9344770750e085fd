"""A study of texts, from a file of texts to tables and figures, with a model small enough to be built here."""

import csv
import os
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import text_models
import yaml
from support import Checkout, presented

pytestmark = [
    pytest.mark.slow,
    # Not importorskip, whose import would add four seconds to every run of the tests.
    pytest.mark.skipif(find_spec("peft") is None, reason="`make .venv/.transformers` installs it"),
]

STUDY = "results/pets/aggregate/manifest.json", "--configfile", "pets.yaml"
CONFIG = """
study: pets
seeds: [0, 1]
models:
  bert: {provider: transformers, architecture: models/bert, weights: pretrained}
  bert-random: {provider: transformers, architecture: models/bert, weights: none}
tasks:
  pets:
    dataset: text_table
    options: {path: pets.csv, partition: part}
    text: {max_length: 12}
    split: {validation: 20}
methods:
  linear_probe: {}
  bitfit: {}
  lora: {r: 2}
  full: {}
grid: {exclude: [{model: bert-random, method: [linear_probe, bitfit, lora]}]}
recipe: {epochs: 8, batch_size: 8, lr: 0.005, schedule: linear}
compute: {seeds_per_job: 2}
plots: [calibration, churn, cost, gain_slopes, seed_spread]  # other studies draw every figure
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    checkout = Checkout.of_project(tmp_path_factory.mktemp("text") / "project")
    text_models.weights(text_models.folder(checkout.folder / "models/bert"))
    generator = np.random.default_rng(0)
    with open(checkout.folder / "pets.csv", "w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["text", "label", "part"])
        for number in range(140):
            animal = ("cat", "dog")[number % 2]
            words = generator.choice(text_models.WORDS[7:], generator.integers(1, 9))
            rows.writerow([" ".join([*words, animal]), animal, "train" if number < 100 else "test"])
    (checkout.folder / "pets.yaml").write_text(CONFIG)
    checkout.snakemake("--cores", "2", *STUDY)
    presented(yaml.safe_load(CONFIG), checkout.folder / "results/pets")
    return checkout


def test_every_cell_has_its_runs_and_the_study_its_summary(finished):
    runs = pd.read_parquet(finished.folder / "results/pets/aggregate/runs.parquet")
    primary = runs[(runs["metric"] == "accuracy") & (runs["split"] == "test")]
    assert (primary["status"] == "completed").all() and (primary["n_test"] == 40).all()
    counts = primary[primary["phase"] == "after"].groupby(["model", "method"], observed=True).size().to_dict()
    assert counts == {("bert", method): 2 for method in METHODS} | {("bert-random", "full"): 2}
    full = primary[(primary["method"] == "full") & (primary["model"] == "bert")]
    after, before = (full.loc[full["phase"] == phase, "value"].mean() for phase in ("after", "before"))
    assert before < 0.8 < after
    assert "bert (full)" in (finished.folder / "results/pets/report/summary.md").read_text()


METHODS = ("linear_probe", "bitfit", "lora", "full")


def test_before_fine_tuning_all_methods_start_from_the_same_network(finished):
    folder = finished.folder / "results/pets/predict/bert/pets"
    tables = [pd.read_parquet(folder / method / "1.parquet") for method in METHODS]
    before = [np.stack(table.loc[table["phase"] == "before", "probabilities"]) for table in tables]
    assert all((probabilities == before[0]).all() for probabilities in before)


def test_a_checkpoint_of_adapters_or_biases_is_small(finished):
    folder = finished.folder / "results/pets/finetune/bert/pets"
    sizes = {method: (folder / method / "0/checkpoint.safetensors").stat().st_size for method in METHODS}
    assert sizes["linear_probe"] < min(sizes["lora"], sizes["bitfit"])
    assert max(sizes["lora"], sizes["bitfit"]) < sizes["full"] / 2


def test_a_touch_reruns_nothing_and_an_edit_what_depends_on_it(finished, tmp_path):
    study = finished.copy(tmp_path / "project")
    for path in study.folder.rglob("*"):
        if ".snakemake" not in path.parts and path.is_file():
            os.utime(path)
    assert study.jobs(*STUDY) == set()
    study.append("workflow/lib/variability/data/modalities/_tokens.py", "\nEDITED = 1\n")
    rules = {job.split()[0] for job in study.jobs(*STUDY)}
    assert {"features", "finetune", "predict"} <= rules
    assert not {"prepare", "tokenize", "download_assets", "download_weights"} & rules
    study = finished.copy(tmp_path / "again")
    study.edit("pets.yaml", "weights: none", "weights: none, options: {dropout: 0.2}")
    jobs = {
        job for job in study.jobs(*STUDY) if job.split()[0] in ("tokenize", "features", "finetune", "download_assets")
    }
    assert jobs == {"finetune model=bert-random, task=pets, method=full, block=0"}
