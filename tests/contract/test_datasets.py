"""The contract of all data sets."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_sets import listed, plugin
from jsonschema import Draft202012Validator

from variability import registry
from variability.data.datasets import PARTITIONS
from variability.data.datasets._interactions import TARGETS

LIBRARY = Path(registry.__file__).parents[1]
SMALL = {"digits": {}, "glyphs": {"letters": "abAB", "per_font": 2, "test_fonts": ["mono"], "size": 16}}


def test_no_data_set_imports_a_framework_before_it_is_loaded():
    code = (
        "import sys; from variability import registry\n"
        "plugins = [registry.find('datasets', name) for name in registry.names('datasets')]\n"
        "list(registry.find('datasets', 'torchvision')({'class': 'EMNIST'}).check())\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=LIBRARY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_options_are_a_schema_that_accepts_its_defaults(name):
    plugin_class = registry.find("datasets", name)
    Draft202012Validator.check_schema(
        {"type": "object", "properties": plugin_class.OPTIONS, "required": list(plugin_class.REQUIRED)}
    )
    assert set(plugin_class.REQUIRED) <= set(plugin_class.OPTIONS)
    assert "mirrors" not in plugin_class.OPTIONS
    assert plugin_class.KINDS and set(plugin_class.KINDS) <= set(registry.names("kinds"))
    for option, schema in plugin_class.OPTIONS.items():
        if "default" in schema:
            Draft202012Validator(schema).validate(schema["default"]), option


def offline(name, arrays, photos):
    files = {"npz": {"path": str(arrays)}, "image_folder": {"path": str(photos)}, "image_table": listed(photos)}
    options = files | SMALL
    return plugin(name, **options[name])


def of_modality(modality):
    return [name for name in registry.names("datasets") if modality == registry.find("datasets", name).MODALITY]


@pytest.mark.parametrize("name", [name for name in of_modality("image") if name != "torchvision"])
def test_examples_have_the_documented_shapes(name, arrays, photos):
    dataset = offline(name, arrays, photos)
    assert list(dataset.check()) == []
    assert not dataset.is_remote()
    examples = dataset.load(None)
    assert examples.labels.dtype == np.int64
    assert examples.labels.shape == examples.partition.shape == (len(examples),)
    assert set(np.unique(examples.labels)) == set(range(len(examples.class_names)))
    assert all(isinstance(class_name, str) for class_name in examples.class_names)
    shipped, counts = np.unique(examples.partition, return_counts=True)
    assert set(shipped) <= {"", *PARTITIONS}
    if dataset.size() is not None:
        assert dataset.size() == dict(zip(shipped.tolist(), counts.tolist(), strict=True))
    for index in (0, len(examples) - 1):
        image = examples.read(index)
        assert image.dtype == np.uint8
        assert image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
        assert (examples.read(index) == image).all()


@pytest.fixture
def log(tmp_path):
    users, items = np.divmod(np.arange(12 * 6), 6)
    rows = [f"{user},{(user + item) % 8},{item},{item % 5 + 1}" for user, item in zip(users, items, strict=True)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time,rating", *rows]))
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        swapped = [[row.split(",")[column] for column in (0, 1, 3, 2)] for row in rows]
        archive.writestr("ml-100k/u.data", "\n".join("\t".join(row) for row in swapped))
    return tmp_path


@pytest.mark.parametrize("target", ["next_item", "rating"])
@pytest.mark.parametrize("name", of_modality("interactions"))
def test_interactions_are_sequences_whose_last_item_is_the_target(name, target, log):
    options = {
        "category_walks": {"users": 12, "items": 20, "categories": 3, "length": [5, 9]},
        "interactions_table": {"path": str(log / "log.csv")},
        "movielens": {"version": "100k"},
    }
    dataset = plugin(name, **options[name], target=target)
    assert list(dataset.check()) == []
    examples = dataset.load(log if dataset.is_remote() else None)
    assert set(examples.partition) == set(PARTITIONS)
    assert examples.labels.dtype == (np.int64 if target == "next_item" else np.float64)
    assert examples.facts["target"] == target and dataset.kinds() == (TARGETS[target],)
    assert examples.groups.max() + 1 == examples.facts["users"]
    if dataset.size() is not None:
        shipped, counts = np.unique(examples.partition, return_counts=True)
        assert dataset.size() == dict(zip(shipped.tolist(), counts.tolist(), strict=True))
    for index in (0, len(examples) - 1):
        sequence = examples.read(index)
        assert sequence.min() >= 0 and sequence.max() < examples.facts["items"]
        if target == "next_item":
            assert sequence[-1] == examples.labels[index]
