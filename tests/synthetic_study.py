"""A synthetic study with known truth, in the tables and files that the workflow's stages exchange."""

import json
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from variability import registry
from variability.io.artefacts import write_record
from variability.io.files import sha256
from variability.results import metric_scales, probe_table, runs_table
from variability.results.columns import RUN
from variability.results.predictions import Predictions, RunPredictions
from variability.stats import resampling

ANALYSES = registry.names("analyses")
KINDS = {"linear_probe": "linear_probe", "full": "full", "partial": "partial"}
VERSIONS = {"torch": "2.0", "numpy": "2.0"}


def spec(models, tasks, methods, metric="accuracy"):
    """Return the spec of ``aggregate``; a model named ``x-scratch`` is the from-scratch control of ``x``."""
    return {
        "models": {
            model: {
                "provider": "torchvision",
                "framework": "pytorch",
                "family": model,
                "architecture": model.removesuffix("-scratch"),
                "weights": "none" if model.endswith("-scratch") else "IMAGENET1K_V1",
                "options": {},
                "backbone": model,
                "seed_pretrain": None,
            }
            for model in models
        },
        "tasks": {task: {"kind": "classification", "metric": metric} for task in tasks},
        "methods": {method: {"kind": KINDS.get(method, "full"), "options": {}, "repeats": None} for method in methods},
    }


def record(model, task, method, seed, failed=False):
    """Return a run's ``run.json``."""
    return {
        **{"model": model, "task": task, "method": method, "seed": seed},
        **{"status": "diverged" if failed else "completed", "fail_reason": "loss is NaN" if failed else None},
        **{
            "epochs": 8,
            "best_epoch": 7,
            "seconds": 1.5 + seed,
            "peak_memory_mb": 300.0,
            "energy_j": None,
            "bytes": 4000,
        },
        "hardware": {"device": "cpu", "device_name": "a processor"},
        "versions": VERSIONS,
        "preprocess": {"size": 32, "resize": 32},
        "recipe": {},
        "recipe_hash": f"recipe of {method}",
        "micro_batch": 32,
        "gpus_per_run": 1,
        "streams": {name: seed * 10 + at for at, name in enumerate(("init", "order", "augment", "dropout"))}
        | {"split": 0},
        **{"n_train": 100, "n_validation": 50},
        "fingerprint": f"{model} {task} {method} {seed}",
        "sha256": {},
    }


def scores(models, tasks, methods, seeds, failed=(), sd=0.01, n_test=200):
    """Return scores of accuracy and nll with known means: ``true_mean`` after fine-tuning, 0.1 before.

    failed: (model, task, method, seed) of the runs that diverged.
    """
    rng = np.random.default_rng(0)
    rows = []
    for run in product(models, tasks, methods, seeds):
        for phase, split in product(("before", "after"), ("validation", "test")):
            lost = phase == "after" and run in failed
            mean = 0.1 if phase == "before" else true_mean(models, methods, *run[:3])
            value = np.nan if lost else np.clip(rng.normal(mean, sd), 0.01, 1)
            count = 0 if lost else n_test
            rows.append((*run, phase, split, "accuracy", value, count, None if lost else 0.1))
            rows.append((*run, phase, split, "nll", -np.log(value), count, None if lost else 0.1))
    columns = ["phase", "split", "metric", "value", "n_test", "majority"]
    return pd.DataFrame(rows, columns=[*RUN, *columns]).astype({"majority": float})


def true_mean(models, methods, model, task, method):
    """Return 0.9 for the first model and method, 0.02 less per later model, 0.05 less per later method."""
    return 0.9 - 0.02 * list(models).index(model) - 0.05 * list(methods).index(method)


def runs(models=("a", "b"), tasks=("digits",), methods=("full", "linear_probe"), seeds=range(5), failed=(), **options):
    """Return the runs table of such a study, made by the code that makes real ones."""
    records = [record(*run, failed=run in failed) for run in product(models, tasks, methods, seeds)]
    table = scores(models, tasks, methods, seeds, failed, **options)
    return runs_table.runs_table(table, records, **spec(models, tasks, methods))


