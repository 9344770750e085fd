"""Outputs of a network for rows of a task, without training."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from variability.data.inputs import Inputs
from variability.training import memory
from variability.training.cpu_kernels.quick import QuickLayers

# Fixed, because a convolution may sum in another order for another batch size. Smaller only where memory runs out.
BATCH = 256


def _unchanged(outputs: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    return outputs


@torch.inference_mode()
def outputs(
    module: nn.Module,
    inputs: Inputs,
    rows: np.ndarray,
    summary: Callable[[torch.Tensor, np.ndarray], torch.Tensor] = _unchanged,
) -> torch.Tensor:
    """Return the outputs of a module in eval mode for rows, in fp32: (rows, ...) on the CPU, in the order of ``rows``.

    module: a whole network, or the part of it that ``inputs`` are for, on their device. summary: reduces a batch's
    outputs, on the device, to the part that evaluation needs, one entry per row; it also takes the batch's rows.
    """

    def summaries_of(part: np.ndarray) -> torch.Tensor:
        return summary(_batch_outputs(module, inputs, rows[part]), rows[part]).float().cpu()

    with QuickLayers(module, inputs.device, "fp32", training=False):
        computed = list(memory.in_fitting_parts(inputs.parts(rows, BATCH), summaries_of, inputs.device))
    parts, batches = [part for part, _ in computed], [batch for _, batch in computed]
    joined = torch.cat(batches)
    ordered = torch.empty_like(joined)
    ordered[torch.from_numpy(np.concatenate(parts))] = joined
    return ordered


def _batch_outputs(module: nn.Module, inputs: Inputs, rows: np.ndarray) -> torch.Tensor:
    batch = inputs.plain(rows)
    # Stored activations may be in half precision; tokens are integers and stay so.
    return inputs.candidates(module(batch.float() if batch.is_floating_point() else batch), rows)
