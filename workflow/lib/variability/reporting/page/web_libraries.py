"""JavaScript and CSS that the page contains, from the installed packages, so that it needs no network.

Vega, Vega-Lite and Vega-Embed are bundled by vl-convert. That takes seconds, so the bundle is stored in the user's
cache where that can be written. DataTables comes from itables.
"""

import importlib.metadata
import importlib.resources
from contextlib import suppress

import platformdirs

from variability.io.files import write_text


def vega() -> str:
    """Return a script that defines ``window.vegaEmbed`` and ``window.vega``."""
    version = importlib.metadata.version("vl-convert-python")
    folder = platformdirs.user_cache_path("finetune-variability", appauthor=False) / "web-libraries"
    stored = folder / f"vega-{version}.js"
    with suppress(OSError):
        return stored.read_text(encoding="utf-8")
    import vl_convert

    script = vl_convert.javascript_bundle()
    with suppress(OSError):
        write_text(stored, script)
    return script


def data_tables() -> tuple[str, str]:
    """Return the module with ``ITable``, an enhanced DataTables, and its style sheet."""
    folder = importlib.resources.files("itables") / "html"
    script = (folder / "dt_bundle.js").read_text(encoding="utf-8")
    return script, (folder / "dt_bundle.css").read_text(encoding="utf-8")
