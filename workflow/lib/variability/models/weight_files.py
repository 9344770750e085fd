"""Files of weights: reading tensors without running any code that a file holds, and writing safetensors.

Imports without torch: the providers import this module, and the config check imports the providers.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from variability.errors import UserError

_NESTED = ("state_dict", "model_state_dict", "model")


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors of a state dict in a .safetensors, .pth or .pt file, on the CPU, and its module versions ({} if unknown).

    A state dict wrapped as training scripts do (``{"state_dict": ...}``, names starting with ``module.``) is unwrapped.
    Raises UserError if the file cannot be read, or holds anything but tensors.
    """
    loaded = _read_safetensors(path) if Path(path).suffix == ".safetensors" else _read_pickled(path)
    if isinstance(loaded, dict):
        loaded = next((loaded[key] for key in _NESTED if isinstance(loaded.get(key), dict)), loaded)
    versions = dict(getattr(loaded, "_metadata", {}))
    tensors = _only_tensors(path, loaded)
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
        versions = {name.removeprefix("module").removeprefix("."): version for name, version in versions.items()}
    return tensors, versions


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Writes a safetensors file of tensors of torch, or of NumPy arrays."""
    import numpy as np

    if all(isinstance(each, np.ndarray) for each in tensors.values()):
        import safetensors.numpy

        safetensors.numpy.save_file({name: np.asarray(each, order="C") for name, each in tensors.items()}, path)
    else:
        import safetensors.torch

        safetensors.torch.save_file({name: each.contiguous() for name, each in tensors.items()}, path)


def _read_safetensors(path: Path) -> Any:
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({error}); fetch or copy it again") from error


def _read_pickled(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is damaged, or holds Python objects beside tensors, and loading those can run any "
            "code. If you trust its source, save its state dict alone as .safetensors and give that file"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as PyTorch weights ({error}); fetch or copy it again") from error


def _only_tensors(path: Path, loaded: Any) -> dict[str, Any]:
    import torch

    if not isinstance(loaded, dict) or not loaded:
        raise UserError(
            f"{path} holds no state dict but a {type(loaded).__name__}; save model.state_dict() and give that"
        )
    other = [name for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if other:
        raise UserError(f"{path} holds {other[0]!r}, which is no tensor; save model.state_dict() alone and give that")
    return dict(loaded)
