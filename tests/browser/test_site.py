"""The documentation site: built as `make docs` builds it, and opened from disk in a browser."""

import os
import subprocess
import sys

import pytest
from support import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site():
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("workflow/lib", "docs", "tests"))
    done = subprocess.run(
        [sys.executable, "-m", "site_builder"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "site"


@pytest.fixture
def page(site, browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.problems, page.requests = [], []
    page.on(
        "console", lambda message: page.problems.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    yield page
    assert page.problems == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
    context.close()


def test_the_site_has_every_kind_of_page(site):
    for name in (
        "index",
        "running",
        "statistics/comparisons",
        "reference/config",
        "reference/analyses",
        "contributing",
    ):
        assert (site / f"{name}.html").is_file()
    assert "peak learning rate" in (site / "reference/config.html").read_text()
    assert '<html lang="zh-Hans"' in (site / "tutorial.zh.html").read_text(encoding="utf-8")


def test_search_works_from_disk(site, page):
    page.goto((site / "reference/config.html").as_uri())
    page.keyboard.press("Control+k")
    words = page.get_by_role("textbox").or_(page.get_by_role("combobox")).first
    words.fill("equivalence margin")
    page.locator("a[href*='statistics/comparisons.html']").first.wait_for(state="attached")
    # What is typed stays, letter by letter, after each answer of the index.
    words.fill("")
    for letter in "holm":
        page.keyboard.type(letter)
        page.wait_for_timeout(100)
    page.locator("a[href*='gate.html']").first.wait_for(state="attached")
    assert words.input_value() == "holm"


@pytest.mark.parametrize("name", ["index", "reference/config", "statistics/comparisons"])
def test_a_page_fits_a_phone(site, page, name):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto((site / f"{name}.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
