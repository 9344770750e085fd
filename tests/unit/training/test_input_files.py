"""The input files that a result depends on."""

import tiny_study

from variability.io import files
from variability.training.input_files import InputFiles

ZERO_SHOT = {"provider": "clip", "architecture": "towers", "weights": "pretrained", "options": {}}


def test_class_names_are_part_of_the_content_only_for_models_that_read_them(tmp_path):
    task, content = tiny_study.prepare(tmp_path / "digits"), {}
    renamed = files.read_json(task) | {"class_names": list("abcdefghij")}
    models = {"zero-shot": ZERO_SHOT, "fresh head": ZERO_SHOT | {"options": {"head": "random"}}}
    models |= {"random": ZERO_SHOT | {"weights": "none"}, "of images": {"provider": "torchvision"}}
    for name, model in models.items():
        content[name] = InputFiles(task).content(model)
    files.write_json(task, renamed)
    assert {name for name, model in models.items() if InputFiles(task).content(model) != content[name]} == {"zero-shot"}
