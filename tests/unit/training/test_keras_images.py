"""Images are preprocessed for Keras as for torch, and augmented by the seed."""

import importlib.util

import numpy as np
import pytest

from variability.data.preprocessing import Preprocess
from variability.models.providers.keras import Keras as KerasProvider

if not all(importlib.util.find_spec(name) for name in KerasProvider.NEEDS):
    pytest.skip("Keras and TensorFlow are an extra: make .venv/.tensorflow", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("keras_process")]

AUGMENTED = {"flip": True, "crop": 1, "randaugment": None, "views": 0}


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("size", "resize", "channels"), [(16, 16, 3), (24, 30, 1), (9, 9, 3)])
def test_images_are_preprocessed_as_for_torch(interpolation, size, resize, channels):
    import torch

    from variability.training.frameworks._keras_images import Images

    spec = {"size": size, "resize": resize, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
    spec["interpolation"] = interpolation
    images = np.random.default_rng(0).integers(256, size=(5, channels, 16, 16)).astype(np.uint8)
    expected = Preprocess.from_dict(spec)(torch.from_numpy(images)).permute(0, 2, 3, 1).numpy()
    preprocessed = Images(images, spec).plain(np.arange(5)).numpy()
    # A value halfway between two grey levels may be rounded to either.
    differences = np.abs(preprocessed - expected) * np.array(spec["std"]) * 255
    assert differences.max() < 1.01
    assert (differences > 0.01).mean() < 0.01


def test_an_augmented_image_is_a_window_of_the_image_or_its_mirror():
    from variability.training.frameworks._keras_images import augment

    images = np.random.default_rng(0).integers(1, 256, size=(40, 3, 6, 6)).astype(np.uint8)
    changed = augment(images, AUGMENTED | {"crop": 2}, 0, 1, 0)
    assert np.array_equal(changed, augment(images, AUGMENTED | {"crop": 2}, 0, 1, 0))
    assert not np.array_equal(changed, augment(images, AUGMENTED | {"crop": 2}, 0, 1, 1))
    for before, after in zip(images, changed, strict=True):
        windows = [
            np.pad(mirrored, ((0, 0), (2, 2), (2, 2)))[:, row : row + 6, column : column + 6]
            for mirrored in (before, before[..., ::-1])
            for row in range(5)
            for column in range(5)
        ]
        assert any(np.array_equal(after, window) for window in windows)
