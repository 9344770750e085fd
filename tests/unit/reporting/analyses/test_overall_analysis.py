"""Tests of the decisions over all tasks: units, groups, intervals, and the words that summary and claims use."""

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic
from scipy import stats

from variability import registry
from variability.reporting import overall_words, rank_words
from variability.stages.claim import claims


def study(means, seeds=3, sd=0.002, metric_range=None, groups=None):
    """Return imported runs. means: (models, tasks)."""
    models = [f"m{index}" for index in range(len(means))]
    tasks = [f"t{index:02d}" for index in range(len(means[0]))]
    runs = synthetic.as_imported(synthetic.runs(models=models, tasks=tasks, methods=("full",), seeds=range(seeds)))
    runs = runs.query("metric == 'accuracy' and phase == 'after'")
    noise = sd * np.random.default_rng(0).standard_normal((len(models), len(tasks), seeds))
    at = runs["model"].str[1:].astype(int), runs["task"].str[1:].astype(int), runs["seed"].astype(int)
    values = np.asarray(means)[at[0], at[1]] + noise[at[0], at[1], at[2]]
    low, high = metric_range or (np.nan, np.nan)
    runs = runs.assign(value=values, range_low=low, range_high=high, unit=None, perfect=np.nan)
    return runs if groups is None else runs.assign(task_group=runs["task"].map(lambda task: groups.get(task, task)))


def table(runs, **options):
    return registry.find("analyses", "overall")(options).table({"runs": runs})


def random_means(models=3, tasks=8, step=0.05):
    return 0.5 + np.random.default_rng(1).normal(0, 0.05, (models, tasks)) - step * np.arange(models)[:, None]


def test_the_mean_difference_has_the_t_interval_over_tasks():
    runs = study(random_means(2), sd=0.01, metric_range=(0, 1))
    (row,) = table(runs).to_dict("records")
    means = runs.query("split == 'test'").pivot_table(index="model", columns="task", values="value")
    differences = (means.loc[row["model"]] - means.loc[row["model_b"]]).to_numpy()
    test = stats.ttest_1samp(differences, 0)
    interval = test.confidence_interval()
    assert row["difference"] == pytest.approx(differences.mean())
    # What seeds have in common on several tasks may only add to it.
    assert row["low"] <= interval.low + 1e-12 and row["high"] >= interval.high - 1e-12
    assert row["p"] == pytest.approx(stats.wilcoxon(differences).pvalue)
    assert (row["wins"], row["losses"]) == ((differences > 0).sum(), (differences < 0).sum())


def test_effects_of_a_seed_on_all_tasks_widen_the_interval():
    runs = study(random_means(2), seeds=5, metric_range=(0, 1))
    width = np.ptp(table(runs)[["low", "high"]].to_numpy())
    shift = 0.2 * np.sin(7.0 * runs["seed"].to_numpy(dtype=float)) * (runs["model"] == "m0")
    assert np.ptp(table(runs.assign(value=runs["value"] + shift))[["low", "high"]].to_numpy()) > 1.5 * width


def test_tasks_of_a_group_count_once():
    means = np.vstack([random_means(1, 6)[0], random_means(1, 6)[0] - 0.1])
    copies = np.hstack([means, means[:, [0] * 5]])
    groups = {f"t{index:02d}": "copies" for index in (0, 6, 7, 8, 9, 10)}
    alone, grouped, counted = (
        table(study(values, sd=0, metric_range=(0, 1), groups=of))
        for values, of in ((means, None), (copies, groups), (copies, None))
    )
    assert grouped["n_tasks"].item() == 6 and counted["n_tasks"].item() == 11
    assert grouped["difference"].item() == pytest.approx(alone["difference"].item())
    assert grouped["p"].item() == alone["p"].item() > counted["p"].item()


def test_without_a_declared_range_differences_are_relative_and_independent_of_other_candidates():
    means = random_means(3, 7)
    means[:, 3] *= 1000
    pair, three = (table(study(values, sd=0)) for values in (means[:2], means))
    expected = np.mean(2 * (means[0] - means[1]) / (means[0] + means[1]))
    row = three[(three["model"] == "m0") & (three["model_b"] == "m1")].iloc[0]
    assert pair["difference"].item() == pytest.approx(expected) == row["difference"]
    assert row["p"] == pair["p"].item()


def test_lower_is_better_turns_the_differences():
    runs = study(random_means(), metric_range=(0, 1))
    turned = table(runs.assign(value=1 - runs["value"], higher_is_better=False))
    original = table(runs)
    assert turned["model"].tolist() == original["model"].tolist()
    assert turned["difference"].to_numpy() == pytest.approx(original["difference"].to_numpy())


