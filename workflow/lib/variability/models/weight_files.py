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
    """Return the tensors of a .safetensors, .pth, .pt or .th file, on the CPU, and its module versions ({} if unknown).

    A state dict that a training script wrapped (``{"state_dict": ...}``, names starting with ``module.``) is unwrapped.
    Raises UserError if the file cannot be read, or has anything but tensors.
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
    """Write a safetensors file of torch tensors or of NumPy arrays."""
    import numpy as np

    if all(isinstance(value, np.ndarray) for value in tensors.values()):
        import safetensors.numpy

        safetensors.numpy.save_file({name: np.asarray(array, order="C") for name, array in tensors.items()}, path)
    else:
        import safetensors.torch

        safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


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
            f"{path} is refused: it is damaged, or has Python objects in addition to tensors, and loading those can "
            "run any code. If you trust its source, save only its state dict as .safetensors and use that file"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as PyTorch weights ({error}); fetch or copy it again") from error


def _only_tensors(path: Path, loaded: Any) -> dict[str, Any]:
    import torch

    if not isinstance(loaded, dict) or not loaded:
        raise UserError(
            f"{path} has a {type(loaded).__name__} instead of a state dict; save model.state_dict() and use that"
        )
    others = [name for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise UserError(f"{path} has {others[0]!r}, which is not a tensor; save only model.state_dict() and use that")
    return dict(loaded)
