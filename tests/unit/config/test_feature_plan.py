from test_study import CONFIG, changed

from variability.config.feature_plan import FeaturePlan

MORE = {"probe": {"kind": "linear_probe", "recipe": {"lr": 0.1}}, "full": None}
AUGMENTED = {"augmentation": {"flip": True}}


def stored_of(**keys) -> FeaturePlan:
    return FeaturePlan(changed(**keys))


def test_methods_share_the_activations_of_what_they_freeze():
    study = changed(methods=CONFIG["methods"] | MORE)
    stored = FeaturePlan(study)
    own = {cell: stored.of(*cell) for cell in study.seeds}
    assert own["a", "digits", "linear_probe"] == own["a", "digits", "probe"] == "backbone"
    assert own["a", "digits", "last"] == "backbone-less-2"
    assert own["a", "digits", "full"] is None
    assert {name for (model, _, _), name in own.items() if model == "b"} == {None}, "every seed has its own backbone"
    assert stored.before("a", "digits", "full") == "backbone"
    assert stored.before("a", "digits", "last") == "backbone-less-2"
    assert stored.before("b", "digits", "full") is None
    assert set(stored.specs) == {
        ("a", task, name) for task in ("digits", "letters2") for name in ("backbone", "backbone-less-2")
    }


def test_new_augmentations_in_every_epoch_leave_nothing_to_store_and_views_do():
    stored = stored_of(recipe=AUGMENTED)
    assert stored.of("a", "digits", "linear_probe") is None
    assert stored.before("a", "digits", "linear_probe") == "backbone", "predicted are images as they are"
    assert stored.before("a", "digits", "last") is None
    views = stored_of(recipe={"augmentation": {"flip": True, "views": 4}, "precision": "bf16"})
    name = views.of("a", "digits", "linear_probe")
    assert name.startswith("backbone-bf16-")
    assert views.specs["a", "digits", name]["augmentation"]["views"] == 4
    other = stored_of(recipe={"augmentation": {"flip": True, "views": 5}, "precision": "bf16"})
    assert other.of("a", "digits", "linear_probe") != name


def test_views_of_no_augmentation_are_the_images_as_they_are():
    plain, views = stored_of(), stored_of(recipe={"augmentation": {"views": 4}})
    assert plain.specs == views.specs


def test_augmentation_of_images_is_nothing_to_texts():
    tasks = {"reviews": {"dataset": "clinc150", "text": {"max_length": 8}}}
    models = {"bert": {"provider": "transformers", "architecture": "org/name", "weights": "pretrained"}}
    plain, augmented = (
        stored_of(tasks=tasks, models=models, recipe={"augmentation": {"flip": flip, "views": 3}})
        for flip in (False, True)
    )
    assert plain.of("bert", "reviews", "linear_probe") == "backbone"
    assert plain.specs == augmented.specs
