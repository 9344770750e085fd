"""The report page: one HTML file that needs no network, with all data of the study in it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from variability.reporting import primary_rows, relevance
from variability.reporting.page import columns, run_data, web_libraries
from variability.reporting.page.first_screen import first_screen
from variability.reporting.questions import Chart, Section, answered
from variability.results.runs_table import first_runs

#: Templates, style sheet and script.
PARTS = Path(__file__).parent / "parts"
#: Parts of the page's script, in their order: one function, whose names all parts share.
SCRIPTS = ("data", "filters", "labels", "charts", "run_panel", "examples", "tables", "printing", "page")
#: Most marks of a chart; beyond them, runs are counted in cells.
MOST_MARKS = 20_000
#: Most rows of a table that the page holds; the file has all.
MOST_ROWS = 5000
#: Columns of the runs table that the page's table of runs leaves out: they are equal for all runs, or long.
_HIDDEN = ("versions", "model_options", "method_options", "scope", "normalise_low", "normalise_high")


@dataclass(frozen=True)
class Contents:
    """Data that the page is made from.

    tables: ``runs`` with repeated runs, ``history`` and ``per_class`` if they exist, ``claims``, and those of the
    analyses. captions: of the tables. recipes: ``entries``, and in ``cells`` the position of each cell's entry, as
    "model|task|method". examples: see ``example_data``. links: other files of the study, (text, relative path).
    docs: relative path of the folder of the documentation; "" if there is none.
    """

    study: str
    tables: Mapping[str, pd.DataFrame]
    captions: Mapping[str, str] = field(default_factory=dict)
    recipes: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)
    links: Sequence[tuple[str, str]] = ()
    docs: str = ""


def render(contents: Contents) -> str:
    """Return the page as HTML."""
    tables = dict(contents.tables)
    first = first_screen(contents.study, tables)
    of_questions = tables | {"runs": first_runs(tables["runs"])}
    sections = answered(of_questions)
    payload = _payload(contents, of_questions, sections)
    data_tables, style = web_libraries.data_tables()
    return _template().render(
        first=first,
        sections=sections,
        examples=bool(contents.examples),
        tables=["runs", *(table["name"] for table in payload["tables"])],
        links=contents.links,
        docs=contents.docs,
        style=_part("page.css"),
        tables_style=style,
        script=_script(),
        vega=packed(web_libraries.vega().encode()),
        data_tables=packed(data_tables.encode()),
        payload=packed(json.dumps(payload, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()),
    )


def _script() -> str:
    parts = (_part(f"{name}.js") for name in SCRIPTS)
    return f'"use strict";\n{_part("failure.js")}(async () => {{\n{"".join(parts)}}})().catch(cannotShow);'


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def packed(content: bytes) -> str:
    """Return content as base64 of gzip, which the page unpacks, and which no content can end like HTML."""
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


@cache
def _template() -> Any:
    import jinja2

    loader = jinja2.FileSystemLoader(PARTS)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html.j2")


def _payload(contents: Contents, tables: Mapping[str, pd.DataFrame], sections: Sequence[Section]) -> dict[str, Any]:
    all_runs = contents.tables["runs"]
    details = {
        "history": run_data.of_history(tables.get("history"), all_runs),
        "confusion": run_data.of_confusion(tables.get("per_class"), all_runs),
    }
    return {
        "study": contents.study,
        "runs": run_data.of_runs(all_runs),
        **run_data.of_metrics(all_runs),
        **details,
        "leftOut": _left_out(details, tables, contents.examples),
        "means": columns.of_table(_means(tables)),
        "mostMarks": MOST_MARKS,
        "relevantTasks": _relevant_tasks(tables["runs"]),
        "recipes": dict(contents.recipes),
        "examples": dict(contents.examples),
        "charts": {section.name: [_chart(chart) for chart in section.charts] for section in sections},
        "tables": [_listed(name, table, contents.captions.get(name, "")) for name, table in _shown_tables(tables)],
    }


def _left_out(details: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], examples: Mapping[str, Any]) -> list[str]:
    """Return the details of runs that the study has, and that are too many for the page."""
    missing = ["learning curves"] * (details["history"] is None and len(tables.get("history", ())) > 0)
    counted = "per_class" in tables and run_data.has_confusion(tables["per_class"])
    missing += ["confusion counts"] * (details["confusion"] is None and counted)
    return missing + ["predictions"] * any(of_task.get("predictions") is None for of_task in examples.values())


def _relevant_tasks(runs: pd.DataFrame) -> list[str]:
    """Return the tasks, those first on which candidates differ most, compared with seeds."""
    scores = relevance.separation(primary_rows.select(runs))
    return sorted(map(str, runs["task"].unique()), key=lambda task: -scores.get(task, -1.0))


def _means(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    names = ["task", "model", "method", "phase", "split", "metric", "estimate", "low", "high", "n"]
    if "intervals" not in tables:
        return pd.DataFrame(columns=names)
    intervals = tables["intervals"]
    return intervals.loc[intervals["target"] == "mean", names]


def _chart(chart: Chart) -> dict[str, Any]:
    rows = None if chart.rows is None else columns.of_table(chart.rows)
    return {"title": chart.title, "spec": chart.spec, "counts": chart.counts, "rows": rows}


def _shown_tables(tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, pd.DataFrame]]:
    named = [(name, table) for name, table in tables.items() if name not in ("runs", "history", "per_class")]
    return sorted(named, key=lambda item: (item[0] != "claims", item[0]))


def _listed(name: str, table: pd.DataFrame, caption: str) -> dict[str, Any]:
    primary = table
    if len(table) > MOST_ROWS and "primary" in table:
        primary = table[table["primary"].astype(bool)]
    rows = primary.head(MOST_ROWS)
    shown = rows[[column for column in rows if column not in _HIDDEN]]
    return {"name": name, "caption": caption, "total": len(table), **columns.of_table(shown)}
