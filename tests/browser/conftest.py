"""A browser for the tests of the report page, and pages of made-up studies."""

import os
import shutil
from pathlib import Path

import pytest
import synthetic_study as synthetic

from variability.reporting.page import document, example_data
from variability.reporting.page.document import Contents
from variability.results.columns import RUN

ANALYSES = [
    "spread",
    "intervals",
    "decisions",
    "gain",
    "failures",
    "components",
    "noise_split",
    "seeds_needed",
    "churn",
]
HOSTILE = "<script>window.ran = true</script>"
MODELS = ("cnn", "cnn-scratch", HOSTILE)


class Task:
    """A prepared task whose examples are texts."""

    class_names = ("cat", "dog", "owl")

    def __init__(self, ids):
        self.example_ids = ids
        self.sources = [f"line {number}" for number in ids]

    def previews(self, rows):
        return [{"text": f"text of example {row} <b>"} for row in rows]


def contents(**options):
    """Return the contents of a page of a study with two tasks and three models."""
    shape = {"models": MODELS, "tasks": ("digits", "letters"), **options}
    base = synthetic.base_tables(**shape)
    tables = synthetic.analysed(base, ANALYSES)
    first = tables["runs"].drop_duplicates(RUN)
    numbers = {key: number for number, key in enumerate(first[RUN].itertuples(index=False, name=None))}
    cube = base["predictions"].cube(base["predictions"].cells[0])
    tasks = {task: Task(cube.example_ids) for task in shape["tasks"]}
    recipe = {"lr": 0.001, "epochs": 8}
    cells = {f"{model}|{task}|{method}": 0 for model, task, method in base["predictions"].cells}
    return Contents(
        study="two tasks",
        tables=tables,
        captions={name: f"Caption of {name}." for name in ANALYSES},
        recipes={"cells": cells, "entries": [recipe]},
        examples=example_data.of_tasks(base["predictions"], tasks, numbers),
    )


@pytest.fixture(scope="session")
def study():
    """Return the contents of the page that most tests look at."""
    return contents(failed={("cnn", "digits", "full", 1)})


@pytest.fixture(scope="session")
def page_file(study, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(document.render(study), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def long_names(tmp_path_factory):
    """Return models with names that differ near their middle and at their end, and the page of their study."""
    ends = [f"{size}-layers-pretrained-on-pictures-{end}" for size in (12, 24) for end in "ab"]
    models = [f"an-organisation/a-network-of-{end}" for end in ends]
    path = tmp_path_factory.mktemp("long") / "index.html"
    path.write_text(document.render(contents(models=models, tasks=("digits",))), encoding="utf-8")
    return models, path


@pytest.fixture(scope="session")
def sixty_candidates(tmp_path_factory):
    """Return the page of a study whose charts are higher than a printed page."""
    base = synthetic.base_tables(models=[f"network-{number}" for number in range(30)], seeds=(0, 1))
    path = tmp_path_factory.mktemp("sixty") / "index.html"
    tables = synthetic.analysed(base, ["gain", "noise_split"])
    path.write_text(document.render(Contents("sixty", tables)), encoding="utf-8")
    return path


def chromium():
    """Return the path of an installed Chromium, None without one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        # Set where the checks of the project run, so that nothing lands that no browser has seen.
        if os.environ.get("VARIABILITY_REQUIRE_BROWSER"):
            pytest.fail("no Chromium is installed; install the package chromium")
        pytest.skip("no Chromium is installed; install the package chromium to run the tests of the report page")
    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, as whom containers run.
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield started
        started.close()


class Visit:
    """An opened page, with what it wrote to the console and which other addresses it asked for."""

    def __init__(self, page, path):
        self.page, self.problems, self.requests = page, [], []
        page.on("console", lambda message: self.problems.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(Path(path).as_uri())
        page.wait_for_function("window.report && window.report.ready")

    def draw_all(self):
        """Wait until all charts are drawn."""
        self.page.wait_for_function("document.documentElement.dataset.drawn === 'all'")


@pytest.fixture(scope="session")
def visits(browser, page_file):
    """Return a function that opens the page in a window of some width."""
    opened = []

    def visit(width=1200, path=page_file, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True, **options)
        opened.append(context)
        return Visit(context.new_page(), path)

    yield visit
    for context in opened:
        context.close()


@pytest.fixture(scope="session")
def visited(visits):
    """Return the page in a wide window, with all charts drawn. Tests leave it as it was."""
    visit = visits()
    visit.draw_all()
    return visit
