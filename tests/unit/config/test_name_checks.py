"""Names of imported runs that are almost those of another source."""

import pytest
from edited_config import GOOD, MODEL, problems

ENTRY = {"columns": {"model": "m", "task": "t", "seed": "s"}, "metrics": {"acc": {"metric": "accuracy"}}}


def found(tmp_path, own, other="x,y,0,0.5\n", **keys):
    """Return the problems of a study with two imports. own, other: their rows. keys: of the first one."""
    for name, rows in (("own", own), ("other", other)):
        (tmp_path / f"{name}.csv").write_text("m,t,s,acc\n" + rows)
    imports = {"other": ENTRY | {"path": "other.csv"}, "own": ENTRY | {"path": "own.csv"} | keys}
    return problems(lambda config: config.update(imports=imports), [tmp_path])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{MODEL.upper()},y,0,0.5\n", f"the model {MODEL.upper()!r} is written {MODEL!r} in this study; write it one"),
        ("X,y,0,0.5\n", None),
        ("b,Digits,0,0.5\n", "the task 'Digits' is written 'digits' in this study; write it one way in both"),
    ],
)
def test_a_name_that_differs_from_one_of_another_source_is_named(row, message, tmp_path):
    assert "digits" in GOOD["tasks"]
    messages = found(tmp_path, row)
    assert len(messages) == (message is not None)
    assert all(each.startswith(f"imports.own: {message}") for each in messages)
    assert found(tmp_path, row, spelling="exact") == []


def test_names_of_two_imports_are_compared(tmp_path):
    (message,) = found(tmp_path, "BERT,y,0,0.5\n", "Bert,y,0,0.5\n")
    assert message.startswith("imports.own: the model 'BERT' is written 'Bert' in imports.other; write it one way")
