"""Configs of careless and hostile authors: each is a plan, or one message that names a key; never a traceback."""

import copy
import json
import re
import time
from pathlib import Path

import generated_studies
import hostile_values
import pytest
import small_config
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.utils import update_config
from support import ROOT

from variability.config import plain_values, schema, stage_table, trials, validate
from variability.errors import ConfigError

pytestmark = pytest.mark.slow

SCHEMA = schema.config_schema()
_FILES = [ROOT / "config.yaml", ROOT / "tests/workflow/tiny.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]
#: Seconds of processor time that any config may take, so that none hangs. The slowest takes two.
_MOST_SECONDS = 30


class Studies(list):
    """Studies, which reports of failures do not write out."""

    def __repr__(self) -> str:
        return "studies"


@pytest.fixture(scope="module")
def studies(tmp_path_factory) -> Studies:
    folder = tmp_path_factory.mktemp("files")
    return Studies([*map(yaml.safe_load, map(Path.read_text, _FILES)), *generated_studies.generated(folder) * 3])


@pytest.fixture(scope="module")
def hashes(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hashes")


@pytest.fixture(autouse=True)
def untried(monkeypatch):
    """Networks are not built, and the schema is generated once: there are thousands of configs."""
    monkeypatch.setattr(validate, "config_schema", lambda: SCHEMA)
    monkeypatch.setattr(trials, "_ask", lambda program, requests: [None for _ in requests])
    monkeypatch.setattr(trials, "_store", lambda path, answer: None)


def plan(config, hashes: Path, **options) -> None:
    """Check a config and compute what Snakemake's rules ask for, as far as that needs no finished job."""
    plan = stage_table.Plan(validate.check(config, **options), (), hashes)
    for stage in stage_table.STAGES.values():
        for job in stage.jobs(plan):
            stage.plugins(plan, job)
            stage.extras(plan, job)
            if stage.spec is not None:
                stage.spec(plan, {"block": "0"} | job)


def refusal(config, hashes: Path, **options) -> str:
    """Return the message of a config that is refused, "" for a plan. Any other exception is an error of the test."""
    started = time.process_time()
    message = ""
    try:
        plan(config, hashes, **options)
    except ConfigError as error:
        message = str(error)
        keys = {str(key).partition(".")[0] for key in config} if isinstance(config, dict) else set()
        for problem in error.problems:
            assert len(ascii(str(problem))) < 5_000, problem
            assert problem.key.partition(".")[0] in {*keys, *SCHEMA["properties"], ""}, problem
    assert "Traceback" not in message
    assert len(message.splitlines()) <= 25, message[:2000]
    assert all(line.isprintable() for line in message.splitlines()), ascii(message)
    assert time.process_time() - started < _MOST_SECONDS
    return message


def check_edited(studies, hashes: Path, study: int, edits) -> None:
    refusal(hostile_values.edited(studies[study % len(studies)], edits), hashes)


_CHECKED = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
_STUDY = st.integers(0, len(_FILES) + 8)


@settings(_CHECKED, max_examples=150)
@given(study=_STUDY, edits=hostile_values.EDITS)
def test_an_edited_config_is_a_plan_or_a_message(studies, hashes, study, edits):
    check_edited(studies, hashes, study, edits)


@pytest.mark.faults
@settings(_CHECKED, max_examples=20_000)
@given(study=_STUDY, edits=hostile_values.EDITS)
def test_20_000_edited_configs_are_plans_or_messages(studies, hashes, study, edits):
    check_edited(studies, hashes, study, edits)


def check_merged(studies, hashes: Path, study: int, other: int, edits) -> None:
    """Check an edited study merged over another, as by ``--configfile a.yaml b.yaml``, and then by ``--config``."""
    config = copy.deepcopy(studies[study % len(studies)])
    changes = hostile_values.edited(studies[other % len(studies)], edits)
    changes = {key: value for index, (key, value) in enumerate(changes.items()) if (study + index) % 3}
    # Snakemake's own reading, which comes first, neither merges nor prints such a value.
    if plain_values.plain(changes)[1]:
        return
    update_config(config, changes)
    refusal(config, hashes, files=[_FILES[other % len(_FILES)]])
    arguments = [f"{key}={json.dumps(value)}" for key, value in changes.items() if re.fullmatch(r"[a-z_]\w+", key)]
    options = parse_config(arguments)
    update_config(config, options)
    refusal(config, hashes, options=options)


@settings(_CHECKED, max_examples=20)
@given(study=_STUDY, other=_STUDY, edits=hostile_values.EDITS)
def test_merged_configs_are_plans_or_messages(studies, hashes, study, other, edits):
    check_merged(studies, hashes, study, other, edits)


@pytest.mark.faults
@settings(_CHECKED, max_examples=2_000)
@given(study=_STUDY, other=_STUDY, edits=hostile_values.EDITS)
def test_2000_merged_configs_are_plans_or_messages(studies, hashes, study, other, edits):
    check_merged(studies, hashes, study, other, edits)


def test_every_hostile_value_somewhere_in_a_study(hashes):
    for index in range(hostile_values.COUNT):
        refusal(hostile_values.edited(small_config.CONFIG, [("replace", 7 * index + 3, 0, index)]), hashes)
