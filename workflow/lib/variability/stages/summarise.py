"""What the study found, in one page of words."""

import html
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from variability.files import write_text
from variability.summary import summarise as summary_of

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<pre style="font: 14px/1.5 monospace; margin: 1em">{text}</pre>
"""


def summarise(study: str, runs: Path, tables: Sequence[Path], markdown: Path, page: Path) -> None:
    """Writes the summary of a study as Markdown, and as a page for the report.

    runs: the runs table. tables: the analyses' tables, named after their analysis.
    """
    frames = {Path(path).stem: pd.read_csv(path) for path in tables}
    text = summary_of(frames | {"runs": pd.read_parquet(runs)}, study)
    write_text(markdown, text)
    write_text(page, _PAGE.format(title=html.escape(study), text=html.escape(text)))
