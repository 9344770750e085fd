"""Files that other programs wrote are read with the numbers that those programs report: the studies of real logs."""

import json

import numpy as np
import pytest
from imported_files_support import HF, imported
from support import ROOT

DATA = ROOT / "studies/data"
LM_EVAL = {
    "path": str(DATA / "lm_eval"),
    "format": "lm_eval",
    "from_path": r"work__(?P<model>.+)-seed(?P<seed>\d+)/",
    "columns": {"group": "doc.page"},
}


def test_scores_of_a_sample_log_have_the_means_that_the_harness_reports():
    runs, examples = imported(LM_EVAL)
    assert set(runs["model"]) == {"narrow", "wide"} and sorted(set(runs["seed"])) == [0, 1, 2, 3]
    assert set(runs["task"]) == {"docs_choice", "docs_recall"} and set(runs["method"]) == {"evaluated"}
    reported = {}
    for path in (DATA / "lm_eval").glob("work__*/results_*.json"):
        results = json.loads(path.read_text())
        model, _, seed = results["model_name"].removeprefix("work/").partition("-seed")
        for task, values in results["results"].items():
            for metric in ("acc", "acc_norm"):
                if f"{metric},none" in values:
                    reported[model, task, int(seed), metric] = values[f"{metric},none"]
    keys = ["model", "task", "seed", "metric"]
    assert runs.set_index(keys)["value"].to_dict() == pytest.approx(reported) and len(reported) == 24
    assert "perplexity" not in set(runs["metric"]), "it is no mean of scores of examples"
    assert examples["metric"].eq("acc").all(), "the primary metric is that of the analyses of examples"
    assert examples["group"].nunique() > 5


def test_the_choices_of_a_sample_log_are_classes():
    spec = LM_EVAL | {"examples": "classification", "path": str(DATA / "lm_eval/*/samples_docs_choice_*.jsonl.gz")}
    runs, examples = imported(spec)
    scored, _ = imported(LM_EVAL | {"where": {"task": "docs_choice", "metric": "acc"}})
    keys = ["model", "seed"]
    accuracy = runs[runs["metric"] == "accuracy"].set_index(keys)["value"]
    assert accuracy.to_dict() == scored.set_index(keys)["value"].to_dict()
    sums = np.stack(examples["probabilities"]).sum(axis=1)
    assert sums == pytest.approx(np.ones(len(sums)), abs=1e-6) and {"nll", "ece"} <= set(runs["metric"])


def test_predictions_of_a_trainer_have_the_accuracy_that_it_reports():
    spec = HF | {"path": str(DATA / "hf_trainer"), "format": "hf_predictions"}
    runs, examples = imported(spec)
    reported = {
        tuple(path.parent.name.split("-seed")): json.loads(path.read_text())["predict_accuracy"]
        for path in (DATA / "hf_trainer").glob("*/predict_results.json")
    }
    accuracy = runs[runs["metric"] == "accuracy"]
    computed = {(row.model, str(row.seed)): row.value for row in accuracy.itertuples()}
    assert computed == pytest.approx(reported) and len(reported) == 10
    losses = runs[runs["metric"] == "nll"]["value"]
    assert losses.between(0, 5).all() and examples["group"].notna().all()


def test_results_of_a_trainer_are_one_row_per_folder():
    metrics = {"predict_accuracy": {"metric": "accuracy"}, "eval_loss": {"metric": "nll", "split": "validation"}}
    runs, examples = imported(HF | {"path": str(DATA / "hf_trainer"), "format": "hf_trainer", "metrics": metrics})
    assert len(runs) == 20 and examples is None and (runs["seconds"] > 0).all()
    first = json.loads((DATA / "hf_trainer/tiny-seed0/all_results.json").read_text())
    row = runs[(runs["model"] == "tiny") & (runs["seed"] == 0) & (runs["metric"] == "accuracy")].iloc[0]
    assert (row["value"], row["seconds"]) == (first["predict_accuracy"], first["train_runtime"])
