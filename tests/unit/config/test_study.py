import copy

from variability.config.study import Study

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


def test_blocks_are_sized_by_the_method_where_the_config_leaves_it_open():
    study = changed(compute={}, seeds=list(range(20)), methods={"linear_probe": None, "full": None})
    sizes = {cell[2]: [len(block) for block in blocks] for cell, blocks in study.blocks.items()}
    assert sizes == {"linear_probe": [20], "full": [5, 5, 5, 5]}


def test_blocks_double_where_there_are_so_many_seeds_that_planning_them_would_take_long():
    study = changed(compute={}, seeds=list(range(100)), methods={"full": None})
    assert {len(blocks) for blocks in study.blocks.values()} == {10}


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


def test_a_list_chooses_and_a_plots_analyses_are_made_with_it():
    study = changed(analyses=[{"spread": {"level": 0.9}}], plots=["gain_slopes"], claims=[])
    assert study.analyses == {"gain": {}, "spread": {"level": 0.9}}
    assert study.plots == {"gain_slopes": {}} and study.claims == {}


def test_figures_and_claims_that_nobody_listed_are_those_of_the_listed_analyses():
    study = changed(analyses=["spread", "ranks", "pairwise"])
    assert set(study.analyses) == {"spread", "ranks", "pairwise"}
    assert {"model_task_heatmap", "ranks"} <= set(study.plots) and "intervals" not in study.plots
    assert set(study.claims) == {"stable_ranking"}


def test_a_mapping_sets_options_and_leaves_the_others_on():
    usual = Study(CONFIG)
    study = changed(analyses={"ranks": {"seed": 1}}, plots={"cost": {"dpi": 100}, "ranks": None})
    assert study.analyses == usual.analyses | {"ranks": {"seed": 1}}
    assert study.plots == usual.plots | {"cost": {"dpi": 100}}
    assert study.claims == usual.claims


def test_false_switches_off_and_takes_with_it_what_reads_it():
    study = changed(analyses={"ranks": False}, plots={"cost": False})
    assert "ranks" not in {*study.analyses, *study.plots} and "stable_ranking" not in study.claims
    assert "cost" in study.analyses and "cost" not in study.plots


def test_the_order_in_which_plug_ins_are_named_changes_nothing():
    names = ["spread", "cost", "gain"]
    assert repr(changed(analyses=names).analyses) == repr(changed(analyses=names[::-1]).analyses)


def test_options_are_laid_over_another_files_and_a_list_replaces_its_list():
    """As Snakemake merges config files."""
    from snakemake.utils import update_config

    config = copy.deepcopy(CONFIG) | {"plots": {"cost": {"dpi": 100}, "churn": False}}
    update_config(config, {"plots": {"cost": {"title": "Mine"}}})
    assert Study(config).plots["cost"] == {"dpi": 100, "title": "Mine"} and "churn" not in Study(config).plots
    update_config(config, {"plots": ["ranks"]})
    assert set(Study(config).plots) == {"ranks"}


AGAIN = {"full": {}, "full-again": {"repeats": "full"}}
IMPORT = {"path": "x.csv", "columns": {"model": "m", "seed": "s"}, "metrics": {"accuracy": None}}


def imported(**keys) -> Study:
    return Study({"study": "s", "imports": {"x": IMPORT | keys}})


def test_a_figure_of_what_the_study_does_not_have_is_not_asked_for():
    assert "nondeterminism" not in Study(CONFIG).plots
    assert "nondeterminism" in changed(methods=AGAIN).plots
    assert "nondeterminism" in changed(models={"x": CONFIG["models"]["a"], "y": CONFIG["models"]["a"]}).plots
    apart = {"exclude": [{"method": "full", "seed": [0, 1]}, {"method": "full-again", "seed": 2}]}
    assert "nondeterminism" not in changed(methods=AGAIN, grid=apart).plots
    assert not {"best_of_n", "noise_split", "seeds_needed"} & set(changed(seeds=[0]).plots)
    assert {"best_of_n", "noise_split", "seeds_needed"} <= set(changed(seeds=[0, 1]).plots)
    one = changed(models={"b": CONFIG["models"]["b"]}, methods={"full": {}})
    assert not {"across_tasks", "ranks", "pairwise", "multibootstrap"} & set(one.plots)
    assert "best_seed_optimism" in one.claims, "what it reads says something of one candidate, too"


def test_a_figure_of_what_an_import_may_hold_is_asked_for():
    assert not {"gain_slopes", "cost", "across_tasks", "nondeterminism"} & set(imported().plots)
    assert "cost" in imported(format="wandb").plots
    assert "cost" in imported(columns=IMPORT["columns"] | {"seconds": "t"}).plots
    assert "across_tasks" in imported(columns=IMPORT["columns"] | {"task": "t"}).plots
    assert "gain_slopes" in imported(metrics={"accuracy": None, "old": {"metric": "accuracy", "phase": "before"}}).plots
