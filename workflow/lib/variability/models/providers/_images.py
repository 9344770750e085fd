"""What providers of image networks by their name have in common: the size of the input, and its preprocessing."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from variability.advice import suggest
from variability.errors import Problem, UserError
from variability.models.providers import ImageProvider
from variability.models.weights_source import weights_kind

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


class NamedImageProvider(ImageProvider):
    """Networks that a library knows by name, with releases of their weights."""

    @abstractmethod
    def fixed_size(self) -> tuple[int, str] | None:
        """The only side of input that a network with learnt positions takes, and what says so; None for the others."""

    def least_size(self) -> int:
        """The least side of an image in pixels that passes through the network."""
        return 1

    def plain_scaling(self) -> dict[str, Any]:
        """Mean and standard deviation of what a network without a release takes, of pixels scaled to [0, 1]."""
        return {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}

    @abstractmethod
    def released_preprocess(self) -> dict[str, Any]:
        """What the named release wants, see ``preprocess``."""

    def preprocess(self, image_size: int) -> dict[str, Any]:
        for problem in self.check():
            raise UserError(f"models: {problem}")
        wanted = self.released_preprocess() if self.weights_kind == "named" else self._plain_preprocess(image_size)
        wanted = self.with_overrides(wanted)
        if problem := self._wrong_size(wanted["size"]):
            raise UserError(f"{problem}; set the task's image.size or the model's preprocess.size")
        return wanted

    @property
    def weights_kind(self) -> str:
        return weights_kind(self.model["weights"])

    def size_problems(self) -> Iterator[Problem]:
        own = self.model.get("preprocess", {})
        if problem := self._wrong_size(own["size"]) if "size" in own else None:
            yield Problem("preprocess.size", problem)
        yield from super().size_problems()

    def option_problems(self, known: list[str], refused: dict[str, str]) -> Iterator[Problem]:
        """Options that the architecture does not have, or that are not the model's to set: {option: why}."""
        for option in self.model.get("options", {}):
            if option in refused:
                yield Problem(f"options.{option}", f"cannot be set: {refused[option]}")
            elif option not in known:
                name = self.model["architecture"]
                yield Problem(f"options.{option}", f"is no option of {name}; {suggest(option, known)}")

    def _wrong_size(self, size: int) -> str | None:
        name, least, fixed = self.model["architecture"], self.least_size(), self.fixed_size()
        if fixed and size != fixed[0]:
            return f"{name} takes images of {fixed[0]} pixels and no others ({fixed[1]}), not {size}"
        if size < least:
            return f"{name} takes images of at least {least} pixels, not {size}"
        return None

    def _plain_preprocess(self, image_size: int) -> dict[str, Any]:
        fixed = self.fixed_size()
        size = fixed[0] if fixed else image_size
        return {"size": size, "resize": size, "interpolation": "bilinear"} | self.plain_scaling()
