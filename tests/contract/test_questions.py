"""Tests of all sections of the report page: sentences without gaps, charts that Vega-Lite accepts, links that exist."""

import json
import re
from pathlib import Path

import pytest
import synthetic_study as synthetic
import vl_convert

from variability import registry
from variability.reporting.questions import answered
from variability.results.runs_table import first_runs

pytestmark = pytest.mark.slow

NAMES = registry.names("questions")
DOCS = Path(__file__).parents[2] / "docs"
FAILED = {("cnn", "digits", "full", 0), ("cnn", "digits", "full", 1)}
STUDIES = {
    "typical": {"models": ("cnn", "cnn-scratch"), "tasks": ("digits", "letter-case"), "failed": FAILED},
    "one run": {"models": ("cnn",), "tasks": ("digits",), "methods": ("full",), "seeds": (0,)},
    "all failed": {
        "models": ("cnn", "vit"),
        "methods": ("full",),
        "seeds": (0, 1),
        "failed": {(model, "digits", "full", seed) for model in ("cnn", "vit") for seed in (0, 1)},
    },
    "rankings": {"kind": "ranking", "models": ("cnn", "cnn-scratch")},
}


@pytest.fixture(scope="module", params=STUDIES)
def sections(request):
    tables = synthetic.tables(**STUDIES[request.param])
    tables["runs"] = first_runs(tables["runs"])
    return {section.name: section for section in answered(tables)}


@pytest.fixture(scope="module")
def typical():
    tables = synthetic.tables(**STUDIES["typical"])
    return {section.name: section for section in answered(tables)}


@pytest.mark.parametrize("name", NAMES)
def test_every_question_is_answered_for_a_typical_study(typical, name):
    assert name in typical


def test_sentences_have_no_gaps(sections):
    for sentence in (sentence for section in sections.values() for sentence in section.sentences):
        assert sentence.endswith("."), sentence
        assert not re.search(r"\bnan\b|\binf\b|\bNone\b|\{|\}", sentence), sentence


def fields(spec):
    """Return the columns that a chart reads from its rows."""
    derived = {
        transform["as"] for layer in spec["layer"] for transform in layer.get("transform", ()) if "as" in transform
    }
    read = set()
    for layer in spec["layer"]:
        if layer["data"].get("name") == "rows":
            text = json.dumps(layer["encoding"])
            read |= set(re.findall(r'"field": "([^"]+)"', text))
    return read - derived


def test_charts_are_valid_and_their_rows_have_what_they_read(sections):
    for name, chart in ((name, chart) for name, section in sections.items() for chart in section.charts):
        for chart_spec in (chart.spec, chart.counts or chart.spec):
            spec = {**chart_spec, "width": 400, "datasets": {"rows": [], "means": []}}
            vl_convert.vegalite_to_vega(json.loads(re.sub(r"\{[a-z-]+\}", "#123456", json.dumps(spec))))
        if chart.rows is not None:
            # The page adds the name of the candidate, made of model and method.
            assert fields(chart.spec) - {"candidate"} <= set(chart.rows), name
            assert {"task", "model", "method"} <= set(chart.rows), name
            assert chart.title


#: Names of marks in "How to read this".
MARKS = {
    "point": "dot",
    "tick": "tick",
    "bar": "bar",
    "rect": "colour",
    "text": "number",
    "rule": "line",
    "line": "line",
}
NAMED_IF_DRAWN_ONLY = {"dot", "tick", "bar", "line", "dashed"}


@pytest.mark.parametrize("name", NAMES)
def test_how_to_read_a_chart_names_the_marks_that_it_has_and_no_others(typical, name):
    specs = [spec for chart in typical[name].charts for spec in (chart.spec, chart.counts) if spec]
    marks = [layer["mark"] for spec in specs for layer in spec["layer"]]
    drawn = {MARKS[mark["type"]] for mark in marks} | {"dashed" for mark in marks if "strokeDash" in mark}
    words = set(re.findall("[a-z]+", typical[name].question.READING.lower()))
    named = {word.removesuffix("s") for word in words}
    assert drawn <= named, sorted(drawn - named)
    assert named & NAMED_IF_DRAWN_ONLY <= drawn, sorted(named & NAMED_IF_DRAWN_ONLY - drawn)


@pytest.mark.parametrize("name", NAMES)
def test_the_method_is_documented(name):
    page, _, heading = registry.find("questions", name).DOCS.partition("#")
    text = (DOCS / page).read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in re.findall(r"^#+ .*", text, re.M)
    }
    assert not heading or heading in headings


def test_the_order_of_the_sections_is_unambiguous():
    orders = [registry.find("questions", name).ORDER for name in NAMES]
    assert len(set(orders)) == len(orders)
