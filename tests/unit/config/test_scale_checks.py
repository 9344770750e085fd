"""Problems of the declared scales of metrics."""

import pytest

from variability.config import scale_checks
from variability.config.import_checks import Contents

RUNS = {("a", "pong", "full", 0), ("a", "chess", "full", 0)}


def problems(scales=None, metrics=None, known=True):
    config = {"imports": {"own": {"metrics": metrics or {"hns": {"higher_is_better": True}}}}}
    config |= {"scales": scales} if scales else {}
    return {problem.key: problem.message for problem in scale_checks.check(config, contents() if known else None)}


def contents():
    return {"own": Contents(RUNS, {(*run, "after", "test", "hns") for run in RUNS})}


def test_a_sound_declaration_has_no_problems():
    ends = {"low": 0.0, "high": 2.0}
    scales = {"hns": {"normalise": {"pong": ends, "chess": ends}, "range": [0, None], "reference": {"pong": 1}}}
    assert problems(scales) == {}
    assert problems({"hns": {"normalise": ends, "reference": 1}}) == {}


@pytest.mark.parametrize(
    ("scales", "key", "message"),
    [
        ({"hsn": {"range": [0, 1]}}, "scales.hsn", "did you mean 'hns'"),
        ({"hns": {"range": [1, 0]}}, "scales.hns.range", "smaller end first"),
        ({"hns": {"normalise": {"low": 1, "high": 1}}}, "scales.hns.normalise", "equal"),
        ({"hns": {"reference": {"pnog": 1}}}, "scales.hns.reference", "'pong'"),
    ],
)
def test_problems_are_named_with_their_key(scales, key, message):
    assert message in problems(scales)[key]


def test_a_task_without_runs_is_named_in_an_import():
    metrics = {"hns": {"higher_is_better": True, "reference": {"pnog": 1}}}
    assert "'pong'" in problems(metrics=metrics)["imports.own.metrics.hns"]
    assert problems(metrics=metrics, known=False) == {}
