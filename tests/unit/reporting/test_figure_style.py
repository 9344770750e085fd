"""Figures show texts as they are."""

import re
from html import unescape

import pytest

from variability.reporting import figure_style

NAMES = ["mix $\\alpha=0.1$", "gain $\\delta{x$ net", "$", "a$b$c", "_x", "{}", "a\\b", "<b>&lt;", "^2_3"]


def drawn(tmp_path, draw):
    """Return the texts of a figure that ``draw`` fills."""
    with figure_style.applied():
        figure = figure_style.figure(
            6, 4, "title $x_1$", "note $y", [figure_style.handle("_z$1$", figure_style.looks("a")["a"])]
        )
        draw(figure.add_subplot())
        figure_style.save(figure, [tmp_path / "figure.svg", tmp_path / "figure.png"], 50)
    svg = (tmp_path / "figure.svg").read_text()
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def test_no_text_is_read_as_mathematics(tmp_path):
    def draw(axes):
        axes.set_yticks(range(len(NAMES)), NAMES)
        axes.set_title(NAMES[0])
        axes.set_xlabel(NAMES[1])

    texts = drawn(tmp_path, draw)
    assert {*NAMES, "title $x_1$", "note $y", "_z$1$"} <= set(texts)


@pytest.mark.parametrize(
    ("limits", "labels"),
    [((0.5, 2000), {"1", "10", "100", "1000"}), ((2e-7, 2e-4), {"1e\N{MINUS SIGN}06", "1e\N{MINUS SIGN}05"})],
)
def test_logarithmic_axes_have_plain_numbers(limits, labels, tmp_path):
    def draw(axes):
        axes.plot(limits, limits)
        axes.set_xscale("log")

    texts = drawn(tmp_path, draw)
    assert labels <= set(texts)
    assert not any("mathdefault" in text for text in texts)


def test_a_number_as_a_marker_is_centred():
    box = figure_style.text_marker("12").get_extents()
    assert box.width > box.height > 0
    assert box.x0 == pytest.approx(-box.x1) and box.y0 == pytest.approx(-box.y1)
