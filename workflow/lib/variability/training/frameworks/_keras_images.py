"""Stored images as Keras networks take them: augmented with NumPy, made ready by TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from variability import seeding


@dataclass(frozen=True)
class Images:
    """images: (n, channels, size, size) uint8. spec: of ``ImageProvider.preprocess``, and ``channels: bgr``.

    What is made ready is what ``preprocessing.Preprocess`` makes of an image, with the channels last.
    """

    images: np.ndarray
    spec: dict[str, Any]

    def plain(self, rows: np.ndarray) -> tf.Tensor:
        """(rows, size, size, 3) float32 as they are."""
        return self.ready(tf.constant(np.asarray(self.images[rows])))

    def training(self, rows: np.ndarray, augmentation: dict[str, Any], seed: int, epoch: int, batch: int) -> tf.Tensor:
        """(rows, size, size, 3) float32, augmented with what seed, epoch and batch determine."""
        return self.ready(tf.constant(augment(np.asarray(self.images[rows]), augmentation, seed, epoch, batch)))

    @cached_property
    def ready(self) -> Any:
        """A function from (B, 1 or 3, S, S) uint8 to (B, size, size, 3) float32."""
        size, side, way = self.spec["size"], self.spec["resize"], self.spec["interpolation"]
        mean, std = (tf.constant(self.spec[name], tf.float32) for name in ("mean", "std"))
        corner = round((side - size) / 2)
        _, channels, _, stored = self.images.shape

        @tf.function(input_signature=[tf.TensorSpec((None, channels, stored, stored), tf.uint8)])
        def ready(images: tf.Tensor) -> tf.Tensor:
            pixels = tf.cast(tf.transpose(images, (0, 2, 3, 1)), tf.float32)
            if stored != side:
                pixels = tf.clip_by_value(tf.round(_resized(pixels, stored, side, way)), 0, 255)
            pixels = pixels[:, corner : corner + size, corner : corner + size] / 255
            pixels = tf.repeat(pixels, 3, axis=-1) if channels == 1 else pixels
            pixels = pixels[..., ::-1] if self.spec.get("channels") == "bgr" else pixels
            return (pixels - mean) / std

        return ready


def augment(images: np.ndarray, augmentation: dict[str, Any], seed: int, epoch: int, batch: int) -> np.ndarray:
    """A batch of stored images, randomly changed; itself where nothing is switched on.

    images: (B, 1 or 3, S, S) uint8. augmentation: ``flip`` and ``crop``, as of ``augmentation.augment``, whose
    laws these are; what is drawn is not the same.
    """
    if augmentation["flip"]:
        mirrored = seeding.flips(seed, epoch, batch).generator().random(len(images)) < 0.5
        images = np.where(mirrored[:, None, None, None], images[..., ::-1], images)
    if padding := augmentation["crop"]:
        generator = seeding.crops(seed, epoch, batch).generator()
        corners = generator.integers(2 * padding + 1, size=(2, len(images)))
        side = images.shape[-1]
        padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        cut = [
            image[:, row : row + side, column : column + side]
            for image, row, column in zip(padded, *corners, strict=True)
        ]
        images = np.stack(cut)
    return images


def _resized(pixels: tf.Tensor, stored: int, side: int, way: str) -> tf.Tensor:
    if way == "nearest":
        # The pixel at or before, as torch takes it; TensorFlow's takes the one that is nearest to the centre.
        places = np.arange(side) * stored // side
        return tf.gather(tf.gather(pixels, places, axis=1), places, axis=2)
    return tf.image.resize(pixels, (side, side), method=way, antialias=True)
