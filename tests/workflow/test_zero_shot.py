"""A model of images and texts, run by the rules: before training it is the zero-shot classifier, for every seed."""

import numpy as np
import pandas as pd
import pytest
import yaml
from support import Checkout, presented
from two_towers import saved

import variability

pytestmark = pytest.mark.slow
pytest.importorskip("transformers", reason="the extra transformers is not installed")


def test_all_seeds_of_both_methods_start_as_the_zero_shot_classifier(tmp_path):
    checkout = Checkout.of_project(tmp_path / "project")
    saved(checkout.folder / "towers")
    config = {
        "study": "zero",
        "seeds": [0, 1],
        "models": {
            "clip": {"provider": "clip", "architecture": "towers", "weights": "pretrained"},
            "scratch": {"provider": "clip", "architecture": "towers", "weights": "none"},
        },
        "tasks": {
            "digits": {"dataset": "digits", "image": {"size": 32}, "split": {"train": 60, "validation": 20, "test": 50}}
        },
        "methods": {"linear_probe": None, "partial": {"blocks": 1}},
        "grid": {"exclude": [{"model": "scratch", "method": "linear_probe"}]},
        "recipe": {"epochs": 1},
        "plots": ["gain_slopes", "seed_spread"],  # other studies draw every figure
    }
    (checkout.folder / "zero.yaml").write_text(yaml.safe_dump(config))
    checkout.snakemake("results/zero/aggregate/manifest.json", "--cores", "2", "--configfile", "zero.yaml")
    presented(config, checkout.folder / "results/zero")
    folder = checkout.folder / "results/zero/predict"

    def before(model, method, seed):
        predictions = pd.read_parquet(folder / model / "digits" / method / f"{seed}.parquet")
        return np.stack(predictions.loc[predictions["phase"] == "before", "probabilities"])

    first = before("clip", "linear_probe", 0)
    for method in ("linear_probe", "partial"):
        for seed in (0, 1):
            np.testing.assert_allclose(before("clip", method, seed), first, atol=1e-6)
    assert not np.allclose(before("scratch", "partial", 0), before("scratch", "partial", 1), atol=1e-4)
    check_loaded_run_predicts_as_the_study(checkout.folder / "results/zero")


def check_loaded_run_predicts_as_the_study(study):
    predictions = pd.read_parquet(study / "predict/clip/digits/partial/0.parquet")
    expected = predictions[(predictions["phase"] == "after") & (predictions["split"] == "test")]
    ids = pd.Index(pd.read_parquet(study / "prepare/digits/examples.parquet")["example_id"])
    images = np.load(study / "prepare/digits/inputs.npy")[ids.get_indexer(expected["example_id"])]
    run = variability.load_run(study / "finetune/clip/digits/partial/0")
    outputs = run.predict([image.transpose(1, 2, 0) for image in images])
    np.testing.assert_array_equal(np.stack(outputs["probabilities"]), np.stack(expected["probabilities"]))