def test_summary_and_claims_agree_with_the_table():
    for step, tasks in ((0.2, 7), (0.0, 7), (0.2, 4)):
        overall = table(study(random_means(4, tasks, step), metric_range=(0, 1)))
        stated = claims({"overall": {}}, {"overall": overall}).set_index("sentence")["verdict"]
        text = overall_words.paragraph({"overall": overall})
        best, leader = bool(overall["is_best"].iloc[0]), overall["leader"].iloc[0]
        start = f"Over all {tasks} tasks, {leader} (full)"
        assert (stated[f"{start} is the best of 4 candidates."] == "supported") == best == (tasks == 7 and step > 0)
        assert ("is supported: it beats each of the others" in text) == best
        assert ("the best is one of" in text) == (not best and tasks == 7)
        assert ("undecided: 4 tasks are too few to show a difference over tasks" in text) == (tasks == 4)
        few = overall["note"].str.contains("even if one candidate is better on all of them, p is 0.125", regex=False)
        assert few.all() == (tasks == 4)
        beats = overall[(overall["model"] == leader) & (overall["decision"] == "beats")]
        assert {name for name, verdict in stated.items() if "beats" in name and verdict == "supported"} == {
            f"{start} beats {name} (full)." for name in beats["model_b"]
        }


@pytest.mark.parametrize("seed", range(8))
def test_summary_claims_and_table_never_disagree_over_all_tasks(seed):
    rng = np.random.default_rng(seed)
    models, tasks = int(rng.integers(2, 5)), int(rng.integers(3, 10))
    # Gaps from none to large, ties, and margins within which close candidates are equivalent.
    means = np.round(0.5 + rng.normal(0, 0.02, (1, tasks)) - rng.choice([0, 0.002, 0.1], (models, 1)), 3)
    groups = {"t00": "g", "t01": "g"} if seed % 2 else None
    runs = study(means + rng.choice([0, 0.02]) * rng.standard_normal(means.shape), 3, 0.0005, (0, 1), groups)
    pairs = table(runs, margin=0.01)
    text = overall_words.paragraph({"overall": pairs})
    frame = claims({"overall": {"candidates": 9}}, {"overall": pairs})
    verdicts = dict(zip(frame["sentence"], frame["verdict"], strict=True))
    (best,) = [verdict for sentence, verdict in verdicts.items() if " is the best of " in sentence]
    assert f"candidates is {best}: " in text
    assert (best == "supported") == pairs["is_best"].iloc[0]
    # Every pair of the leader is decided alike.
    decided = {"beats": "supported", "equivalent": "equivalent", "undecided": "undecided"}
    for row in pairs[pairs["model"] == pairs["leader"]].itertuples():
        (verdict,) = [of for text, of in verdicts.items() if text.endswith(f" beats {row.model_b} (full).")]
        assert verdict == decided[row.decision]
    # Ranks that nobody has to share are those of candidates that beat all others, or are beaten by all.
    for one in rank_words.ranked(pairs):
        beaten = pairs[(pairs["model_b"] == one.model) & (pairs["decision"] == "beats")]
        beats = pairs[(pairs["model"] == one.model) & (pairs["decision"] == "beats")]
        assert (one.low, one.high) == (1 + len(beaten), models - len(beats))
        ends = f"ranks {one.low:g} of" if one.low == one.high else f"ranks between {one.low:g} and {one.high:g} of"
        assert any(f"{one.name} {ends}" in sentence for sentence in verdicts) == (one.high - one.low + 1 < models)
    # One word for what is counted, in all sentences.
    unit = f"{tasks - 1} groups" if groups else f"{tasks} tasks"
    assert frame["n"].str.startswith(unit).all() and f" of {unit}; the mean difference" in text
    evidence = frame.dropna(subset="low")[["effect", "low", "high"]].to_numpy().tolist()
    assert all(numbers in pairs[["difference", "low", "high"]].to_numpy().tolist() for numbers in evidence)


def test_one_task_has_no_table():
    assert table(study(random_means(3, 1))).empty
    assert overall_words.paragraph({"overall": pd.DataFrame()}) == ""


def without(runs, *holes):
    """Return the runs except those of (model, task)."""
    return runs[[pair not in holes for pair in zip(runs["model"], runs["task"], strict=True)]]


