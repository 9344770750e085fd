import copy

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from variability.training.cpu_kernels.quick import SHORT, QuickLayers


class Convolutions(nn.Sequential):
    """A plain one, a quick depthwise one, one that strides and a wide one."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 8, 3, 2, padding=1, groups=8),
            nn.Conv2d(8, 8, 5, padding=2, groups=8),
        )


def formats(module, images, quick):
    """Number formats that each layer's weights come into its sums in, and those of its outputs."""
    weights, outputs = [], []
    hooks = [part.register_forward_hook(lambda *told: outputs.append(told[2].dtype)) for part in module]
    usual = nn.Conv2d._conv_forward

    def watched(self, given, weight, bias):
        weights.append(torch.bfloat16 if torch.is_autocast_enabled("cpu") else given.dtype)
        return usual(self, given, weight, bias)

    nn.Conv2d._conv_forward = watched
    try:
        with torch.autocast("cpu", torch.bfloat16), quick:
            module(images)
    finally:
        nn.Conv2d._conv_forward = usual
        for hook in hooks:
            hook.remove()
    return weights, outputs


def test_in_bf16_depthwise_convolutions_that_stride_or_are_wide_are_computed_in_fp32():
    module, half, single = Convolutions(), torch.bfloat16, torch.float32
    weights, outputs = formats(module, torch.rand(2, 3, 8, 8), QuickLayers(module, "cpu", "bf16"))
    assert weights == [half, half, single, single]
    assert outputs == [half] * 4


@pytest.mark.parametrize(
    ("device", "precision", "training"), [("cpu", "fp32", True), ("cuda", "bf16", True), ("cpu", "bf16", False)]
)
def test_elsewhere_all_stays_as_it_is(device, precision, training):
    module = Convolutions()
    weights, _ = formats(module, torch.rand(2, 3, 8, 8), QuickLayers(module, device, precision, training))
    assert weights == [torch.bfloat16] * 4


def test_gradients_are_nearer_to_those_of_fp32():
    torch.manual_seed(0)
    module, images = Convolutions(), torch.rand(4, 3, 16, 16)

    def gradient(quick, enabled):
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled), quick:
            outputs = module(images)
        outputs.float().square().sum().backward()
        return module[3].weight.grad.clone()

    nothing, quick = QuickLayers(module, "cpu", "fp32"), QuickLayers(module, "cpu", "bf16")
    exact, half, mixed = gradient(nothing, False), gradient(nothing, True), gradient(quick, True)
    assert (mixed - exact).norm() <= (half - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize(("tokens", "plain"), [(SHORT, True), (SHORT + 1, False)])
@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_over_short_sequences_is_plain_and_says_the_same(monkeypatch, tokens, plain, batch_first):
    torch.manual_seed(0)
    attention, used = nn.MultiheadAttention(8, 2, batch_first=batch_first), []
    usual = nn.functional.multi_head_attention_forward

    def watched(*given, **options):
        used.append(_cur_sdpa_kernel_backends())
        return usual(*given, **options)

    monkeypatch.setattr(nn.functional, "multi_head_attention_forward", watched)
    shown = torch.rand(2, tokens, 8) if batch_first else torch.rand(tokens, 2, 8)
    expected, _ = attention(shown, shown, shown, need_weights=False)
    with QuickLayers(attention, "cpu", "bf16"):
        found, _ = attention(shown, shown, shown, need_weights=False)
    assert (used[1] == [SDPBackend.MATH]) == plain
    assert torch.allclose(found, expected, atol=1e-6)


def test_after_the_context_the_module_is_as_before_and_it_may_be_entered_again():
    module = Convolutions()
    quick = QuickLayers(module, "cpu", "bf16")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), quick:
            assert "forward" in vars(module[2])
            raise ZeroDivisionError
        assert all("forward" not in vars(part) for part in copy.deepcopy(module).modules())
