"""Tests of the report page in a browser: what it draws, filters, shows and exports is what the tables have."""

import csv
import dataclasses
import io
import itertools
import re

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting.page import document
from variability.reporting.page.document import Contents
from variability.results.columns import RUN

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
#: Sections of the made-up study, which has no times and no calibration.
SECTIONS = ("winners", "gains", "seeds", "origin_of_spread", "more_seeds", "failures", "flips")


def runs_of(visit):
    """Return the rows of the charts of all runs, as drawn: (task, candidate, seed, value)."""
    return visit.page.evaluate("""() => [...document.querySelectorAll('[data-charts=seeds] .chart')].flatMap((chart) =>
        chart.querySelector('.plot').view.data('rows').map((row) => [row.task, row.candidate, row.seed, row.value]))""")


def values(study, metric="accuracy", phase="after", split="test"):
    runs = study.tables["runs"]
    rows = runs[(runs["metric"] == metric) & (runs["phase"] == phase) & (runs["split"] == split)].dropna(subset="value")
    return {(row["task"], f"{row['model']} ({row['method']})", row["seed"]): row["value"] for _, row in rows.iterrows()}


def test_nothing_fails_and_nothing_is_fetched(visited, page_file):
    assert visited.problems == []
    assert {url for url in visited.requests if not url.startswith(("data:", "blob:"))} == {page_file.as_uri()}


def test_intervals_that_two_runs_do_not_have_are_in_no_chart(visits, tmp_path):
    tables = synthetic.analysed(synthetic.base_tables(seeds=(0, 1)), ["intervals", "churn"])
    assert tables["churn"]["low"].isna().all()
    (tmp_path / "index.html").write_text(document.render(Contents("two seeds", tables)), encoding="utf-8")
    visit = visits(path=tmp_path / "index.html")
    visit.draw_all()
    assert visit.problems == []
    assert visit.page.locator("#flips svg").count() > 0


def test_names_of_users_do_not_run(visited):
    assert visited.page.evaluate("window.ran") is None
    assert visited.page.get_by_text("<script>window.ran = true</script>").count() > 0


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_drawn(visited, section):
    assert section in registry.names("questions")
    box = visited.page.locator(f"#{section}")
    assert box.locator(".notice").count() == 0
    assert box.locator("svg, canvas").count() == box.locator(".chart").count() > 0


def test_every_completed_run_is_a_dot(visited, study):
    drawn = {(task, candidate, seed): value for task, candidate, seed, value in runs_of(visited)}
    expected = values(study)
    assert drawn.keys() == expected.keys()
    assert all(abs(drawn[key] - expected[key]) < 1e-5 for key in expected)


def test_candidates_are_in_the_order_of_their_means_in_all_charts(visited, study):
    means = {}
    for (task, candidate, _), value in values(study).items():
        means.setdefault((task, candidate), []).append(value)
    charts = visited.page.evaluate("""[...document.querySelectorAll('.plot')]
        .filter((plot) => plot.view.scale('y').bandwidth)
        .map((plot) => [plot.closest('.chart').textContent.split(':')[0], plot.view.scale('y').domain()])""")
    assert len(charts) > 6
    # Both data sets of the chart of all runs, from either of which Vega may take the order.
    charts += visited.page.evaluate("""[...document.querySelectorAll('[data-charts=seeds] .plot')]
        .map((plot) => [plot.closest('.chart').textContent.split(':')[0],
            plot.view.data('means').map((row) => row.candidate)])""")
    for task, candidates in charts:
        assert candidates == sorted(candidates, key=lambda name: -np.mean(means[task, name]))