def test_candidates_with_holes_have_no_rank_and_are_compared_with_the_first_on_common_tasks():
    means = random_means(4, 8)
    means[3] = means[0] + np.linspace(0.01, 0.03, 8)
    runs = without(study(means, sd=0, metric_range=(0, 1)), ("m3", "t00"), ("m3", "t07"))
    overall = table(runs)
    ranked, row = overall[overall["decision"] != "not ranked"], overall.iloc[-1]
    assert (ranked["n_tasks"] == 8).all() and len(ranked) == 3 and (overall["candidates"] == 3).all()
    assert set(ranked["model"]) | set(ranked["model_b"]) == {"m0", "m1", "m2"}
    note = "not ranked, because results are missing: m3 (full) on 2 of 8 tasks"
    assert (overall["left_out"] == note).all()
    # The other rows are those of a study without the candidate.
    alone = table(runs[runs["model"] != "m3"]).drop(columns="left_out")
    pd.testing.assert_frame_equal(ranked.drop(columns="left_out"), alone, check_dtype=False)
    assert row[["model", "model_b", "decision"]].tolist() == ["m0", "m3", "not ranked"]
    differences = (means[0] - means[3])[1:7]
    interval = stats.ttest_1samp(differences, 0).confidence_interval()
    assert row[["difference", "low", "high"]].tolist() == pytest.approx([differences.mean(), *interval])
    assert row[["wins", "losses", "n_tasks", "n_b"]].tolist() == [0, 6, 6, 18]
    assert row[["p", "p_adjusted", "p_equivalent", "rank_low_b"]].isna().all() and row["rank_low"] == 1
    text = overall_words.paragraph({"overall": overall})
    best = "the best of the 3 candidates with results on all of them"
    assert text.startswith("Over all 8 tasks, m0 (full) is ahead.") and best in text and f"N{note[1:]}." in text
    numbers = [f"{-value:.4f}" for value in (differences.mean(), interval.high, interval.low)]
    difference = f"by {numbers[0]} [{numbers[1]}, {numbers[2]}] on 6 tasks"
    # The report page shows the rest on request.
    first = overall_words.sentences({"overall": overall})[0]
    assert first.endswith(f"On the tasks that both have, m0 (full) is behind m3 (full) ({difference}).")
    stated = claims({"overall": {}, "not_worse_overall": {}}, {"overall": overall})
    assert not stated["sentence"].str.contains("m3").any()
    (claim,) = stated[stated["sentence"].str.contains(best)].to_dict("records")
    assert note in claim["note"]


def test_a_task_that_most_candidates_lack_is_left_out():
    holes = [(model, "t02") for model in ("m0", "m1", "m2")]
    overall = table(without(study(random_means(4, 8), metric_range=(0, 1)), *holes))
    assert (overall["left_out"] == "left out, because results are missing: task t02").all()
    assert overall["candidates"].unique().tolist() == [4] and "not ranked" not in set(overall["decision"])
    text = overall_words.paragraph({"overall": overall})
    assert text.startswith("Over 7 of 8 tasks, ") and "the best of 4 candidates" in text


def test_candidates_without_a_common_task_are_named_or_not_compared():
    means = random_means(3, 6)
    runs = without(study(means, metric_range=(0, 1)), *(("m2", f"t{task:02d}") for task in range(6)))
    failed = study(means, metric_range=(0, 1)).query("model == 'm2'").assign(value=np.nan, status="failed")
    row = table(pd.concat([runs, failed])).iloc[-1]
    assert (row["model_b"], row["n_tasks"], row["n_b"], row["note"]) == ("m2", 0, 0, "no result on 6 of 6 tasks")
    assert np.isnan(row["difference"])
    apart = [("m0", f"t{task:02d}") for task in range(3)] + [("m1", f"t{task:02d}") for task in range(3, 6)]
    assert table(without(study(means[:2], metric_range=(0, 1)), *apart)).empty


def test_candidates_ahead_on_all_of_too_few_tasks_are_named():
    # Seven tasks: the smallest p is 2 / 2^7. Four candidates whose order differs between tasks adjust it above 5 %.
    means = random_means(1, 7) - np.array([[0.0], [0.03], [0.06], [0.3]])
    means[1, :2] += 0.04
    means[2, 2:4] += 0.05
    means[2, 4] += 0.07
    means[3] -= np.linspace(0, 0.02, 7)
    overall = table(study(means, sd=0, metric_range=(0, 1)), level=0.97)
    row = overall[overall["model_b"] == "m3"].iloc[0]
    assert (row["model"], row["wins"], row["decision"], row["p"]) == ("m0", 7, "undecided", 2 / 2**7)
    assert row["note"].startswith("ahead on all of them, but too few tasks for so many candidates: the p-value, the ")
    assert row["note"].endswith(f"is {row['p_all_pairs']:.2g} adjusted for 6 pairs") and row["p_all_pairs"] > 0.03
    text = overall_words.paragraph({"overall": overall})
    assert "It is ahead of m3 (full) on each of 7 tasks; so few cannot show that with so many candidates." in text
    two = table(study(means[[0, 3]], sd=0, metric_range=(0, 1)), level=0.97)
    assert two["decision"].tolist() == ["beats"] and two["note"].tolist() == [""]


