"""Base class of the models that describe the sections of a config, and types that several of them share."""

import copy
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

#: Default of an optional key that has no default value.
OMITTED: Any = object()
#: Default of a key whose value then depends on other keys.
DEPENDS: Any = None
#: Default of a mapping whose keys have their own defaults.
EMPTY: Any = {}

Sha256 = Annotated[
    str,
    Field(pattern=r"^[0-9a-f]{64}$", title="a SHA-256 checksum: 64 digits from 0 to 9 and a to f, in lower case"),
]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A mapping of the config: the types, defaults and descriptions of its keys.

    The JSON schema that configs are checked with is generated from these models (``config.schema``), and all default
    values come from them. Studies stay plain dicts: values reach the jobs exactly as the user wrote them.
    """

    model_config = ConfigDict(extra="forbid", regex_engine="python-re", defer_build=True)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the default values of the keys that have one, as plain values."""
        defaults = {name: field.default for name, field in cls.model_fields.items() if not field.is_required()}
        return copy.deepcopy({name: value for name, value in defaults.items() if value is not OMITTED})