def test_filters_leave_the_right_runs(visits, study):
    visit = visits()
    visit.page.locator("#filters details summary").first.click()
    visit.page.get_by_role("checkbox", name="cnn-scratch").uncheck()
    visit.page.locator("select[name=task]").select_option("letters")
    visit.page.locator("select[name=metric]").select_option("nll")
    visit.page.locator("select[name=phase]").select_option("before")
    visit.draw_all()
    drawn = {(task, candidate, seed): value for task, candidate, seed, value in runs_of(visit)}
    expected = {
        key: value
        for key, value in values(study, "nll", "before").items()
        if key[0] == "letters" and not key[1].startswith("cnn-scratch")
    }
    assert drawn.keys() == expected.keys()
    assert all(abs(drawn[key] - expected[key]) < 1e-5 for key in expected)
    assert visit.problems == []


def test_methods_that_only_repeat_runs_are_in_no_filter(visits, study, tmp_path):
    runs = study.tables["runs"]
    again = runs[runs["method"] == "full"].assign(method="full-again", repeats="full").astype(runs.dtypes)
    path = tmp_path / "index.html"
    repeated = dataclasses.replace(study, tables={**study.tables, "runs": pd.concat([runs, again])})
    path.write_text(document.render(repeated), encoding="utf-8")
    visit = visits(path=path)
    assert "2 tasks and 2 methods" in visit.page.locator(".about").inner_text()
    assert visit.page.locator("#filters summary", has_text="Methods").inner_text() == "Methods: 2 of 2"
    assert visit.problems == []


def test_counts_have_whole_numbers(visited):
    labels = visited.page.locator("#failures .role-axis-label text").all_text_contents()
    assert {label for label in labels if label.replace(".", "").isdigit()} == {"0", "1"}


def dot_of(visit, number):
    """Return the position of a run's dot on the screen."""
    return visit.page.evaluate(
        """(number) => {
        for (const plot of document.querySelectorAll('[data-charts=seeds] .plot')) {
            const marks = [...plot.querySelectorAll('.mark-symbol path')];
            const item = marks.find((mark) => mark.__data__?.datum?.run === number);
            if (!item) continue;
            item.scrollIntoView({ block: 'center', behavior: 'instant' });
            const box = item.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }
    }""",
        number,
    )


def test_pointing_at_a_dot_shows_its_run_and_dims_the_others(visits, study):
    visit = visits()
    visit.draw_all()
    number = 3
    key = list(study.tables["runs"].drop_duplicates(RUN)[RUN].itertuples(index=False, name=None))[number]
    across, down = dot_of(visit, number)
    visit.page.mouse.move(across, down - 60)
    visit.page.mouse.move(across, down, steps=4)
    visit.page.locator(".tip").wait_for(state="visible")
    text = visit.page.locator(".tip").inner_text()
    candidate = f"{key[0]} ({key[2]})"
    assert candidate in text
    assert re.search(rf"seed\s+{key[3]}\b", text)
    shown = float(re.search(r"value\s+([\d.]+)", text)[1])
    assert shown == pytest.approx(values(study)[key[1], candidate, key[3]], rel=1e-3)
    hot = visit.page.evaluate(
        "[...document.querySelectorAll('[data-charts=winners] .plot')].map((plot) => plot.view.signal('hot'))"
    )
    assert set(hot) == {candidate}


def test_clicking_a_dot_opens_the_run(visits, study):
    visit = visits()
    visit.draw_all()
    number = 7
    key = list(study.tables["runs"].drop_duplicates(RUN)[RUN].itertuples(index=False, name=None))[number]
    visit.page.mouse.click(*dot_of(visit, number))
    panel = visit.page.locator("#run")
    panel.wait_for(state="visible")
    text = panel.inner_text()
    assert f"{key[0]} ({key[2]}), seed {key[3]}" in text
    panel.locator("summary", has_text="Recipe").click()
    assert re.search(r"lr\s+0.001", panel.inner_text())
    assert panel.locator("svg").count() == 1, "the learning curve"
    wrong = int(re.search(r"Its (\d+) errors among 60", panel.locator("summary", has_text="errors").inner_text())[1])
    assert panel.locator("li").count() == min(wrong, 50)
    visit.page.keyboard.press("Escape")
    assert panel.is_hidden()


