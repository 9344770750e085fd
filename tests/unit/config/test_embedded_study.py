"""What the embedded study claims of its data."""

import yaml
from support import ROOT

from variability import registry
from variability.config.study import Study
from variability.data import splits
from variability.data.datasets.glyphs import FAMILY

STUDY = Study(yaml.safe_load((ROOT / "config.yaml").read_text()))


def drawn(task: str):
    """Images of a task by split, as bytes."""
    entry = STUDY.task_entry(task)
    examples = registry.find("datasets", entry["dataset"])(entry["options"]).load(None)
    names = splits.draw(examples.labels, examples.partition, entry["split"], examples.class_names)
    return {
        name: {examples.read(row).tobytes() for row in range(len(examples)) if names[row] == name}
        for name in ("train", "validation", "test")
    }


def test_no_test_image_was_ever_trained_on():
    pretraining = drawn("letters")
    seen = set.union(*pretraining.values())
    for task in STUDY.tasks:
        found = drawn(task)
        assert found["test"]
        assert not found["test"] & (seen | found["train"] | found["validation"])


def test_the_typefaces_that_letter_case_is_tested_on_are_not_seen_in_pretraining():
    def fonts(task, key):
        named = STUDY.task_entry(task)["options"].get(key, list(FAMILY))
        return {font for font in FAMILY if font in named or FAMILY[font] in named}

    assert not fonts("letters", "fonts") & fonts("letter-case", "test_fonts")
