"""Pretrained tensors into a network: all that its backbone has, or none."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from variability.errors import UserError
from variability.models.networks import replace_head


def load_strictly(
    module: nn.Module,
    head: str,
    tensors: Mapping[str, Any],
    versions: Mapping[str, Any],
    said: str,
    remedy: Callable[[], str],
) -> dict[str, Any]:
    """Loads a whole network; the head takes the file's number of outputs.

    Tensors of a backbone alone may lack the head, which is then left as it is. head: its dotted name. versions: of the
    modules when they were saved, {} if unknown. said: begins the message, such as "x.pth does not fit torchvision's
    resnet18"; remedy: ends it. Returns the state dict, without the head where the tensors lack it. Raises UserError
    naming the tensors that are missing, unexpected or of another shape.
    """
    weight = f"{head}.weight"
    headless = not any(name.startswith(f"{head}.") for name in tensors)
    if weight in tensors and tensors[weight].shape[1:] == module.get_parameter(weight).shape[1:]:
        replace_head(module, len(tensors[weight]), head)
    wanted = module.state_dict()
    reshaped = [
        f"{name} ({_times(tensors[name])}, not {_times(wanted[name])})"
        for name in wanted
        if name in tensors and tensors[name].shape != wanted[name].shape
    ]
    missing, unexpected = [], []
    if not reshaped:
        state = _Versioned(tensors)
        # Modules rename the tensors of old versions; a file without versions is taken as the root's present one.
        state._metadata = {"": {"version": module._version}} | versions
        result = module.load_state_dict(state, strict=False)
        # Counters that files before PyTorch 0.4.1 lack; nothing reads them while BatchNorm has a momentum.
        missing = [name for name in result.missing_keys if not name.endswith("num_batches_tracked")]
        missing = [name for name in missing if not (headless and name.startswith(f"{head}."))]
        unexpected = result.unexpected_keys
    if reshaped or missing or unexpected:
        wrong = {"of another shape": reshaped, "missing": missing, "unexpected": unexpected}
        listed = "; ".join(f"{len(names)} {what}: {_first(names)}" for what, names in wrong.items() if names)
        raise UserError(f"{said}: tensors {listed}. {remedy()}")
    return {name: each for name, each in module.state_dict().items() if not (headless and name.startswith(f"{head}."))}


class _Versioned(dict):
    """A state dict that carries the versions of the modules it was saved from, as torch's own do."""

    _metadata: dict[str, Any]


def _times(tensor: Any) -> str:
    return "x".join(map(str, tensor.shape))


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
