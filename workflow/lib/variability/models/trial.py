"""Trial of networks before the first job: building, a forward pass, and a training step of each method.

Shapes are computed on torch's meta device, which takes a fraction of a second for any network. A trial that fails there
is repeated on the CPU, with numbers, so that only what cannot be computed is reported. Runs in a process of its own,
which the config check starts: ``python -c "from variability.models import trial; trial.main()" requests answers``.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import nn

from variability import registry, seeding
from variability.advice import plural
from variability.errors import UserError
from variability.io import files
from variability.models import methods, networks
from variability.models.networks import Network

#: Problem of a trial: the key that it concerns, relative to the model ("", "options.<name>", "size"), "method", "batch"
#: or "gpus"; and a message.
Answer = dict[str, str] | None

#: Sides of images that are tried if an image is too small for a network, in pixels.
_SIDES = (32, 48, 64, 96, 128, 160, 192, 224, 256, 384, 448)
#: Factor between outputs of a head: a power of two scales without rounding, a negative one shows a ReLU, a large one
#: a bound such as that of ``clamp``.
_FACTOR = -1024.0


class Failure(Exception):
    """A network that cannot be used; the message is the reason."""


def main() -> None:
    """Read requests from the first file of the command line and write an answer to each to the second."""
    source, target = sys.argv[1:]
    files.write_json(target, [answer(request) for request in files.read_json(source)])


def answer(request: Mapping[str, Any]) -> Answer:
    """Return the problem of a request, None if it has none.

    request: {model: entry of the config, size: side of the task's images, outputs: units of the head, method: entry of
    the config or None, batch: images in the smallest training batch}. Without a method the network is built and
    evaluated, otherwise the method is applied to it and trained for one step. shared: whether several processes train a
    run together; left out if not.
    """
    if request["method"]:
        return _try_method(request, "meta") and _try_method(request, "cpu")
    error = _try_network(request, "meta") and _try_network(request, "cpu")
    return error and _described(request, error)


def _try_network(request: Mapping[str, Any], device: str) -> Exception | None:
    """Return the UserError or Failure of building and evaluating a network; None if it can be used."""
    try:
        network, side = _built(request, device)
        _evaluate(network, request, side, device)
    except (UserError, Failure) as error:
        return error
    return None


def _try_method(request: Mapping[str, Any], device: str) -> Answer:
    method, last = methods.from_entry(request["method"]), _LastCalled()
    try:
        network, side = _built(request, device)
        network = method.attach(network)
        trainable = method.trainable(network)
        networks.freeze(network, trainable)
        networks.train_mode(network, trainable, method.active(network))
        if request.get("shared") and (layer := networks.batch_normalisation(network.module)):
            message = methods.shared_batch_message(request["model"]["architecture"], layer)
            return {"key": "gpus", "message": message}
        with last.watching(network.module):
            outputs = network.module(torch.zeros(request["batch"], 3, side, side, device=device))
        _require_shape(outputs, (request["batch"], request["outputs"]), f"{plural(side, 'pixel')} in training")
        outputs.sum().backward()
    except UserError as error:
        return {"key": "method", "message": str(error).removeprefix("methods: ")}
    except Failure as error:
        return {"key": "method", "message": f"{request['model']['architecture']} {error}; leave it out (grid.exclude)"}
    except Exception as error:
        # The code of the network, or of an adapter, may raise any exception.
        if methods.ONE_VALUE in str(error):
            return {"key": "batch", "message": methods.one_value_message(request["model"]["architecture"], last.name)}
        name = request["model"]["architecture"]
        return {
            "key": "method",
            "message": f"{name} cannot be trained by this method ({_reason(error)}); leave it out (grid.exclude)",
        }
    return None


def _built(request: Mapping[str, Any], device: str) -> tuple[Network, int]:
    """Return the request's network with undefined weights, and the side of its input."""
    model = {"name": "trial", "preprocess": {}} | dict(request["model"])
    provider = registry.find("providers", model["provider"])(model)
    side = provider.preprocess(request["size"])["size"]
    try:
        with torch.device(device), _without_sampling() if device == "meta" else contextlib.nullcontext():
            return provider.build(request["outputs"], None, 0, {"size": request["size"]}), side
    except UserError:
        raise
    except Exception as error:
        # The libraries check few of their options.
        raise Failure(f"cannot be built ({_reason(error)})") from error


