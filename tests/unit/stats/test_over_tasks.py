"""Tests of the decisions over tasks: the signed-rank test of SciPy and of Demsar, and coherent decisions."""

from itertools import product

import numpy as np
import pytest
from demsar_2006 import DEMSAR
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from variability.stats import over_tasks

ALPHA = 0.05


def decided(values, seed=0, resamples=2000):
    """Decide about values (candidates, tasks)."""
    values = np.asarray(values, dtype=float)
    return over_tasks.decide(values[:, None] - values, ALPHA, np.random.default_rng(seed), resamples)


def p_of(differences):
    differences = np.atleast_2d(np.asarray(differences, dtype=float))
    return over_tasks.signed_rank_p(differences, over_tasks.signed_ranks(differences))


@pytest.mark.parametrize("tasks", [3, 8, 25, 50, 70])
def test_without_ties_the_test_is_that_of_scipy(tasks):
    differences = np.random.default_rng(tasks).normal(0.3, 1, (3, tasks))
    p, floor = p_of(differences)
    method = "exact" if tasks <= 50 else "approx"
    assert p == pytest.approx(stats.wilcoxon(differences, axis=1, method=method).pvalue)
    assert floor == pytest.approx(2.0 ** (1 - tasks))


def test_with_ties_all_signs_are_enumerated():
    differences = np.array([1.0, 1.0, -2.0, 2.0, 3.0, 0.0, 4.0])
    # The 0 has rank 1, the ties 2.5 and 4.5.
    ranks = np.array([2.5, 2.5, 4.5, 4.5, 6, 7])
    sums = [ranks @ signs for signs in product([0, 1], repeat=6)]
    expected = 2 * np.mean(np.array(sums) <= 4.5)
    assert over_tasks.signed_ranks(differences[None])[0].tolist() == [5, 5, -9, 9, 12, 0, 14]
    assert p_of(differences)[0] == pytest.approx(expected)


def test_demsars_published_sums_of_ranks():
    # C4.5+m against C4.5: 93 and 12, of which the two smallest ranks, of equal data sets, count half on each side.
    ranks = over_tasks.signed_ranks((DEMSAR[:, 1] - DEMSAR[:, 0])[None])[0] / 2
    assert ranks[ranks > 0].sum() + 1.5 == 93 and -ranks[ranks < 0].sum() + 1.5 == 12
    # The published decision at 5 %.
    result = decided(DEMSAR[:, :2].T)
    assert result.beats.tolist() == [True] and result.order.tolist() == [1, 0]


def test_missing_tasks_are_left_out_and_equal_candidates_have_p_1():
    nan = np.nan
    p, floor = p_of([[nan, 0.1, 0.2, -0.3, nan], [0.0, 0.0, 0.0, 0.0, 0.0], [nan] * 5])
    assert p[0] == stats.wilcoxon([0.1, 0.2, -0.3]).pvalue and floor[0] == 0.25
    assert p[1] == 1 and np.isnan(p[2])


def test_two_candidates_are_compared_by_the_test_alone():
    values = np.random.default_rng(1).normal([[0.5], [0]], 1, (2, 12))
    result = decided(values)
    p = stats.wilcoxon(*values).pvalue
    assert result.p[0] == result.p_all[0] == result.p_best[0] == result.p_adjusted[0] == pytest.approx(p)


def test_all_pairs_are_adjusted_by_joint_sign_flips():
    values = np.random.default_rng(2).normal([[1.5], [0.5], [0]], 1, (3, 7))
    result = decided(values)
    of_pairs = values[result.a] - values[result.b]
    ranks = over_tasks.signed_ranks(of_pairs)
    scale = np.sqrt((ranks**2).sum(axis=1))
    observed = np.abs(ranks.sum(axis=1) / scale)
    largest = np.abs(np.array(list(product([-1, 1], repeat=7))) @ (ranks / scale[:, None]).T).max(axis=1)
    strongest = observed.argmax()
    assert result.p_all[strongest] == pytest.approx(np.mean(largest >= observed[strongest] - 1e-9))
    assert (result.p_all <= result.p_holm + 1e-12).all() and (result.p_all >= result.p - 1e-12).all()


def test_the_best_of_many_is_found_with_eleven_tasks_where_holm_is_blind():
    values = np.random.default_rng(3).normal(size=(20, 11)) * 0.1 - np.arange(20)[:, None]
    result = decided(values)
    assert result.best and result.beats.all()
    assert (result.p_holm > ALPHA).all()


def test_a_mean_against_the_signed_ranks_decides_nothing():
    # Better on all tasks but one, which outweighs them in the mean.
    values = np.array([[1.0] * 14 + [-100.0], np.linspace(0.1, 0.2, 15)])
    result = decided(values)
    assert result.order.tolist() == [1, 0] and result.p[0] < ALPHA
    assert not result.beats.any() and result.first.all()


def test_five_tasks_show_nothing():
    result = decided([[5.0] * 5, [1.0, 2.0, 3.0, 4.0, 4.5]])
    assert result.p[0] == result.p_floor[0] == 0.0625 and not result.beats.any()


def tables():
    cell = st.one_of(st.integers(0, 12).map(float), st.just(float("nan")))
    return st.lists(st.lists(cell, min_size=7, max_size=7), min_size=2, max_size=5)


@given(tables())
def test_decisions_never_contradict_each_other(values):
    result = decided(values)
    beats = np.zeros((len(values), len(values)), dtype=bool)
    beats[result.a[result.beats], result.b[result.beats]] = True
    assert ((beats @ beats) <= beats).all(), "beating is transitive"
    assert (result.first == ~beats.any(axis=0)).all() and result.first[result.order[0]]
    assert result.best == (result.first.sum() == 1)
    assert (result.wins + result.ties + result.losses == result.n).all()
    assert (result.difference[result.beats & (result.p <= ALPHA)] > 0).all()


@pytest.mark.parametrize("skewed", [False, True])
def test_equal_candidates_are_rarely_decided_to_differ(skewed):
    rng, studies = np.random.default_rng(5), 200
    sample = rng.standard_exponential if skewed else rng.standard_normal
    false = sum(decided(sample((5, 9)), seed, 1000).beats.any() for seed in range(studies))
    assert false <= stats.binom.ppf(0.999, studies, ALPHA)


def test_many_tasks_are_flipped_at_random_and_reproducibly():
    values = np.random.default_rng(6).normal(size=(4, 30)) + np.arange(4)[:, None] / 4
    first, again, other = (decided(values, seed) for seed in (1, 1, 2))
    assert not first.exact and (first.p_all == again.p_all).all() and (first.p_all != other.p_all).any()
