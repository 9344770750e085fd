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
    with caplog.at_level(logging.WARNING):
        stage.plot("mine", {}, {}, "study", tmp_path / "a.png")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == lines and all(
        "mine: no font of the figure has 型 模, which PNG" in line for line in messages
    )
