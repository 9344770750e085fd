import pytest
import torch
from torch.nn import functional
from torchvision.ops import stochastic_depth

from variability import seeding
from variability.training.whole_batch_sampling import WholeBatchSampling

PARTS = [(0, 3), (3, 6), (6, 7)]


def residual_rand(inputs):
    """Stochastic depth as Transformers computes it."""
    keep = 0.5 + torch.rand((inputs.shape[0], 1, 1), dtype=inputs.dtype)
    return inputs * keep.floor()


def attention(inputs):
    heads = inputs[:, None]
    return functional.scaled_dot_product_attention(heads, heads, heads, dropout_p=0.5)


def windows(inputs):
    """Dropout of two windows per example, as in a Swin transformer."""
    return functional.dropout(inputs.reshape(2 * len(inputs), -1), 0.5).reshape(inputs.shape)


def channels_last(inputs):
    images = inputs.reshape(len(inputs), 3, 2, 2).contiguous(memory_format=torch.channels_last)
    return functional.dropout(images, 0.5).contiguous()


CHANGES = {
    "dropout": lambda inputs: functional.dropout(inputs, 0.5),
    "in place": lambda inputs: functional.dropout(inputs.clone(), 0.5, inplace=True),
    "of channels": lambda inputs: functional.dropout1d(inputs, 0.5),
    "fused": lambda inputs: torch.native_dropout(inputs, 0.5, True)[0],
    "all": lambda inputs: torch.native_dropout(inputs, 1.0, True)[0],
    "depth": lambda inputs: stochastic_depth(inputs, 0.5, "row"),
    "rand": residual_rand,
    "attention": attention,
    "windows": windows,
    "channels last": channels_last,
    "noise": lambda inputs: torch.randn_like(inputs) + torch.rand_like(inputs) + torch.empty_like(inputs).uniform_(),
    "two layers": lambda inputs: functional.dropout(functional.dropout(inputs, 0.5) + 1, 0.2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_parts_get_the_random_numbers_of_the_whole_batch(change):
    inputs = torch.arange(7 * 12.0).reshape(7, 4, 3) + 1
    with seeding.dropout(3, 1).torch_global():
        whole = change(inputs)
        after = torch.get_rng_state()
    parts = []
    for start, stop in PARTS:
        with seeding.dropout(3, 1).torch_global(), WholeBatchSampling(start, stop, 7):
            parts.append(change(inputs[start:stop]))
            assert torch.equal(torch.get_rng_state(), after)
    torch.testing.assert_close(torch.cat(parts), whole)


def test_gradients_pass_through_the_masks_of_the_part():
    inputs = torch.ones(2, 50, requires_grad=True)
    for change in ("dropout", "fused"):
        with seeding.dropout(0, 1).torch_global(), WholeBatchSampling(2, 4, 8):
            outputs = CHANGES[change](inputs)
        (gradient,) = torch.autograd.grad(outputs.sum(), inputs)
        assert set(gradient.unique().tolist()) == {0.0, 2.0} and torch.equal(gradient, outputs.detach())


def test_nothing_is_held_of_the_rest_of_the_batch():
    inputs = torch.ones(1, 8, requires_grad=True)
    for change in ("dropout", "fused"):
        with WholeBatchSampling(0, 1, 1000):
            outputs = CHANGES[change](inputs)
        saved = [getattr(outputs.grad_fn, name) for name in dir(outputs.grad_fn) if name.startswith("_saved_")]
        sizes = [value.untyped_storage().nbytes() for value in saved if isinstance(value, torch.Tensor)]
        assert sizes and max(sizes) <= 8 * 4


def test_tensors_that_do_not_count_examples_get_numbers_of_their_own():
    with WholeBatchSampling(0, 4, 8):
        assert functional.dropout(torch.ones(5, 2), 0.5).shape == (5, 2)
        assert torch.rand(()).shape == ()
