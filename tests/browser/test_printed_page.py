"""Tests of the printed report page, in a browser."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def test_printed_pages_cut_no_figure(visits):
    visit = visits()
    visit.draw_all()
    folded = "document.querySelectorAll('main details:not([open])').length"
    visit.page.evaluate(f"addEventListener('beforeprint', () => {{ window.folded = {folded}; }})")
    visit.page.pdf()
    assert visit.page.evaluate("window.folded") == 0, "lists of six candidates are short"
    assert visit.page.locator("main details[open]").count() == 0
    visit.page.emulate_media(media="print")
    visit.page.set_viewport_size({"width": 700, "height": 1000})
    cut = visit.page.evaluate("""() => [...document.querySelectorAll('.chart')].filter((chart) =>
        getComputedStyle(chart).breakInside !== 'avoid' || chart.getBoundingClientRect().height > 900 ||
        [...chart.querySelectorAll('svg')].some((svg) => svg.getBoundingClientRect().right > innerWidth)).length""")
    assert cut == 0
    assert visit.page.locator("#filters").is_hidden()
    assert visit.page.pdf(format="A4").startswith(b"%PDF")


#: Of each chart while it is printed: heights of its pieces; names that are shown whole, and in part; colours of texts.
PRINTED = """addEventListener("beforeprint", () => {
    window.printed = [...document.querySelectorAll(".plot")].map((plot) => {
        const shown = { heights: [...plot.querySelectorAll(".piece")].map((piece) => piece.offsetHeight), width: 0 };
        Object.assign(shown, { rows: plot.view.scale("y").domain().length, whole: [], cut: [], colors: [] });
        for (const svg of plot.querySelectorAll("svg")) {
            const frame = svg.getBoundingClientRect();
            shown.width = Math.max(shown.width, frame.width);
            for (const text of svg.querySelectorAll(".role-axis-label text")) {
                const { top, bottom } = text.getBoundingClientRect();
                if (bottom <= frame.top || top >= frame.bottom || !text.textContent.startsWith("network")) continue;
                shown[top >= frame.top - 2 && bottom <= frame.bottom + 2 ? "whole" : "cut"].push(text.textContent);
                shown.colors.push(text.getAttribute("fill"));
            }
        }
        return shown;
    });
})"""


def test_high_charts_are_printed_in_pieces_between_whole_rows_and_in_light_colours(visits, sixty_candidates):
    visit = visits(path=sixty_candidates, color_scheme="dark")
    visit.draw_all()
    shown = """[document.documentElement.dataset.theme, ...[...document.querySelectorAll("main svg, main details")]
        .map((each) => [each.clientWidth, each.clientHeight, each.querySelector("text")?.getAttribute("fill")])]"""
    before = visit.page.evaluate(shown)
    visit.page.evaluate(PRINTED)
    visit.page.pdf(format="A4")
    gain, full, origin = visit.page.evaluate("window.printed")
    assert (gain["rows"], full["rows"]) == (60, 30) and origin["rows"] > 30
    for chart in (gain, full, origin):
        assert len(set(chart["whole"])) == len(chart["whole"]) == chart["rows"] and not chart["cut"]
        assert len(chart["heights"]) > 1 and max(chart["heights"]) < 520, "two on a page of A4"
        assert chart["width"] <= 680
        assert set(chart["colors"]) == {"#1c2430"}
    assert visit.page.evaluate(shown) == before
    assert before[0] == "dark"
    assert visit.problems == []
