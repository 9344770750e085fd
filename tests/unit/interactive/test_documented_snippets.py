"""The Python of docs/using-results.md, executed on a small study."""

import ast
import re

import finished_study
import pytest

from variability import provenance
from variability.results import runs_table, task_groups

pytestmark = pytest.mark.slow

PAGE = (provenance.WORKFLOW.parent / "docs/using-results.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_lists_all_columns_of_the_runs_table():
    listed = PAGE.split("| columns | content |")[1].split("\n\n")[0]
    names = {name for row in listed.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert names == {*runs_table.COLUMNS, task_groups.COLUMN}


def test_all_blocks_run_in_order(finished, tmp_path, monkeypatch):
    finished_study.copy(finished, tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {}
    pandas, polars, duck, *_ = [_result(block, names) for block in BLOCKS if "load_run" not in block]
    expected = [(*cell, *row) for cell, row in zip(pandas.index, pandas.to_numpy(), strict=True)]
    # The third run of b diverged.
    assert [row[:4] for row in expected] == [("a", "digits", "full", 3), ("b", "digits", "full", 2)]
    for other in (polars.rows(), duck.fetchall()):
        assert [row[:4] for row in sorted(other)] == [row[:4] for row in expected]
        assert [row[4:] for row in sorted(other)] == [pytest.approx(row[4:]) for row in expected]
    assert (tmp_path / "seeds.svg").is_file()
    assert "On task, large beats small." in set(names["variability"].claims(names["mine"])["sentence"])


def _result(block, names):
    """Run a block, and return the value of its last line, None if that is a statement."""
    parsed = ast.parse(block)
    last = parsed.body.pop() if isinstance(parsed.body[-1], ast.Expr) else None
    exec(compile(parsed, "using-results.md", "exec"), names)
    return eval(compile(ast.Expression(last.value), "using-results.md", "eval"), names) if last else None
