"""Base class of providers whose image networks have names in a library: input size and preprocessing."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from variability.advice import suggest
from variability.errors import Problem, UserError
from variability.models.providers import ImageProvider
from variability.models.weights_source import weights_kind

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]
#: Advice about an architecture that the library does not have.
OF_USER = "a network of your own is a function in a file, such as my_nets.py:build, without `provider`"


class NamedImageProvider(ImageProvider):
    """A source of networks that a library builds by name, with named releases of their weights."""

    TRIED: ClassVar[bool] = True

    #: Options that set the size of the input: a number, or [height, width].
    SIZE_OPTIONS: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fixed_size(self) -> tuple[int, str] | None:
        """Return the only input side in pixels of a network with learnt positions, with the reason; None for others."""

    def min_size(self) -> int:
        """Return the smallest side of an image in pixels that the network takes."""
        return 1

    def plain_scaling(self) -> dict[str, Any]:
        """Return mean and standard deviation of the input without a release, for pixels scaled to [0, 1]."""
        return {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}

    @abstractmethod
    def released_preprocess(self) -> dict[str, Any]:
        """Return the preprocessing of the named release, see ``preprocess``."""

    def preprocess(self, image_size: int) -> dict[str, Any]:
        for problem in self.check():
            raise UserError(f"models: {problem}")
        named = self.weights_kind == "named"
        spec = self.with_overrides(self.released_preprocess() if named else self._plain_preprocess(image_size))
        if problem := self._size_problem(spec["size"]):
            raise UserError(f"{problem}; set the task's image.size or the model's preprocess.size")
        return spec

    @property
    def weights_kind(self) -> str:
        return weights_kind(self.model["weights"])

    def size_problems(self) -> Iterator[Problem]:
        for option in self.SIZE_OPTIONS:
            sides = self.model.get("options", {}).get(option)
            if isinstance(sides, list) and len(set(map(str, sides))) != 1:
                message = f"{sides} is not square, and images are resized to squares; write one number, such as "
                yield Problem(f"options.{option}", f"{message}{next(iter(sides), 224)}")
                return
        overrides = self.model.get("preprocess", {})
        if problem := self._size_problem(overrides["size"]) if "size" in overrides else None:
            yield Problem("preprocess.size", problem)
        yield from super().size_problems()

    def option_problems(self, known: list[str], refused: dict[str, str]) -> Iterator[Problem]:
        """Yield problems with options that are unknown, or that the workflow sets. refused: {option: reason}."""
        for option in self.model.get("options", {}):
            if option in refused:
                yield Problem(f"options.{option}", f"cannot be set: {refused[option]}")
            elif option not in known:
                name = self.model["architecture"]
                yield Problem(f"options.{option}", f"is not an option of {name}; {suggest(option, known)}")

    def _size_problem(self, size: int) -> str | None:
        name, smallest, fixed = self.model["architecture"], self.min_size(), self.fixed_size()
        if fixed and size != fixed[0]:
            return f"{name} takes images of {fixed[0]} pixels and no others ({fixed[1]}), not {size}"
        if size < smallest:
            return f"{name} takes images of at least {smallest} pixels, not {size}"
        return None

    def _plain_preprocess(self, image_size: int) -> dict[str, Any]:
        fixed = self.fixed_size()
        size = fixed[0] if fixed else image_size
        return {"size": size, "resize": size, "interpolation": "bilinear"} | self.plain_scaling()
