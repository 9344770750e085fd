from small_config import CONFIG, changed

from variability.config.feature_plan import FeaturePlan

MORE_METHODS = {"probe": {"kind": "linear_probe", "recipe": {"lr": 0.1}}, "full": None}
AUGMENTED = {"augmentation": {"flip": True}}


def plan_of(**sections) -> FeaturePlan:
    return FeaturePlan(changed(**sections))


def test_methods_share_the_activations_of_what_they_freeze():
    study = changed(methods=CONFIG["methods"] | MORE_METHODS)
    plan = FeaturePlan(study)
    names = {cell: plan.for_training(*cell) for cell in study.seeds}
    assert names["a", "digits", "linear_probe"] == names["a", "digits", "probe"] == "backbone"
    assert names["a", "digits", "last"] == "backbone-less-2"
    assert names["a", "digits", "full"] is None
    assert {name for (model, _, _), name in names.items() if model == "b"} == {None}, "every seed has its own backbone"
    assert plan.before_training("a", "digits", "full") == "backbone"
    assert plan.before_training("a", "digits", "last") == "backbone-less-2"
    assert plan.before_training("b", "digits", "full") is None
    assert set(plan.specs) == {
        ("a", task, name) for task in ("digits", "letters2") for name in ("backbone", "backbone-less-2")
    }


def test_activations_are_stored_for_views_and_not_for_new_augmentations_in_every_epoch():
    plan = plan_of(recipe=AUGMENTED)
    assert plan.for_training("a", "digits", "linear_probe") is None
    assert plan.before_training("a", "digits", "linear_probe") == "backbone", "predictions need no augmentation"
    assert plan.before_training("a", "digits", "last") is None
    views = plan_of(recipe={"augmentation": {"flip": True, "views": 4}, "precision": "bf16"})
    name = views.for_training("a", "digits", "linear_probe")
    assert name.startswith("backbone-bf16-")
    assert views.specs["a", "digits", name]["augmentation"]["views"] == 4
    other = plan_of(recipe={"augmentation": {"flip": True, "views": 5}, "precision": "bf16"})
    assert other.for_training("a", "digits", "linear_probe") != name


def test_views_without_an_augmentation_are_the_stored_images():
    plain, views = plan_of(), plan_of(recipe={"augmentation": {"views": 4}})
    assert plain.specs == views.specs


def test_the_augmentation_of_images_does_not_concern_texts():
    tasks = {"reviews": {"dataset": "clinc150", "text": {"max_length": 8}}}
    models = {"bert": {"provider": "transformers", "architecture": "org/name", "weights": "pretrained"}}
    plain, augmented = (
        plan_of(tasks=tasks, models=models, recipe={"augmentation": {"flip": flip, "views": 3}})
        for flip in (False, True)
    )
    assert plain.for_training("bert", "reviews", "linear_probe") == "backbone"
    assert plain.specs == augmented.specs


def test_the_probe_uses_activations_that_runs_share_and_otherwise_its_own():
    assert plan_of().before_head("a", "digits") == "backbone"
    views = plan_of(recipe={"augmentation": {"flip": True, "views": 4}, "precision": "bf16"})
    assert views.before_head("a", "digits") == views.for_training("a", "digits", "linear_probe")
    both = plan_of(methods=MORE_METHODS, overrides=[{"method": "probe", "recipe": {"precision": "bf16"}}])
    assert both.before_head("a", "digits") == "backbone", "in full precision, from before full fine-tuning"
    partial = plan_of(methods={"last": {"kind": "partial", "blocks": 2}})
    assert partial.before_head("a", "digits") == "backbone"
    assert ("a", "digits", "backbone") in partial.specs and ("a", "digits", "backbone-less-2") in partial.specs


def test_a_random_backbone_and_a_kind_without_a_probe_have_none(monkeypatch):
    assert plan_of().before_head("b", "digits") is None
    monkeypatch.setattr("variability.data.kinds.classification.Classification.PROBE", None)
    assert plan_of().before_head("a", "digits") is None
