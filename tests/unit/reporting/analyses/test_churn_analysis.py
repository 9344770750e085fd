"""Tests of churn against loops over pairs of runs."""

from functools import partial
from itertools import combinations, product

import numpy as np
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry
from variability.results.predictions import Predictions, RunPredictions
from variability.stats import clustered

CELLS = [("a", "digits", "full"), ("b", "digits", "full")]


def study(predicted, truth, ids=None):
    """Return the tables of a study whose cells, CELLS, have these predictions: (runs, examples) each."""

    def source(at, phase, split, probabilities):
        of_cell = np.arange(len(truth)) if ids is None else ids[at]
        for seed, y_pred in enumerate(predicted[at]):
            yield RunPredictions(
                seed, of_cell, truth, y_pred, None, kind="classification" if y_pred.dtype.kind == "i" else "regression"
            )

    predictions = Predictions({cell: partial(source, at) for at, cell in enumerate(CELLS)})
    runs = synthetic.runs(methods=("full",), seeds=range(max(map(len, predicted))))
    return {"runs": runs, "predictions": predictions}


def table(tables, **options):
    return registry.find("analyses", "churn")(options).table(tables)


def one(result, **values):
    for column, value in values.items():
        result = result[result[column].isna() if value is None else result[column] == value]
    assert len(result) == 1
    return result.iloc[0]


def within(result, quantity, model="a"):
    return one(result, quantity=quantity, model=model, model_reference=None)


def difference(one, other, regression):
    return np.abs(one - other).mean() if regression else (one != other).mean()


def mean_difference(runs, regression):
    return np.mean([difference(*pair, regression) for pair in combinations(runs, 2)])


