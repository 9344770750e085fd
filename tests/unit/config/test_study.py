from small_config import CONFIG, changed

from variability.config import recipe
from variability.config.study import Study


def test_the_grid_is_the_product_of_models_tasks_methods_and_seeds():
    assert len(Study(CONFIG).seeds) == 2 * 2 * 2
    assert set(Study(CONFIG).seeds.values()) == {(0, 1, 2)}


def test_exclude_removes_runs_that_match_all_of_its_keys():
    study = changed(grid={"exclude": [{"model": "b", "method": "linear_probe"}, {"task": "letters*", "seed": [1, 2]}]})
    assert ("b", "digits", "linear_probe") not in study.seeds
    assert study.seeds["a", "digits", "linear_probe"] == (0, 1, 2)
    assert study.seeds["a", "letters2", "last"] == (0,)


def test_include_retains_only_runs_that_match_one_of_its_entries():
    study = changed(grid={"include": [{"model": "a", "task": "digits"}]})
    assert set(study.seeds) == {("a", "digits", "linear_probe"), ("a", "digits", "last")}
    assert study.models == ["a"] and study.tasks == ["digits"]


def test_a_seed_added_at_the_end_changes_the_last_chunk_only():
    before = Study(CONFIG).seed_chunks["a", "digits", "last"]
    after = changed(seeds=[0, 1, 2, 3]).seed_chunks["a", "digits", "last"]
    assert before == [(0, 1), (2,)]
    assert after == [(0, 1), (2, 3)]


def test_the_method_sets_the_size_of_chunks_if_the_config_does_not():
    study = changed(compute={}, seeds=list(range(20)), methods={"linear_probe": None, "full": None})
    sizes = {cell[2]: [len(chunk) for chunk in chunks] for cell, chunks in study.seed_chunks.items()}
    assert sizes == {"linear_probe": [20], "full": [5, 5, 5, 5]}


def test_chunks_double_in_size_if_planning_so_many_seeds_would_take_long():
    study = changed(compute={}, seeds=list(range(100)), methods={"full": None})
    assert {len(chunks) for chunks in study.seed_chunks.values()} == {10}


def test_a_kind_of_method_has_defaults_that_any_recipe_of_the_config_overrides(monkeypatch):
    monkeypatch.setattr("variability.models.methods.linear_probe.LinearProbe.RECIPE", {"lr": 0.5, "epochs": 3})
    methods = {"linear_probe": None, "probe": {"kind": "linear_probe", "recipe": {"epochs": 4}}, "full": None}
    settings = {
        name: [changed(methods=methods, **sections).recipe("a", "digits", name)[key] for key in ("lr", "epochs")]
        for name, sections in (("linear_probe", {}), ("probe", {}), ("full", {}))
    }
    assert settings["linear_probe"] == [0.5, 3] and settings["probe"] == [0.5, 4]
    assert settings["full"] != [0.5, 3]
    stated = changed(methods=methods, recipe={"lr": 0.1}).recipe("a", "digits", "linear_probe")
    assert (stated["lr"], stated["epochs"]) == (0.1, 3)


def test_the_more_specific_recipe_wins():
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


def test_entries_and_recipes_are_computed_once_however_often_checks_use_them(monkeypatch):
    calls = []
    resolve = recipe.resolve
    monkeypatch.setattr(recipe, "resolve", lambda *levels: calls.append(levels) or resolve(*levels))
    study = changed()
    for _ in range(3):
        for cell in study.seeds:
            study.recipe(*cell)
    assert len(calls) == len(study.seeds)
