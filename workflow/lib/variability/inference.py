"""What a network says of rows of images, without training it."""

from collections.abc import Callable

import numpy as np
import torch

from variability.networks import Network

# Fixed: a convolution's sums may be taken in another order for another batch size.
BATCH = 128


@torch.inference_mode()
def outputs(
    network: Network,
    images: np.ndarray,
    rows: np.ndarray,
    preprocess: Callable[[torch.Tensor], torch.Tensor],
    device: str,
) -> torch.Tensor:
    """Outputs of a network that is on ``device``, in eval mode and fp32: (rows, outputs) on the CPU.

    images: (n, channels, size, size) uint8. rows: indices into it, whose order is kept.
    """
    network.module.eval()
    said = [
        network.module(preprocess(batch(images, rows[at : at + BATCH], device))) for at in range(0, len(rows), BATCH)
    ]
    return torch.cat(said).float().cpu()


def batch(images: np.ndarray, rows: np.ndarray, device: str) -> torch.Tensor:
    """Rows of an array or memory map of images as a tensor on a device."""
    return torch.from_numpy(np.asarray(images[rows])).to(device)
