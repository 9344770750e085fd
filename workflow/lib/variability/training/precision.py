"""Number formats of training and of stored activations."""

import torch

from variability.errors import UserError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: str, precision: str) -> torch.autocast:
    """Return a context in which operations that are safe in half precision are computed in it, the others in fp32."""
    return torch.autocast(torch.device(device).type, DTYPES[precision], enabled=precision != "fp32")


def require(device: str, precision: str) -> None:
    """Raise UserError if the device lacks a recipe's precision."""
    device_type = torch.device(device).type
    if precision == "fp16" and device_type != "cuda":
        raise UserError(f"recipe.precision: fp16 needs a CUDA device, this run is on {device}; use fp32 or bf16")
    if precision == "bf16" and device_type == "cuda" and not torch.cuda.is_bf16_supported():
        name = torch.cuda.get_device_name(device)
        raise UserError(f"recipe.precision: bf16 is not supported by {name}; use fp16 or fp32")
