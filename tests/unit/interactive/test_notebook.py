"""The cells of docs/notebooks/results.ipynb, executed in order in one namespace, as a kernel does."""

import ast
import json

import finished_study
import pandas as pd
import pytest

from variability import provenance

NOTEBOOK = provenance.WORKFLOW.parent / "docs/notebooks/results.ipynb"


@pytest.fixture(scope="module")
def cells():
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_every_cell_runs_and_shows_what_is_stored_with_it(cells, finished, tmp_path, monkeypatch):
    finished_study.copy(finished, tmp_path, "embedded")
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells:
        parsed = ast.parse("".join(cell["source"]))
        last = parsed.body.pop() if isinstance(parsed.body[-1], ast.Expr) else None
        exec(compile(parsed, "results.ipynb", "exec"), names)
        shown = eval(compile(ast.Expression(last.value), "results.ipynb", "eval"), names) if last else None
        (stored,) = [output["data"] for output in cell["outputs"]] or [{}]
        if isinstance(shown, pd.DataFrame):
            assert all(f">{column}<" in "".join(stored["text/html"]) for column in shown.columns)
        elif shown is not None:
            assert "image/png" in stored and shown._repr_png_().startswith(b"\x89PNG")
        else:
            assert not stored


def test_the_notebook_is_small_and_names_no_folder_of_a_machine(cells):
    assert NOTEBOOK.stat().st_size < 300_000
    assert not any(word in NOTEBOOK.read_text() for word in ("/tmp", "/home", "/root"))
    assert all(output["output_type"] == "execute_result" for cell in cells for output in cell["outputs"])
    assert sum(bool(cell["outputs"]) for cell in cells) == 7