@torch.no_grad()
def _evaluate(network: Network, request: Mapping[str, Any], side: int, device: str) -> None:
    """Raise Failure unless the network returns outputs for 1 and 2 images, which are linear in those of its head."""
    module = network.module.eval()
    for batch in (2, 1):
        images = torch.zeros(batch, 3, side, side, device=device)
        values: list[torch.Tensor] = []
        try:
            first, second = (_outputs_behind_head(module, network.head, images, values, by) for by in (1.0, _FACTOR))
        except Exception as error:
            raise Failure(f"cannot compute images of {plural(side, 'pixel')} ({_reason(error)})") from error
        _require_shape(first, (batch, request["outputs"]), plural(side, "pixel"))
        if not values:
            raise Failure(f"does not call its head {network.head!r}; the head is the layer that computes the outputs")
        if first.device.type != "meta" and not torch.allclose(second, _FACTOR * first, rtol=1e-4, atol=1e-5):
            raise Failure(
                f"changes the outputs of its head {network.head!r} by a function that is not linear, such as a ReLU or "
                "a softmax; end it with the head: the loss is computed from the head's own outputs"
            )


def _require_shape(outputs: Any, shape: tuple[int, int], images: str) -> None:
    """Raise Failure unless the outputs are one tensor of this shape. images: a description of the images."""
    if not isinstance(outputs, torch.Tensor):
        kind = type(outputs).__name__
        raise Failure(
            f"returns a {kind} for images of {images} instead of one tensor, {plural(shape[1], 'number')} per image"
        )
    if tuple(outputs.shape) != shape:
        raise Failure(
            f"returns a tensor of shape {tuple(outputs.shape)} for {plural(shape[0], 'image')} of {images} instead of "
            f"{shape}, {plural(shape[1], 'number')} per image"
        )


def _outputs_behind_head(
    module: nn.Module, head: str, images: torch.Tensor, values: list[torch.Tensor], factor: float
) -> Any:
    """Return the network's outputs if those of its head are replaced by ``values``, random numbers, times a factor.

    values: sampled at the first call. They are on the CPU whatever the network's device, so what follows is computed.
    """

    def replace(_module: nn.Module, _arguments: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        if not values:
            values.append(torch.randn(output.shape, generator=seeding.head(0).torch_generator(), device="cpu"))
        return factor * values[0]

    hook = module.get_submodule(head).register_forward_hook(replace)
    try:
        return module(images)
    finally:
        hook.remove()


def _described(request: Mapping[str, Any], error: Exception) -> dict[str, str]:
    """Return the answer for a network that cannot be used, with the option or the size that is to blame."""
    model, message = request["model"], str(error).removeprefix("models: ")
    if isinstance(error, Failure):
        message = f"{model['architecture']} {message}"
    for option, value in model["options"].items():
        others = {key: other for key, other in model["options"].items() if key != option}
        if _passes({**request, "model": {**model, "options": others}}):
            if isinstance(error, Failure):
                message = f"with {value!r} {message}; remove the option, or choose another value"
            return {"key": f"options.{option}", "message": message}
    preprocess = model.get("preprocess", {})
    for side in _SIDES:
        larger = {**request, "size": side, "model": {**model, "preprocess": {**preprocess, "size": side}}}
        if side > preprocess.get("size", request["size"]) and _passes(larger):
            return {"key": "size", "message": f"{message}; it can compute images of {plural(side, 'pixel')}"}
    advice = "; correct its options, or choose another architecture" if isinstance(error, Failure) else ""
    return {"key": "", "message": f"{message}{advice}"}


def _passes(request: Mapping[str, Any]) -> bool:
    error = _try_network(request, "meta")
    # Few networks cannot be built without numbers.
    return error is None or ("meta" in str(error) and _try_network(request, "cpu") is None)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class _LastCalled:
    """Name of the normalisation that was called last while it was watching a module."""

    def __init__(self) -> None:
        self.name = ""

    @contextlib.contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        """Note the names of the normalisations that the module calls in the ``with`` block."""
        layers = {
            name: each for name, each in module.named_modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)
        }
        hooks = [each.register_forward_pre_hook(partial(self._note, name)) for name, each in layers.items()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _note(self, name: str, _module: nn.Module, _arguments: tuple[Any, ...]) -> None:
        self.name = name


@contextlib.contextmanager
def _without_sampling() -> Iterator[None]:
    """Leave the weights of networks that are built in the ``with`` block undefined: sampling takes most of the time."""

    def unchanged(tensor: torch.Tensor, *_arguments: Any, **_named: Any) -> torch.Tensor:
        return tensor

    initializers: list[tuple[Any, str]] = [
        (nn.init, name) for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")
    ]
    initializers += [(torch.Tensor, name) for name in ("uniform_", "normal_")]
    with contextlib.ExitStack() as stack:
        for owner, name in initializers:
            replacement: Callable[..., Any] = unchanged
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield
