import copy

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from variability.training.cpu_kernels.quick import SHORT, QuickLayers


class Convolutions(nn.Sequential):
    """A dense one, and three depthwise ones: a fast one, one with a stride and one with a wide kernel."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 8, 3, 2, padding=1, groups=8),
            nn.Conv2d(8, 8, 5, padding=2, groups=8),
        )


def formats(module, images, quick_layers):
    """Return the number formats in which each layer computes, and those of its outputs."""
    weights, outputs = [], []
    hooks = [layer.register_forward_hook(lambda _, __, output: outputs.append(output.dtype)) for layer in module]
    conv_forward = nn.Conv2d._conv_forward

    def watched(self, images, weight, bias):
        weights.append(torch.bfloat16 if torch.is_autocast_enabled("cpu") else images.dtype)
        return conv_forward(self, images, weight, bias)

    nn.Conv2d._conv_forward = watched
    try:
        with torch.autocast("cpu", torch.bfloat16), quick_layers:
            module(images)
    finally:
        nn.Conv2d._conv_forward = conv_forward
        for hook in hooks:
            hook.remove()
    return weights, outputs


def test_in_bf16_depthwise_convolutions_with_a_stride_or_wide_kernel_are_computed_in_fp32():
    module, half, single = Convolutions(), torch.bfloat16, torch.float32
    weights, outputs = formats(module, torch.rand(2, 3, 8, 8), QuickLayers(module, "cpu", "bf16"))
    assert weights == [half, half, single, single]
    assert outputs == [half] * 4


@pytest.mark.parametrize(
    ("device", "precision", "training"), [("cpu", "fp32", True), ("cuda", "bf16", True), ("cpu", "bf16", False)]
)
def test_other_devices_precisions_and_inference_change_nothing(device, precision, training):
    module = Convolutions()
    weights, _ = formats(module, torch.rand(2, 3, 8, 8), QuickLayers(module, device, precision, training))
    assert weights == [torch.bfloat16] * 4


def test_gradients_are_closer_to_those_of_fp32():
    torch.manual_seed(0)
    module, images = Convolutions(), torch.rand(4, 3, 16, 16)

    def gradient(quick_layers, enabled):
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled), quick_layers:
            outputs = module(images)
        outputs.float().square().sum().backward()
        return module[3].weight.grad.clone()

    stock, quick_layers = QuickLayers(module, "cpu", "fp32"), QuickLayers(module, "cpu", "bf16")
    exact, half, mixed = gradient(stock, False), gradient(stock, True), gradient(quick_layers, True)
    assert (mixed - exact).norm() <= (half - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize(("tokens", "plain"), [(SHORT, True), (SHORT + 1, False)])
@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_over_short_sequences_is_plain_and_gives_the_same_outputs(monkeypatch, tokens, plain, batch_first):
    torch.manual_seed(0)
    attention, used = nn.MultiheadAttention(8, 2, batch_first=batch_first), []
    attention_forward = nn.functional.multi_head_attention_forward

    def watched(*arguments, **options):
        used.append(_cur_sdpa_kernel_backends())
        return attention_forward(*arguments, **options)

    monkeypatch.setattr(nn.functional, "multi_head_attention_forward", watched)
    vectors = torch.rand(2, tokens, 8) if batch_first else torch.rand(tokens, 2, 8)
    expected, _ = attention(vectors, vectors, vectors, need_weights=False)
    with QuickLayers(attention, "cpu", "bf16"):
        outputs, _ = attention(vectors, vectors, vectors, need_weights=False)
    assert (used[1] == [SDPBackend.MATH]) == plain
    assert torch.allclose(outputs, expected, atol=1e-6)


def test_the_context_restores_the_module_and_can_be_entered_again():
    module = Convolutions()
    quick_layers = QuickLayers(module, "cpu", "bf16")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), quick_layers:
            assert "forward" in vars(module[2])
            raise ZeroDivisionError
        assert all("forward" not in vars(layer) for layer in copy.deepcopy(module).modules())
