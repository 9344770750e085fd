import copy
import re
import subprocess
import sys

import pytest
from edited_config import GOOD, problems, put
from support import ROOT

from variability import registry
from variability.config.sections import Config


@pytest.mark.parametrize("axis", ["models", "tasks", "methods"])
def test_names_that_would_share_a_folder_on_some_file_systems_are_refused(axis):
    name = next(iter(GOOD[axis]))
    found = problems(put(f"{axis}/{name.upper()}", copy.deepcopy(GOOD[axis][name])))
    assert [problem for problem in found if f"differs from {name!r} only in case" in problem]


def test_a_good_config_has_no_problems():
    assert problems(lambda config: None) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("seedz", [1], "seedz: unknown key; did you mean 'seeds'?"),
        ("recipe/learning_rate", 0.1, "recipe.learning_rate: unknown key"),
        ("recipe/epoch", 3, "recipe.epoch: unknown key; did you mean 'epochs'?"),
        ("recipe/epochs", "ten", "recipe.epochs: 'ten' is not a whole number"),
        ("recipe/epochs", 0, "recipe.epochs: 0 is too small; the least is 1"),
        ("recipe/lr", "1e-3", "recipe.lr: '1e-3' is not a number; YAML reads it as text, write 0.001"),
        ("recipe/lr", "1e-7", "recipe.lr: '1e-7' is not a number; YAML reads it as text, write 1.0e-07"),
        ("recipe/epochs", "1e2", "recipe.epochs: '1e2' is not a whole number; YAML reads it as text, write 100"),
        ("recipe/batch_size", 32.0, "recipe.batch_size: 32.0 is not a whole number"),
        ("recipe/optimizer", "admw", "recipe.optimizer: 'admw' is not allowed; did you mean 'adamw'?"),
        ("recipe/lr", -1, "recipe.lr: -1 is too small; it must be above 0"),
        ("recipe/momentum", 1, "recipe.momentum: 1 is too large; it must be below 1"),
        ("tasks/digits/image/size", 5000, "tasks.digits.image.size: 5000 is too large; the most is 1024"),
        (
            "recipe/augmentation",
            {"randaugment": {"num_ops": 1}},
            "recipe.augmentation.randaugment: missing 'magnitude'",
        ),
        ("study", "a b", "study: 'a b' is not a name that is safe in paths"),
        ("study", "downloads", "study: 'downloads' is reserved"),
        ("study", "contents", "study: 'contents' is reserved"),
        ("study", "line\n", "study: 'line\\n' is not a name"),
        ("seeds", [], "seeds: [] is empty; it needs at least one entry"),
        (
            "overrides",
            [{"recipe": {}}],
            "overrides.0: {'recipe': {}} has one entry; it needs at least 2 entries, of model, task",
        ),
        (
            "models/scratch/preprocess",
            {"mean": [0.5] * 4},
            "preprocess.mean: [0.5, 0.5, 0.5, 0.5] has 4 entries; at most 3 entries are allowed",
        ),
        ("models/scratch/sha256", "abc", "models.scratch.sha256: 'abc' is not a SHA-256 checksum: 64 digits"),
        (
            "pretraining/letters/task/options",
            {"letters": "a1"},
            "options.letters: 'a1' is not text of the letters a to z",
        ),
        ("grid/exclude", [{"model": []}], "grid.exclude.0.model: [] is empty; it needs at least one entry"),
        (
            "tasks/digits/split/train",
            -1,
            "split.train: -1 is not allowed here; expected a number of examples (200), a fraction",
        ),
        *(
            ("compute/save_every", duration, f"compute.save_every: {duration!r} is not allowed here; expected the time")
            for duration in ("soon", "10 minutes", "0 min", "-5 s", 0, 1.5)
        ),
        ("compute/save_every", True, "compute.save_every: true is not allowed here; expected the time"),
        ("seeds", [1.0], "seeds.0: 1.0 is not a whole number; write 1"),
        ("seeds", [0, "1"], "seeds.1: '1' is not a whole number; YAML reads it as text, write 1"),
        ("seeds", [0, "01"], "seeds.1: '01' is not a whole number; YAML reads it as text, write 1"),
        ("seeds", [0, True], "seeds.1: true is not a whole number; YAML reads yes, no, on and off as true or false"),
        ("seeds", [0, "2-4"], "seeds.1: '2-4' is not a whole number; write 2, 3, 4"),
        ("seeds", ["1 2"], "seeds.0: '1 2' is not a whole number; write 1, 2"),
        ("seeds", [0, 0.5], "seeds.1: 0.5 is not a whole number"),
        ("seeds", [3, 1, 3], "seeds: seed 3 is listed twice; a repeated seed does not add a run"),
        ("tasks/digits/split/train", "most", "tasks.digits.split.train: 'most' is not allowed"),
        ("tasks/digits/split/train", 5000, "tasks.digits.split.train: requests 5000 examples and 1657 are left"),
        ("tasks/digits/split/train", 0, "tasks.digits.split.train: leaves nothing to train on"),
        ("tasks/digits/dataset", "digit", "tasks.digits.dataset: unknown dataset 'digit'; did you mean 'digits'?"),
        ("tasks/digits/options", {"sise": 1}, "tasks.digits.options.sise: unknown key"),
        ("tasks/digits/metric", "acuracy", "tasks.digits.metric: 'acuracy' is not a metric; did you mean 'accuracy'?"),
        (
            "tasks/digits/metric",
            "rmse",
            "tasks.digits.metric: 'rmse' is a metric of regression, but the task is classification",
        ),
        ("models/scratch/architecture", "resnet19", "models.scratch.architecture"),
        ("models/scratch/weights", "IMAGENET1K_V9", "models.scratch.weights"),
        ("models/scratch/weights", "gone.safetensors", "models.scratch.weights: no file 'gone.safetensors'"),
        ("models/scratch/weights", "pretrain:leters", "no pretraining is named 'leters'; did you mean 'letters'?"),
        (
            "models/scratch/provider",
            "torchvison",
            "models.scratch.provider: unknown provider 'torchvison'; did you mean",
        ),
        ("methods/ful", {}, "methods.ful: unknown method 'ful'; did you mean 'full'?"),
        ("methods/last", {"kind": "partial"}, "methods.last: missing 'blocks'"),
        ("methods/last", {"kind": "partial"}, "missing 'blocks' (number of last blocks that train"),
        ("methods/full", {"lr": 1}, "methods.full.lr: unknown key; it belongs to 'recipe': write recipe: {lr: ...}"),
        ("epochs", 3, "epochs: unknown key; it belongs to 'recipe': write recipe: {epochs: ...}"),
        ("tasks/digits/size", 32, "tasks.digits.size: unknown key; it belongs to 'image': write image: {size: ...}"),
        ("tasks/digits/split/val", 9, "tasks.digits.split.val: unknown key; did you mean 'validation'?"),
        ("seeds", 1, "seeds: 1 is not a list; write [1]"),
        ("seeds", 3, "seeds: 3 is not a list; write [3] for one entry, or [0, 1, 2] for 3 of them"),
        ("seeds", "2-4", "seeds: '2-4' is not a list; write [2, 3, 4]"),
        ("seeds", "0, 7 9", "seeds: '0, 7 9' is not a list; write [0, 7, 9]"),
        ("seeds", "5", "seeds: '5' is not a list; write [5]"),
        ("seeds", "0-4000000000", "seeds: '0-4000000000' is not a list"),
        ("seeds", "range(5)", "write numbers in brackets, such as [0, 1, 2]"),
        ("margins", 0.02, "margins: 0.02 is not a mapping; write, for example, {accuracy: 0.01}"),
        (
            "models/scratch/architecture",
            "bert-org/bert-tiny",
            "networks of the hub, of folders and of packages need `provider: transformers`",
        ),
        ("methods/full", {"blocks": 2}, "methods.full.blocks: unknown key"),
        ("methods/full", {"recpie": {}}, "methods.full.recpie: unknown key; did you mean 'recipe'?"),
        (
            "grid/exclude",
            [{"model": "scrach"}],
            "grid.exclude.0.model: 'scrach' matches nothing; did you mean 'scratch'?",
        ),
        ("grid/exclude", [{"seed": 9}], "grid.exclude.0.seed: 9 is not among the seeds [0, 1]"),
        ("grid/exclude", [{"model": "*"}], "grid: include and exclude leave no run"),
        ("overrides", [{"task": "digit", "recipe": {}}], "overrides.0.task: 'digit' matches nothing"),
        (
            "tasks/digits/kind",
            "regression",
            "tasks.digits.kind: 'regression' does not fit the data set digits, whose labels are for",
        ),
        ("tasks/digits/image", {"color": "grey"}, "tasks.digits.image: missing 'size'"),
        ("models/scratch/preprocess", {"size": 64, "resize": 32}, "models.scratch.preprocess.size: 64 is cropped from"),
        ("metrics", ["accuracy", "rmse"], "metrics.rmse: is a metric of regression, and the study has no such task"),
        ("metrics", ["acc"], "metrics.acc: unknown metric 'acc'"),
        ("analyses", {"spred": {}}, "analyses.spred: unknown analysis 'spred'; did you mean 'spread'?"),
        ("plots", {"seed_spread": {"colour": 1}}, "plots.seed_spread.colour: unknown key"),
        ("plots", ["seed_sprad"], "plots.seed_sprad: unknown plot 'seed_sprad'; did you mean 'seed_spread'?"),
        ("plots", [{"seed_spread": {"dpi": 5}}], "plots.seed_spread.dpi: 5 is too small; the least is 50"),
        ("plots", {"seed_spread": True}, "plots.seed_spread: true is not allowed here; expected options, nothing"),
        (
            "plots",
            [{"gain_slopes": {}, "cost": {}}],
            "plots.0: {'gain_slopes': {}, 'cost': {}} has 2 entries; at most one entry",
        ),
        ("plots", "cost", "plots: 'cost' is not allowed here; expected a list of the wanted plots, or a mapping"),
        ("claims", ["beats", {"beats": {"margin": 0}}], "claims.beats: is listed twice; list it once"),
        (
            "analyses",
            {"nondeterminism": None},
            "analyses.nondeterminism: requires repeated runs (see `repeats`), which",
        ),
    ],
)
def test_a_bad_value_is_named_with_its_key_and_a_remedy(path, value, message):
    reported = problems(put(path, value))
    assert any(message in problem for problem in reported), reported