def history(
    models=("a", "b"), tasks=("digits",), methods=("full", "linear_probe"), seeds=range(5), failed=(), epochs=8
):
    """Return learning curves that fall towards the loss of the true mean; diverged runs end at 1000 and NaN."""
    rng = np.random.default_rng(1)
    parts = []
    for run in product(models, tasks, methods, seeds):
        epoch = np.arange(epochs + 1)
        floor = 2 * (1 - true_mean(models, methods, *run[:3]))
        loss = floor + (2.3 - floor) * np.exp(-epoch / 2) + rng.normal(0, 0.03, len(epoch))
        accuracy = 1 - loss / 2.6
        if run in failed:
            epoch, loss, accuracy = epoch[:5], np.r_[loss[:3], 1000.0, np.nan], accuracy[:5]
        part = pd.DataFrame({"epoch": epoch, "train_loss": loss * 0.9, "validation_loss": loss})
        part = part.assign(validation_accuracy=accuracy, validation_rmse=np.nan)
        part = part.assign(lr=1e-3, seconds=0.5, examples_per_second=400.0)
        keys = dict(zip(RUN, run, strict=True)) | {"status": "diverged" if run in failed else "completed"}
        parts.append(part.assign(**keys, kind="classification"))
    return pd.concat(parts, ignore_index=True).sort_values([*RUN, "epoch"], ignore_index=True)


def with_scale(runs, **declaration):
    """Return the runs with this declaration of the scale of all metrics, in place of what is declared."""
    bare = runs.drop(columns=list(metric_scales.COLUMNS))
    return metric_scales.with_declared(bare, dict.fromkeys(runs["metric"].unique(), declaration))


def as_imported(runs):
    """Return the runs as if they were imported: only keys, metric and value are known."""
    unknown = [column for column in runs if column.startswith("seed_") or column in ("weights", "recipe_hash", "bytes")]
    unknown += ["architecture", "provider", "preprocess", "model_options", "method_options", "versions", "device"]
    unknown += ["method_kind", "majority", "n_test", "seconds", "energy_j"]
    reported = (runs["phase"] == "after") & (runs["split"] == "test") & (runs["metric"] == "accuracy")
    return runs[reported].assign(source="import", **dict.fromkeys(unknown, np.nan))


def base_tables(kind="classification", **options):
    """Return all base tables of a study except per_class, as an analysis reads them."""
    if kind == "ranking":
        return as_ranking(base_tables(**options))
    shape = {key: value for key, value in options.items() if key in ("models", "tasks", "methods", "seeds", "failed")}
    tables = {"runs": runs(**options), "history": history(**shape), "predictions": predicted(**shape)}
    return tables | {"reference_probe": probes(tables["runs"])}


def probes(runs, value=0.87):
    """Return reference probes as the workflow makes them: one value for all seeds, and none for a random backbone."""
    rows = []
    for model, task in runs[["model", "task"]].drop_duplicates().itertuples(index=False):
        keys = {"model": model, "task": task}
        if model.endswith("-scratch"):
            rows.append(keys | {"note": "no reference probe: every run has its own backbone"})
            continue
        facts = {"estimator": "logistic regression", "strength": 0.01, "n_examples": 200, "n_train": 100}
        values = {"accuracy": value, "nll": 2 * (1 - value)}
        rows += [
            keys | facts | {"split": split, "metric": metric, "value": values[metric]}
            for split, metric in product(("validation", "test"), values)
        ]
    return pa.Table.from_pylist(rows, schema=probe_table.SCHEMA).to_pandas()


def as_ranking(tables):
    """Return the study as a ranking study: the true item ranks first where the class was right, lower otherwise."""
    runs, history = tables["runs"], tables["history"]
    metrics = {"accuracy": "ndcg_at_10", "nll": "mrr"}
    value = runs["value"].where(runs["metric"] == "accuracy", np.exp(-runs["value"]))
    runs = runs.assign(
        metric=runs["metric"].map(metrics), value=value, higher_is_better=True, perfect=1.0, majority=np.nan
    )
    history = history.rename(columns={"validation_accuracy": "validation_ndcg_at_10"}).assign(
        kind="ranking", validation_accuracy=np.nan
    )

    def source(cell, phase, split, probabilities):
        for run in tables["predictions"].runs(cell, phase, split, probabilities=False):
            ranks = np.where(run.y_pred == run.y_true, 1.0, 2.0 + (run.example_ids + run.seed) % 15)
            yield RunPredictions(
                run.seed, run.example_ids, np.ones(len(ranks)), ranks, None, run.example_ids, "ranking"
            )

    predictions = Predictions({cell: partial(source, cell) for cell in tables["predictions"].cells})
    probes = probe_table.SCHEMA.empty_table().to_pandas()
    return {"runs": runs, "history": history, "predictions": predictions, "reference_probe": probes}