def test_the_examples_that_flip_are_shown_with_their_votes(visited, study):
    of_task = study.examples["digits"]
    cards = visited.page.locator("#examples .examples").first.locator(".example")
    assert cards.count() == len(of_task["shown"]) > 0
    first = of_task["shown"][0]
    text = cards.first.inner_text()
    assert first["text"] in text
    votes = {}
    for cell in first["votes"]:
        for answer, count, _ in cell:
            votes[answer] = votes.get(answer, 0) + count
    for answer, count in votes.items():
        assert f"{answer} \N{MULTIPLICATION SIGN}{count}" in text


def test_tables_are_sorted_searched_and_exported(visits, study):
    visit = visits()
    page = visit.page
    page.locator("#table-name").select_option("spread")
    assert page.locator("#table-caption").inner_text() == "Caption of spread."
    page.locator("#table input[type=search]").fill("letters")
    page.locator("#table th", has_text=re.compile(r"^mean$")).first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    spread = study.tables["spread"]
    expected = spread[spread["task"] == "letters"]
    assert len(rows) == len(expected)
    means = [float(row["mean"]) for row in rows if row["mean"]]
    assert means == sorted(means)
    assert means == pytest.approx(sorted(expected["mean"].dropna()), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "pattern"), [("Markdown", r"^\| model \| task"), ("LaTeX", r"\\toprule[\s\S]*\\bottomrule")]
)
def test_tables_can_be_pasted_into_a_text(visits, name, pattern):
    visit = visits()
    visit.page.locator("#table-name").select_option("spread")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name=f"Download {name}").click()
    assert re.search(pattern, download.value.path().read_text(encoding="utf-8"))


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_nothing_is_wider_than_the_window(visits, width):
    visit = visits(width)
    visit.draw_all()
    visit.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1440])
def test_no_label_of_the_bars_is_cut(visits, width):
    visit = visits(width=width)
    cut = visit.page.evaluate("""[...document.querySelectorAll('.part > span')].map(label => {
        const inner = label.getBoundingClientRect(), outer = label.parentNode.getBoundingClientRect();
        return [label.textContent, inner.top < outer.bottom - 1, inner.right <= outer.right + 1];
    }).filter(([, visible, whole]) => visible && !whole)""")
    assert not cut
    # What a part without a label is can be read below.
    entries = visit.page.locator(".share-row").first.locator(".share-entry").all_inner_texts()
    parts = visit.page.locator(".share-row").first.locator(".part").all()
    titles = [part.get_attribute("title").replace(": ", " ") for part in parts]
    assert titles and set(titles) <= {" ".join(entry.split()) for entry in entries}


#: Left, right, top, bottom of all texts of each chart, from its left end, and its width.
TEXTS = """[...document.querySelectorAll('.chart .plot svg')].map((svg) => {
    const start = svg.getBoundingClientRect().left;
    const shown = (text) => text.textContent && text.getAttribute('opacity') !== '0';
    const texts = [...svg.querySelectorAll('text')].filter(shown);
    const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
    const sides = (box) => [box.left - start, box.right - start, box.top, box.bottom];
    return [svg.clientWidth, boxes.map(([text, box]) => [text, ...sides(box)])];
})"""


