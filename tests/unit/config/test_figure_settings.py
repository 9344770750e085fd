"""Tests of the section ``figures``: widths in inches, and what a schema cannot exclude."""

import pytest

from variability.config import figure_settings


def test_by_default_figures_have_the_size_that_they_need():
    assert figure_settings.of_study({}) == {"formats": ["svg", "png"]}
    assert list(figure_settings.check({})) == []


@pytest.mark.parametrize(("width", "inches"), [("8.5 cm", 8.5 / 2.54), ("85mm", 8.5 / 2.54), ("3.35 in", 3.35)])
def test_a_width_has_a_unit(width, inches):
    settings = figure_settings.of_study({"figures": {"width": width, "formats": ["pdf"]}})
    assert settings == {"formats": ["svg", "pdf"], "width": pytest.approx(inches), "font_size": 8}
    assert list(figure_settings.check({"figures": {"width": width}})) == []


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        ({"width": "3 cm"}, "figures.width", "3 cm is not between 5 and 51 cm"),
        ({"width": "30 in"}, "figures.width", "30 in is not between"),
        ({"font_size": 7}, "figures.font_size", "no effect without figures.width"),
        ({"font": "No Such Face"}, "figures.font", "'No Such Face' is not installed here"),
    ],
)
def test_what_cannot_be_drawn_is_refused(section, key, words):
    (problem,) = figure_settings.check({"figures": section})
    assert problem.key == key and words in problem.message