def test_all_problems_are_reported_at_once():
    def edit(config):
        config["seeds"] = [0, 0]
        config["models"]["scratch"]["weights"] = "pretrain:x"
        config["tasks"]["digits"]["metric"] = "acc"
        config["methods"]["ful"] = {}

    assert len(problems(edit)) == 4


def test_problems_of_the_schema_do_not_hide_those_of_the_other_checks():
    def edit(config):
        config["recipe"] = {"epoch": 3, "lr": "fast", "epochs": 0}
        config["seeds"] = [0, 0, "one"]
        config["tasks"]["digits"]["dataset"] = "digit"

    assert [problem.partition(":")[0] for problem in problems(edit)] == [
        "recipe.epoch",
        "recipe.epochs",
        "recipe.lr",
        "seeds.2",
        "seeds",
        "tasks.digits.dataset",
    ]


def test_a_missing_section_is_named():
    assert problems(lambda config: config.pop("methods")) == ["missing 'methods'"]


def test_two_models_of_a_family_under_one_framework_are_refused():
    def edit(config):
        config["models"] = {
            name: {
                "architecture": "squeezenet1_1",
                "weights": "none",
                "family": family,
                "options": {"dropout": dropout},
            }
            for name, family, dropout in (("first", "small", 0.1), ("second", "small", 0.2), ("other", "first", 0.1))
        }
        config.pop("pretraining", None), config.pop("grid", None), config.pop("overrides", None)

    assert [problem for problem in problems(edit) if "family" in problem] == [
        "models.second.family: 'first' has the same family and framework; a family has one model per framework"
    ]


