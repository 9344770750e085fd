"""The examples on the page about imports: their keys and values exist, and those of files in the project are read."""

import re
import textwrap

import jsonschema
import pytest
import yaml
from support import ROOT

from variability.config import schema, validate

PAGE = (ROOT / "docs/importing.md").read_text()
BLOCKS = [yaml.safe_load(textwrap.dedent(block)) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]
#: Whole imports by their names: blocks that only show some keys of one have no path of their own.
IMPORTS = {
    name: entry for block in BLOCKS for name, entry in block.items() if isinstance(entry, dict) and "path" in entry
}


def test_the_page_has_examples_of_most_formats():
    formats = {entry.get("format") for entry in IMPORTS.values()}
    assert {"lm_eval", "hf_trainer", "hf_predictions", "eval_arena", "inspect", "lightning", "hydra"} <= formats


@pytest.mark.parametrize("name", IMPORTS)
def test_an_example_has_keys_that_exist(name):
    jsonschema.validate({"study": "s", "imports": {name: IMPORTS[name]}}, schema.config_schema())


@pytest.mark.parametrize("name", [name for name, entry in IMPORTS.items() if (ROOT / entry["path"]).exists()])
def test_an_example_of_files_in_the_project_is_read(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    validate.check({"study": "s", "imports": {name: IMPORTS[name]}}, [])
