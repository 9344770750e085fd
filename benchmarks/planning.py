"""What a study costs before and after its training: planning, "nothing to be done", and aggregation, by number of runs.

    python benchmarks/planning.py [--sizes 5x5x2x20 25x10x2x20 50x10x2x100]

A size is models x tasks x methods x seeds: small MobileNets pretrained here, on digits split by different seeds. In a
temporary copy of the checkout are measured the Snakefile's parse (`--list`), `snakemake -n` of a study nothing of which
is there, and, once a placeholder lies for every file of `runs` and `--touch` has recorded them, `snakemake -n runs`
again, which then finds nothing to be done. `aggregate` is called on made-up records, histories and scores of as many
runs, shaped as the stages write them. Each is a process of its own; its memory is that process's peak, and the ratio is
of its seconds to those of the smallest size, beside that of the runs.
"""

import argparse
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow" / "lib"), str(ROOT / "tests")]

SIZES = ("5x5x2x20", "25x10x2x20", "50x10x2x100")
METHODS = ("linear_probe", "full")
EPOCHS = 8


def said(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


def config(models: int, tasks: int, methods: int, seeds: int) -> dict:
    small = {"width_mult": 0.5, "inverted_residual_setting": [[1, 16, 1, 1], [3, 32, 2, 2]]}
    model = {"architecture": "mobilenet_v2", "weights": "pretrain:letters", "options": small}
    letters = {"dataset": "glyphs", "options": {"target": "letter"}, "image": {"size": 16}}
    split = {"train": 100, "validation": 100, "test": 1000}
    return {
        "study": "planning",
        "seeds": list(range(seeds)),
        "models": {f"model{at:03d}": model for at in range(models)},
        "tasks": {
            f"task{at:03d}": {"dataset": "digits", "image": {"size": 16}, "split": split | {"seed": at}}
            for at in range(tasks)
        },
        "methods": {name: {} for name in METHODS[:methods]},
        "pretraining": {"letters": {"task": letters | {"split": {"train": 1000, "validation": 100, "test": 100}}}},
    }


# Planning ---------------------------------------------------------------------------------------------------------


def snakemake(folder: Path, *arguments: str) -> dict:
    """Seconds, peak MB and output of a Snakemake on the copy's study."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--configfile", "study.yaml"]
    started = time.perf_counter()
    with open(folder / "output", "w") as output:
        running = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(running.pid, 0)
    seconds, text = time.perf_counter() - started, (folder / "output").read_text()
    if status:
        raise SystemExit(f"{' '.join(command)}\n{text[-3000:]}")
    return {"seconds": seconds, "peak_mb": usage.ru_maxrss / _PER_MB, "output": text}


_PER_MB = 1024 if sys.platform == "linux" else 1024**2


def jobs_of(output: str) -> int:
    """The total of the last table of jobs that Snakemake printed."""
    totals = [line.split()[1] for line in output.splitlines() if line.split()[:1] == ["total"]]
    return int(totals[-1]) if totals else 0


def checkout(folder: Path, shape: tuple[int, ...]) -> Path:
    for part in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("Snakefile", "config.yaml"):
        shutil.copy2(ROOT / part, folder)
    (folder / "study.yaml").write_text(json.dumps(config(*shape)))
    return folder


def placeholders(folder: Path, shape: tuple[int, ...]) -> int:
    """A file for every output of the jobs of `runs`, what is read later after what it is made of; how many."""
    from variability.config.feature_plan import FeaturePlan
    from variability.config.study import Study

    study, results = Study(config(*shape)), folder / "results" / "planning"
    layers = [[f"prepare/{name}/{file}" for name in (*study.tasks, "letters") for file in _PREPARED]]
    pretrained = ("weights.safetensors", "weights.json", "history.csv")
    layers.append([f"pretrain/{model}/{file}" for model in study.models for file in pretrained])
    stored = ["features/{}/{}/{}".format(*key) for key in FeaturePlan(study).specs]
    layers.append([f"{name}/{file}" for name in stored for file in ("features.json", "activations.npy")])
    blocks = [("/".join(cell), block) for cell, found in study.seed_chunks.items() for block in range(len(found))]
    layers += [[f"{stage}/{cell}/block-{at}.json" for cell, at in blocks] for stage in ("finetune", "predict")]
    for layer in layers:
        for name in layer:
            (results / name).parent.mkdir(parents=True, exist_ok=True)
            (results / name).write_text("{}")
    return sum(map(len, layers))


_PREPARED = ("task.json", "inputs.npy", "examples.parquet")


def planned(shape: tuple[int, ...]) -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = checkout(Path(temporary), shape)
        found = {"parse (--list)": snakemake(folder, "--list")}
        found["plan (-n)"] = snakemake(folder, "-n", "--quiet", "rules")
        said(f"  {placeholders(folder, shape)} placeholders")
        found["record (--touch runs)"] = snakemake(folder, "runs", "--touch", "--cores", "1", "--quiet", "all")
        found["nothing to be done (-n runs)"] = again = snakemake(folder, "runs", "-n")
        if "Nothing to be done" not in again["output"]:
            said(f"  something was to be done:\n{again['output'][-2000:]}")
        for each in found.values():
            each["jobs"] = jobs_of(each["output"])
        return found


# Aggregation ------------------------------------------------------------------------------------------------------


def study_files(folder: Path, models: list, tasks: list, methods: list, seeds: int) -> tuple[list[Path], list[Path]]:
    """Records and histories of runs and tables of scores, as the stages leave them; manifests of score, of finetune."""
    import synthetic_study

    from variability.io.files import write_json

    history = "epoch,train_loss,validation_loss,validation_accuracy,lr,seconds,examples_per_second\n"
    history += "".join(f"{epoch},1.25,1.5,0.5,0.001,0.5,400.0\n" for epoch in range(EPOCHS + 1))
    fitted, scored = [], []
    for task in tasks:
        tables = {}
        for model, method in itertools.product(models, methods):
            cell, entries = folder / "finetune" / model / task / method, []
            for seed in range(seeds):
                run = cell / str(seed)
                run.mkdir(parents=True)
                record = synthetic_study.record(model, task, method, seed)
                (run / "run.json").write_text(json.dumps(record | {"epochs": EPOCHS}, indent=1))
                (run / "history.csv").write_text(history)
                entries.append({"seed": seed, "fingerprint": "f" * 64, "status": "completed", "sha256": {}})
            (cell / "block-0.json").write_text(json.dumps({"runs": entries}))
            fitted.append(cell / "block-0.json")
            name = f"{model}/{method}.parquet"
            _write_scores(folder / "score" / task / name, model, task, method, seeds)
            tables[name] = "0" * 64
        scored.append(folder / "score" / task / "scores.json")
        write_json(scored[-1], {"tables": tables})
    return scored, fitted


def _write_scores(path: Path, model: str, task: str, method: str, seeds: int) -> None:
    """Four metrics of two phases and splits of each run, one of them of ten classes too."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from variability.results.score_table import SCHEMA

    kinds = [(metric, None) for metric in ("accuracy", "balanced_accuracy", "nll", "macro_f1")]
    kinds += [("recall", str(digit)) for digit in range(10)]
    rows = list(itertools.product(range(seeds), ("before", "after"), ("validation", "test"), kinds))
    columns = {"model": [model] * len(rows), "task": [task] * len(rows), "method": [method] * len(rows)}
    columns |= {"seed": [row[0] for row in rows], "phase": [row[1] for row in rows], "split": [row[2] for row in rows]}
    columns |= {"metric": [row[3][0] for row in rows], "class": [row[3][1] for row in rows]}
    columns |= {"predicted": [None] * len(rows), "value": np.random.default_rng(0).uniform(0.3, 0.9, len(rows))}
    columns |= {"n_test": [1000] * len(rows), "majority": [0.1] * len(rows)}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, SCHEMA), path)


