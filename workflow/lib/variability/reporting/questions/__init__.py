"""Questions that the report page answers: one file each, a section of the page.

To add a section, write a module in this folder with one subclass of ``Question``. Its file name is the section's id in
links. Most sections follow this pattern:

    class Medians(Question):
        '''Medians of all cells, with one dot per cell.'''

        TITLE = "What is typical of each candidate?"
        ORDER = 35
        ANALYSES = ("median",)
        READING = "One dot per candidate: the median over its completed runs."
        DOCS = "statistics.md#median"

        def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
            return [f"The medians of {len(tables['median'])} cells are known."]

        def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
            return [Chart(tables["median"], vega.layers(vega.dots("median")))]

Helpers for plug-ins: ``vega`` (layers of charts), ``text_format`` (numbers) and ``primary_rows`` (rows that are shown).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from variability import registry

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Chart:
    """A chart of a section: the page draws it once per task, with the rows that the reader's filters leave.

    rows: one row per mark, with the columns ``task``, ``model`` and ``method``; None for a chart of the runs, whose
    rows the page makes from the metric that the reader chose. spec: Vega-Lite without data; its layers read the data
    set ``rows``. Rows of ``intervals`` of the same metric are its data set ``means``. title: what is shown. counts:
    the spec in its place where there are too many runs: its data set ``rows`` has, for each candidate and bin of the
    values, ``from``, ``to``, the ``count`` of runs, and their ``share`` of the candidate's runs.
    """

    rows: pd.DataFrame | None
    spec: Mapping[str, Any]
    title: str
    counts: Mapping[str, Any] | None = None


class Question(ABC):
    """A section of the report page."""

    #: Heading: the question in words that need no statistics.
    TITLE: ClassVar[str]
    #: Position among the sections, ascending.
    ORDER: ClassVar[int]
    #: Tables of analyses that it needs; it is left out where one is missing.
    ANALYSES: ClassVar[tuple[str, ...]] = ()
    #: Text of "How to read this".
    READING: ClassVar[str]
    #: Page and heading of the documentation that explains the method, such as ``statistics/comparisons.md#ranks``.
    DOCS: ClassVar[str]

    @abstractmethod
    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        """Return sentences computed from the tables; without any the section is left out.

        tables: ``runs`` without repeated runs, ``claims``, and those of all analyses of the study, by name.
        """

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        """Return the charts below the sentences."""
        return []


@dataclass(frozen=True)
class Section:
    """A question with its answer."""

    name: str
    question: Question
    sentences: list[str]
    charts: list[Chart] = field(default_factory=list)


def answered(tables: Mapping[str, pd.DataFrame]) -> list[Section]:
    """Return the sections of all questions that the tables answer, in the order of the page."""
    plugins = {name: registry.find("questions", name) for name in registry.names("questions")}
    sections = []
    for name, plugin in sorted(plugins.items(), key=lambda item: (item[1].ORDER, item[0])):
        if any(table not in tables or tables[table].empty for table in plugin.ANALYSES):
            continue
        question = plugin()
        if sentences := question.sentences(tables):
            sections.append(Section(name, question, sentences, question.charts(tables)))
    return sections