@pytest.mark.parametrize("width", [390, 1440])
def test_texts_of_charts_do_not_overlap_and_long_names_stay_different(visits, long_names, width):
    models, path = long_names
    visit = visits(width=width, path=path)
    visit.draw_all()
    charts = visit.page.evaluate(TEXTS)
    assert len(charts) > 5
    for whole, texts in charts:
        assert [text for text, left, right, *_ in texts if left < -1 or right > whole + 1] == []
        # The box of a text is higher than its letters.
        overlaps = [
            (one[0], other[0])
            for one, other in itertools.combinations(texts, 2)
            if min(one[2], other[2]) > max(one[1], other[1]) and min(one[4], other[4]) - max(one[3], other[3]) > 2
        ]
        assert overlaps == []
    labels = visit.page.locator("[data-charts=seeds] .role-axis-label text", has_text="…")
    assert len(set(labels.all_text_contents())) == len(models) * 2, "two methods"
    assert visit.page.locator(".role-legend-label text", has_text="…").count() == 0
    labels.first.hover()
    visit.page.locator(".tip").wait_for(state="visible")
    assert any(name in visit.page.locator(".tip").inner_text() for name in models)


def test_no_dot_is_on_the_end_of_its_axis(visited):
    """Measured from the ends of the horizontal axis to the middle of each dot, in pixels."""
    free = visited.page.evaluate("""[...document.querySelectorAll('[data-charts=seeds] .plot')].map((plot) => {
        const boxes = [...plot.querySelectorAll('.mark-symbol.role-mark path')];
        const dots = boxes.map((dot) => dot.getBoundingClientRect()).map((box) => box.left + box.width / 2);
        const axis = plot.querySelector('.role-axis-domain line').getBoundingClientRect();
        return Math.min(Math.min(...dots) - axis.left, axis.right - Math.max(...dots));
    })""")
    assert free
    assert min(free) > 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_of_accessibility(visits, scheme):
    from axe_playwright_python.sync_playwright import Axe

    visit = visits(color_scheme=scheme)
    visit.draw_all()
    violations = Axe().run(visit.page).response["violations"]
    serious = [
        (each["id"], each["nodes"][0]["html"][:200]) for each in violations if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_colours_can_be_changed(visits):
    visit = visits()
    before = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    visit.page.get_by_role("button", name="Dark or light colours").click()
    visit.draw_all()
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    strokes = (
        "[...document.querySelectorAll('.mark-rule line, .role-axis-label text')].map(mark => mark.getAttribute('%s'))"
    )
    for colour in ("stroke", "fill"):
        assert not {"black", "#000", "#000000"} & set(visit.page.evaluate(strokes % colour))
    assert visit.problems == []


def test_sections_have_permanent_links(visits, page_file):
    visit = visits()
    visit.page.goto(f"{page_file.as_uri()}#gains")
    visit.page.wait_for_timeout(800)
    top = visit.page.evaluate("document.getElementById('gains').getBoundingClientRect().top")
    assert 0 <= top < 500


def test_runs_can_be_opened_by_keyboard(visits):
    visit = visits()
    table = visit.page.locator("#table-name")
    assert table.input_value() == "runs"
    visit.page.locator("#table button[data-run]").first.focus()
    visit.page.keyboard.press("Enter")
    visit.page.locator("#run").wait_for(state="visible")
    assert visit.page.evaluate("document.activeElement.textContent") == "Close"
    visit.page.keyboard.press("Escape")
    assert visit.page.evaluate("document.activeElement.dataset.run") is not None
    assert visit.problems == []


def test_too_many_runs_are_counted_in_cells(visits, study, tmp_path, monkeypatch):
    monkeypatch.setattr(document, "MOST_MARKS", 12)
    path = tmp_path / "index.html"
    path.write_text(document.render(study), encoding="utf-8")
    visit = visits(path=path)
    visit.draw_all()
    box = visit.page.locator("[data-charts=seeds] .chart").first
    assert "are too many for a dot each" in box.locator(".notice").inner_text()
    cells = box.evaluate("(chart) => chart.querySelector('.plot').view.data('rows')")
    counts = {}
    for cell in cells:
        counts[cell["candidate"]] = counts.get(cell["candidate"], 0) + cell["count"]
    runs = [candidate for task, candidate, _ in values(study) if task == "digits"]
    assert counts == {candidate: runs.count(candidate) for candidate in runs}
    assert visit.problems == []
