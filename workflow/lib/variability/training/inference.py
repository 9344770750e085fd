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
    return in_order(outputs_of_parts(module, inputs, rows, inputs.parts(rows, BATCH), summary))


@torch.inference_mode()
def outputs_of_parts(
    module: nn.Module,
    inputs: Inputs,
    rows: np.ndarray,
    parts: list[np.ndarray],
    summary: Callable[[torch.Tensor, np.ndarray], torch.Tensor] = _unchanged,
) -> list[tuple[np.ndarray, torch.Tensor]]:
    """Return the outputs of some parts of ``Inputs.parts``: (their positions in ``rows``, their outputs), ....

    The other parameters and the outputs are as of ``outputs``. Parts for which memory runs out are returned in halves.
    """

    def summaries_of(part: np.ndarray) -> torch.Tensor:
        return summary(_batch_outputs(module, inputs, rows[part]), rows[part]).float().cpu()

    with QuickLayers(module, inputs.device, "fp32", training=False):
        return list(memory.in_fitting_parts(parts, summaries_of, inputs.device))


@torch.inference_mode()
def in_order(computed: list[tuple[np.ndarray, torch.Tensor]]) -> torch.Tensor:
    """Return the outputs of parts, whose positions together are 0 .. n - 1, in the order of these: (n, ...)."""
    joined = torch.cat([batch for _, batch in computed])
    ordered = torch.empty_like(joined)
    ordered[torch.from_numpy(np.concatenate([positions for positions, _ in computed]))] = joined
    return ordered


def _batch_outputs(module: nn.Module, inputs: Inputs, rows: np.ndarray) -> torch.Tensor:
    batch = inputs.plain(rows)
    # Stored activations may be in half precision; tokens are integers and stay so.
    return inputs.candidates(module(batch.float() if batch.is_floating_point() else batch), rows)
