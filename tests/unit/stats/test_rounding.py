import numpy as np
import pytest

from variability.stats import rounding


@pytest.mark.parametrize(
    ("spread", "size", "expected"),
    [
        *((1.7e-16, 0.5, True), (1.7e-16, -0.5, True), (0.0, 0.5, True), (0.0, 0.0, True), (1e-9, 1e6, True)),
        *((1e-11, 0.5, False), (1e-16, 0.0, False), (1e-9, 0.1, False), (np.nan, 1.0, False), (0.1, np.nan, False)),
    ],
)
def test_only_a_spread_far_below_the_values_is_rounding(spread, size, expected):
    assert rounding.is_rounding(spread, size) is expected
    assert rounding.is_rounding(np.array([spread]), np.array([size])).tolist() == [expected]
