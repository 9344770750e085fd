"""Tests of variance components of studies with known truth, and of what cannot be separated."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from statsmodels.regression.mixed_linear_model import MixedLM

from variability import registry
from variability.reporting import primary_rows
from variability.reporting.analyses import _component_rows, components
from variability.results import metric_scales
from variability.stats import variance_components

pytestmark = pytest.mark.slow

STREAMS = [f"seed_{stream}" for stream in ("init", "order", "augment", "dropout", "split")]


def table(runs, population=components.MANY, **options):
    result = registry.find("analyses", "components")(options).table({"runs": runs})
    return result[result["population"] == population].reset_index(drop=True)


def of(result, component, task="digits"):
    rows = result[(result["component"] == component) & (result["task"] == task)]
    assert len(rows) == 1, result["component"].tolist()
    return rows.iloc[0]


def seeded(runs, **streams):
    """Return the runs with other seeds of their streams; streams without a name are the same in all runs."""
    fixed = {column: 0 for column in STREAMS}
    return runs.assign(**(fixed | {f"seed_{name}": seeds for name, seeds in streams.items()}))


def of_pairs(values, tasks=("digits",), pairing="seed"):
    """Return the table of imported runs. values: (models, seeds), the same on every task, NaN for failed runs."""
    models = [f"m{at}" for at in range(len(values))]
    runs = synthetic.runs(models=models, methods=("full",), seeds=range(np.shape(values)[1]), tasks=tasks)
    runs = synthetic.as_imported(runs).sort_values(["task", "model", "seed"])
    return table(runs.assign(value=np.tile(np.ravel(values), len(tasks)), pairing=pairing))


def test_a_declared_pair_is_a_factor_crossed_with_the_candidates():
    """Randomised blocks of 2 models by 3 folds: mean squares of 0.015 (1 df), 0.00285 (2) and 0.00005 (2)."""
    result = of_pairs([[0.80, 0.84, 0.88], [0.70, 0.75, 0.77]])
    expected = {"model": (0.015 - 0.00005) / 3, _component_rows.PAIR: (0.00285 - 0.00005) / 2, "seed": 0.00005}
    for component, variance in expected.items():
        row = of(result, component)
        assert row["variance"] == pytest.approx(variance), component
    assert of(result, _component_rows.PAIR)[["levels", "df"]].tolist() == [3, 2]
    assert _component_rows.NOT_SHARED in of(result, "seed")["note"]
    # Undeclared, what a fold shares is in the seed's variance, and a third of it in that of the model.
    apart = of_pairs([[0.80, 0.84, 0.88], [0.70, 0.75, 0.77]], pairing="auto")
    assert of(apart, "seed")["variance"] == pytest.approx((2 * 0.00285 + 2 * 0.00005) / 4)
    assert _component_rows.PAIR not in set(apart["component"])


def test_over_tasks_the_pairs_are_nested_in_the_task():
    result = of_pairs([[0.80, 0.84, 0.88], [0.70, 0.75, 0.77]], tasks=("digits", "letters"))
    row = of(result, _component_rows.PAIR, "all tasks")
    assert row[["levels", "df", "variance"]].tolist() == pytest.approx([6, 4, 0.0014])
    assert of(result, "seed", "all tasks")["variance"] == pytest.approx(0.00005)


def test_pairs_with_failed_runs_have_the_reml_estimates_of_a_crossed_mixed_model():
    rng = np.random.default_rng(0)
    values = 0.6 + rng.normal(0, 0.1, (4, 1)) + rng.normal(0, 0.05, (1, 6)) + rng.normal(0, 0.02, (4, 6))
    values[1, 2] = values[3, 5] = np.nan
    result = of_pairs(values)
    model, seed = np.indices(values.shape)
    known = ~np.isnan(values)
    data = pd.DataFrame({"value": values[known] * 10, "model": model[known], "seed": seed[known], "all": 1})
    crossed = {"model": "0 + C(model)", "pair": "0 + C(seed)"}
    fit = MixedLM.from_formula("value ~ 1", groups="all", vc_formula=crossed, data=data).fit(reml=True)
    expected = dict(zip(("model", _component_rows.PAIR, "seed"), [*fit.vcomp / 100, fit.scale / 100], strict=True))
    for component, variance in expected.items():
        row = of(result, component)
        assert row["estimator"] == "REML"
        assert row["variance"] == pytest.approx(variance, rel=0.01), component


@pytest.mark.parametrize("values", [[[0.80, 0.84, 0.88]], [[0.8], [0.7]]])
def test_pairs_without_partners_cannot_be_separated_from_the_seed(values):
    result = of_pairs(values)
    row = of(result, _component_rows.PAIR)
    assert np.isnan(row["variance"]) and "needs two candidates with two seeds" in row["note"]
    assert _component_rows.SHARED in of(result, "seed")["note"]


def test_a_complete_grid_is_an_analysis_of_variance():
    runs = synthetic.runs(models=("a", "b", "c"))
    values = primary_rows.select(runs).sort_values(["model", "method", "seed"])["value"].to_numpy().reshape(3, 2, 5)
    expected = variance_components.anova(values)
    result = table(runs)
    names = ["model", "method", "model x method", "seed (init, order, augment, dropout)"]
    raw = [of(result, name)["variance_raw"] for name in names]
    assert raw == pytest.approx(expected.variances)
    assert set(of(result, name)["estimator"] for name in names) == {"method of moments, balanced"}
    assert of(result, names[-1])["interval"] == "chi-square"
    assert of(result, "model")["interval"] == "modified large sample"


def test_the_true_components_of_a_study_are_recovered():
    runs = synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters"), seeds=range(60), sd=0.02)
    result = table(runs)
    seed = of(result, "seed (init, order, augment, dropout)", "all tasks")
    assert seed["sd_low"] <= 0.02 <= seed["sd_high"]
    # Methods at 0.9 and 0.85, models at 0, -0.02 and -0.04: SDs with ddof 1.
    assert of(result, "method", "all tasks")["sd"] == pytest.approx(0.05 / np.sqrt(2), rel=0.1)
    assert of(result, "model", "all tasks")["sd"] == pytest.approx(0.02, rel=0.2)
    assert of(result, "task", "all tasks")["sd"] < 0.02


def test_errors_in_the_units_of_their_tasks_are_not_pooled():
    runs = synthetic.runs(models=("a", "b", "c"), tasks=("houses", "years"))
    errors = runs.assign(metric=runs["metric"].replace("accuracy", "rmse"), higher_is_better=False, perfect=0.0)
    errors["value"] = errors["value"] * errors["task"].map({"houses": 0.5, "years": 9.0})
    errors["unit"] = metric_scales.OF_TARGET
    result = table(errors)
    (row,) = result[result["task"] == "all tasks"].to_dict("records")
    assert "another unit" in row["note"] and np.isnan(row["variance"])
    assert result.loc[result["task"] == "years", "variance"].notna().any()
    # A log loss has no unit, and neither has a share.
    losses = runs.assign(primary=runs["metric"] == "nll")
    for comparable in (runs, losses, runs.assign(metric=runs["metric"].replace("accuracy", "score"))):
        assert (table(comparable)["task"] == "all tasks").sum() > 1


def test_tasks_of_different_metrics_are_not_pooled():
    runs = synthetic.runs(tasks=("digits", "letters"))
    mixed = runs.assign(primary=(runs["metric"] == "nll") == (runs["task"] == "letters"))
    (row,) = (result := table(mixed))[result["task"] == "all tasks"].to_dict("records")
    assert "different primary metrics (accuracy, nll)" in row["note"]


def test_a_negative_estimate_is_reported_raw_and_truncated():
    result = table(synthetic.runs(models=("a", "b", "c", "d")))
    negative = result[result["variance_raw"] < 0]
    assert len(negative)
    assert (negative["variance"] == 0).all() and (negative["sd"] == 0).all()
    assert negative["note"].str.contains("negative").all()
    assert (negative["low"] == 0).all()


def test_a_failed_run_requires_reml():
    result = table(synthetic.runs(models=("a", "b", "c"), failed={("a", "digits", "full", 1)}))
    row = of(result, "model")
    assert (row["estimator"], row["n"], row["n_failed"]) == ("REML", 29, 1)
    assert row["interval"].endswith("(approximate)")
    assert row["variance"] == pytest.approx(row["variance_raw"], rel=0.3)


def test_a_grid_that_is_too_large_for_reml_has_moments(monkeypatch):
    module = __import__("variability.reporting.analyses._superpopulation", fromlist=["LARGEST"])
    monkeypatch.setattr(module, "LARGEST", 3)
    row = of(table(synthetic.runs(failed={("a", "digits", "full", 1)})), "model")
    assert "adjusted" in row["estimator"]
    assert row["variance"] == row["variance_raw"] > 0


def test_with_one_seed_the_seed_and_the_interaction_are_one():
    result = table(synthetic.runs(seeds=(0,)))
    for name in ("seed", "model x method"):
        assert np.isnan(of(result, name)["variance"])
        assert of(result, name)["note"].startswith("not estimable")
    assert of(result, "model x method + seed")["variance"] > 0


def test_models_with_their_own_methods_are_confounded_with_them():
    runs = synthetic.runs()
    runs = runs[(runs["model"] == "a") == (runs["method"] == "full")]
    result = table(runs)
    for name in ("model", "method", "model x method"):
        assert "does not vary independently" in of(result, name)["note"]
    assert of(result, "seed (init, order, augment, dropout)")["variance"] > 0


def test_a_task_on_another_scale_is_named_and_does_not_affect_the_others():
    runs = synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters"))
    odd = synthetic.runs(models=("a", "b", "c"), tasks=("odd",)).assign(primary=lambda runs: runs["metric"] == "nll")
    alone, both = table(runs), table(pd.concat([runs, odd], ignore_index=True))
    numbers = ["component", "variance", "low", "high", "share", "n"]
    across = both[both["task"] == "all tasks"]
    pd.testing.assert_frame_equal(
        across[numbers].reset_index(drop=True), alone.loc[alone["task"] == "all tasks", numbers].reset_index(drop=True)
    )
    assert across["note"].str.contains("without odd (nll): on another scale", regex=False).all()


def test_normalised_tasks_are_compared_whatever_their_metrics():
    runs = synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters"))
    percent = runs.assign(value=runs["value"].where(runs["task"] == "digits", 100 * runs["value"]))
    percent["metric"] = percent["metric"].where(percent["task"] == "digits", percent["metric"] + " in percent")
    ends = {"digits": {"low": 0.0, "high": 1.0}, "letters": {"low": 0.0, "high": 100.0}}
    result, plain = table(synthetic.with_scale(percent, normalise=ends)), table(runs)
    across, expected = (part[part["task"] == "all tasks"] for part in (result, plain))
    assert across["variance"].tolist() == pytest.approx(expected["variance"].tolist(), nan_ok=True)
    assert set(across["metric"]) == {"normalised score"}
    assert across["note"].str.contains("normalised as declared").all()


def test_tasks_with_different_metrics_are_not_mixed():
    runs = synthetic.runs(tasks=("digits", "letters"))
    runs = runs.assign(primary=(runs["metric"] == "nll") == (runs["task"] == "letters"))
    result = table(runs)
    across = result[result["task"] == "all tasks"]
    assert len(across) == 1
    assert "accuracy, nll" in across["note"].iloc[0]
    assert of(result, "model", "letters")["metric"] == "nll"


def test_streams_of_one_integer_are_one_factor():
    result = table(synthetic.runs())
    assert of(result, "order")["note"] == "not estimable: varied together with init, augment, dropout"
    assert "split" not in set(result["component"])


def test_the_streams_of_imported_runs_are_unknown():
    runs = synthetic.runs()
    runs[STREAMS] = np.nan
    result = table(runs.assign(weights=np.nan))
    assert set(result["component"]) == {"model", "method", "model x method", "seed"}


@pytest.fixture
def crossed():
    """Return 8 inits x 6 orders in each of 6 cells: SD 0.03 of the init, 0.01 of the order, 0.005 of both."""
    runs = synthetic.runs(models=("a", "b", "c"), seeds=range(48), sd=0.0)
    rng = np.random.default_rng(4)
    runs = seeded(runs, init=runs["seed"] // 6, order=runs["seed"] % 6)
    names = ["model", "method", "phase", "split", "metric"]
    luck = sum(
        pd.Series(rng.normal(0, sd, len(runs))).groupby([runs[name] for name in [*names, *of_what]]).transform("first")
        for sd, of_what in ((0.03, ["seed_init"]), (0.01, ["seed_order"]), (0.005, ["seed"]))
    )
    return runs.assign(value=runs["value"] + luck)


def test_crossed_streams_are_separated(crossed):
    result = table(crossed)
    for name, sd in (("init", 0.03), ("order", 0.01), ("init x order", 0.005)):
        row = of(result, name)
        assert row["sd_low"] <= sd <= row["sd_high"]
        assert row["share_of"] == "seed"
    seed = of(result, "seed (init, order)")
    parts = result[result["role"] == "stream"]
    assert seed["variance"] == pytest.approx(parts["variance_raw"].sum())
    assert seed["sd"] == pytest.approx(np.sqrt(0.03**2 + 0.01**2 + 0.005**2), rel=0.2)


def test_runs_that_share_an_init_are_less_informative_about_cell_means(crossed):
    shown = primary_rows.select(crossed).sort_values(["model", "method", "seed"])
    values = shown["value"].to_numpy().reshape(3, 2, 8, 6)
    # Inits and orders are nested in model and method.
    whole = variance_components.anova(values[..., None], {2: [0, 1], 3: [0, 1]})
    result = table(crossed)
    for name, expected in zip(("model", "method", "model x method"), whole.variances, strict=False):
        assert of(result, name)["variance_raw"] == pytest.approx(expected)


def test_a_cell_that_lost_a_run_is_left_out_of_the_streams_components(crossed):
    lost = (crossed["model"] == "a") & (crossed["seed"] == 3) & (crossed["phase"] == "after")
    lost &= crossed["method"] == "full"
    failing = crossed.assign(value=crossed["value"].mask(lost), status=crossed["status"].mask(lost, "diverged"))
    result = table(failing)
    assert of(result, "init")["n"] == 48 * 5
    assert of(result, "seed (init, order)")["n"] == 48 * 6 - 1
    assert of(result, "init")["variance"] > 0


def test_streams_that_were_varied_one_at_a_time_are_not_crossed():
    runs = synthetic.runs(seeds=range(5))
    result = table(seeded(runs, init=runs["seed"].clip(upper=2), order=(runs["seed"] - 2).clip(lower=0)))
    for name in ("init", "order"):
        assert "not estimable: no cell has all combinations" in of(result, name)["note"]


def test_several_runs_per_init_separate_it_from_the_residual(crossed):
    result = table(crossed.assign(seed_order=crossed["seed"]))
    assert of(result, "init")["sd"] == pytest.approx(0.03, rel=0.3)
    assert of(result, "order")["sd"] == pytest.approx(np.hypot(0.01, 0.005), rel=0.3)


def test_pretraining_seeds_are_nested_in_their_backbone():
    models = ("a0", "a1", "a2", "b0", "b1", "b2")
    runs = synthetic.runs(models=models, seeds=range(10), sd=0.001)
    number = runs["model"].str[1].astype(float)
    luck = runs["model"].map(dict(zip(models, (0, 0.03, -0.02, 0.01, -0.04, 0.02), strict=True)))
    later = 0.02 * runs["model"].map({model: at for at, model in enumerate(models)})
    value = runs["value"] + later + luck + 0.1 * (runs["model"].str[0] == "a")
    result = table(runs.assign(backbone=runs["model"].str[0], seed_pretrain=number, value=value))
    assert of(result, "model")["levels"] == 2
    assert of(result, "pretraining seed")["levels"] == 6
    luck_of = np.array([[0, 0.03, -0.02], [0.01, -0.04, 0.02]])
    expected = np.sqrt(luck_of.var(axis=1, ddof=1).mean())
    assert of(result, "pretraining seed")["sd"] == pytest.approx(expected, rel=0.05)
    assert of(result, "pretraining seed x method")["sd"] < 0.002


def test_a_framework_that_trained_the_same_families_is_a_factor():
    runs = synthetic.runs(models=("a-torch", "a-keras", "b-torch", "b-keras"), seeds=range(10), sd=0.001)
    framework = runs["model"].str[2:].replace("torch", "pytorch")
    value = 0.5 + 0.1 * (framework == "keras") + 0.02 * (runs["model"].str[0] == "b") + runs["value"] * 0.01
    runs = runs.assign(family=runs["model"].str[0], framework=framework, value=value)
    result = table(runs)
    assert [of(result, name)["levels"] for name in ("model", "framework", "method")] == [2, 2, 2]
    assert of(result, "framework")["sd"] == pytest.approx(0.1 / np.sqrt(2), rel=0.05)
    assert of(result, "model")["sd"] == pytest.approx(0.02 / np.sqrt(2), rel=0.05)
    assert of(result, "model x framework")["sd"] < 0.01
    # Frameworks without a common family cannot be separated from the models.
    separate = table(runs.assign(family=runs["model"]))
    assert of(separate, "model")["levels"] == 4
    assert "framework" not in set(separate["component"])


def test_pretraining_seeds_are_nested_in_family_and_framework():
    models = [f"{family}{framework}{seed}" for family in "ab" for framework in "kt" for seed in "012"]
    runs = synthetic.runs(models=tuple(models), seeds=range(5), sd=0.001)
    result = table(
        runs.assign(
            family=runs["model"].str[0],
            framework=runs["model"].str[1],
            backbone=runs["model"].str[:2],
            seed_pretrain=runs["model"].str[2].astype(float),
        )
    )
    assert [of(result, name)["levels"] for name in ("model", "framework", "pretraining seed")] == [2, 2, 12]


def test_a_repeated_run_counts_once():
    runs = synthetic.runs(methods=("full", "linear_probe"))
    again = runs[runs["method"] == "full"].assign(method="full-again")
    result, expected = table(pd.concat([runs, again], ignore_index=True)), table(runs)
    assert result["variance"].tolist() == pytest.approx(expected["variance"].tolist(), nan_ok=True)
    assert result["note"].str.contains("10 runs that repeat others are left out").all()


def test_without_a_completed_run_nothing_is_estimable():
    result = table(synthetic.runs(models=("a",), methods=("full",), seeds=(0,), failed={("a", "digits", "full", 0)}))
    assert result["note"].tolist() == ["not estimable: no completed run"]
    assert result["n"].tolist() == [0]


@pytest.mark.parametrize("seed", [8, 13, 17])
def test_the_interval_of_the_mean_squares_is_widened_to_an_estimate_of_reml(seed):
    rng = np.random.default_rng(seed)
    runs = primary_rows.select(synthetic.runs(("a", "b"), ("t1", "t2"), ("full", "linear_probe"), seeds=range(3)))
    runs = runs.assign(value=rng.normal(0.6, 0.1, len(runs)).round(1))[rng.random(len(runs)) < 0.8]
    result = registry.find("analyses", "components")({}).table({"runs": runs})
    known = result.dropna(subset=["sd"])
    assert known["note"].astype(str).str.contains("widened to the estimate").any()
    assert ((known["low"] <= known["variance"]) & (known["variance"] <= known["high"])).all()
    assert ((known["sd_low"] <= known["sd"]) & (known["sd"] <= known["sd_high"])).all()
