import pytest

from variability.reporting import text_format


@pytest.mark.parametrize(
    ("value", "sign", "said"),
    [(0.5, "", "0.500"), (0.5, "+", "+0.500"), (-0.0004, "", "0.000"), (-1e-9, "+", "+0.000"), (1234.5, "", "1234")],
)
def test_numbers_have_three_decimals_and_nothing_is_below_zero_that_rounds_to_it(value, sign, said):
    assert text_format.number(value, sign) == said
