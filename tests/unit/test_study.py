import copy

from variability.study import Study

CONFIG = {
    "study": "s",
    "seeds": [0, 1, 2],
    "models": {"a": {"architecture": "resnet18", "weights": "pretrain:letters"}, "b": {"architecture": "resnet18"}},
    "tasks": {
        "digits": {"dataset": "digits", "image": {"size": 32}},
        "letters2": {"dataset": "glyphs", "options": {"target": "case"}, "image": {"size": 32}},
    },
    "methods": {"linear_probe": None, "last": {"kind": "partial", "blocks": 2, "recipe": {"lr": 0.5}}},
    "pretraining": {"letters": {"task": {"dataset": "glyphs", "image": {"size": 32}}, "recipe": {"epochs": 3}}},
    "compute": {"seeds_per_job": 2},
}


def changed(**keys) -> Study:
    return Study(copy.deepcopy(CONFIG) | keys)


def test_the_grid_is_the_product_of_models_tasks_methods_and_seeds():
    assert len(Study(CONFIG).seeds) == 2 * 2 * 2
    assert set(Study(CONFIG).seeds.values()) == {(0, 1, 2)}


def test_exclude_takes_out_what_matches_all_of_its_keys():
    study = changed(grid={"exclude": [{"model": "b", "method": "linear_probe"}, {"task": "letters*", "seed": [1, 2]}]})
    assert ("b", "digits", "linear_probe") not in study.seeds
    assert study.seeds["a", "digits", "linear_probe"] == (0, 1, 2)
    assert study.seeds["a", "letters2", "last"] == (0,)


def test_include_keeps_only_what_matches_one_of_its_entries():
    study = changed(grid={"include": [{"model": "a", "task": "digits"}]})
    assert set(study.seeds) == {("a", "digits", "linear_probe"), ("a", "digits", "last")}
    assert study.models == ["a"] and study.tasks == ["digits"]


def test_a_seed_added_at_the_end_changes_the_last_block_only():
    before = Study(CONFIG).blocks["a", "digits", "last"]
    after = changed(seeds=[0, 1, 2, 3]).blocks["a", "digits", "last"]
    assert before == [(0, 1), (2,)]
    assert after == [(0, 1), (2, 3)]


def test_the_nearer_recipe_wins():
    study = changed(
        recipe={"lr": 0.1, "epochs": 7, "augmentation": {"flip": True}},
        models=CONFIG["models"] | {"a": CONFIG["models"]["a"] | {"recipe": {"augmentation": {"crop": 2}}}},
        tasks=CONFIG["tasks"] | {"digits": CONFIG["tasks"]["digits"] | {"recipe": {"epochs": 9}}},
        overrides=[{"model": "a", "task": "digits", "recipe": {"epochs": 11}}],
    )
    recipe = study.recipe("a", "digits", "last")
    assert (recipe["lr"], recipe["epochs"]) == (0.5, 11)
    assert recipe["augmentation"] == {"flip": True, "crop": 2, "randaugment": None, "views": 0}
    assert study.recipe("b", "digits", "linear_probe")["epochs"] == 9
    assert study.recipe("b", "letters2", "linear_probe")["epochs"] == 7


def test_recipe_edits_change_the_spec_of_the_runs_they_reach_and_of_no_other():
    edited = changed(overrides=[{"model": "a", "task": "digits", "recipe": {"epochs": 11}}])
    differing = {
        cell for cell in edited.seeds if edited.finetune_spec(*cell, 0) != Study(CONFIG).finetune_spec(*cell, 0)
    }
    assert differing == {("a", "digits", "linear_probe"), ("a", "digits", "last")}


def test_a_spec_reads_the_same_whatever_the_order_of_keys_in_the_config():
    turned = Study({key: CONFIG[key] for key in reversed(CONFIG)})
    cell = ("a", "digits", "last")
    assert repr(turned.finetune_spec(*cell, 0)) == repr(Study(CONFIG).finetune_spec(*cell, 0))


def test_predictions_do_not_depend_on_the_recipe():
    assert "recipe" not in Study(CONFIG).predict_spec("a", "digits", "last", 0)


def test_tasks_with_the_same_data_share_a_download():
    image = {"image": {"size": 32}}
    study = changed(
        tasks={"x": image | {"dataset": "glyphs"}, "y": image | {"dataset": "glyphs", "split": {"train": 5}}}
    )
    assert study.dataset_key("x") == study.dataset_key("y")


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
    assert study.weights_key("x") == study.weights_key("y") != study.weights_key("z")
    assert len(study.all_weights()) == 2


def test_a_pretraining_has_a_spec_of_its_own():
    spec = Study(CONFIG).pretrain_spec("a")
    assert spec["pretraining"] == "letters" and spec["recipe"]["epochs"] == 3 and spec["seed"] == 0


def test_an_analysis_that_a_plot_reads_is_made_though_only_others_are_chosen():
    study = changed(analyses={"spread": {"level": 0.9}}, plots={"gain_slopes": None})
    assert study.analyses == {"spread": {"level": 0.9}, "gain": {}}