def test_two_candidates_are_compared_on_their_common_tasks():
    runs = study(random_means(2, 8), metric_range=(0, 1))
    overall = table(runs[(runs["model"] != "m0") | (runs["task"] < "t03")])
    assert overall["n_tasks"].tolist() == [3]


def equivalents(shifts=(0.0, 0.001), tasks=8, spread=0.002, **options):
    """Return the table of models whose means on tasks differ by ``shifts`` from those of the first."""
    rng = np.random.default_rng(2)
    of_tasks = 0.5 + rng.normal(0, 0.05, tasks)
    means = [of_tasks - shift + rng.normal(0, spread, tasks) * (index > 0) for index, shift in enumerate(shifts)]
    return table(study(means, sd=0.0, metric_range=(0, 1)), **options)


def test_equivalence_is_the_two_one_sided_tests_over_tasks():
    rng = np.random.default_rng(2)
    means = np.array([0.5 + rng.normal(0, 0.05, 8)] * 2)
    means[1] += rng.normal(0, 0.008, 8)
    (row,) = table(study(means, sd=0.0, metric_range=(0, 1))).to_dict("records")
    differences = np.sign((means[0] - means[1]).mean()) * (means[0] - means[1])
    lower = stats.ttest_1samp(differences, -0.01, alternative="greater").pvalue
    upper = stats.ttest_1samp(differences, 0.01, alternative="less").pvalue
    assert (row["margin"], row["margin_from"]) == (0.01, "fraction of the metric's length")
    # Without noise of seeds the interval is that of the tasks alone.
    assert (row["p_one_sided"], row["p_one_sided_b"]) == pytest.approx((lower, upper), rel=1e-6)
    assert row["p_tost"] == row["p_equivalent"] == pytest.approx(max(lower, upper), rel=1e-6)
    assert row["decision"] == ("equivalent" if max(lower, upper) <= 0.05 else "undecided")


def test_pairs_over_tasks_end_as_equivalent_within_the_margins_of_the_config():
    (row,) = equivalents((0.0, 0.0005)).to_dict("records")
    assert row["decision"] == "equivalent"
    (row,) = equivalents((0.0, 0.0005), margins={"accuracy": 0.0005}).to_dict("records")
    assert (row["decision"], row["margin"], row["margin_from"]) == ("undecided", 0.0005, "margins of the config")
    # One task has another margin, so that the mean of eight counts.
    margins = {"accuracy": 0.001, "t00": {"accuracy": 0.009}}
    assert equivalents((0.0, 0.0005), margins=margins)["margin"].item() == pytest.approx(0.002)
    # A difference that is shown beats, and the note adds that it is small.
    (row,) = equivalents((0.0, 0.004)).to_dict("records")
    assert row["decision"] == "beats" and row["note"].endswith("shown to be less than the margin, too")


def test_claims_over_all_tasks_are_equivalent_or_not_worse():
    overall = equivalents((0.0, 0.0005, 0.05))
    stated = claims({"overall": {"candidates": 0}}, {"overall": overall}).set_index("sentence")
    leader, second = overall["leader"].iloc[0], ({"m0", "m1"} - {overall["leader"].iloc[0]}).pop()
    pair = stated.loc[f"Over all 8 tasks, {leader} (full) beats {second} (full)."]
    assert (pair["verdict"], pair["meaning"][:23]) == ("equivalent", "equivalent within ±0.01")
    best = stated.loc[f"Over all 8 tasks, {leader} (full) is the best of 3 candidates."]
    assert best["verdict"] == "not supported" and best["meaning"].startswith("equivalent within ±0.01")
    result = claims({"not_worse_overall": {}}, {"overall": overall})
    assert dict(zip(result["sentence"], result["verdict"], strict=True)) == {
        f"Over all 8 tasks, {second} (full) is at most 0.01 worse than {leader} (full).": "supported",
        f"Over all 8 tasks, m2 (full) is at most 0.01 worse than {leader} (full).": "not supported",
    }
    assert "worse by more than 0.01" in result["meaning"].iloc[-1]
    (turned,) = claims({"not_worse_overall": {"candidate": "m0", "than": "m2"}}, {"overall": overall}).to_dict(
        "records"
    )
    assert turned["verdict"] == "supported" and turned["n"] == "8 tasks: 8 better, 0 equal, 0 worse"


def test_two_tasks_have_no_interval_and_show_no_equivalence():
    (row,) = equivalents((0.0, 0.0), tasks=2).to_dict("records")
    assert np.isnan(row["low"]) and np.isnan(row["p_equivalent"]) and row["decision"] == "undecided"
    assert row["note"].endswith("no interval from fewer than 3 tasks or groups")
    assert not np.isnan(equivalents((0.0, 0.0), tasks=3)["low"].item())
    assert "mean difference" in overall_words.paragraph({"overall": equivalents((0.0, 0.0), tasks=2)})
