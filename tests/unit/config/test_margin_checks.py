"""Problems of margins of equivalence and of claims that name candidates."""

import pytest

from variability.config import margin_checks
from variability.config.import_checks import Contents
from variability.results import equivalence_margins

RUNS = {("a", "pong", "full", 0), ("a", "chess", "full", 0)}
CONTENTS = {"own": Contents(RUNS, {(*run, "after", "test", "hns") for run in RUNS})}


def problems(margins, known=True, **config):
    config = {"imports": {"own": {}}, "margins": margins} | config
    return {problem.key: problem.message for problem in margin_checks.check(config, CONTENTS if known else None)}


def test_a_task_has_the_margin_of_its_metric_unless_it_has_its_own():
    margins = {"hns": 0.1, "chess": {"hns": 0.2}}
    assert problems(margins) == {}
    assert equivalence_margins.declared(margins, "pong", "hns") == 0.1
    assert equivalence_margins.declared(margins, "chess", "hns") == 0.2
    assert equivalence_margins.declared(margins, "chess", "accuracy") is None
    # A task that is named like a metric.
    assert equivalence_margins.declared({"hns": {"hns": 0.3}}, "hns", "hns") == 0.3
    assert equivalence_margins.declared({"hns": {"hns": 0.3}}, "pong", "hns") is None


@pytest.mark.parametrize(
    ("margins", "key", "message"),
    [
        ({"hsn": 0.1}, "margins.hsn", "did you mean 'hns'"),
        ({"pnog": {"hns": 0.1}}, "margins.pnog", "did you mean 'pong'"),
        ({"pong": {"hsn": 0.1}}, "margins.pong.hsn", "'hsn' is not a metric"),
        ({"pong": 0.1}, "margins.pong", "name the metric, too"),
        ({"accuracy": 1}, "margins.accuracy", "1 is the whole range of accuracy, 0 to 1"),
        ({"pong": {"accuracy": 2}}, "margins.pong.accuracy", "whole range"),
    ],
)
def test_problems_are_named_with_their_key(margins, key, message):
    assert message in problems(margins)[key]


def test_the_range_is_the_one_that_the_config_declares():
    assert problems({"hns": 5.0}) == {}
    assert "margins.hns" in problems({"hns": 5.0}, scales={"hns": {"range": [0, 4]}})
    assert problems({"accuracy": 1}, scales={"accuracy": {"range": [0, 100]}}) == {}


def test_files_that_were_not_read_leave_tasks_and_metrics_unknown():
    assert problems({"hsn": 0.1, "pnog": {"hns": 0.1}}, known=False) == {}


def test_claims_name_candidates_of_the_study():
    config = {"claims": {"not_worse": {"candidate": "b*", "than": "a (full)"}, "beats": None}}
    cells = {("b", "digits", "linear_probe"): ()}
    assert list(margin_checks.check_claims(config, cells, CONTENTS)) == []
    config = {"claims": [{"not_worse": {"candidate": "a (fulll)", "than": "c"}}]}
    found = {problem.key: problem.message for problem in margin_checks.check_claims(config, cells, CONTENTS)}
    assert "did you mean 'a (full)'" in found["claims.not_worse.candidate"]
    assert "'c' matches no candidate" in found["claims.not_worse.than"]
