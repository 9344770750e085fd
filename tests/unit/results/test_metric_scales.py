import numpy as np
import pandas as pd
import pytest

from variability.results import metric_scales
from variability.results.metrics import _known, scalar_facts


def rows(declaration, tasks=("t",), metric="m", values=(0.5,), perfect=np.nan):
    frame = pd.DataFrame([(task, metric, value) for task in tasks for value in values])
    frame = frame.set_axis(["task", "metric", "value"], axis=1).assign(perfect=perfect)
    return metric_scales.with_declared(frame, {metric: declaration})


@pytest.mark.parametrize(
    ("declaration", "perfect", "expected"),
    [
        ({"range": [0, 1]}, 1.0, 1.0),
        ({"range": [0, 100]}, 100.0, 100.0),
        ({"range": [20, 40]}, np.nan, 20.0),
        ({"range": [-1, 1]}, 1.0, 1.0),
        ({"range": [0, None]}, 0.0, np.nan),
        ({"range": [None, 1], "reference": 0}, 1.0, 1.0),
        ({}, 1.0, np.nan),
        ({"range": [0, 1], "normalise": {"low": 10, "high": 2}}, np.nan, 8.0),
    ],
)
def test_the_length_of_a_unit_follows_from_the_declaration(declaration, perfect, expected):
    assert metric_scales.length(rows(declaration, perfect=perfect)).tolist() == pytest.approx([expected], nan_ok=True)


def test_the_values_do_not_decide_the_length():
    lengths = [metric_scales.length(rows({"range": [-1, 1]}, values=values))[0] for values in ((0.1,), (-0.1,), (0.9,))]
    assert lengths == [1, 1, 1]


def test_a_task_can_have_its_own_normalisation_and_reference():
    declaration = {"normalise": {"pong": {"low": -20.7, "high": 14.6}}, "reference": {"chess": 3}}
    table = rows(declaration, tasks=("pong", "chess")).set_index("task")
    assert metric_scales.length(table)["pong"] == pytest.approx(35.3)
    assert np.isnan(metric_scales.length(table)["chess"])
    assert (table["reference"]["chess"], np.isnan(table["reference"]["pong"])) == (3, True)
    assert metric_scales.named_tasks(declaration) == {"pong", "chess"}


def test_later_declarations_replace_single_keys():
    table = metric_scales.with_declared(rows({"range": [0, 1], "unit": "a"}), {"m": {"unit": "b"}})
    assert table.iloc[0][["unit", "range_low", "range_high"]].tolist() == ["b", 0, 1]


def test_metrics_without_a_later_declaration_keep_theirs():
    declared = rows({"range": [0, 1], "unit": "a", "reference": 0.1})
    for others in ({}, {"another": {"range": [0, 5], "unit": "b"}}):
        table = metric_scales.with_declared(declared.copy(), others)
        assert table[["range_low", "range_high", "unit", "reference"]].to_numpy().tolist() == [[0, 1, "a", 0.1]]
        assert metric_scales.length(table.assign(perfect=1.0)).tolist() == [1.0]


def test_a_distance_is_a_fraction_of_the_length_or_of_the_centre():
    lengths, centre = pd.Series([1.0, 100.0, np.nan, np.nan, 1.0]), pd.Series([0.2, 50.0, -4.0, 0.0, np.nan])
    expected = [0.01, 1.0, 0.04, np.nan, np.nan]
    assert metric_scales.distance(0.01, lengths, centre).tolist() == pytest.approx(expected, nan_ok=True)


def test_values_outside_the_range_are_named():
    values = (-0.1, 0.0, 1.0, 1.0 + 1e-9, 1.1, np.nan)
    assert metric_scales.outside(rows({"range": [0, 1]}, values=values)).tolist() == [True, *[False] * 3, True, False]
    assert not metric_scales.outside(rows({}, values=values)).any()


def test_problems_of_a_declaration():
    declaration = {"range": [1, 0], "normalise": {"pong": {"low": 3, "high": 3}}, "reference": {"pnog": 1}}
    problems = dict(metric_scales.problems(declaration, ["pong"]))
    assert "smaller end first" in problems["range"]
    assert "equal" in problems["normalise.pong"]
    assert "'pnog'" in problems["reference"] and "pong" in problems["reference"]
    assert not list(metric_scales.problems({"range": [0, None], "normalise": {"low": 2, "high": 0}}, []))


def test_computed_and_well_known_metrics_declare_their_scale():
    facts = scalar_facts()
    assert {tuple(facts[name]["range"]) for name in ("accuracy", "f1_macro", "auroc", "top5")} == {(0, 1)}
    assert {facts[name]["unit"] for name in ("mse", "rmse", "mae")} == {metric_scales.OF_TARGET}
    assert {tuple(_known.FACTS[name]["range"]) for name in ("mcc", "spearmanr", "pearsonr", "kappa")} == {(-1, 1)}
    assert not set(facts) & set(_known.FACTS)
