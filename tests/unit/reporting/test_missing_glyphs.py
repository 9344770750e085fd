"""Characters that the fonts of a figure do not have."""

import logging
import warnings

import pytest
from matplotlib.figure import Figure

from variability.reporting import figure_style, missing_glyphs
from variability.stages import plot as stage


def figure(text):
    drawn = Figure(figsize=(3, 2))
    drawn.text(0.1, 0.5, text)
    return drawn


def test_each_character_is_collected_once_and_other_warnings_are_issued(tmp_path):
    with pytest.warns(UserWarning, match="^another$") as issued, missing_glyphs.collected() as missing:
        with figure_style.applied():
            figure_style.save(figure("模型一 模 resnet"), [tmp_path / "a.png", tmp_path / "a.svg"], 80)
        warnings.warn("another", UserWarning, stacklevel=1)
    assert missing == {"模", "型", "一"} and len(issued) == 1


@pytest.mark.parametrize(("text", "lines"), [("模型", 1), ("resnet", 0)])
def test_the_stage_names_them_in_one_line_per_figure(tmp_path, monkeypatch, caplog, text, lines):
    class Plot:
        NEEDS, ANALYSES, REPEATS = (), (), True

        def __init__(self, options, study):
            pass

        def draw(self, frames):
            return figure(text)

        def option(self, name):
            return 80

    monkeypatch.setattr(stage.registry, "find", lambda family, name: Plot)
    monkeypatch.setattr(missing_glyphs, "_installed", lambda: [("Latin Only", "latin.ttf", frozenset(map(ord, "abc")))])
    with caplog.at_level(logging.WARNING):
        stage.plot("mine", {}, {}, "study", tmp_path / "a.png")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == lines and all(
        "mine: no font of the figure has 型 模, which PNG" in line for line in messages
    )


@pytest.fixture
def with_squares(tmp_path, monkeypatch):
    """Install a font that has two characters, which are squares, and some Latin ones that must not be used."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    corners = [(0, 0), (0, 900), (900, 900), (900, 0)]
    pen.moveTo(corners[0])
    for corner in corners[1:]:
        pen.lineTo(corner)
    pen.closePath()
    square, names = pen.glyph(), [".notdef", "one", "two", "r"]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord("模"): "one", ord("型"): "two", ord("r"): "r"})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Two Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path = tmp_path / "squares.ttf"
    builder.save(path)
    fonts = [("Latin", "latin.ttf", frozenset({ord("r")})), ("Two Squares", str(path), frozenset(map(ord, "模型r")))]
    monkeypatch.setattr(missing_glyphs, "_installed", lambda: fonts)


def test_an_installed_font_supplies_characters_that_the_font_of_figures_lacks(tmp_path, with_squares):
    lacking = missing_glyphs.of(set("resnet-é 模型"))
    assert lacking == {"模", "型"}
    family = missing_glyphs.font_with(lacking)
    assert family == "Two Squares"
    with missing_glyphs.collected() as missing, figure_style.applied(fallback=family):
        figure_style.save(figure("resnet 模型"), [tmp_path / "a.png", tmp_path / "a.pdf"], 80)
    assert missing == set()
    assert missing_glyphs.font_with({"\N{ETHIOPIC SYLLABLE HA}"}) is None
    assert missing_glyphs.of(set("plain")) == set()
