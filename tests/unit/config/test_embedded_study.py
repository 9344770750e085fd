"""Promises of the embedded study about its data."""

import yaml
from support import ROOT

from variability import registry
from variability.config.study import Study
from variability.data import splits
from variability.data.datasets.glyphs import FAMILY

STUDY = Study(yaml.safe_load((ROOT / "config.yaml").read_text()))


def images(task: str):
    """Return the images of a task by split, as bytes."""
    entry = STUDY.task_entry(task)
    examples = registry.find("datasets", entry["dataset"])(entry["options"]).load(None)
    names = splits.sample(examples.labels, examples.partition, entry["split"], examples.class_names)
    return {
        name: {examples.read(row).tobytes() for row in range(len(examples)) if names[row] == name}
        for name in ("train", "validation", "test")
    }


def test_no_test_image_is_a_training_image():
    pretraining = set.union(*images("letters").values())
    for task in STUDY.tasks:
        of_task = images(task)
        assert of_task["test"]
        assert not of_task["test"] & (pretraining | of_task["train"] | of_task["validation"])


def test_pretraining_uses_no_typeface_that_letter_case_is_tested_on():
    def fonts(task, key):
        named = STUDY.task_entry(task)["options"].get(key, list(FAMILY))
        return {font for font in FAMILY if font in named or FAMILY[font] in named}

    assert not fonts("letters", "fonts") & fonts("letter-case", "test_fonts")
