"""A grid of small runs by the workflow compared with a loop of one-run scripts; and the cost of one more probe seed.

    python benchmarks/study.py [--seeds 20 --sample 2 --cores 2]

Four small MobileNets, pretrained here, on three tasks of 16 x 16 pixels, by linear probe and in full. The workflow's
time is the wall time of `snakemake runs` in a temporary copy of the checkout, which starts from the prepared data and
the pretrained networks. The other side is what one writes by hand: a script for one run, started by a shell's loop,
that imports torch and torchvision, loads the same arrays and weights, trains with a DataLoader image by image for as
many epochs, and evaluates. A sample of such runs is measured, one after another and as many in parallel as there are
cores, each on one thread, and the mean by method is extrapolated to the grid: seconds = runs of the method x mean /
runs in parallel.

The marginal seed is measured with the same stages on one seed chunk: the seconds of `finetune` and `predict` of 120
seeds minus those of 20, divided by 100.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODELS = {
    "wide": {"width_mult": 1.0, "inverted_residual_setting": [[1, 16, 1, 1], [3, 32, 1, 2], [3, 64, 1, 2]]},
    "deep": {"width_mult": 0.5, "inverted_residual_setting": [[1, 16, 1, 1], [3, 32, 2, 2], [3, 64, 2, 2]]},
    "narrow": {"width_mult": 0.5, "inverted_residual_setting": [[1, 16, 1, 1], [3, 32, 1, 2], [3, 64, 1, 2]]},
    "short": {"width_mult": 1.0, "inverted_residual_setting": [[1, 16, 1, 1], [3, 32, 1, 2]]},
}
TASKS = ("digits-0", "digits-1", "digits-2")
METHODS = {"linear_probe": 0.01, "full": 0.002}
EPOCHS, BATCH, SIZE = 10, 25, 16

# One run as one writes it by hand. Arguments: prepared task, weights, options, method, learning rate, epochs, seed.
ONE_RUN = """
import json, sys
import numpy as np
import pyarrow.parquet as pq
import safetensors.torch
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import models, transforms

task, weights, options, method, lr, epochs, seed, batch = sys.argv[1:]
torch.manual_seed(int(seed))
torch.set_num_threads(1)
ready = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])

