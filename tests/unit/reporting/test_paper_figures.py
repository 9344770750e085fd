"""Tests of figures of a given width: texts are as large as wanted, or the figure is drawn wider and scaled down."""

import itertools
import re

import pytest

from variability.reporting import figure_style, paper_figures


def figure_of(words):
    """Return a function that draws a panel with ticks that have these labels."""

    def draw():
        figure = figure_style.figure(6.5, 3, "title", "note")
        figure.subplots().set_xticks(range(len(words)), words)
        return figure

    return draw


def test_texts_have_the_wanted_size_where_they_fit():
    fitted = paper_figures.fitted(figure_of(["a", "b"]), 3.0, 6)
    assert fitted.font_size == pytest.approx(6) and fitted.scale == pytest.approx(6 / 8)
    assert fitted.figure.get_figwidth() * fitted.scale == pytest.approx(3.0)


def test_where_texts_overlap_the_figure_is_drawn_wider_and_scaled_down():
    fitted = paper_figures.fitted(figure_of([f"label number {at}" for at in range(8)]), 3.0, 8)
    assert fitted.font_size < 7
    assert fitted.figure.get_figwidth() * fitted.scale == pytest.approx(3.0)
    boxes = [label.get_window_extent() for label in fitted.figure.axes[0].get_xticklabels()]
    assert all(one.x1 <= other.x0 + paper_figures.TOUCHING for one, other in itertools.pairwise(boxes))


def test_titles_and_labels_that_are_cut_have_more_lines():
    def draw():
        figure = figure_style.figure(6.5, 3, "title", "note")
        for axes in figure.subplots(2, 1):
            axes.set_title("a title that goes on and on and on, beyond the edge of the figure", loc="left")
            axes.set_xlabel("a label that is much longer than the axis, and than the figure")
        return figure

    fitted = paper_figures.fitted(draw, 3.0, 8)
    assert fitted.font_size == pytest.approx(8)
    assert all("\n" in axes.get_title(loc="left") and "\n" in axes.get_xlabel() for axes in fitted.figure.axes)


def test_ticks_whose_labels_overlap_are_removed():
    def draw():
        figure = figure_style.figure(6.5, 3, "title", "note")
        for axes in figure.subplots(1, 2):
            axes.set_xlim(100_000, 900_000)
        return figure

    assert paper_figures.fitted(draw, 3.0, 8).font_size == pytest.approx(8)


def test_all_formats_have_the_width(tmp_path):
    from PIL import Image

    fitted = paper_figures.fitted(figure_of(["a", "b"]), 3.0, 6)
    files = {suffix: tmp_path / f"figure.{suffix}" for suffix in ("svg", "png", "pdf")}
    with figure_style.applied():
        figure_style.save(fitted.figure, [*files.values()], 100, fitted.scale)
    height = fitted.figure.get_figheight() * fitted.scale
    svg = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', files["svg"].read_text())
    assert [float(end) / 72 for end in svg.groups()] == pytest.approx([3.0, height], rel=1e-4)
    with Image.open(files["png"]) as image:
        assert image.size == pytest.approx((300, 100 * height), abs=1)
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", files["pdf"].read_bytes())
    assert [float(end) / 72 for end in box.groups()] == pytest.approx([3.0, height], rel=1e-4)


def test_settings_are_those_of_the_figure_only():
    with figure_style.applied(room=3.0):
        assert figure_style.columns(3) == 1
        assert figure_style.wrap("one two three", 20) == "one two\nthree"
    assert figure_style.columns(3) == 3
    assert figure_style.wrap("one two three", 20) == "one two three"
