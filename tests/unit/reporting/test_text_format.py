"""Two significant digits of the spread decide the decimals; nothing but 0 is shown as 0."""

import math

import numpy as np
import pytest

from variability.reporting import text_format

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        *(
            (0.5, "", "0.500"),
            (0.5, "+", "+0.500"),
            (1234.5, "", "1234"),
            (123456.7, "", "123,457"),
            (0, "+", "+0.000"),
        ),
        *((0.0004, "", "0.00040"), (-0.0004, "", "-0.00040"), (-1e-9, "+", "-1.0e-09"), (2.5e12, "", "2.500e+12")),
        *((-0.0, "", "0.000"), (math.inf, "", "inf"), (-math.inf, "+", "-inf"), (0.0123, "", "0.012")),
    ],
)
def test_numbers_without_a_spread(value, sign, text):
    assert text_format.number(value, sign) == text


@pytest.mark.parametrize(("value", "text"), [(0.8205, "0.821"), (0.0125, "0.013"), (-0.8205, "-0.821")])
def test_rounding_errors_of_a_mean_change_no_digit(value, text):
    neighbours = (value, np.nextafter(value, -1), np.nextafter(value, 1))
    assert {text_format.number(each) for each in neighbours} == {text}
    assert {text_format.with_spread(each, 0.013, 5) for each in neighbours} == {f"{text} ± 0.013"}


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        *((0.6342, 0.0123, "0.634 ± 0.012"), (0.97125, 0.00012, "0.97125 ± 0.00012"), (0.97, 0.0998, "0.97 ± 0.10")),
        *((71.26, 1.44, "71.3 ± 1.4"), (1234.5, 234.5, "1234 ± 234"), (123456.0, 2345.0, "123,456 ± 2345")),
        *((3.2345e-9, 2.1e-11, "3.234e-09 ± 2.1e-11"), (4.5678e12, 3.3e9, "4.5678e+12 ± 3.3e+09")),
        *(
            (0.5, 1.7e-16, "0.500 (all 5 runs equal)"),
            (-0.5, 1.7e-16, "-0.500 (all 5 runs equal)"),
            (0.5, 1e-11, "0.500000000000 ± 1.0e-11"),
            (0.500038198, 9.8e-8, "0.500038198 ± 9.8e-08"),
        ),
        *(
            (0.5, 0.0, "0.500 (all 5 runs equal)"),
            (0.5, NAN, "0.500"),
            (0.0, 0.01, "0.000 ± 0.010"),
            (1e-5, 0.12, "1e-05 ± 0.12"),
        ),
    ],
)
def test_the_sd_decides_the_decimals(mean, sd, text):
    assert text_format.with_spread(mean, sd, 5) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.034, 0.011, 0.057, "+0.034 [+0.011, +0.057]"),
        # Half the width is 0.0148: three decimals would show the lower end as 0.
        (0.0152, 0.0004, 0.03, "+0.0152 [+0.0004, +0.0300]"),
        (-0.0152, -0.03, -0.0004, "-0.0152 [-0.0300, -0.0004]"),
        (0.0148, 0.0, 0.0296, "+0.015 [+0.000, +0.030]"),
        # Too close to 0 for all numbers of the row to have as many decimals.
        (0.015, 1e-9, 0.03, "+0.01500 [+1e-09, +0.03000]"),
        (0.02, NAN, NAN, "+0.020"),
        (0.5, 0.5, 0.5, "+0.500 (no spread)"),
    ],
)
def test_estimate_and_interval_have_the_same_decimals_and_no_end_becomes_0(value, low, high, text):
    assert text_format.with_interval(value, low, high, "+") == text


def test_no_number_is_shown_on_the_other_side_of_0_or_on_it():
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.integers(-12, 12, size=(3000, 1))
    for low, high in np.sort(rng.normal(size=(3000, 2)) * scale * 10.0 ** -rng.integers(0, 6, size=(3000, 2)), axis=1):
        shown = [float(end.replace(",", "")) for end in text_format.interval(low, high)[1:-1].split(", ")]
        assert np.array_equal(np.sign(shown), np.sign([low, high])), (low, high, shown)
        # Rounding moves an end by at most a twentieth of half the width.
        assert np.allclose(shown, [low, high], rtol=0, atol=(high - low) / 2 / 19), (low, high, shown)


@pytest.mark.parametrize(("p", "text"), [(0.0004, "< 0.001"), (0.031, "0.031"), (1.0, "1.000")])
def test_p_values(p, text):
    assert text_format.p_value(p) == text


@pytest.mark.parametrize(
    ("sd", "low", "high", "text"),
    [
        (0.00148, 0.0, 0.04, "0.0015 [0.000, 0.040]"),
        (0.0301, 0.0, 0.214, "0.030 [0.00, 0.21]"),
        (0.5, 0.3, 1.4, "0.50 [0.30, 1.40]"),
        (0.0, 0.0, 0.179, "0.000 [0.000, 0.179]"),
        (0.0, 0.0, 0.0, "0.000 (no spread)"),
        (0.02, float("nan"), float("nan"), "0.020"),
    ],
)
def test_an_sd_has_two_significant_digits_however_wide_its_interval_is(sd, low, high, text):
    assert text_format.sd_with_interval(sd, low, high) == text


def test_an_interval_without_width_is_not_shown():
    assert text_format.with_interval(0.25, 0.25, 0.25, "+") == "+0.250 (no spread)"
    assert text_format.with_interval(0.25, 0.25, 0.25 + 1e-17) == "0.250 (no spread)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.6, "0.6 s"), (49.7, "50 s"), (119, "120 s"), (120, "2 minutes"), (7200, "2 hours"), (1_234_567, "340 hours")],
)
def test_durations_have_the_unit_that_suits_them(seconds, text):
    assert text_format.duration(seconds) == text
