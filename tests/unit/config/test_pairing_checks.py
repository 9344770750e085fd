"""Tests of the key ``pairing``: one for all analyses, refused before the first job where runs lack partners."""

import re

import pytest

from variability.config import specs, validate
from variability.config.study import Study
from variability.errors import ConfigError

FOLDS = "model,fold,acc\n" + "".join(f"{model},{fold},0.{fold}5\n" for model in "ab" for fold in range(4))
COLUMNS = {"columns": {"model": "model", "seed": "fold"}, "metrics": {"acc": {"metric": "accuracy"}}}


def config(tmp_path, texts, **keys):
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    imports = {name: {"path": str(tmp_path / f"{name}.csv")} | COLUMNS for name in texts}
    return {"study": "s", "imports": imports} | keys


def problems(tmp_path, texts, **keys):
    try:
        validate.check(config(tmp_path, texts, **keys))
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("keys", [{"pairing": "seed"}, {"analyses": {"pairwise": {"paired": True}}}])
def test_pairing_is_part_of_the_runs_table_whichever_key_declares_it(keys, tmp_path):
    study = validate.check(config(tmp_path, {"x": FOLDS}, **keys))
    assert specs.aggregate(study)["pairing"] == "seed"


def test_runs_are_not_paired_by_default():
    assert Study({"study": "s", "imports": {}}).pairing == "auto"
    assert Study({"study": "s", "imports": {}, "analyses": {"pairwise": False}}).pairing == "auto"


def test_runs_without_partners_are_refused(tmp_path):
    (problem,) = problems(tmp_path, {"x": FOLDS.replace("b,3,0.35\n", "")}, pairing="seed")
    assert problem.startswith("pairing: on task task, b (fine-tuned) has no run of seed 3")


def test_partners_may_be_in_another_file(tmp_path):
    lines = FOLDS.splitlines(keepends=True)
    files = {"x": "".join(lines[:5]), "y": "".join([lines[0], *lines[5:]])}
    assert problems(tmp_path, files, pairing="seed") == []
    labels = {name: re.sub(r",(\d),", r",fold-\1,", text) for name, text in files.items()}
    (problem,) = problems(tmp_path, labels, pairing="seed")
    assert problem.startswith("pairing: the seeds of imports.x are labels")


def test_contradicting_keys_are_refused(tmp_path):
    (problem,) = problems(tmp_path, {"x": FOLDS}, pairing="auto", analyses={"pairwise": {"paired": True}})
    assert problem.startswith("analyses.pairwise.paired: true contradicts")
