"""What a network says of rows of a task, without training it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from variability.data.inputs import Inputs
from variability.training.cpu_kernels.quick import QuickLayers

# Fixed: a convolution's sums may be taken in another order for another batch size.
BATCH = 256


@torch.inference_mode()
def outputs(
    module: nn.Module,
    inputs: Inputs,
    rows: np.ndarray,
    summary: Callable[[torch.Tensor, np.ndarray], torch.Tensor] = lambda said, rows: said,
) -> torch.Tensor:
    """Outputs of a module that is on its device and in eval mode, in fp32: (rows, ...) on the CPU, in the rows' order.

    module: a whole network, or the part of it that ``inputs`` are for. summary: what is kept of a batch's outputs on
    the device and of its rows, one entry a row.
    """
    parts = inputs.parts(rows, BATCH)
    with QuickLayers(module, inputs.device, "fp32", training=False):
        said = [summary(_of(module, inputs, rows[part]), rows[part]).float().cpu() for part in parts]
    ordered = torch.empty_like(joined := torch.cat(said))
    ordered[torch.from_numpy(np.concatenate(parts))] = joined
    return ordered


def _of(module: nn.Module, inputs: Inputs, rows: np.ndarray) -> torch.Tensor:
    batch = inputs.plain(rows)
    # Stored activations may be in half precision; tokens are no numbers.
    return inputs.candidates(module(batch.float() if batch.is_floating_point() else batch), rows)
