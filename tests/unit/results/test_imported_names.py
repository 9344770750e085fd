"""Names of imported runs that differ only in case, blanks or the form of accents."""

import pytest

from variability.errors import UserError
from variability.results import imported_files
from variability.results.imported_runs import read_import

SPEC = {"columns": {"model": "m", "task": "t", "method": "k", "seed": "s"}, "metrics": {"accuracy": None}}
ROWS = "m,t,k,s,accuracy\nBERT,x,full,0,0.5\nBERT,x,full,1,0.6\nbert,x,full,2,0.7\nroberta,x,Full,0,0.8\n"


def models(tmp_path, text, **keys):
    (tmp_path / "runs.csv").write_text(text)
    spec = SPEC | keys
    source = imported_files.read(imported_files.find({"path": str(tmp_path / "runs.csv")}), spec)
    return read_import(source, spec, "own")[0]


def test_names_that_differ_in_case_are_refused_with_their_rows(tmp_path):
    with pytest.raises(UserError, match=r"line 4: the model 'BERT' is also written 'bert'; .*`spelling: exact` if"):
        models(tmp_path, ROWS)


def test_spellings_are_merged_into_the_most_frequent_one_or_used_exactly(tmp_path):
    merged = models(
        tmp_path, ROWS.replace("roberta,x", "cafe\u0301  b,x") + "caf\u00e9 b,x,full,1,0.9\n", spelling="merge"
    )
    assert merged.groupby("model")["seed"].count().to_dict() == {"BERT": 3, "caf\u00e9 b": 2}
    assert set(merged["method"]) == {"full"}
    exact = models(tmp_path, ROWS, spelling="exact")
    assert (set(exact["model"]), set(exact["method"])) == ({"BERT", "bert", "roberta"}, {"Full", "full"})


def test_names_that_look_the_same_are_never_two(tmp_path):
    text = "m,t,k,s,accuracy\na b,x,full,0,0.5\nA b,x,full,1,0.5\na  b,x,full,1,0.6\n"
    for keys in ({}, {"spelling": "exact"}):
        with pytest.raises(UserError, match=r"line 4: the model 'a b' is also written 'a  b'; .* `spelling: merge`$"):
            models(tmp_path, text, **keys)


@pytest.mark.parametrize("other", ["gpt\u20114", "gpt\u2010\u200b4", "gp\u00adt-4", "gpt-\uff14"])
def test_invisible_characters_and_other_dashes_make_no_other_name(other, tmp_path):
    with pytest.raises(UserError, match=r"line 3: the model '.*' is also written '.*'; write it one way"):
        models(tmp_path, f"m,t,k,s,accuracy\ngpt-4,x,full,0,0.5\n{other},x,full,1,0.5\n")


def test_seeds_that_are_labels_have_one_spelling(tmp_path):
    rows = "m,t,k,s,accuracy\na,x,full,run1,0.5\na,x,full,Run1,0.6\n"
    with pytest.raises(UserError, match="line 2: the seed 'Run1' is also written 'run1'"):
        models(tmp_path, rows)
    assert models(tmp_path, rows, spelling="exact")["seed"].nunique() == 2


def test_a_name_of_blanks_is_missing(tmp_path):
    with pytest.raises(UserError, match="line 3: no model; fill it in"):
        models(tmp_path, "m,t,k,s,accuracy\na,x,full,0,0.5\n  ,x,full,1,0.5\n")


def test_runs_that_a_merged_name_has_twice_are_refused(tmp_path):
    with pytest.raises(UserError, match="1 of 3 runs is listed more than once"):
        models(tmp_path, ROWS.replace("bert,x,full,2", "bert,x,full,1"), spelling="merge")


def test_single_letters_of_both_cases_are_two_names(tmp_path):
    table = models(tmp_path, "m,t,k,s,accuracy\na,x,full,0,0.5\nA,x,full,0,0.5\n")
    assert table["model"].tolist() == ["a", "A"]
