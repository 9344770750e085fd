"""Tests of the page as a file: it is complete, needs no network, and shows names as they are."""

import base64
import gzip
import json
import re

import pytest
import synthetic_study as synthetic
from support import ROOT

from variability import registry
from variability.reporting.page import document, web_libraries
from variability.reporting.page.document import Contents
from variability.stages.claim import claims

pytestmark = pytest.mark.slow

ANALYSES = ["spread", "intervals", "decisions", "failures", "components"]
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def small_libraries(monkeypatch):
    monkeypatch.setattr(web_libraries, "vega", lambda: "window.vegaEmbed = null")
    monkeypatch.setattr(web_libraries, "data_tables", lambda: ("export default null", ""))


def rendered(study="demo", models=("a", "b"), **options):
    tables = synthetic.tables(ANALYSES, models=models, **options)
    return document.render(Contents(study, tables, captions={"spread": "Spread of runs."}))


def payload(html):
    packed = re.search(r'id="data-payload">([^<]*)<', html)
    return json.loads(gzip.decompress(base64.b64decode(packed[1])))


def test_names_of_users_are_shown_and_not_run():
    html = rendered(study=HOSTILE, models=(HOSTILE, "b"))
    assert HOSTILE not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert HOSTILE in payload(html)["runs"]["names"]["model"]


def test_the_page_refers_to_no_other_host():
    html = rendered()
    assert not re.findall(r'(?:src|href)="(?!#|data:)[a-z]+:', html)
    assert "default-src 'none'" in html


def test_sections_link_to_the_documentation_where_it_is_next_to_the_results():
    tables = synthetic.tables(ANALYSES, models=("a", "b"), methods=("full",))
    html = document.render(Contents("study", tables, docs="../../../docs/"))
    linked = re.findall(r'class="docs">Method: <a href="\.\./\.\./\.\./docs/([^"#]+)#', html)
    assert len(linked) == html.count('class="docs"') == 3
    assert all((ROOT / "docs" / name).is_file() for name in linked)
    assert 'class="docs">Method: docs/' in rendered()


def test_the_first_screen_names_who_is_first():
    html = rendered()
    first = html.partition('id="filters"')[0]
    assert "One winner" in first
    assert "a (full)" in first


@pytest.mark.parametrize(("tasks", "expander"), [(6, None), (7, "2 more tasks")])
def test_no_single_task_is_hidden_behind_an_expander(tasks, expander):
    tables = synthetic.tables(["components"], tasks=[f"t{n}" for n in range(tasks)], methods=("full",), seeds=range(2))
    first = document.render(Contents("demo", tables)).partition('id="filters"')[0]
    assert first.count('class="share-row"') == tasks + 1, "and over all tasks"
    assert re.findall(r"<summary>(\d.*?)</summary>", first) == ([expander] if expander else [])


def test_the_first_screen_has_the_claims_by_verdict(monkeypatch):
    tables = synthetic.tables(ANALYSES, models=("a", "b"), methods=("full",))
    tables["decisions"] = registry.find("analyses", "decisions")({"margins": {"accuracy": 0.1}}).table(tables)
    tables["claims"] = claims({"not_worse": {}, "shared_ranks": {}}, tables)
    tables["claims"].loc[0, ["verdict", "sentence"]] = ["equivalent", "On digits, a beats c."]
    first = document.render(Contents("demo", tables, captions={})).partition('id="filters"')[0]
    headings = re.findall("<h2>(.*?)</h2>", first)
    assert headings[-2:] == ["You may write", "Equivalent: no difference that matters"]
    assert "<b>equivalent</b>" in first and "<b>supported</b>" not in first


def test_a_study_of_single_runs_has_a_page():
    html = rendered(models=("a", "b"), seeds=(0,), methods=("full",))
    assert "1 run of each combination (a cell)" in html


def test_long_tables_are_cut_and_say_so(monkeypatch):
    monkeypatch.setattr(document, "MOST_ROWS", 3)
    tables = {table["name"]: table for table in payload(rendered())["tables"]}
    assert tables["spread"]["rows"] == 3
    assert tables["spread"]["total"] > 3


def test_equal_studies_have_equal_pages():
    assert rendered() == rendered()


def test_every_caption_is_shown():
    tables = {table["name"]: table for table in payload(rendered())["tables"]}
    assert tables["spread"]["caption"] == "Spread of runs."


def test_what_is_too_much_for_the_page_is_named(monkeypatch):
    assert payload(rendered())["leftOut"] == []
    monkeypatch.setattr(document.run_data, "MOST_CURVE_VALUES", 1)
    assert payload(rendered())["leftOut"] == ["learning curves"]
