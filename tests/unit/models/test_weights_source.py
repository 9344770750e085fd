"""Kinds of weights by their value, and files of every suffix."""

import numpy as np
import pytest
import torch

from variability.errors import UserError
from variability.models.weight_files import read_tensors
from variability.models.weights_source import weights_kind


@pytest.mark.parametrize(
    ("weights", "kind"),
    [
        ("none", "none"),
        ("pretrain:letters", "pretrain"),
        ("IMAGENET1K_V1", "named"),
        ("a1_in1k.th_b", "named"),
        *((f"folder/x{suffix}", "file") for suffix in (".safetensors", ".pth", ".pt", ".th", ".h5", ".keras")),
    ],
)
def test_a_suffix_makes_a_file_of_a_value(weights, kind):
    assert weights_kind(weights) == kind


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th"])
def test_a_wrapped_state_dict_is_read_whatever_its_suffix(tmp_path, suffix):
    path = tmp_path / f"resnet20{suffix}"
    torch.save({"state_dict": {"module.fc.weight": torch.ones(2, 3)}, "best_prec1": 91.25}, path)
    tensors, _ = read_tensors(path)
    assert list(tensors) == ["fc.weight"] and torch.equal(tensors["fc.weight"], torch.ones(2, 3))


def test_no_code_of_a_th_file_runs(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}, "arguments": np.random.default_rng(0)}, tmp_path / "x.th")
    with pytest.raises(UserError, match=r"x\.th is refused: it is damaged, or has Python objects"):
        read_tensors(tmp_path / "x.th")
