"""Tests of what imports declare about their runs: models without seed noise, and splits of each run."""

import numpy as np
import pytest
import synthetic_study as synthetic
from imported_files_support import imported

from variability.config import specs, validate
from variability.config.study import Study
from variability.errors import ConfigError, UserError
from variability.results import runs_table

TABLE = "model,seed,acc,n_train,n_test\n" + "".join(
    f"{model},{seed},{value},900,100\n"
    for model, values in {"vit": (0.91, 0.92, 0.93), "popularity": (0.5, 0.5, 0.5), "knn-20": (0.6,)}.items()
    for seed, value in enumerate(values)
)
COLUMNS = {"model": "model", "seed": "seed"}


def spec(tmp_path, text=TABLE, columns=COLUMNS, **keys):
    (tmp_path / "runs.csv").write_text(text)
    return {"path": str(tmp_path / "runs.csv"), "columns": columns, "metrics": {"acc": {"metric": "accuracy"}}} | keys


def test_declared_models_are_deterministic_and_no_others(tmp_path):
    runs, _ = imported(spec(tmp_path, deterministic=["popularity", "knn-*"]))
    assert dict(zip(runs["model"], runs["deterministic"], strict=True)) == {
        "vit": False, "popularity": True, "knn-20": True,
    }  # fmt: skip
    # One run alone says nothing.
    assert not imported(spec(tmp_path))[0]["deterministic"].any()


@pytest.mark.parametrize(("folds", "number"), [(False, np.nan), (True, 0.0), (10, 10.0)])
def test_folds_are_a_column(tmp_path, folds, number):
    columns = COLUMNS | {"n_train": "n_train", "n_test": "n_test"}
    runs, _ = imported(spec(tmp_path, columns=columns, folds=folds))
    assert np.array_equal(runs["folds"].unique(), [number], equal_nan=True)
    assert runs["n_train"].eq(900).all() and runs["n_test"].eq(100).all()


def test_a_deterministic_model_whose_runs_differ_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"vit \(fine-tuned\) on task task have different values of accuracy, such as"):
        imported(spec(tmp_path, deterministic=["vit"]))
    assert imported(spec(tmp_path, deterministic=["vit"], folds=3))[0]["deterministic"].any()


def test_a_pattern_that_matches_no_model_is_refused_before_the_first_job(tmp_path):
    config = {"study": "s", "imports": {"x": spec(tmp_path, deterministic=["popularty"])}}
    with pytest.raises(ConfigError) as error:
        validate.check(config)
    (problem,) = error.value.problems
    assert str(problem).startswith("imports.x.deterministic: 'popularty' matches no model; did you mean 'popularity'")


def test_a_constant_may_state_the_number_of_training_examples_of_each_task(tmp_path):
    text = TABLE.replace(",900,100\n", "\n").replace(",n_train,n_test", "")
    runs, _ = imported(spec(tmp_path, text, constants={"n_train": {"task": 450}, "n_test": 50}, folds=True))
    assert runs["n_train"].eq(450).all() and runs["n_test"].eq(50).all()


def test_models_whose_framework_uses_no_seed_are_deterministic():
    counting = {"provider": "counting", "architecture": "popularity"}
    study = Study({"study": "s", "models": {"pop": counting, "net": {"architecture": "resnet18"}}})
    assert {name: specs._model_facts(study, name)["seeded"] for name in ("pop", "net")} == {"pop": False, "net": True}
    spec = synthetic.spec(("a", "b"), ("digits",), ("full",))
    spec["models"]["b"]["seeded"] = False
    records = [synthetic.record(model, "digits", "full", 0) for model in "ab"]
    scores = synthetic.scores(("a", "b"), ("digits",), ("full",), range(1))
    runs = runs_table.runs_table(scores, records, spec["models"], spec["tasks"], spec["methods"])
    assert dict(zip(runs["model"], runs["deterministic"], strict=True)) == {"a": False, "b": True}
    assert runs["folds"].isna().all()
