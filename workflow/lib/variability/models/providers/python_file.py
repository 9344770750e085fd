"""Networks of the user's own, built by a function in a Python file: ``architecture: my_nets.py:build``."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from variability import seeding
from variability.advice import suggest
from variability.errors import Problem, UserError
from variability.models import own_code
from variability.models.own_code import Reference
from variability.models.providers._images import NamedImageProvider
from variability.models.weight_files import read_tensors

if TYPE_CHECKING:
    from torch import nn

    from variability.models.networks import Network

_SUFFIXES = (".safetensors", ".pth", ".pt", ".th")


class PythonFile(NamedImageProvider):
    """Networks that a function returns. Its file may import modules from its folder.

    ``options`` are keyword arguments of the function. ``head`` of the entry is the dotted name of the layer that
    computes the outputs, by default the last ``Linear`` (``Conv2d`` if there is none).
    """

    USES_HEAD: ClassVar[bool] = True

    def check(self) -> Iterator[Problem]:
        reference, weights = self._reference, self.model["weights"]
        if reference is None:
            message = f"{self.model['architecture']!r} is not a function in a file; write it as my_nets.py:build"
            yield Problem("architecture", message)
            return
        if self.weights_kind == "named":
            message = (
                f"{weights!r} is not a file ({', '.join(_SUFFIXES)}), pretrain:<name> or none; networks of your own"
            )
            yield Problem("weights", f"{message} have no releases")
        elif self.weights_kind == "file" and not weights.endswith(_SUFFIXES):
            yield Problem("weights", f"{weights!r} is not a file that can be read: {', '.join(_SUFFIXES)}")
        yield from self._check_code(reference)
        yield from self.size_problems()

    def fixed_size(self) -> None:
        return None

    def released_preprocess(self) -> dict[str, Any]:
        raise UserError("networks of your own have no releases")

    def code(self) -> str | None:
        reference = self._reference
        return own_code.code_digest(reference.path) if reference else None

    def fetch_weights(self, fetcher: Any, folder: Path) -> tuple[Path, dict[str, Any]]:
        raise UserError(f"there are no releases of {self.model['architecture']}; use a file, or none")

    def convert(self, source: Path) -> dict[str, Any]:
        return self._load(self._construct(seed=0), source)

    def build(self, outputs: int, weights: Path | None, seed: int, facts: dict[str, Any] | None = None) -> Network:
        from variability.models.networks import attach_head

        module = self._construct(seed)
        if weights is not None:
            self._load(module, weights)
        return attach_head(module, outputs, seed, self._head(module))

    @property
    def _reference(self) -> Reference | None:
        return own_code.reference(self.model["architecture"])

    def _check_code(self, reference: Reference) -> Iterator[Problem]:
        """Yield problems with the file, the function and its arguments, which are read and not run."""
        path, function = reference
        if not path.is_file():
            yield Problem("architecture", f"there is no file {path.absolute()}")
            return
        try:
            own_code.closure(path)
            known = own_code.callables(path)
        except SyntaxError as error:
            yield Problem("architecture", f"{error.filename}, line {error.lineno}: {error.msg}")
            return
        except (OSError, ValueError) as error:
            yield Problem("architecture", f"{path} cannot be read: {error}")
            return
        if function not in known:
            yield Problem("architecture", f"{path} defines no {function!r}; {suggest(function, list(known))}")
        elif signature := known[function]:
            options = self.model.get("options", {})
            for option in options:
                if option not in signature.names and not signature.open_ended:
                    hint = suggest(option, signature.names)
                    yield Problem(f"options.{option}", f"is not an argument of {function} in {path}; {hint}")
            if missing := [name for name in signature.required if name not in options]:
                yield Problem("options", f"{function} in {path} needs {', '.join(missing)}; give a value for each")

    def _construct(self, seed: int) -> nn.Module:
        """Return the module that the user's function returns, sampled from the seed."""
        from torch import nn

        for problem in self.check():
            raise UserError(f"models: {problem}")
        path, function = self._reference
        if self.model.get("code") not in (None, self.code()):
            raise UserError(f"{path} was changed after the study was planned; run the same command again")
        options = self.model.get("options", {})
        try:
            with own_code.imported(path) as module, seeding.backbone(seed).torch_global():
                network = getattr(module, function)(**options)
        except Exception as error:
            # The user's code may raise any exception.
            raise UserError(f"{path}: {function} fails: {type(error).__name__}: {error}{_line(error, path)}") from error
        if not isinstance(network, nn.Module):
            raise UserError(f"{path}: {function} returns a {type(network).__name__}; return a torch.nn.Module")
        return network

    def _head(self, module: nn.Module) -> str:
        from torch import nn

        from variability.models.networks import find_head

        name = self.model.get("head")
        if name is None:
            return find_head(module)
        layers = {layer: each for layer, each in module.named_modules() if isinstance(each, nn.Linear | nn.Conv2d)}
        if name not in layers:
            raise UserError(f"models: head: {name!r} is not a Linear or Conv2d layer; {suggest(name, list(layers))}")
        return name

    def _load(self, module: nn.Module, path: Path) -> dict[str, Any]:
        from variability.models.strict_loading import load_strictly

        tensors, versions = read_tensors(path)
        message = f"{path} does not fit {self.model['architecture']}"
        advice = "Correct the model's architecture, options or weights"
        return load_strictly(module, self._head(module), tensors, versions, message, lambda: advice)


def _line(error: Exception, path: Path) -> str:
    """Return the last line of the user's folder in an exception's traceback, for a message."""
    folder = str(path.resolve().parent)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(folder)]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
