"""Stored images as inputs of Keras networks: augmented with NumPy, preprocessed with TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from variability import seeding


@dataclass(frozen=True)
class Images:
    """Stored images, preprocessed as by ``preprocessing.Preprocess``, but with the channels last.

    images: (n, channels, size, size) uint8. spec: as of ``ImageProvider.preprocess``, with ``channels: bgr`` where the
    network expects that order.
    """

    images: np.ndarray
    spec: dict[str, Any]

    def plain(self, rows: np.ndarray) -> tf.Tensor:
        """Return (rows, size, size, 3) float32 without augmentation."""
        return self.preprocess(tf.constant(np.asarray(self.images[rows])))

    def training(self, rows: np.ndarray, augmentation: dict[str, Any], seed: int, epoch: int, batch: int) -> tf.Tensor:
        """Return (rows, size, size, 3) float32, with the augmentation that seed, epoch and batch determine."""
        return self.preprocess(tf.constant(augment(np.asarray(self.images[rows]), augmentation, seed, epoch, batch)))

    @cached_property
    def preprocess(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A compiled function from (B, 1 or 3, S, S) uint8 to (B, size, size, 3) float32."""
        size, side, interpolation = self.spec["size"], self.spec["resize"], self.spec["interpolation"]
        mean, std = (tf.constant(self.spec[name], tf.float32) for name in ("mean", "std"))
        corner = round((side - size) / 2)
        _, channels, _, stored = self.images.shape

        @tf.function(input_signature=[tf.TensorSpec((None, channels, stored, stored), tf.uint8)])
        def preprocess(images: tf.Tensor) -> tf.Tensor:
            pixels = tf.cast(tf.transpose(images, (0, 2, 3, 1)), tf.float32)
            if stored != side:
                pixels = tf.clip_by_value(tf.round(_resized(pixels, stored, side, interpolation)), 0, 255)
            pixels = pixels[:, corner : corner + size, corner : corner + size] / 255
            pixels = tf.repeat(pixels, 3, axis=-1) if channels == 1 else pixels
            pixels = pixels[..., ::-1] if self.spec.get("channels") == "bgr" else pixels
            return (pixels - mean) / std

        return preprocess


def augment(images: np.ndarray, augmentation: dict[str, Any], seed: int, epoch: int, batch: int) -> np.ndarray:
    """Return a batch of stored images after random changes; the batch itself if none is switched on.

    images: (B, 1 or 3, S, S) uint8. augmentation: ``flip`` and ``crop``, which follow the same distribution as in
    ``augmentation.augment``; the samples differ.
    """
    if augmentation["flip"]:
        mirrored = seeding.flips(seed, epoch, batch).generator().random(len(images)) < 0.5
        images = np.where(mirrored[:, None, None, None], images[..., ::-1], images)
    if padding := augmentation["crop"]:
        generator = seeding.crops(seed, epoch, batch).generator()
        corners = generator.integers(2 * padding + 1, size=(2, len(images)))
        side = images.shape[-1]
        padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        cropped = [
            image[:, row : row + side, column : column + side]
            for image, row, column in zip(padded, *corners, strict=True)
        ]
        images = np.stack(cropped)
    return images


def _resized(pixels: tf.Tensor, stored: int, side: int, interpolation: str) -> tf.Tensor:
    if interpolation == "nearest":
        # The pixel at or before, as in torch; TensorFlow takes the one nearest to the centre.
        positions = np.arange(side) * stored // side
        return tf.gather(tf.gather(pixels, positions, axis=1), positions, axis=2)
    return tf.image.resize(pixels, (side, side), method=interpolation, antialias=True)
