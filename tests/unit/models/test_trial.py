"""Answers of trials: what would end in a library's traceback, and what to do about it."""

import pytest
import torch
from torch import nn

from variability.models import trial

pytestmark = pytest.mark.slow

TORCHVISION = {"provider": "torchvision", "architecture": "resnet18", "weights": "none", "options": {}}
DEPTHWISE = TORCHVISION | {
    "architecture": "mobilenet_v2",
    "options": {"width_mult": 0.25, "inverted_residual_setting": [[1, 16, 1, 1], [3, 16, 1, 2]]},
}
TIMM = TORCHVISION | {"provider": "timm", "architecture": "test_resnet"}


def answer(model, size=32, method=None, batch=2, outputs=2):
    request = {"model": model, "size": size, "outputs": outputs, "method": method, "batch": batch}
    return trial.answer(request)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(
    "model",
    [TORCHVISION, DEPTHWISE, TORCHVISION | {"architecture": "regnet_y_400mf"}, TORCHVISION | {"weights": "DEFAULT"}],
)
def test_a_network_that_can_be_used_has_no_problem(model, outputs):
    before = torch.random.get_rng_state()
    assert answer(model, outputs=outputs) is None
    assert torch.equal(torch.random.get_rng_state(), before)


# A ResNet divides the side by 32 until its last layers, a batch of one at 32 pixels has 1 x 1 positions there.
@pytest.mark.parametrize(
    ("size", "batch", "fails"), [(32, 1, True), (33, 1, False), (64, 1, False), (32, 2, False), (16, 2, False)]
)
def test_batches_of_one_image_are_refused_exactly_where_batchnorm_sees_one_value(size, batch, fails):
    problem = answer(TORCHVISION, size, {"kind": "full"}, batch)
    assert (problem is not None) == fails
    if problem:
        assert problem["key"] == "batch" and "layer4.0.bn1 of resnet18" in problem["message"]
        assert "batches of 2 or more" in problem["message"]


def test_batches_of_one_image_do_not_matter_to_frozen_batchnorm():
    assert answer(TORCHVISION, 32, {"kind": "bitfit"}, 1) is None
    assert answer(TORCHVISION, 32, {"kind": "partial", "blocks": 1}, 1)["key"] == "batch"
    # VGG has no normalisation.
    assert answer(TORCHVISION | {"architecture": "vgg11"}, 32, {"kind": "full"}, 1) is None


def test_batchnorm_that_trains_is_refused_only_if_processes_share_batches():
    def shared(method, **model):
        method = {"kind": method}
        request = {"model": TORCHVISION | model, "size": 32, "outputs": 2, "method": method, "batch": 2, "shared": True}
        return trial.answer(request)

    problem = shared("full")
    assert problem["key"] == "gpus" and problem["message"].startswith("bn1 of resnet18 is a BatchNorm that trains")
    assert shared("bitfit") is None and shared("full", architecture="vgg11") is None
    assert answer(TORCHVISION, method={"kind": "full"}) is None


def test_methods_that_do_not_fit_a_network_are_named_with_what_fits():
    message = answer(TORCHVISION, method={"kind": "partial", "blocks": 9})["message"]
    assert message.startswith("partial with blocks: 9 leaves nothing frozen") and "use at most 8" in message


def test_adapters_of_grouped_convolutions_are_refused_and_the_advice_can_be_followed():
    pytest.importorskip("peft", reason="the extra transformers is not installed")
    problem = answer(DEPTHWISE, method={"kind": "lora", "targets": ["0", "1.0"]})
    assert problem["key"] == "method"
    # 8 input channels of the second block, expanded 3 times: 24 groups.
    assert "features.2.conv.1.0" in problem["message"] and "multiple of 24, not 8" in problem["message"]
    advised = problem["message"].rpartition("such as ")[2].split(", ")
    assert answer(DEPTHWISE, method={"kind": "lora", "targets": advised}) is None
    # A rank that the groups divide is possible: the first block has 8 groups.
    assert answer(DEPTHWISE, method={"kind": "lora", "r": 24, "targets": ["1.0"]}) is None
    # The advice for a name that no layer has is the same.
    assert answer(DEPTHWISE, method={"kind": "lora", "targets": ["query"]})["message"].endswith(", ".join(advised))


def test_an_option_without_which_the_network_could_be_used_is_named():
    pytest.importorskip("timm", reason="the extra timm is not installed")
    unpooled = answer(TIMM | {"options": {"global_pool": "", "drop_rate": 0.1}})
    assert unpooled["key"] == "options.global_pool" and unpooled["message"].startswith("with '' test_resnet")
    tokens = answer(TIMM | {"architecture": "test_vit", "options": {"img_size": 32, "global_pool": ""}})
    # 2 x 2 patches of 16 pixels, and the class token.
    assert tokens["key"] == "options.global_pool" and "shape (2, 5, 2)" in tokens["message"]
    wrong = answer(TIMM | {"architecture": "test_vit", "options": {"depth": "x"}})
    assert wrong["key"] == "options.depth" and "timm cannot build test_vit" in wrong["message"]


def test_images_that_are_too_small_are_refused_with_a_size_that_is_enough():
    pytest.importorskip("timm", reason="the extra timm is not installed")
    problem = answer(TIMM | {"architecture": "legacy_xception"}, 8)
    if problem:
        assert problem["key"] == "size"
    problem = answer(TIMM | {"architecture": "halonet26t"}, 24)
    assert problem["key"] == "size"
    side = int(problem["message"].rpartition("images of ")[2].split()[0])
    assert answer(TIMM | {"architecture": "halonet26t"}, side) is None


class Behind(nn.Module):
    """A network whose outputs are those of its head, changed by a function."""

    def __init__(self, change):
        super().__init__()
        self.body, self.head, self.change = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), change

    def forward(self, images):
        return self.change(self.head(self.body(images).mean((2, 3))))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: x, None),
        (lambda x: 3 * x.clone(), None),
        (torch.relu, "not linear"),
        (torch.tanh, "not linear"),
        (lambda x: x.softmax(1), "not linear"),
        (lambda x: nn.functional.layer_norm(x, (2,)), "not linear"),
        (lambda x: x.abs(), "not linear"),
        (lambda x: x.clamp(-9, 9), "not linear"),
        (lambda x: x[:, None], r"shape \(2, 1, 2\)"),
        (lambda x: (x, x), "returns a tuple"),
        (lambda x: {"logits": x}, "returns a dict"),
        (lambda x: x @ torch.zeros(3, 3), "cannot compute images of 8 pixels .RuntimeError"),
    ],
)
def test_what_follows_the_head_must_be_linear_and_of_the_right_shape(change, reason):
    network = trial.Network(Behind(change), "head", ["body"])
    if reason is None:
        trial._evaluate(network, {"outputs": 2}, 8, "cpu")
    else:
        with pytest.raises(trial.Failure, match=reason):
            trial._evaluate(network, {"outputs": 2}, 8, "cpu")
