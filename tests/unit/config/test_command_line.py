"""Values of ``--config``: lists and mappings of texts, which mean what a file would."""

import copy

import pytest
import small_config
import yaml
from snakemake.cli import parse_config
from snakemake.utils import update_config
from support import ROOT

from variability.config import command_line, schema, validate
from variability.errors import ConfigError

SCHEMA = schema.config_schema()


def typed(*arguments):
    """Return the small config with these arguments of ``--config``, as Snakemake merges them."""
    options, config = parse_config(list(arguments)), copy.deepcopy(small_config.CONFIG)
    update_config(config, options)
    return command_line.typed(config, options, SCHEMA)


@pytest.mark.parametrize(
    ("argument", "key", "expected"),
    [
        ("seeds=[0,1]", "seeds", [0, 1]),
        ("seeds=[-1, 1.5, 1e3, 010, x]", "seeds", [-1, 1.5, "1e3", "010", "x"]),
        (
            "recipe={lr: 0.1, epochs: 3, early_stopping: null}",
            "recipe",
            {"lr": 0.1, "epochs": 3, "early_stopping": None},
        ),
        ("recipe={augmentation: {flip: true}}", "recipe", {"augmentation": {"flip": True}}),
        ("grid={exclude: [{model: 18, seed: [0, 1]}]}", "grid", {"exclude": [{"model": "18", "seed": [0, 1]}]}),
        (
            "overrides=[{model: [18, a], recipe: {lr: 1.0}}]",
            "overrides",
            [{"model": ["18", "a"], "recipe": {"lr": 1.0}}],
        ),
        ("analyses={intervals: {level: 0.9}, churn: false}", "analyses", {"intervals": {"level": 0.9}, "churn": False}),
        ("metrics=[accuracy]", "metrics", ["accuracy"]),
        ("mirrors=[1]", "mirrors", ["1"]),
        ("compute={features_gb: .nan}", "compute", {"seeds_per_job": 2, "features_gb": ".nan"}),
        ("study=18", "study", 18),
    ],
)
def test_texts_are_read_as_in_a_file_unless_only_text_is_accepted(argument, key, expected):
    assert typed(argument)[key] == expected


def test_values_of_a_file_stay_as_they_are():
    config = copy.deepcopy(small_config.CONFIG) | {"seeds": ["0", "1"]}
    assert command_line.typed(config, {"recipe": {"lr": "0.1"}}, SCHEMA)["seeds"] == ["0", "1"]
    assert command_line.typed(config, {}, SCHEMA) is config


def test_the_check_converts_and_names_the_command_line():
    options = parse_config(["seeds=[0,x]"])
    with pytest.raises(ConfigError) as raised:
        validate.check(copy.deepcopy(small_config.CONFIG) | options, options=options)
    assert "seeds.1: 'x' is not a whole number (from --config)" in str(raised.value)
    options = parse_config(["seeds=[4,5]"])
    study = yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text()) | options
    assert validate.check(study, options=options).config["seeds"] == [4, 5]


def test_an_entry_of_a_list_of_an_option_is_not_in_the_file_whose_list_it_replaces(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({"checkpoints": 5, **small_config.CONFIG}, sort_keys=False))
    with pytest.raises(ConfigError) as raised:
        validate.check(
            small_config.CONFIG | {"seeds": ["01"], "checkpoints": 5}, files=[file], options={"seeds": ["01"]}
        )
    messages = [str(problem) for problem in raised.value.problems]
    assert [message.rpartition(" (")[2] for message in messages] == ["study.yaml, line 1)", "from --config)"]
