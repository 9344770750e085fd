"""Ranks among the whole catalogue; ties count against the right item; metrics follow from the ranks."""

import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score, top_k_accuracy_score

from variability import registry
from variability.data import kinds

RANKING = kinds.find("ranking")


def metric(plugin, ranks):
    ranks = np.asarray(ranks, dtype=float)
    return registry.find("metrics", plugin)().compute(np.ones(len(ranks)), ranks, None)


def test_a_rank_counts_better_and_equal_items():
    scores = torch.tensor([[3.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0], [-1.0, 5.0, 7.0, 6.0]])
    summaries = RANKING.summary(scores, np.array([1, 0, 2]))
    assert summaries[:, 0].tolist() == [4, 4, 1]
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([1, 0, 2]), reduction="none")
    assert torch.allclose(summaries[:, 1], expected)


def test_excluded_items_have_no_rank():
    scores = torch.tensor([[-torch.inf, 1.0, 2.0]])
    rank, nll = RANKING.summary(scores, np.array([1]))[0].tolist()
    assert rank == 2
    assert nll == pytest.approx(np.log(1 + np.e))


@pytest.mark.parametrize("scores", [[np.nan, 1.0, 2.0], [np.nan] * 3])
def test_nan_ranks_last(scores):
    assert RANKING.summary(torch.tensor([scores]), np.array([0]))[0, 0] == 3


def test_metrics_by_hand():
    assert metric("hr", [1, 2, 7, 11]) == {"hr_at_1": 0.25, "hr_at_5": 0.5, "hr_at_10": 0.75}
    assert metric("mrr", [1, 2, 4]) == {"mrr": pytest.approx((1 + 1 / 2 + 1 / 4) / 3)}
    assert metric("ndcg", [1, 3, 11]) == {
        "ndcg_at_5": pytest.approx((1 + 1 / 2) / 3),
        "ndcg_at_10": pytest.approx((1 + 1 / 2) / 3),
    }


def test_metrics_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((50, 30)), rng.integers(30, size=50)
    ranks = RANKING.summary(torch.from_numpy(scores), labels)[:, 0].numpy()
    relevance = np.eye(30)[labels]
    for k in (5, 10):
        assert metric("ndcg", ranks)[f"ndcg_at_{k}"] == pytest.approx(ndcg_score(relevance, scores, k=k))
        hits = top_k_accuracy_score(labels, scores, k=k, labels=np.arange(30))
        assert metric("hr", ranks)[f"hr_at_{k}"] == pytest.approx(hits)


def test_loss_and_metric_follow_from_the_stored_columns():
    scores = torch.from_numpy(np.random.default_rng(1).normal(size=(40, 25)))
    labels = np.arange(40) % 25
    summaries = RANKING.summary(scores, labels)
    loss, measured = RANKING.evaluate(summaries, labels)
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels)).item())
    columns = RANKING.columns(summaries.float().numpy(), labels)
    y_true, y_pred = (columns[name].to_numpy() for name in ("y_true", "y_pred"))
    assert (y_true == 1).all() and y_pred.min() >= 1
    assert measured == pytest.approx(1 - RANKING.losses(y_true, y_pred).mean())
    assert measured == pytest.approx(metric("ndcg", y_pred)["ndcg_at_10"])
    assert columns["probabilities"].null_count == 40
    assert RANKING.losses(1.0, np.array([1.0, 11.0])).tolist() == [0, 1]


def test_the_head_has_a_unit_for_every_item():
    assert RANKING.outputs([], {"items": 7}) == 7
