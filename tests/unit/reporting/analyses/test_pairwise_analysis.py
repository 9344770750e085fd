"""Tests of pairs of candidates, compared as pairs of runs where runs are pairs and unpaired otherwise."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry

STREAMS = [f"seed_{stream}" for stream in ("init", "order", "augment", "dropout", "split")]
FAILED = {("b", "digits", "full", 1), ("b", "digits", "full", 3)}


@pytest.fixture(scope="module")
def runs():
    return synthetic.runs(models=("a", "b", "c"), failed=FAILED)


def table(runs, **options):
    return registry.find("analyses", "pairwise")(options).table({"runs": runs})


def one(result, model, method, model_b, method_b):
    row = result.query("model == @model and method == @method and model_b == @model_b and method_b == @method_b")
    assert len(row) == 1
    return row.iloc[0]


def values(runs, model, method):
    selected = runs.query("model == @model and method == @method and phase == 'after' and split == 'test' and primary")
    return selected.sort_values("seed")["value"].to_numpy()


def runs_of(columns, **facts):
    """Return runs of one task and method with these values, one column per model."""
    count = len(next(iter(columns.values())))
    runs = synthetic.runs(models=tuple(columns), methods=("full",), seeds=range(count))
    runs = runs.query("phase == 'after' and split == 'test' and metric == 'accuracy'").sort_values(["model", "seed"])
    return runs.assign(value=np.concatenate([columns[model] for model in sorted(columns)]), **facts)


def imported(runs):
    unknown = dict.fromkeys([*STREAMS, "weights", "recipe_hash", "versions", "device"], np.nan)
    return runs.assign(source="paper.csv", **unknown)


def test_every_pair_has_a_row(runs):
    result = table(runs)
    assert len(result) == 6 * 5 // 2
    assert (result["split"] == "test").all() and result["primary"].all()
    assert not result.duplicated(["task", "model", "method", "model_b", "method_b"]).any()


def test_networks_are_compared_unpaired(runs):
    row = one(table(runs), "a", "full", "c", "full")
    expected = stats.ttest_ind(values(runs, "a", "full"), values(runs, "c", "full"), equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (row["pairing"], row["interval"]) == ("none", "Welch t")
    assert np.isnan(row["sd_difference"])
    assert (row["p"], row["low"], row["high"]) == pytest.approx((expected.pvalue, interval.low, interval.high))
    assert (row["p_floor"], row["exact"]) == (2 / 252, "label permutations, all 252")
    share = stats.mannwhitneyu(values(runs, "a", "full"), values(runs, "c", "full")).statistic / 25
    assert row["probability"] == pytest.approx(share)


def test_methods_of_one_network_are_compared_in_pairs(runs):
    row = one(table(runs), "a", "full", "a", "linear_probe")
    first, other = values(runs, "a", "full"), values(runs, "a", "linear_probe")
    expected = stats.ttest_rel(first, other)
    assert (row["pairing"], row["n"], row["n_b"]) == ("same network, equal streams", 5, 5)
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["sd_difference"] == pytest.approx((first - other).std(ddof=1))
    assert (row["check_p_exact"], row["p_floor"]) == (0.0625, 0.0625)
    assert row["effect"] == pytest.approx(
        (first.mean() - other.mean()) / np.sqrt((first.var(ddof=1) + other.var(ddof=1)) / 2)
    )
    # The exact test cannot reach 0.05 with five pairs, so neither can the verdict.
    assert row["check_verdict"] == "not significant"


def test_methods_with_different_streams_are_not_paired(runs):
    moved = runs.assign(seed_order=runs["seed_order"] + (runs["method"] == "linear_probe"))
    assert (table(moved)["pairing"] == "none").all()


def test_networks_are_paired_by_a_split_that_varies(runs):
    resplit = runs.assign(seed_split=runs["seed"])
    row = one(table(resplit), "a", "full", "c", "full")
    assert row["pairing"] == "same split of the data"
    assert row["p"] == pytest.approx(stats.ttest_rel(values(runs, "a", "full"), values(runs, "c", "full")).pvalue)
    other = resplit.assign(seed_split=resplit["seed"] + 100 * (resplit["model"] == "c"))
    assert one(table(other), "a", "full", "c", "full")["pairing"] == "none"


def test_a_pair_with_a_failed_run_is_left_out(runs):
    row = one(table(runs), "b", "full", "b", "linear_probe")
    assert (row["n"], row["n_b"], row["n_failed"], row["n_failed_b"]) == (3, 3, 2, 0)
    selected = values(runs, "b", "linear_probe")[[0, 2, 4]]
    assert row["mean_b"] == pytest.approx(selected.mean())
    assert "left out" in row["note"]
    unpaired = one(table(runs), "a", "full", "b", "full")
    assert (unpaired["n"], unpaired["n_b"], unpaired["n_failed_b"]) == (5, 3, 2)
    assert unpaired["p_floor"] == 2 / 56


def test_a_cell_with_runs_without_a_partner_is_unpaired(runs):
    gone = runs.query("not (method == 'full' and seed == 0) and not (method == 'linear_probe' and seed == 4)")
    assert one(table(gone), "a", "full", "a", "linear_probe")["pairing"] == "none"
    fewer = runs.query("not (method == 'full' and seed == 0)")
    row = one(table(fewer), "a", "full", "a", "linear_probe")
    assert (row["n"], row["pairing"]) == (4, "same network, equal streams")


def test_imported_runs_are_pairs_only_if_the_study_declares_it(runs):
    foreign = imported(runs)
    assert (table(foreign)["pairing"] == "none").all()
    declared = foreign.assign(pairing="seed")
    assert (table(declared)["pairing"] == "equal seeds, as the study declares").all()
    # Across files too.
    sources = declared.assign(source=declared["model"])
    row = one(table(sources), "a", "full", "c", "full")
    assert row["p"] == pytest.approx(stats.ttest_rel(values(runs, "a", "full"), values(runs, "c", "full")).pvalue)


def test_a_loss_is_oriented_so_that_more_is_better(runs):
    losses = runs.assign(primary=runs["metric"] == "nll")
    row = one(table(losses), "a", "full", "c", "full")
    assert row["difference"] > 0 > row["difference_raw"]
    assert row["difference"] == pytest.approx(-row["difference_raw"])
    assert row["low"] < row["difference"] < row["high"]
    assert row["probability"] > 0.5 and row["effect"] > 0


def test_tied_pairs_count_half():
    pairs = {"a": np.array([0.3, 0.6, 0.7, 0.8, 0.9]), "b": np.array([0.3, 0.5, 0.6, 0.9, 0.7])}
    row = table(runs_of(pairs, seed_split=np.tile(np.arange(5), 2))).iloc[0]
    assert row["probability"] == pytest.approx(3.5 / 5)
    assert "ties count half" in row["note"]


def test_complete_separation_has_an_interval():
    result = table(runs_of({"a": np.arange(5) + 10.0, "b": np.arange(5.0)}))
    row = result.iloc[0]
    assert row["probability"] == row["probability_high"] == 1
    # Solved by hand from Newcombe's equation at 5 against 5.
    assert row["probability_low"] == pytest.approx(0.6427, abs=5e-5)
    assert row["check_p_exact"] == row["p_floor"] == 2 / 252
    assert row["check_verdict"] == "significant and meaningful"


def test_three_runs_of_each_are_too_few_for_a_verdict():
    row = table(runs_of({"a": np.arange(3) + 10.0, "b": np.arange(3.0)})).iloc[0]
    assert (row["p_floor"], row["check_verdict"]) == (0.1, "not significant")
    assert "too few runs" in row["note"]


def test_gamma_separates_meaningful_from_significant():
    a = np.linspace(0, 1, 200)
    runs = runs_of({"a": a + 0.15, "b": a})
    assert table(runs).iloc[0]["check_verdict"] == "significant, not meaningful"
    assert table(runs, gamma=0.6).iloc[0]["check_verdict"] == "significant and meaningful"
    assert table(runs).iloc[0]["noether_n"] == 29
    assert table(runs, gamma=0.6).iloc[0]["noether_n"] > 100


def test_runs_without_spread_have_no_t_and_an_exact_p():
    row = table(runs_of({"a": [0.9] * 5, "b": [0.8] * 5})).iloc[0]
    assert np.isnan(row["p"]) and np.isnan(row["effect"]) and np.isnan(row["check_p_holm"])
    assert row["check_p_exact"] == 2 / 252
    assert "no spread" in row["note"]
    same = table(runs_of({"a": [0.1] * 5, "b": [0.1] * 5})).iloc[0]
    assert (same["check_p_exact"], same["probability"], same["check_verdict"]) == (1, 0.5, "not significant")
    assert "ties" in same["note"]


def test_equal_differences_have_no_t_whatever_their_last_bits():
    values = np.array([0.3, 0.6, 0.7, 0.8, 0.9])
    runs = runs_of({"a": values, "b": values - 0.1}, seed_split=np.tile(np.arange(5), 2))
    row = table(runs).iloc[0]
    assert row["pairing"] == "same split of the data"
    assert np.isnan(row["p"]) and row["low"] == row["high"]
    assert "equal" in row["note"]


def test_holms_family_is_the_task():
    runs = synthetic.runs(models=("a", "b", "c"), tasks=("digits", "letters"), methods=("full",), sd=0.05)
    result = table(runs)
    for task, group in result.groupby("task"):
        p = group["p"].sort_values()
        expected = np.minimum(1, np.maximum.accumulate(p.to_numpy() * [3, 2, 1]))
        assert group.loc[p.index, "check_p_holm"].to_numpy() == pytest.approx(expected)
        assert group["family"].iloc[0] == f"task {task}: 3 pairs of candidates"


def test_random_permutations_depend_only_on_seed_and_task():
    runs = synthetic.runs(models=("a", "b"), tasks=("digits", "letters"), methods=("full",), seeds=range(20), sd=0.03)
    result = table(runs, resamples=300)
    assert set(result["exact"]) == {"label permutations, random 300"}
    assert set(result["p_floor"]) == {2 / 301}
    alone = table(runs[runs["task"] == "letters"], resamples=300)
    assert result.set_index("task").loc["letters", "check_p_exact"] == alone["check_p_exact"].iloc[0]
    assert (table(runs, resamples=300, seed=1)["check_p_exact"] != result["check_p_exact"]).any()


def test_the_order_of_names_determines_which_is_a(runs):
    result = table(runs.iloc[::-1])
    assert ((result["model"] + result["method"]) < (result["model_b"] + result["method_b"])).all()


def test_a_study_without_pairs_has_a_table_without_rows(runs):
    result = table(runs.query("model == 'a' and method == 'full'"))
    assert result.empty and "check_verdict" in result


@pytest.mark.slow
def test_fifty_models_on_twenty_tasks_with_a_hundred_seeds_are_compared_in_pairs():
    rng = np.random.default_rng(0)
    first = runs_of({"a": [0.5], "b": [0.5]}).iloc[0].to_dict()
    names = [f"m{at:02d}" for at in range(50)], [f"t{at:02d}" for at in range(20)], ["full"], range(100)
    keys = pd.MultiIndex.from_product(names, names=["model", "task", "method", "seed"]).to_frame(index=False)
    runs = keys.assign(**{name: fact for name, fact in first.items() if name not in keys})
    runs = runs.assign(value=rng.normal(0.9, 0.01, len(runs)), seed_init=runs["seed"])
    assert len(table(runs)) == 24_500
