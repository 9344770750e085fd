"""Files of weights: reading tensors without running any code that a file holds, and writing safetensors.

Imports without torch: the providers import this module, and the config check imports the providers.
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from variability.advice import plural
from variability.errors import UserError
from variability.io import zip_files

#: Longest name of a tensor in characters; messages contain names.
_LONGEST_NAME = 1000
_NESTED = ("state_dict", "model_state_dict", "model")


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tensors of a .safetensors, .pth, .pt or .th file, on the CPU, and its module versions ({} if unknown).

    A state dict that a training script wrapped (``{"state_dict": ...}``, names starting with ``module.``) is unwrapped.
    Raises UserError if the file cannot be read, expands to more than it holds, or has anything but ordinary tensors
    with names and numbers.
    """
    loaded = _read_safetensors(path) if Path(path).suffix == ".safetensors" else _read_pickled(path)
    if isinstance(loaded, dict):
        loaded = next((loaded[key] for key in _NESTED if isinstance(loaded.get(key), dict)), loaded)
    tensors = _only_tensors(path, loaded)
    for name, tensor in tensors.items():
        if problem := _problem(tensor):
            raise UserError(f"{path} is refused: its tensor {name!r} {problem}")
    versions = _versions(loaded)
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


def equal_tensors(path: Path, tensors: Mapping[str, Any]) -> list[str]:
    """Return the sorted names of torch tensors that a safetensors file holds, too, of the same type, shape and bits."""
    import safetensors

    with safetensors.safe_open(path, framework="pt") as file:
        names = sorted(tensors.keys() & set(file.keys()))
        return [name for name in names if _have_same_bits(file.get_tensor(name), tensors[name])]


def holds_exactly(path: Path, tensors: Mapping[str, Any]) -> bool:
    """Return whether a file is a safetensors file of these torch tensors and no others, bit for bit."""
    import numpy as np
    import safetensors

    if Path(path).suffix != ".safetensors" or any(isinstance(value, np.ndarray) for value in tensors.values()):
        return False
    with safetensors.safe_open(path, framework="pt") as file:
        names = set(file.keys())
    return names == tensors.keys() and len(equal_tensors(path, tensors)) == len(tensors)


def _have_same_bits(first: Any, second: Any) -> bool:
    import numpy as np
    import torch

    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    first, second = (tensor.detach().cpu().contiguous().reshape(-1) for tensor in (first, second))
    return np.array_equal(first.view(torch.uint8).numpy(), second.view(torch.uint8).numpy())


def _read_safetensors(path: Path) -> Any:
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path)
    # A header may state anything, for which the library raises many exceptions.
    except Exception as error:
        if isinstance(error, FileNotFoundError | PermissionError | MemoryError):
            raise
        raise UserError(f"{path} cannot be read as safetensors ({error}); fetch or copy it again") from error


def _read_pickled(path: Path) -> Any:
    import torch

    try:
        if zipfile.is_zipfile(path) and (trap := zip_files.expansion_problem(path, Path(path).stat().st_size)):
            raise UserError(f"{path} is refused: {trap.rpartition('; ')[0] or trap}; save it as .safetensors")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About sparse tensors, which are refused below.
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is damaged, or has Python objects in addition to tensors, and loading those can "
            "run any code. If you trust its source, save only its state dict as .safetensors and use that file"
        ) from error
    # Damaged files make the library raise nearly every exception.
    except Exception as error:
        if isinstance(error, FileNotFoundError | PermissionError | MemoryError):
            raise
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise UserError(f"{path} cannot be read as PyTorch weights ({reason}); fetch or copy it again") from error


def _only_tensors(path: Path, loaded: Any) -> dict[str, Any]:
    import torch

    if not isinstance(loaded, dict):
        raise UserError(
            f"{path} has a {type(loaded).__name__} instead of a state dict; save model.state_dict() and use that"
        )
    if not loaded:
        raise UserError(f"{path} has no tensors; save model.state_dict() and use that")
    for name, value in loaded.items():
        if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
            raise UserError(f"{path} is refused: {_named(name)}; save model.state_dict() and use that")
        if not isinstance(value, torch.Tensor):
            raise UserError(f"{path} has {name!r}, which is not a tensor; save only model.state_dict() and use that")
    return dict(loaded)


def _named(name: Any) -> str:
    if not isinstance(name, str):
        return f"a tensor has the name {str(name)[:40]}, a {type(name).__name__} instead of text"
    if name.strip():
        return f"a tensor has a name of {len(name)} characters, which begins with {name[:40]!r}"
    return "a tensor has no name"


def _problem(tensor: Any) -> str | None:
    """Return the problem with a tensor that no network has among its weights; None if it is ordinary."""
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta" or tensor.is_complex():
        kind = "has no content" if tensor.device.type == "meta" else "is sparse, nested, quantised or complex"
        return f"{kind}; save a network of ordinary tensors"
    # A view repeats its values without storing them again, and takes their full size where it is copied.
    stored = tensor.untyped_storage().nbytes() // max(tensor.element_size(), 1)
    if tensor.numel() > stored:
        return (
            f"has {plural(tensor.numel(), 'value')}, of which the file holds {stored}; save it as a tensor of its own"
        )
    if not tensor.is_floating_point():
        return None
    try:
        values = tensor.float() if tensor.element_size() == 1 else tensor
    except NotImplementedError:
        return f"has the type {tensor.dtype}, which cannot be converted; save it in half or full precision"
    # The sum is quick. Minus infinity is what masks of attention hold.
    if not values.sum(dtype=torch.float64).isfinite() and bool((values.isnan() | (values == torch.inf)).any()):
        return "has values that are NaN or infinite, and so would all predictions; use another checkpoint"
    return None


def _versions(loaded: Any) -> dict[str, Any]:
    """Return the versions of modules that a state dict has, {} if it has none or they are damaged."""
    versions = getattr(loaded, "_metadata", None)
    if not isinstance(versions, dict):
        return {}
    return {name: version for name, version in versions.items() if isinstance(name, str) and isinstance(version, dict)}
