"""Preprocessing of stored images for a network: resized, cropped and normalised, a whole batch at a time."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from variability.errors import UserError

INTERPOLATIONS = ("bilinear", "bicubic", "nearest")


@dataclass(frozen=True)
class Preprocess:
    """The preprocessing with which a network's weights were trained.

    size: side of the input in pixels. resize: side to which an image is resized before its centre is cropped to
    ``size``. mean, std: per channel, of pixels scaled to [0, 1].
    """

    size: int
    resize: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"

    @classmethod
    def from_dict(cls, spec: dict[str, Any]) -> "Preprocess":
        """Convert ``Provider.preprocess``.

        Raises UserError for a crop larger than the image and for an unknown interpolation.
        """
        if spec["size"] > spec["resize"]:
            raise UserError(
                f"preprocess: size {spec['size']} is the crop from an image of side resize {spec['resize']} and cannot "
                "be larger; lower size or raise resize"
            )
        if spec["interpolation"] not in INTERPOLATIONS:
            raise UserError(
                f"preprocess: interpolation {spec['interpolation']!r} is not one of {', '.join(INTERPOLATIONS)}"
            )
        return cls(spec["size"], spec["resize"], tuple(spec["mean"]), tuple(spec["std"]), spec["interpolation"])

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Convert (B, 1 or 3, S, S) uint8 on any device to (B, 3, size, size) float32.

        Grey is repeated in three channels. Equal to ``torchvision.transforms._presets.ImageClassification`` on tensors,
        including the rounding to whole grey levels after resizing, and the same on CPU and GPU.
        """
        pixels = images.to(torch.float32)
        if pixels.shape[-1] != self.resize:
            smooth = {} if self.interpolation == "nearest" else {"antialias": True, "align_corners": False}
            side = (self.resize, self.resize)
            pixels = functional.interpolate(pixels, side, mode=self.interpolation, **smooth).round_().clamp_(0, 255)
        corner = round((self.resize - self.size) / 2)
        pixels = pixels[..., corner : corner + self.size, corner : corner + self.size].div(255)
        mean, std = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (self.mean, self.std))
        return pixels.sub(mean).div_(std)
