"""Exports of Weights & Biases."""

from collections.abc import Mapping
from typing import ClassVar

from variability.results.readers import Reader


class Wandb(Reader):
    """The table of runs, as the web page and the API export it."""

    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "status": ("State", "state"),
        "seconds": ("Runtime", "_runtime"),
    }
    STARTS = ("Created", "_timestamp")
    TIMED = True
