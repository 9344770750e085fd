"""Loading pretrained tensors into a network, all of its backbone or none."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from variability.advice import plural
from variability.errors import UserError
from variability.models.networks import replace_head


def load_strictly(
    module: nn.Module,
    head: str,
    tensors: Mapping[str, Any],
    versions: Mapping[str, Any],
    message: str,
    advice: Callable[[], str],
) -> dict[str, Any]:
    """Load a whole network in place; the head gets the file's number of outputs.

    If the tensors are of a backbone without a head, the head is not changed. head: its dotted name. versions: of the
    modules when they were saved, {} if unknown. message: begins the error, such as "x.pth does not fit torchvision's
    resnet18"; advice: ends it. Returns the state dict, without the head if the tensors lack it. Raises UserError
    that names the tensors that are missing, unexpected or of another shape.
    """
    weight = f"{head}.weight"
    headless = not any(name.startswith(f"{head}.") for name in tensors)
    rows = tensors[weight].shape[1:] if weight in tensors and tensors[weight].numel() else None
    if rows == module.get_parameter(weight).shape[1:]:
        replace_head(module, len(tensors[weight]), head)
    expected = module.state_dict()
    reshaped = [
        f"{name} ({_times(tensors[name])}, not {_times(expected[name])})"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    missing: list[str] = []
    unexpected: list[str] = []
    if not reshaped:
        state = _Versioned(tensors)
        # Modules rename the tensors of their old versions; a file without versions is read as the current version.
        state._metadata = {"": {"version": module._version}} | versions
        result = module.load_state_dict(state, strict=False)
        # Files from before PyTorch 0.4.1 lack these counters; nothing reads them if BatchNorm has a momentum.
        missing = [name for name in result.missing_keys if not name.endswith("num_batches_tracked")]
        missing = [name for name in missing if not (headless and name.startswith(f"{head}."))]
        unexpected = result.unexpected_keys
    if reshaped or missing or unexpected:
        wrong = {"of another shape": reshaped, "missing": missing, "unexpected": unexpected}
        listed = (f"{plural(len(each), 'tensor')} {problem}: {_first(each)}" for problem, each in wrong.items() if each)
        raise UserError(f"{message}: {'; '.join(listed)}. {advice()}")
    state = module.state_dict()
    return {name: tensor for name, tensor in state.items() if not (headless and name.startswith(f"{head}."))}


class _Versioned(dict):
    """A state dict with the versions of the modules it was saved from, like torch's own."""

    _metadata: dict[str, Any]


def _times(tensor: Any) -> str:
    return "x".join(map(str, tensor.shape))


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
