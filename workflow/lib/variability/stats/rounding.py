"""Spread that is due to rounding: equal numbers computed in another order differ in their last bits."""

from typing import Any

#: Size of differences, relative to the values, that are due to rounding.
ROUNDING = 1e-12


def is_rounding(spread: Any, size: Any) -> Any:
    """Return whether a spread, or each of an array, is only the rounding error of values of this size.

    False where either is NaN.
    """
    return spread <= ROUNDING * abs(size)