def test_what_a_framework_does_not_support_is_reported_before_the_first_job(monkeypatch):
    from variability.errors import Problem
    from variability.training import frameworks

    def unsupported(cls, method, recipe):
        yield Problem("recipe.precision", f"{recipe['precision']} is not supported")
        yield Problem("method", "not supported") if not method.BY_BLOCKS else Problem("recipe.lr", "no")

    monkeypatch.setattr(frameworks.of({"provider": "torchvision"}), "problems", classmethod(unsupported))
    reported = problems(lambda config: None)
    assert "recipe.precision: fp32 is not supported (models: pretrained, scratch)" in reported
    assert any(problem.startswith("pretraining.") and "recipe.precision" in problem for problem in reported)


def test_the_best_checkpoint_of_a_run_needs_validation_examples():
    def edit(config):
        config["recipe"]["checkpoint"] = "best"
        config["tasks"]["digits"]["split"]["validation"] = 0

    assert problems(edit) == [
        "tasks.digits.split.validation: is 0, but the recipe's checkpoint: best needs validation examples"
    ]


def test_settings_of_a_recipe_without_effect_are_reported():
    def numbers(config):
        options = {"letters": "abc", "fonts": ["DejaVu Sans"], "target": "rotation"}
        config["tasks"] = {"turned": {"dataset": "glyphs", "options": options, "image": {"size": 8}}}
        config["metrics"] = ["rmse"]
        config["recipe"] = {"label_smoothing": 0.1, "augmentation": {"flip": True}}
        config["pretraining"], config["models"] = {}, {"one": {"architecture": "squeezenet1_1"}}

    reported = problems(numbers)
    assert "recipe.label_smoothing: has no effect on regression; remove it" in reported
    assert not [problem for problem in reported if problem.startswith("recipe.augmentation")]
    with_effect = put("recipe", {"label_smoothing": 0.1, "augmentation": {"flip": True}})
    assert not [problem for problem in problems(with_effect) if problem.startswith("recipe")]


