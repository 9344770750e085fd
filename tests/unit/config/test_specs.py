from small_config import CONFIG, changed

from variability.config import specs
from variability.config.study import Study


def test_recipe_edits_change_the_spec_of_the_runs_they_concern_and_of_no_other():
    edited = changed(overrides=[{"model": "a", "task": "digits", "recipe": {"epochs": 11}}])
    differing = {
        cell for cell in edited.seeds if specs.finetune(edited, *cell, 0) != specs.finetune(Study(CONFIG), *cell, 0)
    }
    assert differing == {("a", "digits", "linear_probe"), ("a", "digits", "last")}


def test_a_spec_does_not_depend_on_the_order_of_keys_in_the_config():
    reversed_keys = Study({key: CONFIG[key] for key in reversed(CONFIG)})
    cell = ("a", "digits", "last")
    assert repr(specs.finetune(reversed_keys, *cell, 0)) == repr(specs.finetune(Study(CONFIG), *cell, 0))


def test_predictions_do_not_depend_on_the_recipe():
    assert "recipe" not in specs.predict(Study(CONFIG), "a", "digits", "last", 0)


def test_tasks_with_the_same_data_share_a_download():
    image = {"image": {"size": 32}}
    study = changed(
        tasks={"x": image | {"dataset": "glyphs"}, "y": image | {"dataset": "glyphs", "split": {"train": 5}}}
    )
    assert specs.dataset_key(study, "x") == specs.dataset_key(study, "y")


def test_models_with_the_same_backbone_share_their_weights():
    models = {
        "x": {"architecture": "resnet18", "weights": "IMAGENET1K_V1"},
        "y": {
            "architecture": "resnet18",
            "weights": "IMAGENET1K_V1",
            "recipe": {"lr": 1.0},
            "preprocess": {"size": 64},
        },
        "z": {"architecture": "resnet34", "weights": "IMAGENET1K_V1"},
    }
    study = changed(models=models)
    assert specs.weights_key(study, "x") == specs.weights_key(study, "y") != specs.weights_key(study, "z")
    assert len(specs.weights(study)) == 2


def test_a_pretraining_has_its_own_spec():
    spec = specs.pretrain(Study(CONFIG), "a")
    assert spec["pretraining"] == "letters" and spec["recipe"]["epochs"] == 3 and spec["seed"] == 0
