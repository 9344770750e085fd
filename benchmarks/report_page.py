"""Size of the report page of ten thousand runs, the time to make it, and how fast it answers in a browser.

40 tasks x 50 models x 5 seeds, made up. Prints seconds of CPU, megabytes, and the milliseconds from an action to the
next frame that shows its result: filtering by task, choosing another metric, pointing at a run. Needs Chromium.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "lib"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import synthetic_study as synthetic

from variability.reporting.page import document, web_libraries
from variability.reporting.page.document import Contents

ANALYSES = ["spread", "intervals", "gain", "failures"]
#: An action in the page, which resolves when the browser has drawn its result.
ACTION = """async ([kind, index]) => {
    const frames = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const start = performance.now();
    const drawn = () => document.querySelector('[data-charts=seeds] .plot')?.view;
    if (kind === 'hover') {
        const view = drawn();
        view.signal('hot', view.data('rows')[index].candidate).signal('hotRun', view.data('rows')[index].run);
        await view.runAsync();
    } else {
        const before = drawn(), select = document.querySelector(`select[name=${kind}]`);
        select.selectedIndex = 1 + (index % (select.options.length - 1));
        select.dispatchEvent(new Event('change'));
        while (!drawn() || drawn() === before) await frames();
    }
    await frames();
    return performance.now() - start;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=11)
    options = parser.parse_args()
    shape = {
        "models": tuple(f"architecture-{number}" for number in range(options.models)),
        "tasks": tuple(f"task-{number}" for number in range(options.tasks)),
        "methods": ("full",),
        "seeds": range(options.seeds),
    }
    base = {"runs": synthetic.runs(**shape), "history": synthetic.history(**shape)}
    tables = synthetic.analysed(base, ANALYSES)
    web_libraries.vega()
    start = time.process_time()
    html = document.render(Contents("ten thousand runs", tables))
    seconds = time.process_time() - start
    runs = options.tasks * options.models * options.seeds
    print(f"{runs} runs: {seconds:.1f} s of CPU, {len(html.encode()) / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.html")
        path.write_text(html, encoding="utf-8")
        for kind, times in _measured(path, options.repeats).items():
            print(f"{kind}: median {statistics.median(times):.0f} ms, largest {max(times):.0f} ms, n = {len(times)}")


def _measured(path: Path, repeats: int) -> dict[str, list[float]]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium is installed; install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_function("window.report && window.report.ready", timeout=120_000)
        opened = (time.perf_counter() - start) * 1000
        page.evaluate("document.getElementById('seeds').scrollIntoView()")
        page.wait_for_function("document.documentElement.dataset.drawn === 'all'", timeout=120_000)
        measured = {"opening": [opened]}
        for kind in ("task", "metric", "hover"):
            measured[kind] = [page.evaluate(ACTION, [kind, index]) for index in range(repeats)]
        browser.close()
    return measured


if __name__ == "__main__":
    main()
