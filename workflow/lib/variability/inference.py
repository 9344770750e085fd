"""What a network says of rows of a task, without training it."""

import numpy as np
import torch
from torch import nn

from variability.inputs import Inputs

# Fixed: a convolution's sums may be taken in another order for another batch size.
BATCH = 256


@torch.inference_mode()
def outputs(module: nn.Module, inputs: Inputs, rows: np.ndarray) -> torch.Tensor:
    """Outputs of a module that is on its device and in eval mode, in fp32: (rows, ...) on the CPU.

    module: a whole network, or the part of it that ``inputs`` are for. rows: indices whose order is kept.
    """
    said = [module(inputs.plain(rows[at : at + BATCH]).float()) for at in range(0, len(rows), BATCH)]
    return torch.cat(said).float().cpu()
