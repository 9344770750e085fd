"""Build the documentation site in site/.

    PYTHONPATH=workflow/lib:docs:tests python -m site_builder

Pages are collected from the repository, the reference is generated from the code, and Zensical makes HTML of them. Any
link or anchor that leads nowhere, any page that is missing in the navigation, and anything loaded from another server
ends the build.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from site_builder import commands, config_keys, html_check, navigation, plugin_pages, staging, table_columns
from variability.config import schema

ROOT = Path(__file__).parents[2]
#: Address from which Zensical lets pages load a script if they may be opened from disk.
SHIM = "https://unpkg.com/iframe-worker/shim"


def main() -> None:
    """Build the site, or exit with a sentence for each problem."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = ROOT / config["docs_dir"]
    try:
        write_pages(pages)
    except staging.BrokenPages as problem:
        sys.exit(str(problem))
    existing = [path.relative_to(pages).as_posix() for path in pages.rglob("*.md")]
    if problems := navigation.problems(config["nav"], existing):
        sys.exit("\n".join(problems))
    site = ROOT / config["site_dir"]
    shutil.rmtree(site, ignore_errors=True)
    if problems := rendered():
        sys.exit(problems)
    finish(site)
    if problems := list(html_check.problems(site)):
        sys.exit("\n".join(problems))
    print(f"{site / 'index.html'}: {len(existing)} pages")


def rendered() -> str:
    """Let Zensical make HTML of the pages, and return its warnings if there are any."""
    command = [Path(sys.executable).with_name("zensical"), "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    # In strict mode it ends by an exception, whose traceback says nothing about the pages. It writes colours always.
    output = "".join(text.partition("Traceback (most recent")[0] for text in (done.stdout, done.stderr))
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    return f"{output}These are warnings of `zensical build --strict`." if done.returncode else ""


def write_pages(folder: Path) -> None:
    """Write all pages, those of the reference included, and the pictures of docs/."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = staging.site_pages(ROOT) | reference()
    for path, text in pages.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "docs/images", folder / "images")


def reference() -> dict[str, str]:
    """Return the generated pages: {path on the site: Markdown}."""
    columns = table_columns.columns()
    explained = plugin_pages.explanations(ROOT / "docs/statistics")
    long = {
        f"reference/{family}.md": plugin_pages.long_page(
            family, columns if family == "analyses" else {}, explained if family == "analyses" else {}
        )
        for family in plugin_pages.LONG
    }
    return long | {
        "reference/config.md": config_keys.page(schema.config_schema(), ROOT / "workflow/lib/variability/config"),
        "reference/plug-ins.md": plugin_pages.short_page(),
        "reference/commands.md": commands.page(ROOT),
    }


def finish(site: Path) -> None:
    """Let search work from disk by a script of the site itself, and state the language of Chinese pages."""
    shutil.copy(Path(__file__).with_name("file_worker.js"), site / "assets/javascripts/file_worker.js")
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        up = "/" if path.name == "404.html" else "../" * (len(path.relative_to(site).parts) - 1)
        text = text.replace(SHIM, f"{up}assets/javascripts/file_worker.js")
        if path.name.endswith(".zh.html"):
            text = text.replace('<html lang="en"', '<html lang="zh-Hans"')
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
