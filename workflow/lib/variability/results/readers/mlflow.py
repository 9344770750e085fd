"""Exports of MLflow."""

from collections.abc import Mapping
from typing import ClassVar

from variability.results.readers import Reader


class Mlflow(Reader):
    """The table of runs, as the web page and ``search_runs`` export it."""

    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {"status": ("status", "Status"), "seconds": ("Duration",)}
    STARTS = ("start_time", "Start Time")
    TIMES = ("start_time", "end_time")
    TIMED = True
