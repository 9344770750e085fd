"""The summary names a prepared task whose record lacks what it says of the data."""

import pytest
import synthetic_study as synthetic

from variability.errors import UserError
from variability.io.artefacts import write_record
from variability.stages.summarise import summarise

PROBLEMS = [
    ({"left_out": {}}, "remarks is missing"),
    ({"remarks": [1], "left_out": {}}, r"remarks\[0\] is '1'"),
    ({"remarks": [], "left_out": None}, "left_out is not a mapping"),
    ({"remarks": [], "left_out": {"without a text": "2"}}, "left_out.without a text is '2'"),
]


def test_remarks_of_another_type_are_named_with_the_fix(tmp_path):
    task = tmp_path / "digits" / "task.json"
    task.parent.mkdir()
    synthetic.runs(("a",), ("digits",), ("full",), (0,), ()).to_parquet(tmp_path / "runs.parquet")
    paths = [tmp_path / name for name in ("summary.md", "answer.txt", "summary.html")]
    for record, problem in PROBLEMS:
        write_record(task, record)
        with pytest.raises(UserError, match=rf"task\.json cannot be read \({problem}.*--forcerun prepare"):
            summarise("demo", tmp_path / "runs.parquet", [], *paths, [task])