class Images(Dataset):
    def __init__(self, split):
        table = pq.read_table(f"{task}/examples.parquet").to_pandas()
        self.rows = np.flatnonzero(table["split"] == split)
        self.labels = table["label"].to_numpy()
        self.images = np.load(f"{task}/inputs.npy")
    def __len__(self):
        return len(self.rows)
    def __getitem__(self, index):
        image = self.images[self.rows[index]].transpose(1, 2, 0)
        return ready(np.repeat(image, 3 // image.shape[2], axis=2)), int(self.labels[self.rows[index]])

tensors = safetensors.torch.load_file(weights)
head = max((name for name in tensors if name.startswith("classifier.") and name.endswith("weight")), default=None)
model = models.mobilenet_v2(num_classes=len(tensors[head]), **json.loads(options))
model.load_state_dict(tensors)
model.classifier[1] = torch.nn.Linear(model.last_channel, 10)
if method == "linear_probe":
    for parameter in model.features.parameters():
        parameter.requires_grad = False
optimizer = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=float(lr))
steps = int(epochs) * -(-len(Images("train")) // int(batch))
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
loss_of = torch.nn.CrossEntropyLoss()

def accuracy(split):
    model.eval()
    with torch.no_grad():
        correct = [(model(x).argmax(1) == y).float().mean().item() * len(y) for x, y in DataLoader(Images(split), 256)]
    return sum(correct) / len(Images(split))

scores = {"before": accuracy("test")}
for epoch in range(int(epochs)):
    model.train()
    for inputs, targets in DataLoader(Images("train"), int(batch), shuffle=True):
        optimizer.zero_grad()
        loss_of(model(inputs), targets).backward()
        optimizer.step()
        schedule.step()
    scores[f"epoch {epoch + 1}"] = accuracy("validation")
scores["after"] = accuracy("test")
torch.save(model.state_dict(), f"run-{seed}-{method}.pt")
print(json.dumps(scores))
"""


def log(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


#: Seeds of a job, as config.yaml sets them for equally small runs: starting a job takes longer than several runs.
CHUNK = 10


def config(seeds: int, per_job: int | str = "auto", models=MODELS, tasks=TASKS, methods=METHODS) -> dict:
    split = {"train": 100, "validation": 100, "test": 1000}
    letters = {"dataset": "glyphs", "options": {"target": "letter", "per_font": 4}, "image": {"size": SIZE}}
    return {
        "study": "grid",
        "seeds": list(range(seeds)),
        "models": {
            name: {"architecture": "mobilenet_v2", "weights": "pretrain:letters", "options": MODELS[name]}
            for name in models
        },
        "tasks": {
            name: {"dataset": "digits", "image": {"size": SIZE}, "split": split | {"seed": index}}
            for index, name in enumerate(tasks)
        },
        "methods": {name: {"recipe": {"lr": METHODS[name]}} for name in methods},
        "recipe": {"optimizer": "adamw", "lr": 0.002, "epochs": EPOCHS, "batch_size": BATCH, "schedule": "cosine"},
        "pretraining": {
            "letters": {
                "task": letters | {"split": {"train": 1000, "validation": 100, "test": 100}},
                "recipe": {"epochs": 2, "batch_size": 64, "lr": 0.003},
            }
        },
        "compute": {"threads": 1, "seeds_per_job": per_job},
    }


def checkout(folder: Path) -> Path:
    for part in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("Snakefile", "config.yaml"):
        shutil.copy2(ROOT / part, folder)
    return folder


def snakemake(folder: Path, study: dict, cores: int, *targets: str) -> float:
    """Return the wall seconds until the targets exist."""
    (folder / "study.yaml").write_text(json.dumps(study))
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", str(cores), "--quiet", "rules"]
    started = time.perf_counter()
    done = subprocess.run([*command, "--configfile", "study.yaml"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return time.perf_counter() - started


def common(models, tasks) -> list[str]:
    """Return the targets from which both sides start."""
    pretrained = [f"results/grid/pretrain/{model}/weights.json" for model in models]
    return pretrained + [f"results/grid/prepare/{task}/task.json" for task in tasks]


def by_hand(folder: Path, method: str, sample: int, cores: int) -> list[float]:
    """Return the seconds of single runs, spread over models and tasks, ``cores`` in parallel."""
    script = folder / "one_run.py"
    script.write_text(ONE_RUN)

    def run(seed: int) -> float:
        model, task = list(MODELS)[seed % len(MODELS)], TASKS[seed % len(TASKS)]
        arguments = [f"results/grid/prepare/{task}", f"results/grid/pretrain/{model}/weights.safetensors"]
        arguments += [json.dumps(MODELS[model]), method, str(METHODS[method]), str(EPOCHS), str(seed), str(BATCH)]
        started = time.perf_counter()
        subprocess.run([sys.executable, str(script), *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started

    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(run, range(sample)))


def marginal(folder: Path, few: int, many: int, cores: int) -> tuple[float, float]:
    """Return the seconds of ``few`` and of ``many`` seeds of one probe in one seed chunk."""
    seconds = []
    for seeds in (few, many):
        study = config(seeds, many, ["wide"], TASKS[:1], ["linear_probe"])
        study["study"] = f"probe-{seeds}"
        first = [target.replace("grid", study["study"], 1) for target in common(["wide"], TASKS[:1])]
        for target in first:
            snakemake(folder, study, cores, target)
        seconds.append(snakemake(folder, study, cores, "runs"))
    return seconds[0], seconds[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sample", type=int, default=12, help="runs by hand that are measured, of each method")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--few", type=int, default=20, help="seeds of the smaller chunk")
    parser.add_argument("--many", type=int, default=120, help="seeds of the larger chunk")
    arguments = parser.parse_args()
    per_method = len(MODELS) * len(TASKS) * arguments.seeds
    print(f"{arguments.cores} cores, load {os.getloadavg()[0]:.1f} before\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = checkout(Path(temporary))
        log("data and pretrained networks, from which both sides start")
        for target in common(MODELS, TASKS):
            snakemake(folder, config(arguments.seeds), arguments.cores, target)
        sampled = {}
        for at_once in sorted({1, arguments.cores}):
            for method in METHODS:
                log(f"{arguments.sample} runs by hand, {at_once} in parallel: {method}")
                sampled[at_once, method] = by_hand(folder, method, arguments.sample, at_once)
        log(f"{2 * per_method} runs by the workflow")
        ours = snakemake(folder, config(arguments.seeds, CHUNK), arguments.cores, "runs")
        log("one more seed")
        few, many = marginal(folder, arguments.few, arguments.many, arguments.cores)
    print("| by hand | in parallel | seconds a run, mean | range | n | runs | all of them, s |\n|" + "---|" * 7)
    total = dict.fromkeys((at_once for at_once, _ in sampled), 0.0)
    for (at_once, method), seconds in sampled.items():
        mean = statistics.mean(seconds)
        whole = per_method * mean / at_once
        total[at_once] += whole
        measured = f"{mean:.2f} | {min(seconds):.1f} to {max(seconds):.1f} | {len(seconds)}"
        print(f"| {method} | {at_once} | {measured} | {per_method} | {whole:.0f} (extrapolated) |")
    print(f"\n| {2 * per_method} runs | seconds | ratio | n |\n|---|---|---|---|")
    for at_once, seconds in total.items():
        name = "a loop of scripts" if at_once == 1 else f"scripts, {at_once} in parallel"
        print(f"| {name} | {seconds:.0f} | {seconds / ours:.1f} | {2 * arguments.sample}, extrapolated |")
    print(f"| the workflow, {arguments.cores} cores, chunks of {CHUNK} seeds | {ours:.1f} | 1 | 1 |")
    print("\n| probe seeds in a chunk | s |\n|---|---|")
    print(f"| {arguments.few} | {few:.1f} |\n| {arguments.many} | {many:.1f} |")
    print(f"| one more | {(many - few) / (arguments.many - arguments.few):.3f} |")


if __name__ == "__main__":
    main()
