"""A job builds the networks of a model and method once, also where it predicts from other activations."""

import os

import numpy as np
import pytest
import tiny_study

from variability.data.augmentation_spec import NO_AUGMENTATION
from variability.errors import UserError
from variability.io.artefacts import write_record
from variability.io.files import sha256
from variability.stages.features import features
from variability.training.input_files import InputFiles

pytestmark = pytest.mark.usefixtures("tiny_provider")

MODEL = tiny_study.STUDY["model"] | {"weights": "pretrain:letters"}
PROBE, FULL = {"name": "probe", "kind": "linear_probe"}, {"name": "all", "kind": "full"}
STORED = {"model": MODEL, "method": PROBE, "precision": "fp32", "limit_gb": 1}


@pytest.fixture
def built(monkeypatch):
    """The seeds that networks were built for, so far."""
    seeds, build = [], tiny_study.Tiny.build
    monkeypatch.setattr(tiny_study.Tiny, "build", lambda *arguments: seeds.append(arguments[3]) or build(*arguments))
    return seeds


@pytest.fixture
def input_files(tmp_path):
    weights = tiny_study.pretrained(tmp_path)
    write_record(tmp_path / "weights.json", {"sha256": sha256(weights)})
    return InputFiles(tiny_study.prepare(tmp_path / "digits"), weights, tmp_path / "weights.json")


def outputs(framework):
    return [values for _, _, values in framework.predictions(0, None, {"test": np.arange(200)})]


def test_networks_are_built_again_for_another_method_and_not_for_other_activations(input_files, tmp_path, built):
    manifest = tmp_path / "features.json"
    features(STORED | {"augmentation": NO_AUGMENTATION}, input_files, tmp_path / "activations.npy", manifest)
    stored = InputFiles(**vars(input_files) | {"features": manifest})
    built.clear()
    with tiny_study.workplace() as workplace:
        computed = outputs(workplace.framework(MODEL, PROBE, input_files))
        read = outputs(workplace.framework(MODEL, PROBE, stored))
        again = outputs(workplace.framework(MODEL, PROBE, input_files))
        assert built == [0]
        outputs(workplace.framework(MODEL, FULL, input_files))
        assert built == [0, 0]
    with tiny_study.workplace() as workplace:
        alone = outputs(workplace.framework(MODEL, PROBE, stored))
    np.testing.assert_array_equal(read, alone)
    np.testing.assert_array_equal(computed, again)


def test_weights_that_were_damaged_meanwhile_are_refused_all_the_same(input_files):
    with tiny_study.workplace() as workplace:
        workplace.framework(MODEL, PROBE, input_files)
        content = bytearray(input_files.weights.read_bytes())
        content[-1] ^= 1
        input_files.weights.write_bytes(content)
        os.utime(input_files.weights, (0, 0))
        with pytest.raises(UserError, match="is not the file that pretrain wrote"):
            workplace.framework(MODEL, PROBE, input_files)
