"""The JSON schema of a config, generated from the models of its sections.

    python -m variability.config.schema workflow/schemas/config.schema.yaml

Configs are checked with the schema and not by the models: its errors are independent of each other, and values reach
the jobs exactly as they were written, without conversion.
"""

import sys
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from variability.config.sections import Config

HEADER = """\
# Keys and values of a study's config. Editors that have a YAML language server use it for completion.
# Generated from workflow/lib/variability/config/sections.py by `make schema`; edit that file instead.
"""


class _Generator(GenerateJsonSchema):
    """Schemas that are easy to read, and that explain an error once: without titles and redundant types."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        # Class docstrings are for developers.
        generated = super().model_schema(schema)
        return {key: value for key, value in generated.items() if key not in ("title", "description")}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        """Leave out None where null is not a value: the key then has a default that depends on other keys."""
        generated = super().default_schema(schema)
        if generated.get("default", ...) is None and schema["schema"]["type"] != "nullable":
            del generated["default"]
        return generated

    def literal_schema(self, schema: core_schema.LiteralSchema) -> dict[str, Any]:
        return {key: value for key, value in super().literal_schema(schema).items() if key != "type"}

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        generated = super().dict_schema(schema)
        if patterns := generated.pop("patternProperties", None):
            # Keys that do not match the pattern are errors.
            (values,) = patterns.values()
            generated |= {
                "propertyNames": self.generate_inner(schema.get("keys_schema", core_schema.str_schema())),
                "additionalProperties": values,
            }
        if generated.get("additionalProperties") is True:
            del generated["additionalProperties"]
        return generated

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        inner = self.generate_inner(schema["schema"])
        if isinstance(inner.get("type"), str):
            return inner | {"type": [inner["type"], "null"]}
        return super().nullable_schema(schema)

    def get_union_of_schemas(self, schemas: list[dict[str, Any]]) -> dict[str, Any]:
        if all(schema.keys() == {"type"} for schema in schemas):
            return {"type": [schema["type"] for schema in schemas]}
        return super().get_union_of_schemas(schemas)

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        return value


@cache
def config_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a config, with the options of all modalities; do not change it."""
    schema = Config.model_json_schema(schema_generator=_Generator)
    head = {"$schema": GenerateJsonSchema.schema_dialect, "title": "finetune-variability study"}
    return head | schema


def as_yaml() -> str:
    """Return the schema as the text of a YAML file."""
    import yaml

    return HEADER + yaml.safe_dump(config_schema(), sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(as_yaml(), encoding="utf-8")
