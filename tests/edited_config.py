"""Problems of a good config after an edit."""

import copy

import yaml
from support import ROOT

from variability.config import validate
from variability.errors import ConfigError

GOOD = yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text())
MODEL, METHOD = next(iter(GOOD["models"])), next(iter(GOOD["methods"]))


def problems(edit, mirrors=()) -> list[str]:
    """Return the problems of a good config after an edit."""
    config = copy.deepcopy(GOOD)
    edit(config)
    try:
        validate.check(config, mirrors)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def put(path, value):
    """Return an edit that sets the value at a path of keys."""

    def edit(config):
        *parents, last = path.split("/")
        for key in parents:
            config = config[key]
        config[last] = value

    return edit