def predicted(
    models=("a", "b"), tasks=("digits",), methods=("full", "linear_probe"), seeds=range(5), failed=(), n=60, classes=3
):
    """Return predictions of such a study, generated on access.

    Examples differ in difficulty, equally for all runs of a task; a run's accuracy is approximately its true mean.
    """

    def source(cell, phase, split, probabilities):
        task = cell[1]
        mean = 1 / classes if phase == "before" else true_mean(models, methods, *cell)
        difficulty = resampling.generator(0, task, split).random(n)
        truth = np.arange(n) % classes
        for seed in seeds:
            if phase == "after" and (*cell, seed) in failed:
                continue
            rng = resampling.generator(seed, *cell, phase, split)
            wrong = 0.7 * difficulty + 0.3 * rng.random(n) > mean + rng.normal(0, 0.02)
            y_pred = np.where(wrong, (truth + 1) % classes, truth)
            class_probabilities = rng.dirichlet(np.ones(classes), n) + 2 * np.eye(classes)[y_pred]
            class_probabilities = (
                (class_probabilities / class_probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
                if probabilities
                else None
            )
            yield RunPredictions(seed, np.arange(n), truth, y_pred, class_probabilities)

    return Predictions({cell: partial(source, cell) for cell in product(models, tasks, methods)})


def tables(only=ANALYSES, **options):
    """Return base tables and analyses of a study, as a plot or the summary reads them."""
    return analysed(base_tables(**options), only)


def analysed(base, only=ANALYSES):
    """Return the base tables that plots and summary read, with the analyses' tables."""
    plugins = {name: registry.find("analyses", name) for name in only}
    # Few resamples: figures and texts do not depend on their number.
    options = {name: {"resamples": 200} if "resamples" in plugin.OPTIONS else {} for name, plugin in plugins.items()}
    analyses = {name: plugin(options[name]).table(base) for name, plugin in plugins.items()}
    return {name: table for name, table in base.items() if name != "predictions"} | analyses


def predictions(path: Path, model, task, method, seed, classes=3, n=60, failed=False, accuracy=0.8):
    """Write the predictions of one run; ``accuracy`` of the test examples are right after fine-tuning."""
    rng = np.random.default_rng(seed)
    parts = []
    for phase, split in product(("before",) if failed else ("before", "after"), ("validation", "test")):
        truth = np.arange(n) % classes
        wrong = np.arange(n) >= round(n * (accuracy if phase == "after" else 1 / classes))
        predicted = np.where(wrong, (truth + 1) % classes, truth)
        probabilities = rng.dirichlet(np.ones(classes), n) + 2 * np.eye(classes)[predicted]
        probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
        part = {"model": model, "task": task, "method": method, "seed": seed, "phase": phase, "split": split}
        part |= {"kind": "classification"}
        part |= {"example_id": np.arange(n), "y_true": truth, "y_pred": predicted, "probabilities": list(probabilities)}
        parts.append(pd.DataFrame(part))
    table = pa.Table.from_pandas(pd.concat(parts, ignore_index=True), preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def study_files(folder: Path, models=("a", "b"), tasks=("digits",), methods=("full",), seeds=(0, 1, 2), failed=()):
    """Write predictions, run records and histories of a study; return the manifests of finetune and predict."""
    classes = ["zero", "one", "two"]
    manifests = {"finetune": [], "predict": []}
    curves = history(models, tasks, methods, seeds, failed).set_index(RUN)
    for cell in product(models, tasks, methods):
        task_json = folder / "prepare" / cell[1] / "task.json"
        task_json.parent.mkdir(parents=True, exist_ok=True)
        task_json.write_text(json.dumps({"kind": "classification", "class_names": classes}))
        fitted = []
        for seed in seeds:
            lost = (*cell, seed) in failed
            run = folder.joinpath("finetune", *cell, str(seed))
            run.mkdir(parents=True)
            curve = curves.loc[[(*cell, seed)]].drop(columns=["status", "kind", "validation_rmse"])
            curve.to_csv(run / "history.csv", index=False)
            of_run = record(*cell, seed, failed=lost) | {"sha256": {"history": sha256(run / "history.csv")}}
            write_record(run / "run.json", of_run)
            fitted.append({key: of_run[key] for key in ("seed", "fingerprint", "status", "sha256")})
            predictions(folder.joinpath("predict", *cell, f"{seed}.parquet"), *cell, seed, failed=lost)
        predicted = [
            run | {"sha256": {"predictions": sha256(folder.joinpath("predict", *cell, f"{run['seed']}.parquet"))}}
            for run in fitted
        ]
        for stage, runs in (("finetune", fitted), ("predict", predicted)):
            manifest = folder.joinpath(stage, *cell, "block-0.json")
            write_record(manifest, {"runs": runs})
            manifests[stage].append(manifest)
    return manifests