def one(folder: Path, shape: tuple[int, ...]) -> None:
    """Aggregates in this process; prints its seconds and peak MB."""
    import synthetic_study

    from variability.stages.aggregate import aggregate

    models, tasks, methods = names(shape)
    spec = synthetic_study.spec(models, tasks, methods) | {"imports": {}, "grid": {}}
    scored, fitted = (
        sorted(folder.glob(pattern)) for pattern in ("score/*/scores.json", "finetune/*/*/*/block-0.json")
    )
    started = time.perf_counter()
    aggregate(scored, fitted, spec, folder / "aggregate")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_MB
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_mb": peak, "jobs": 1}))


def names(shape: tuple[int, ...]) -> tuple[list[str], list[str], list[str]]:
    models, tasks, methods, _ = shape
    return (
        [f"model{at:03d}" for at in range(models)],
        [f"task{at:03d}" for at in range(tasks)],
        list(METHODS[:methods]),
    )


def aggregated(size: str, shape: tuple[int, ...]) -> dict:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "aggregate").mkdir()
        study_files(folder, *names(shape), shape[-1])
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(folder), size], stdout=subprocess.PIPE, check=True
        )
        return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="models x tasks x methods (at most 2) x seeds")
    parser.add_argument("--only", choices=["planning", "aggregate"])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(Path(given.one[0]), shape_of(given.one[1]))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; n = 1 each\n")
    print("| runs | what | seconds | peak MB | jobs | seconds over the smallest's | runs over the smallest's |")
    print("|---|---|---|---|---|---|---|")
    first, fewest = {}, None
    for size in given.sizes:
        shape = shape_of(size)
        runs = shape[0] * shape[1] * shape[2] * shape[3]
        fewest = fewest or runs
        found = {}
        said(f"{runs:,} runs ({size})")
        if given.only != "aggregate":
            found |= planned(shape)
        if given.only != "planning":
            found["aggregate"] = aggregated(size, shape)
        for what, each in found.items():
            ratio = each["seconds"] / first.setdefault(what, each["seconds"])
            told = f"{each['seconds']:.1f} | {each['peak_mb']:.0f} | {each['jobs']:,} | {ratio:.1f} | {runs / fewest:g}"
            print(f"| {runs:,} | {what} | {told} |", flush=True)


def shape_of(size: str) -> tuple[int, ...]:
    return tuple(map(int, size.split("x")))


if __name__ == "__main__":
    main()
