"""Real data sets are read correctly: simple classifiers reach their known scores on them."""

import numpy as np
import pytest

from variability import registry
from variability.data.prepared_task import PreparedTask
from variability.io.fetcher import Fetcher
from variability.stages.download import download
from variability.stages.prepare import prepare


def prepared(folder, mirror, dataset, options, size, color, **split):
    if registry.find("datasets", dataset)(options).is_remote():
        download(dataset, options, folder / "files", folder / "manifest.json", Fetcher([mirror], progress=False))
    task = {
        "name": dataset,
        "dataset": dataset,
        "options": options,
        "kind": "classification",
        "modality": "image",
        "input": {"size": size, "color": color},
        "split": {"train": "all", "validation": 0, "test": "shipped", "seed": 0, "resample": False} | split,
    }
    prepare(task, folder / "files", folder / "task")
    return PreparedTask.open(folder / "task" / "task.json")


def ridge(task, alpha):
    from sklearn.linear_model import RidgeClassifier

    pixels = np.asarray(task.inputs).reshape(len(task.inputs), -1) / 255
    train, test = task.rows("train", 0), task.rows("test", 0)
    model = RidgeClassifier(alpha=alpha).fit(pixels[train], task.labels[train])
    return model.score(pixels[test], task.labels[test])


@pytest.mark.slow
def test_fashion_mnist_from_a_mirror_is_as_published(mirror, tmp_path, no_network):
    task = prepared(tmp_path, mirror, "torchvision", {"class": "FashionMNIST"}, 28, "grey")
    assert task.counts == {"train": 60000, "validation": 0, "test": 10000}
    assert task.class_names[0] == "T-shirt/top"
    assert ridge(task, 1) == pytest.approx(0.8112, abs=1e-4)


@pytest.mark.slow
def test_pneumonia_mnist_from_a_mirror_is_as_published(mirror, tmp_path):
    task = prepared(tmp_path, mirror, "npz", {"path": "pneumoniamnist.npz"}, 28, "grey", validation="shipped")
    assert task.counts == {"train": 4708, "validation": 524, "test": 624}
    assert ridge(task, 10) == pytest.approx(0.8462, abs=1e-4)


@pytest.mark.slow
def test_photos_of_unequal_sizes_are_prepared(mirror, tmp_path):
    task = prepared(tmp_path, mirror, "image_folder", {"path": "sign-language-digits.zip"}, 32, "rgb", test=0.2)
    assert len(task.labels) == 2062
    assert task.class_names == [str(digit) for digit in range(10)]
    assert task.inputs.shape == (2062, 3, 32, 32)