def test_a_model_without_randomness_is_run_once():
    config = {
        "study": "counted",
        "seeds": [0, 1, 2],
        "models": {"popular": {"provider": "counting", "architecture": "popularity"}},
        "tasks": {
            "next": {"dataset": "category_walks", "options": {"users": 20}, "interactions": {"max_length": 5}},
        },
        "methods": {"linear_probe": {}, "full": {}},
        "recipe": {"augmentation": {"flip": True}},
    }
    reported = problems(lambda good: (good.clear(), good.update(config)))
    assert [problem for problem in reported if problem.startswith("models.popular")] == [
        "models.popular: depends on neither method nor seed, so its 6 runs of a task would be identical; add to "
        "grid.exclude: {model: popular, method: [full]}, {model: popular, seed: [1, 2]}"
    ]
    assert "recipe.augmentation: has no effect on interactions; remove it" in reported
    config["grid"] = {"exclude": [{"model": "popular", "method": ["full"]}, {"model": "popular", "seed": [1, 2]}]}
    config.pop("recipe")
    assert not problems(lambda good: (good.clear(), good.update(config)))


def test_the_best_checkpoint_of_each_cell_needs_validation_examples():
    def edit(config):
        config["checkpoints"] = "best"
        config["tasks"]["digits"]["split"]["validation"] = 0

    assert problems(edit) == [
        "tasks.digits.split.validation: is 0, but checkpoints: best needs validation examples to choose a seed"
    ]


