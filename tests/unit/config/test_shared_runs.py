"""Runs on several GPUs: which runs of a study get them, and what is refused before the first job."""

import pytest
from edited_config import problems, put
from small_config import CONFIG, changed

from variability.config import shared_runs
from variability.config.feature_plan import FeaturePlan

FULL = {"full": None, "linear_probe": None}
FLIPPED = {"augmentation": {"flip": True}, "gpus_per_run": 2}


def found(**sections):
    study = changed(**{"methods": FULL, "pretraining": CONFIG["pretraining"]} | sections)
    return [str(problem) for problem in shared_runs.check(study, study.models)]


def sizes(**sections):
    study = changed(**sections)
    return {(model, method): study.recipe(model, "digits", method)["gpus_per_run"] for model, _, method in study.seeds}


def test_one_process_is_the_default():
    assert set(sizes().values()) == {1} and found() == []


def test_heads_on_stored_activations_train_in_one_process():
    assert sizes(methods=FULL | {"last": CONFIG["methods"]["last"]}, recipe={"gpus_per_run": 2}) == {
        ("a", "full"): 2, ("a", "linear_probe"): 1, ("a", "last"): 2,
        ("b", "full"): 2, ("b", "linear_probe"): 1, ("b", "last"): 2,
    }  # fmt: skip
    # New augmentations need the whole network in every step.
    augmented = changed(methods=FULL, recipe=FLIPPED)
    assert augmented.recipe("a", "digits", "linear_probe")["gpus_per_run"] == 2
    assert FeaturePlan(augmented).for_training("a", "digits", "linear_probe") is None
    views = {"augmentation": {"flip": True, "views": 3}, "gpus_per_run": 2}
    assert changed(methods=FULL, recipe=views).recipe("a", "digits", "linear_probe")["gpus_per_run"] == 1


def test_recommenders_that_train_run_on_several_gpus_and_those_that_count_do_not():
    study = changed(
        models={
            "bert4rec": {"provider": "sequential", "architecture": "bert4rec"},
            "counts": {"provider": "counting", "architecture": "popularity"},
        },
        tasks={"items": {"dataset": "interactions_table", "options": {"path": "log.csv"}}},
        methods={"full": None},
        recipe={"gpus_per_run": 2},
    )
    assert study.recipe("bert4rec", "items", "full")["gpus_per_run"] == 2
    assert study.recipe("counts", "items", "full")["gpus_per_run"] == 1
    assert list(shared_runs.check(study, study.models)) == []


def test_keras_networks_are_refused():
    keras = {"provider": "keras", "architecture": "MobileNetV2"}
    models = {"k": keras, "b": {"architecture": "vgg11", "recipe": {"gpus_per_run": 1}}}
    assert found(models=models, recipe={"gpus_per_run": 2}) == [
        "recipe.gpus_per_run: is not supported for Keras networks, which train in one process; use 1 for them "
        "(models: k)"
    ]
    models["k"] = keras | {"recipe": {"gpus_per_run": 1}}
    models["b"] = {"architecture": "vgg11"}
    assert found(models=models, recipe={"gpus_per_run": 2}) == []


def test_each_process_needs_an_example():
    assert found(methods={"full": {"recipe": {"gpus_per_run": 4, "batch_size": 3}}}) == [
        "recipe.gpus_per_run: 4 is more than the batch_size of 3, of which each process computes a part; lower it"
    ]
    assert found(methods={"full": {"recipe": {"gpus_per_run": 4, "batch_size": 4}}}) == []


def test_pretrainings_are_checked_too():
    letters = CONFIG["pretraining"]["letters"] | {"recipe": {"gpus_per_run": 4, "batch_size": 3}}
    (problem,) = found(pretraining={"letters": letters})
    assert problem.startswith("pretraining.letters.recipe.gpus_per_run: 4 is more than the batch_size of 3")


def test_a_gpu_is_not_shared_and_combined_at_once():
    (problem,) = found(recipe={"gpus_per_run": 2}, compute={"runs_per_gpu": 3})
    assert problem.startswith("compute.runs_per_gpu: 3 lets several runs share a GPU")
    assert found(compute={"runs_per_gpu": 3}) == []


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"methods": {"linear_probe": None}, "recipe": {"gpus_per_run": 2}}, "recipe"),
        ({"methods": FULL | {"linear_probe": {"recipe": {"gpus_per_run": 2}}}}, "methods.linear_probe.recipe"),
        ({"overrides": [{"method": "linear*", "recipe": {"gpus_per_run": 2}}]}, "overrides.0.recipe"),
        (
            {"recipe": {"gpus_per_run": 2}, "overrides": [{"model": "*", "recipe": {"gpus_per_run": 1}}]},
            "recipe",
        ),
    ],
)
def test_a_setting_without_effect_is_named_by_its_key(sections, key):
    (problem,) = found(**sections)
    assert problem.startswith(f"{key}.gpus_per_run: has no effect: heads on stored activations")


@pytest.mark.parametrize(("value", "reason"), [(0, "too small"), (1.5, "not a whole number"), ("two", "not a whole")])
def test_the_number_is_whole_and_positive(value, reason):
    (problem,) = problems(put("recipe/gpus_per_run", value))
    assert problem.startswith(f"recipe.gpus_per_run: {value!r} is") and reason in problem
