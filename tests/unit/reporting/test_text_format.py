import pytest

from variability.reporting import text_format


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [(0.5, "", "0.500"), (0.5, "+", "+0.500"), (-0.0004, "", "0.000"), (-1e-9, "+", "+0.000"), (1234.5, "", "1234")],
)
def test_numbers_have_three_decimals_and_zero_has_no_minus_sign(value, sign, text):
    assert text_format.number(value, sign) == text