def test_micro_batches_larger_than_the_batches_are_refused():
    assert problems(put("recipe/micro_batch", 21)) == [
        "recipe.micro_batch: 21 is more than the batch_size of 20, whose part it is; lower it"
    ]
    assert problems(put("recipe/micro_batch", 20)) == []
    assert problems(put("recipe/micro_batch", 0)) != []


def test_views_without_an_augmentation_are_refused():
    assert problems(put("recipe/augmentation", {"views": 3})) == [
        "recipe.augmentation.views: views of images that no augmentation changes; "
        "add flip, crop or randaugment, or remove views"
    ]
    assert problems(put("recipe/augmentation", {"views": 3, "flip": True})) == []


def test_a_weights_file_is_found_in_a_mirror(tmp_path):
    (tmp_path / "net.safetensors").touch()
    edit = put("models/scratch/weights", "net.safetensors")
    assert problems(edit, [tmp_path]) == []


@pytest.mark.parametrize(("part", "key"), [("models", "architecture"), ("tasks", "dataset")])
def test_a_misspelt_required_key_is_explained(part, key):
    def misspell(config):
        entry = next(iter(config[part].values()))
        entry[f"{key}x"] = entry.pop(key)

    reported = problems(misspell)
    assert any(f"{key}x: unknown key; did you mean '{key}'" in problem for problem in reported), reported


def test_a_repeat_of_an_unknown_method_is_explained():
    assert problems(lambda config: config["methods"].update(again={"repeats": "ful"})) == [
        "methods.again.repeats: must be a method that is not a repeat itself, not 'ful'; did you mean 'full'?"
    ]


def test_a_plot_that_is_switched_off_may_have_unmet_requirements():
    assert problems(put("plots", {"nondeterminism": False})) == []


@pytest.mark.slow
def test_no_message_is_one_of_jsonschemas():
    """Its sentences are about schemas ("is not valid under any of the given schemas"), not about configs."""
    values = [None, True, -1, 1.5, "x y", [], [None], {}, {"x": None}, {"": {}}, [{"x": {}, "y": {}}]]
    for key in Config.model_fields:
        for value in values:
            for problem in problems(put(key, value)):
                assert not re.search(r"schema|non-empty|does not match|is not of type|propert|expected$", problem), (
                    problem
                )


def test_pandas_is_loaded_only_for_imported_files():
    """The check runs at every start, and on a cluster before every job."""
    code = (
        "import sys, yaml; from variability.config import import_checks, validate\n"
        "from variability.config.outputs import Outputs\n"
        "study = validate.check(yaml.safe_load(open(sys.argv[1])))\n"
        "outputs = Outputs(study); outputs.analyses, outputs.plots, outputs.claims\n"
        "assert not {'torch', 'sklearn', 'pandas', 'pyarrow', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(ROOT / "config.yaml")]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(ROOT / "workflow" / "lib")})


def test_plug_ins_of_the_users_folder_are_known_to_the_check(tmp_path):
    (tmp_path / "mine/analyses").mkdir(parents=True)
    (tmp_path / "mine/analyses/my_spread.py").write_text(
        "from variability.reporting.analyses.spread import Spread\n\n\nclass MySpread(Spread):\n    pass\n"
    )
    chosen = {"analyses": {"my_spread": {"levle": 0.9}}}
    try:
        assert problems(lambda config: config.update(chosen)) == [
            "analyses.my_spread: unknown analysis 'my_spread'; did you mean 'spread'?"
        ]
        assert problems(lambda config: config.update(chosen, plugins=[str(tmp_path / "mine")])) == [
            "analyses.my_spread.levle: unknown key; did you mean 'level'?"
        ]
        folder = str(tmp_path / "gone")
        assert problems(put("plugins", [folder])) == [f"plugins: there is no folder {folder}"]
    finally:
        registry.use_folders([])