@pytest.fixture(params=[False, True], ids=["classification", "regression"])
def case(request):
    """Return predictions of two cells with different numbers of runs, the truth, and True for regression."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 50)
    predicted = [
        np.where(rng.random((runs, 50)) < 0.7, truth, rng.integers(0, classes, (runs, 50)))
        for runs, classes in ((6, 4), (4, 7))
    ]
    if request.param:
        truth, predicted = truth.astype(float), [runs + rng.normal(size=runs.shape).round(1) for runs in predicted]
    return predicted, truth, request.param


def test_disagreement_is_the_mean_over_all_pairs(case):
    predicted, truth, regression = case
    result = table(study(predicted, truth))
    for model, runs in zip("ab", predicted, strict=True):
        row = within(result, "disagreement", model)
        assert row["estimate"] == pytest.approx(mean_difference(runs, regression))
        assert (row["n"], row["n_examples"]) == (len(runs), 50)
    between = np.mean([difference(*pair, regression) for pair in product(*predicted)])
    row = one(result, quantity="disagreement", model="a", model_reference="b")
    assert row["estimate"] == pytest.approx(between)
    assert (row["n"], row["n_reference"]) == (6, 4)


def test_the_interval_is_that_of_leaving_out_each_run(case):
    predicted, truth, regression = case
    runs, n = predicted[0], len(predicted[0])
    left_out = np.array([mean_difference(np.delete(runs, at, axis=0), regression) for at in range(n)])
    error = np.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum())
    half = stats.t.ppf(0.95, n - 1) * error
    row = within(table(study(predicted, truth), level=0.9), "disagreement")
    middle = mean_difference(runs, regression)
    assert (row["low"], row["high"]) == pytest.approx((middle - half, middle + half))


def test_the_interval_of_a_share_ends_at_0_and_1():
    # One run against four equal ones: the jackknife's interval would be [-0.7, 1.5].
    truth = np.zeros(50, dtype=int)
    row = within(table(study([np.repeat([[1], [0], [0], [0], [0]], 50, axis=1)] * 2, truth)), "disagreement")
    assert (row["estimate"], row["low"], row["high"]) == (0.4, 0, 1)


def test_flip_rates_are_those_of_single_examples(case):
    predicted, truth, regression = case
    result, runs = table(study(predicted, truth)), predicted[0]
    rates = [mean_difference(runs[:, [at]], regression) for at in range(50)]
    quantiles = result.query("quantity == 'flip_rate' and model == 'a'").set_index("quantile")["estimate"]
    assert np.mean(rates) == pytest.approx(within(result, "disagreement")["estimate"])
    assert quantiles[0.5] == pytest.approx(np.sort(rates)[24])
    assert quantiles[1.0] == pytest.approx(max(rates))
    assert within(result, "consistency")["estimate"] == np.mean((runs == runs[0]).all(axis=0))


def test_unequal_accuracies_cause_some_churn(case):
    predicted, truth, regression = case
    errors = [difference(run, truth, regression) for run in predicted[0]]
    expected = np.mean([abs(one - other) for one, other in combinations(errors, 2)])
    result = table(study(predicted, truth))
    assert within(result, "minimum")["estimate"] == pytest.approx(expected)
    assert expected <= within(result, "disagreement")["estimate"]


def test_many_examples_are_counted_in_parts(case, monkeypatch):
    predicted, truth, _ = case
    whole = table(study(predicted, truth))
    module = registry.find("analyses", "churn").__module__
    monkeypatch.setattr(f"{module}.VOTES", 40)
    parts = table(study(predicted, truth))
    assert parts["estimate"].tolist() == pytest.approx(whole["estimate"].tolist(), nan_ok=True)


def test_the_examples_of_two_cells_may_be_in_different_orders(case):
    predicted, truth, _ = case
    order = np.random.default_rng(1).permutation(50)
    moved = study(predicted, truth, ids=[np.arange(50), np.argsort(order)])
    # Example k of the second cell is at the position that its id gives.
    other = table(study([predicted[0], predicted[1][:, order]], truth[order]))
    assert within(table(moved), "disagreement", "b")["estimate"] == pytest.approx(
        within(other, "disagreement", "b")["estimate"]
    )
    row = one(table(moved), quantity="disagreement", model_reference="b")
    expected = np.mean([difference(first, second[order], case[2]) for first, second in product(*predicted)])
    assert row["estimate"] == pytest.approx(expected)


def test_cells_of_different_examples_are_not_compared(case):
    predicted, truth, _ = case
    row = one(table(study(predicted, truth, ids=[np.arange(50), np.arange(50) + 1])), model_reference="b")
    assert np.isnan(row["estimate"]) and "same test examples" in row["note"]


@pytest.mark.parametrize(
    ("runs", "interval"), [(1, "none"), (2, "none"), (3, "t, delete-one-run jackknife, truncated to possible values")]
)
def test_few_runs_have_no_pair_or_no_interval(runs, interval):
    truth = np.zeros(4, dtype=int)
    predicted = [np.eye(4, dtype=int)[:runs], np.eye(4, dtype=int)]
    row = within(table(study(predicted, truth)), "disagreement")
    assert row["interval"] == interval and np.isnan(row["estimate"]) == (runs == 1)
    assert np.isnan(row["low"]) == (runs < 3) and isinstance(row["note"], str)


def test_equal_runs_never_disagree():
    truth = np.arange(6) % 3
    result = table(study([np.tile(truth, (4, 1)), np.tile(truth, (3, 1))], truth))
    row = within(result, "disagreement")
    assert (row["estimate"], row["low"], row["high"]) == (0, 0, 0) and "point" in row["note"]
    assert within(result, "consistency")["estimate"] == 1
    assert one(result, model_reference="b")["estimate"] == 0


def test_a_cell_without_a_completed_run_is_counted():
    failed = {("a", "digits", "full", seed) for seed in range(5)}
    result = table(synthetic.base_tables(failed=failed))
    row = within(result[result["method"] == "full"], "disagreement")
    assert (row["n"], row["n_failed"]) == (0, 5) and np.isnan(row["estimate"])
    between = result[result["model_reference"].notna()]
    assert len(between) == 6 and between["estimate"].isna().sum() == 3


def test_the_standard_error_over_examples_is_that_of_their_groups():
    groups = np.array([0, 0, 1, 1, 2])
    cell = ("a", "digits", "full")
    base = synthetic.base_tables(models=("a",), methods=("full",), seeds=(0, 1, 2, 3))
    # Of the 6 pairs of 4 runs, 4 disagree on an example that two of them predict differently, 3 where one does.
    predicted = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 1]])

    def source(phase, split, probabilities):
        for seed, row in enumerate(predicted):
            yield RunPredictions(seed, np.arange(5), np.zeros(5, int), row, None, groups)

    row = table(base | {"predictions": Predictions({cell: source})})
    row = row[row["quantity"] == "disagreement"].iloc[0]
    flips = np.array([4 / 6, 4 / 6, 0, 0, 3 / 6])
    assert row["n_groups"] == 3 and row["se_examples"] == pytest.approx(clustered.mean(flips, groups).se)
