"""Predictions and scores per example of runs made elsewhere: they are read, checked, scored and stored."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from variability.config import validate
from variability.config.outputs import Outputs
from variability.errors import ConfigError, UserError
from variability.results import imported_predictions, imported_runs
from variability.results.predictions import Predictions, Scored

KEYS = {"model": "model", "seed": "seed", "example_id": "id"}
PREDICTED = {"y_true": "truth", "y_pred": "guess"}
TRUTH, GUESSES = ["cat", "dog", "cat", "eel"], {("a", 0): "cat dog dog eel", ("a", 1): "cat cat cat owl"}


def predictions_csv():
    rows = [
        f"{model},{seed},q{number},{truth},{guess}"
        for (model, seed), guesses in GUESSES.items()
        for number, (truth, guess) in enumerate(zip(TRUTH, guesses.split(), strict=True))
    ]
    return "model,seed,id,truth,guess\n" + "\n".join(rows) + "\n"


def read(folder, content, name="file.csv", tasks=None, **spec):
    """Return the runs table and the predictions of an import of one file."""
    path = folder / name
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_text(content)
    entry = {"path": str(path), "columns": KEYS | spec.pop("columns", {})} | spec
    read_spec = {"imports": {"own": entry}, "tasks": tasks or {}, "grid": {}}
    tables, _, examples = imported_runs.read_all({"own": [path]}, read_spec)
    imported_predictions.write(examples, folder / "examples.parquet")
    return tables[0], Predictions({}).with_others(imported_predictions.readers(folder / "examples.parquet"))


def values(runs, metric):
    return runs.loc[runs["metric"] == metric, "value"].tolist()


def problems(folder, text, **spec):
    (folder / "file.csv").write_text(text)
    entry = {"path": str(folder / "file.csv"), "columns": KEYS | spec.pop("columns", {})} | spec
    try:
        validate.check({"study": "s", "imports": {"own": entry}}, [])
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_metrics_are_computed_from_predicted_classes(tmp_path):
    runs, predictions = read(tmp_path, predictions_csv(), examples="classification", columns=PREDICTED)
    assert values(runs, "accuracy") == [0.75, 0.5] and runs.loc[runs["primary"], "metric"].eq("accuracy").all()
    # F1 of cat, dog, eel and, only predicted, owl: (2/3 + 2/3 + 1 + 0) / 4 and (0.8 + 0 + 0 + 0) / 4.
    assert values(runs, "f1_macro") == pytest.approx([(2 / 3 + 2 / 3 + 1) / 4, 0.2])
    assert not {"nll", "ece", "auroc_macro"} & set(runs["metric"]), "they need probabilities"
    assert (runs["n_test"] == 4).all() and (runs["majority"] == 0.5).all() and (runs["source"] == "own").all()
    cube = predictions.cube(("a", "task", "fine-tuned"))
    assert len(set(cube.example_ids)) == 4 and sorted(cube.y_true) == [0, 0, 1, 2], "classes in natural order"
    assert (1 - cube.losses).mean(axis=1).tolist() == [0.75, 0.5] and cube.seeds.tolist() == [0, 1]
    assert predictions.cube(("a", "task", "fine-tuned"), "before") is None, "no run has predictions of this phase"


def probabilities(form):
    """Return a file of two classes with the same probabilities in one of four forms, and its options."""
    rows = [("x", 0, 0.9), ("y", 1, 0.2), ("z", 1, 0.6)]
    table = pd.DataFrame(rows, columns=["id", "truth", "p"]).assign(model="a", seed=0)
    both = [[row.p, 1 - row.p] for row in table.itertuples()]
    if form == "columns":
        table = table.assign(q=1 - table["p"], truth=table["truth"].map(["no", "yes"].__getitem__))
        return table.to_csv(index=False), "file.csv", {"probabilities": {"p": "no", "q": "yes"}}
    if form == "parquet":
        return pa.Table.from_pandas(table.assign(both=both)), "file.parquet", {"columns": {"probabilities": "both"}}
    if form == "logits":
        logits = [[float(np.log(one)) + 3 for one in pair] for pair in both]
        lines = [json.dumps(row | {"both": pair}) for row, pair in zip(table.to_dict("records"), logits, strict=True)]
        return "\n".join(lines), "file.jsonl", {"columns": {"logits": "both"}}
    texts = [str(np.array(pair)) for pair in both]
    return table.assign(both=texts).to_csv(index=False), "file.csv", {"columns": {"probabilities": "both"}}


@pytest.mark.parametrize("form", ["columns", "parquet", "logits", "text"])
def test_probabilities_may_be_columns_or_lists_and_give_all_metrics(form, tmp_path):
    content, name, spec = probabilities(form)
    columns = {"y_true": "truth"} | spec.pop("columns", {})
    runs, predictions = read(tmp_path, content, name, examples="classification", columns=columns, **spec)
    assert values(runs, "accuracy") == pytest.approx([2 / 3])
    assert values(runs, "nll") == pytest.approx([-(np.log(0.9) + np.log(0.8) + np.log(0.4)) / 3], rel=1e-6)
    (run,) = predictions.runs(("a", "task", "fine-tuned"))
    assert sorted(run.probabilities[:, 0]) == pytest.approx([0.2, 0.6, 0.9]) and run.classes == 2


def test_numbers_are_regression_and_ranks_are_ranking(tmp_path):
    text = "model,seed,id,truth,guess\na,0,1,1.5,1\na,0,2,3,4\n"
    runs, _ = read(tmp_path, text, examples="regression", columns=PREDICTED)
    assert values(runs, "mse") == [0.625] and runs["metric"][runs["primary"]].eq("rmse").all()
    runs, _ = read(tmp_path, "model,seed,id,guess\na,0,1,1\na,0,2,4\n", examples="ranking", columns={"y_pred": "guess"})
    assert values(runs, "mrr") == [0.625]


SCORES = "model,seed,id,page,f1\na,0,x,p,0.5\na,0,y,p,1\na,0,z,q,0\nb,0,x,p,1\nb,0,y,p,0.25\nb,0,z,q,0.25\n"


def test_scores_are_averaged_and_stored_with_their_groups(tmp_path):
    columns = {"score": "f1", "group": "page"}
    runs, predictions = read(tmp_path, SCORES, examples="scores", columns=columns, constants={"metric": "f1"})
    assert values(runs, "f1") == [0.5, 0.5] and (runs["n_test"] == 3).all() and runs["primary"].all()
    cube = predictions.cube(("a", "task", "fine-tuned"))
    assert cube.scored == Scored("f1", True) and cube.metric == "f1" and not cube.discrete
    assert np.bincount(cube.clusters).tolist() in ([2, 1], [1, 2])
    assert sorted(cube.losses[0]) == [0, 0.5, 1]


def test_one_column_per_metric_of_which_less_may_be_better(tmp_path):
    text = "model,seed,id,em,wer\na,0,x,true,0.5\na,0,y,false,1.5\n"
    metrics = {"wer": {"higher_is_better": False}, "em": {"metric": "exact_match"}}
    runs, predictions = read(tmp_path, text, examples="scores", metrics=metrics | {"wer": {"higher_is_better": False}})
    assert values(runs, "exact_match") == [0.5] and values(runs, "wer") == [1.0]
    cube = predictions.cube(("a", "task", "fine-tuned"))
    assert cube.scored == Scored("wer", False) and sorted(cube.losses[0]) == [0.5, 1.5]


def test_k_of_n_attempts_are_a_score(tmp_path):
    text = "model,seed,id,k,n\na,0,x,1,4\na,0,y,3,4\n"
    spec = {"columns": {"correct": "k", "attempts": "n"}, "constants": {"metric": "pass_rate"}}
    runs, _ = read(tmp_path, text, examples="scores", **spec)
    assert values(runs, "pass_rate") == [0.5]


def test_whole_numbers_stay_the_ids_of_examples_and_names_get_the_same_number_in_every_file(tmp_path):
    columns = {"score": "f1"}
    spec = {"examples": "scores", "columns": columns, "constants": {"metric": "f1"}}
    for name in ("all", "fewer", "numbers"):
        (tmp_path / name).mkdir()
    _, of_names = read(tmp_path / "all", SCORES, **spec)
    _, of_fewer = read(tmp_path / "fewer", "\n".join(line for line in SCORES.splitlines() if ",z," not in line), **spec)
    ids, fewer = (each.cube(("a", "task", "fine-tuned")).example_ids for each in (of_names, of_fewer))
    assert set(fewer) < set(ids)
    _, of_numbers = read(tmp_path / "numbers", "model,seed,id,f1\na,0,7,1\na,0,3,0\n", **spec)
    assert of_numbers.cube(("a", "task", "fine-tuned")).example_ids.tolist() == [3, 7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SCORES + "b,0,x,p,1\n",
            "lines 5, 8: 1 example is listed more than once, for example 'x'",
        ),
        (SCORES + "b,1,x,p,1\n", "seed 1 lacks 2 of 3 ('y', 'z')"),
        (SCORES.replace("b,0,x,p", "b,0,x,q"), "example 'x' of task task has another group in these rows"),
        (SCORES.replace("y,p,1", "y,p,"), "line 3: no score; write that of an example without an answer, often 0"),
        (SCORES.replace("y,p,1", "y,p,good"), "line 3: the score 'good' is not a number"),
        (SCORES.replace("z,q,0\n", "z,q,7\n", 1), "in column 'score' is better than a perfect f1"),
        (SCORES.replace("z,q,0\n", ",q,7\n", 1), "line 4: no example_id; fill it in"),
    ],
)
def test_what_is_not_crossed_or_not_a_score_is_refused_with_its_lines(text, message, tmp_path):
    spec = {"examples": "scores", "columns": {"score": "f1", "group": "page"}, "constants": {"metric": "f1"}}
    with pytest.raises(UserError) as refused:
        read(tmp_path, text, **spec)
    assert message in str(refused.value)
    (problem,) = problems(tmp_path, text, **spec)
    assert message in problem, "the check before the first job reports it, too"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"columns": PREDICTED | {"y_true": "trut"}}, "imports.own.columns.y_true: the file has no column 'trut'"),
        ({"columns": {"y_true": "truth"}}, "does not say which column holds y_pred, the prediction; examples of class"),
        (
            {"columns": PREDICTED, "examples": "classes"},
            "imports.own.examples: unknown; known: classification",
        ),
        (
            {"columns": PREDICTED, "format": "lmeval"},
            "imports.own.format: unknown reader 'lmeval'; did you mean",
        ),
        ({"columns": PREDICTED, "keep": "last"}, "imports.own.keep: has no meaning for rows that are examples"),
        ({"columns": PREDICTED, "metrics": {"guess": None}}, "imports.own.metrics: are computed from the predictions"),
        ({"columns": PREDICTED | {"seconds": "id"}}, "imports.own.columns.seconds: is a fact of runs"),
        ({"columns": PREDICTED, "classes": ["cat", "dog"]}, "y_true 'eel' is not one of the classes cat, dog"),
        ({"columns": {"score": "truth"}, "examples": "scores"}, "does not say which metric the scores are"),
    ],
)
def test_a_description_that_does_not_fit_is_reported_with_what_is_expected(spec, message, tmp_path):
    found = problems(tmp_path, predictions_csv(), **({"examples": "classification"} | spec))
    assert any(message in problem for problem in found), found


@pytest.mark.parametrize(
    ("probability", "message"),
    [
        ("[0.5, 0.6]", "do not sum to 1"),
        ("[0.5]", "have other lengths than most"),
        ("high", "are not a list of numbers"),
    ],
)
def test_wrong_probabilities_are_refused(probability, message, tmp_path):
    rows = "".join(f'a,0,{number},1,"[0.5, 0.5]"\n' for number in range(3))
    text = f'model,seed,id,truth,p\n{rows}a,0,9,1,"{probability}"\n'
    with pytest.raises(UserError, match=f"line 5: .*{message}"):
        read(tmp_path, text, examples="classification", columns={"y_true": "truth", "probabilities": "p"})


def test_labels_that_are_no_indices_need_the_names_of_the_classes(tmp_path):
    text = 'model,seed,id,truth,p\na,0,1,yes,"[0.1, 0.9]"\na,0,2,no,"[0.3, 0.7]"\n'
    spec = {"examples": "classification", "columns": {"y_true": "truth", "probabilities": "p"}}
    with pytest.raises(UserError, match=r"'yes' is not the index of one of the 2 classes.*`classes: \[no, yes\]`"):
        read(tmp_path, text, **spec)
    runs, _ = read(tmp_path, text, **spec, classes=["no", "yes"])
    assert values(runs, "accuracy") == [0.5]


def test_a_task_whose_examples_are_scores_and_predictions_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text(predictions_csv())
    (tmp_path / "b.csv").write_text(SCORES.replace("a,", "c,"))
    imports = {
        "one": {"columns": KEYS | PREDICTED, "examples": "classification"},
        "two": {"columns": KEYS | {"score": "f1"}, "examples": "scores", "constants": {"metric": "accuracy"}},
    }
    files = {"one": [tmp_path / "a.csv"], "two": [tmp_path / "b.csv"]}
    with pytest.raises(UserError, match="two: the examples of task task are scores here and classification in one"):
        imported_runs.read_all(files, {"imports": imports, "tasks": {}, "grid": {}})


@pytest.mark.parametrize("kind", ["scores", "classification"])
def test_a_study_of_imported_examples_alone_has_the_analyses_of_predictions(kind, tmp_path):
    (tmp_path / "file.csv").write_text(SCORES if kind == "scores" else predictions_csv())
    columns = {"score": "f1"} if kind == "scores" else PREDICTED
    entry = {"path": str(tmp_path / "file.csv"), "columns": KEYS | columns, "examples": kind}
    entry |= {"constants": {"metric": "f1"}} if kind == "scores" else {}
    chosen = Outputs(validate.check({"study": "s", "imports": {"own": entry}}, [])).analyses
    assert {"noise_split", "multibootstrap", "churn"} <= set(chosen)
    assert "calibration" not in chosen, "there are no probabilities"
