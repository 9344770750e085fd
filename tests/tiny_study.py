"""A study small enough to train in milliseconds: real digits, one convolution, real files."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import registry, seeding
from variability.config import recipe
from variability.errors import UserError
from variability.io import files
from variability.models.providers import ImageProvider

STUDY = {
    "model": {"name": "small", "provider": "tiny", "architecture": "tiny", "weights": "none", "options": {}},
    "task": {"name": "digits", "kind": "classification"},
    "method": {"name": "everything", "kind": "full"},
    "recipe": recipe.resolve({"epochs": 3, "optimizer": "sgd", "lr": 0.05}),
    "seeds": [0, 1],
}


@functools.cache
def images_and_labels():
    """uint8 (200, 1, 8, 8) and int64 (200,)."""
    # Read without importing scikit-learn, which takes longer than the tests do.
    package = Path(importlib.util.find_spec("sklearn").origin).parent
    table = np.loadtxt(package / "datasets" / "data" / "digits.csv.gz", delimiter=",", max_rows=200)
    images = (table[:, :-1] * 15.9).astype(np.uint8).reshape(-1, 1, 8, 8)
    return images, table[:, -1].astype(np.int64)


def network(seed=0, outputs=10):
    """A convolution with BatchNorm, dropout and a head: all sources of differences between runs, in 2 ms per batch."""
    from torch import nn

    from variability.models.networks import Network, sample_head

    with seeding.backbone(seed).torch_global():
        backbone = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2))
        head = nn.Linear(6 * 6 * 6, outputs)
    made = Network(nn.Sequential(backbone, head), "1", ["0.0"])
    sample_head(made, seed)
    return made


class Tiny(ImageProvider):
    """A provider of this network; a file of weights has those of the whole module, of which the backbone's are used."""

    def fetch_weights(self, fetcher, folder):
        raise UserError("there are no releases of this network")

    def convert(self, source):
        from variability.models.weight_files import read_tensors

        return read_tensors(source)[0]

    def preprocess(self, image_size):
        return {"size": 8, "resize": 8, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}

    def build(self, outputs, weights, seed, facts=None):
        import safetensors.torch

        made = network(seed, outputs)
        if weights is not None:
            tensors = safetensors.torch.load_file(weights)
            backbone = {name: tensor for name, tensor in tensors.items() if not name.startswith(f"{made.head}.")}
            made.module.load_state_dict(backbone, strict=False)
        return made


def pretrained(folder: Path) -> Path:
    """Weights of a network of another seed, as a file."""
    import safetensors.torch

    path = folder / "weights.safetensors"
    safetensors.torch.save_file(network(seed=99).module.state_dict(), path)
    return path


def install(provider=Tiny):
    """Adds the provider ``tiny`` to ``registry.find``; returns the function that it replaces."""
    find = registry.find
    registry.find = lambda family, name: provider if (family, name) == ("providers", "tiny") else find(family, name)
    return find


def workplace(threads=1, model=STUDY["model"]):
    """Framework and device of a stage."""
    from variability.training.workplace import Workplace

    return Workplace(model, threads)


def prepare(folder: Path, kind="classification", size=8, validation=40) -> Path:
    """Writes a task as ``prepare`` does: 100 examples to train, 40 to validate, 60 to test; returns its task.json.

    validation: examples to validate; with fewer than 40, the others train.
    """
    images, labels = images_and_labels()
    images = images.repeat(size // 8, axis=2).repeat(size // 8, axis=3)
    folder.mkdir(parents=True)
    np.save(folder / "inputs.npy", images)
    counts = {"train": 140 - validation, "validation": validation, "test": 60}
    split = [name for name, count in counts.items() for _ in range(count)]
    table = {"example_id": np.arange(200)[::-1] + 1000, "label": labels, "split": split, "partition": [""] * 200}
    table["source"] = [f"{example_id}.png" for example_id in table["example_id"]]
    pq.write_table(pa.table(table), folder / "examples.parquet")
    content = {
        "kind": kind,
        "modality": "image",
        "class_names": [str(digit) for digit in range(10)] if kind == "classification" else [],
        "facts": {"channels": 1, "size": size},
        "target": {} if kind == "classification" else {"mean": 4.5, "sd": 2.8},
        "counts": counts,
        "split": counts | {"seed": 0, "resample": False},
        "sha256": {name.partition(".")[0]: files.sha256(folder / name) for name in ("inputs.npy", "examples.parquet")},
    }
    files.write_json(folder / "task.json", content)
    return folder / "task.json"


def timeless(history):
    """A history without its measured times."""
    return [{key: row[key] for key in row if key not in ("seconds", "examples_per_second")} for row in history]


def assert_same(first, second):
    """Compares two dicts of tensors or arrays bit by bit."""
    assert first.keys() == second.keys()
    assert [name for name in first if not np.array_equal(first[name], second[name])] == []
