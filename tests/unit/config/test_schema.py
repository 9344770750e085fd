"""The schema of a config, and the defaults that its models state."""

import re

import pytest
import yaml
from jsonschema import Draft202012Validator
from support import ROOT

from variability import registry
from variability.config import recipe, schema, sections
from variability.config.section import OMITTED, Section

SCHEMA = schema.config_schema()
MODELS = [
    member
    for module in (sections, recipe)
    for member in vars(module).values()
    if isinstance(member, type) and issubclass(member, Section) and member is not Section
]


def test_the_schema_file_is_in_step_with_the_models():
    assert (ROOT / "workflow/schemas/config.schema.yaml").read_text() == schema.as_yaml(), "run `make schema`"


def test_the_schema_is_valid_and_accepts_its_own_defaults():
    Draft202012Validator.check_schema(SCHEMA)
    for name, model in SCHEMA["$defs"].items():
        for key, value in model["properties"].items():
            if "default" in value:
                resolvable = value | {"$defs": SCHEMA["$defs"]}
                assert not list(Draft202012Validator(resolvable).iter_errors(value["default"])), (name, key)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_section_has_the_keys_of_its_schema_and_gives_its_defaults(model):
    generated = SCHEMA["$defs"].get(model.__name__, SCHEMA)
    plugins = registry.names("modalities") if model is sections.Task else ()
    assert set(generated["properties"]) == {*model.model_fields, *plugins}
    stated = {key: value["default"] for key, value in generated["properties"].items() if "default" in value}
    assert {key: value for key, value in model.defaults().items() if key in stated} == stated
    # The others depend on further keys.
    assert all(value is None for key, value in model.defaults().items() if key not in stated)
    assert OMITTED not in model.defaults().values()


def test_defaults_are_copies():
    sections.Model.defaults()["options"]["pretrained"] = True
    assert sections.Model.defaults()["options"] == {}


def test_recipes_are_resolved_key_by_key_and_levels_are_not_changed():
    levels = {"lr": 0.1, "augmentation": {"flip": True}}, None, {"augmentation": {"crop": 2}}
    resolved = recipe.resolve(*levels)
    assert resolved == recipe.DEFAULTS | {
        "lr": 0.1,
        "augmentation": {"flip": True, "crop": 2, "randaugment": None, "views": 0},
    }
    assert levels == ({"lr": 0.1, "augmentation": {"flip": True}}, None, {"augmentation": {"crop": 2}})
    assert recipe.resolve() == recipe.DEFAULTS == recipe.Recipe.defaults()


def test_plug_ins_are_in_the_schema_of_a_task():
    task = SCHEMA["$defs"]["Task"]["properties"]
    assert task["kind"]["enum"] == list(registry.names("kinds"))
    for name in registry.names("modalities"):
        assert task[name]["properties"] == registry.find("modalities", name).OPTIONS


def test_no_docstring_is_in_the_schema():
    text = yaml.safe_dump(SCHEMA, width=1000)
    for model in MODELS:
        assert not re.search(re.escape(model.__doc__.splitlines()[0]), text)
