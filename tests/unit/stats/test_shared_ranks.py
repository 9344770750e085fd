"""Tests of shared ranks: published confidence sets, letters, and agreement with the decisions they come from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pisa_2018 import AMONG_THE_FIVE_BEST, MATHEMATICS

from variability.stats import shared_ranks


def matrix(count, *pairs):
    """Return a relation as a matrix from pairs (winner, loser)."""
    beats = np.zeros((count, count), dtype=bool)
    for winner, loser in pairs:
        beats[winner, loser] = True
    return beats


def of_pisa(level, two_sided, rows=slice(None)):
    """Return which country is above which, step by step from the largest normal statistic of all pairs or some rows."""
    means, errors = np.array(list(MATHEMATICS.values())).T
    scale = np.sqrt(errors[:, None] ** 2 + errors**2)
    noise = np.random.default_rng(0).standard_normal((4000, len(means))) * errors
    null = (noise[:, :, None] - noise[:, None, :])[:, rows] / scale[rows]
    null = np.abs(null) if two_sided else null
    above = np.zeros(scale.shape, dtype=bool)
    while True:
        remaining = ~(above | above.T if two_sided else above)[rows]
        larger = (means[:, None] - means) / scale > np.quantile(null[:, remaining].max(axis=1), level)
        if (larger <= above).all():
            return above
        above |= larger


def test_the_published_confidence_set_of_the_five_best_is_reproduced():
    limits = shared_ranks.rank_limits(of_pisa(0.95, two_sided=False))
    assert tuple(name for name, low in zip(MATHEMATICS, limits.low, strict=True) if low <= 5) == AMONG_THE_FIVE_BEST


def test_the_published_limits_of_one_country_are_reproduced():
    country = list(MATHEMATICS).index("United Kingdom")
    beats = of_pisa(0.95, two_sided=True, rows=[country])
    limits = shared_ranks.rank_limits(beats)
    # csranks: rank 13, between 8 and 23.
    assert (limits.low[country], limits.high[country]) == (8, 23)


def test_the_published_simultaneous_sets_are_reproduced():
    beats = of_pisa(0.95, two_sided=True)
    low, high = (dict(zip(MATHEMATICS, ends, strict=True)) for ends in shared_ranks.rank_limits(beats))
    # Chile, Mexico and Colombia are below all others; the sets of Germany and Korea have a rank in common.
    last = {"Chile", "Mexico", "Colombia"}
    assert min(low[name] for name in last) == 35 > max(end for name, end in high.items() if name not in last)
    assert low["Germany"] <= 7 <= high["Korea"]


def test_ranks_and_letters_of_a_chain_with_overlaps():
    # 0 beats 2 and 3, 1 beats 3: 0 1 | 1 2 | 2 3.
    beats = matrix(4, (0, 2), (0, 3), (1, 3))
    limits = shared_ranks.rank_limits(beats)
    assert limits.low.tolist() == [1, 1, 2, 3] and limits.high.tolist() == [2, 3, 4, 4]
    groups = shared_ranks.tie_groups(beats, range(4))
    assert groups == [[0, 1], [1, 2], [2, 3]]
    assert shared_ranks.letters(groups, 4) == ["a", "ab", "bc", "c"]


def test_the_example_of_multcompview():
    # B and C differ, and neither differs from A: A has both letters.
    groups = shared_ranks.tie_groups(matrix(3, (1, 2)), [0, 1, 2])
    assert shared_ranks.letters(groups, 3) == ["ab", "a", "b"]


def test_letters_continue_after_z():
    shown = shared_ranks.letters([[index] for index in range(54)], 54)
    assert (shown[25], shown[26], shown[51], shown[53]) == ("z", "A", "Z", "(54)")


@st.composite
def decisions(draw):
    """Return a transitive relation that follows a random order."""
    count = draw(st.integers(2, 9))
    beats = np.triu(
        np.array(draw(st.lists(st.booleans(), min_size=count**2, max_size=count**2))).reshape(count, count), 1
    )
    for middle in range(count):
        beats |= beats[:, [middle]] & beats[[middle]]
    return beats


@given(decisions())
def test_ranks_and_letters_agree_with_the_decisions(beats):
    count = len(beats)
    limits = shared_ranks.rank_limits(beats)
    assert (limits.low <= limits.high).all() and limits.low.min() == 1
    # Nobody beats anybody of the same shared rank, or of a better one.
    winners, losers = np.nonzero(beats)
    assert (limits.low[winners] < limits.low[losers]).all() and (limits.high[winners] < limits.high[losers]).all()
    shown = shared_ranks.letters(shared_ranks.tie_groups(beats, range(count)), count)
    for one in range(count):
        assert shown[one]
        for other in range(one):
            assert bool(set(shown[one]) & set(shown[other])) == (not beats[one, other] and not beats[other, one])


def test_candidates_that_are_not_compared_have_no_rank():
    a, b = np.array([0, 0, 1]), np.array([1, 2, 2])
    ranks = shared_ranks.of_decisions(a, b, np.array([False, True, False]), np.arange(3), np.array([True, False, True]))
    assert ranks.rank_low.tolist() == pytest.approx([1, np.nan, 2], nan_ok=True)
    assert ranks.letters.tolist() == ["a", "", "b"]


def test_sixty_tied_candidates_share_one_letter():
    assert shared_ranks.tie_groups(np.zeros((60, 60), dtype=bool), range(60)) == [list(range(60))]
