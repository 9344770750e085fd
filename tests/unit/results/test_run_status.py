import numpy as np
import pandas as pd

from variability.results import run_status
from variability.results.columns import RUN


def table(*rows):
    """Rows of (seed, phase, metric, higher_is_better, value, status)."""
    columns = ["seed", "phase", "metric", "higher_is_better", "value", "status"]
    frame = pd.DataFrame(rows, columns=columns).assign(model="m", task="t", method="f", fail_reason=None)
    return frame.astype({"value": float})


def by_seed(runs, column):
    return runs.drop_duplicates(RUN).set_index("seed")[column].to_dict()


def test_an_infinite_value_of_any_metric_makes_the_run_diverged():
    runs = run_status.with_non_finite(
        table(
            (0, "after", "accuracy", True, 0.8, "completed"),
            (0, "after", "nll", False, np.inf, "completed"),
            (1, "after", "accuracy", True, 0.7, "completed"),
            (1, "after", "nll", False, 0.5, "completed"),
        )
    )
    assert by_seed(runs, "status") == {0: "diverged", 1: "completed"}
    assert by_seed(runs, "fail_reason") == {0: "nll is inf", 1: None}
    assert runs["value"].tolist()[2:] == [0.7, 0.5]
    assert runs["value"].isna().tolist() == [True, True, False, False]


def test_a_value_whose_square_is_not_finite_makes_the_run_diverged():
    rows = [(seed, "after", "ppl", False, value, "completed") for seed, value in enumerate([2e150, 9e149, -1e300])]
    runs = run_status.with_non_finite(table(*rows))
    assert by_seed(runs, "status") == {0: "diverged", 1: "completed", 2: "diverged"}
    assert by_seed(runs, "fail_reason") == {0: "ppl is 2e+150", 1: None, 2: "ppl is -1e+300"}
    assert np.isfinite(np.square(run_status.LARGEST) * 1e6)


def test_an_infinite_value_from_before_fine_tuning_is_undefined():
    runs = run_status.with_non_finite(
        table((0, "before", "nll", False, -np.inf, "completed"), (0, "after", "nll", False, 0.5, "completed"))
    )
    assert by_seed(runs, "status") == {0: "completed"}
    assert run_status.undefined(runs).tolist() == [True, False]


def test_nan_of_a_loss_is_diverged_only_where_it_is_stated():
    rows = table(
        (0, "after", "nll", False, np.nan, "completed"),
        (1, "after", "nll", False, np.nan, "completed"),
        (2, "after", "auroc", True, np.nan, "completed"),
    )
    runs = run_status.with_non_finite(rows, pd.Series([True, False, True]))
    assert by_seed(runs, "status") == {0: "diverged", 1: "completed", 2: "completed"}
    assert by_seed(runs, "fail_reason")[0] == "nll is nan"


def test_a_run_that_failed_stays_failed():
    rows = table((0, "after", "nll", False, np.inf, "failed")).assign(fail_reason="reported as crashed")
    runs = run_status.with_non_finite(rows)
    assert by_seed(runs, "status") == {0: "failed"}
    assert by_seed(runs, "fail_reason") == {0: "reported as crashed"}
    assert runs["value"].isna().all()


def test_a_run_without_any_value_failed():
    runs = run_status.with_no_value(
        table(
            (0, "after", "accuracy", True, np.nan, "completed"),
            (0, "after", "auroc", True, np.nan, "completed"),
            (1, "after", "accuracy", True, 0.7, "completed"),
            (1, "after", "auroc", True, np.nan, "completed"),
            (2, "after", "accuracy", True, np.nan, "diverged"),
        )
    )
    assert by_seed(runs, "status") == {0: "failed", 1: "completed", 2: "diverged"}
    assert run_status.undefined(runs).tolist() == [False, False, False, True, False]
    assert run_status.failed(runs).tolist() == [True, True, False, False, False]
    assert run_status.diverged(runs).tolist() == [False, False, False, False, True]


def test_a_table_without_runs():
    assert run_status.with_no_value(run_status.with_non_finite(table())).empty
