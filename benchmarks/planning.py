"""Cost of a study before and after its training: planning, "nothing to be done", and aggregation, by number of runs.

    python benchmarks/planning.py [--sizes 5x5x2x20 25x10x2x20 50x10x2x100]

A size is models x tasks x methods x seeds: small MobileNets pretrained here, on digits split by different seeds. In a
temporary copy of the checkout, this script measures parsing the Snakefile (`--list`), `snakemake -n` of a study without
any results, and, after a placeholder has been written for every file of `runs` and `--touch` has recorded them,
`snakemake -n runs`, which then reports that nothing is to be done. `aggregate` is called on invented records, histories
and scores of as many runs, in the format of the stages. Each measurement is a separate process; its memory is the peak
of that process, and its ratio is that of its seconds to those of the smallest size, next to the ratio of the runs.
"""

import argparse
import hashlib
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


def log(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


def config(models: int, tasks: int, methods: int, seeds: int) -> dict:
    small = {"width_mult": 0.5, "inverted_residual_setting": [[1, 16, 1, 1], [3, 32, 2, 2]]}
    model = {"architecture": "mobilenet_v2", "weights": "pretrain:letters", "options": small}
    letters = {"dataset": "glyphs", "options": {"target": "letter"}, "image": {"size": 16}}
    split = {"train": 100, "validation": 100, "test": 1000}
    return {
        "study": "planning",
        "seeds": list(range(seeds)),
        "models": {f"model{index:03d}": model for index in range(models)},
        "tasks": {
            f"task{index:03d}": {"dataset": "digits", "image": {"size": 16}, "split": split | {"seed": index}}
            for index in range(tasks)
        },
        "methods": {name: {} for name in METHODS[:methods]},
        "pretraining": {"letters": {"task": letters | {"split": {"train": 1000, "validation": 100, "test": 100}}}},
    }


# Planning ---------------------------------------------------------------------------------------------------------


def snakemake(folder: Path, *arguments: str) -> dict:
    """Run Snakemake on the study of the copy; return seconds, peak_mb and output."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--configfile", "study.yaml"]
    started = time.perf_counter()
    with open(folder / "output", "w") as output:
        running = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(running.pid, 0)
    seconds, text = time.perf_counter() - started, (folder / "output").read_text()
    if status:
        raise SystemExit(f"{' '.join(command)}\n{text[-3000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu": cpu, "peak_mb": usage.ru_maxrss / _PER_MB, "output": text}


_PER_MB = 1024 if sys.platform == "linux" else 1024**2


def jobs_of(output: str) -> int:
    """Return the total of the last table of jobs that Snakemake printed."""
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
    """Write a file for every output of the jobs of `runs`, each after its inputs, and return their number."""
    from variability.config.feature_plan import FeaturePlan
    from variability.config.study import Study

    study, results = Study(config(*shape)), folder / "results" / "planning"
    layers = [[f"prepare/{name}/{file}" for name in (*study.tasks, "letters") for file in _PREPARED]]
    pretrained = ("weights.safetensors", "weights.json", "history.csv")
    layers.append([f"pretrain/{model}/{file}" for model in study.models for file in pretrained])
    stored = ["features/{}/{}/{}".format(*key) for key in FeaturePlan(study).specs]
    layers.append([f"{name}/{file}" for name in stored for file in ("features.json", "activations.npy")])
    blocks = [("/".join(cell), block) for cell, chunks in study.seed_chunks.items() for block in range(len(chunks))]
    layers += [[f"{stage}/{cell}/block-{block}.json" for cell, block in blocks] for stage in ("finetune", "predict")]
    for layer in layers:
        for name in layer:
            (results / name).parent.mkdir(parents=True, exist_ok=True)
            (results / name).write_text("{}")
    return sum(map(len, layers))


_PREPARED = ("task.json", "inputs.npy", "examples.parquet")


def job_records(folder: Path) -> int:
    """Write the record of each job of `runs`, as if it had made the placeholders, and return their number."""
    from variability.io.artefacts import write_record

    results, count = Path("results/planning"), 0
    checksums = {"{}": hashlib.sha256(b"{}").hexdigest()}
    for spec in sorted((folder / results / "jobs/specs").rglob("*.json")):
        stage, *keys = spec.relative_to(folder / results / "jobs/specs").with_suffix("").parts
        model, task = (*keys, "none", "letters")[:2]
        weights, prepared = f"pretrain/{model}/weights.json", f"prepare/{task}/task.json"
        features = f"features/{model}/{task}/backbone/features.json"
        block = f"{'/'.join(keys[:3])}/block-{keys[-1]}.json" if stage in ("finetune", "predict") else ""
        of_stage = {
            "prepare": ([], [f"prepare/{keys[0] if keys else ''}/{name}" for name in _PREPARED]),
            "pretrain": (["prepare/letters/task.json"], [weights]),
            "features": ([weights, prepared], [features]),
            "finetune": ([weights, prepared, features], [f"finetune/{block}"]),
            "predict": ([weights, prepared, features, f"finetune/{block}"], [f"predict/{block}"]),
        }
        if stage in of_stage:
            inputs, outputs = of_stage[stage]
            record = {
                "spec": hashlib.sha256(spec.read_bytes()).hexdigest(),
                "inputs": {f"{results}/{name}": checksums["{}"] for name in inputs},
                "outputs": [f"{results}/{name}" for name in outputs],
            }
            write_record(folder / results / "jobs/made" / spec.relative_to(folder / results / "jobs/specs"), record)
            count += 1
    return count


def measure_planning(shape: tuple[int, ...]) -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = checkout(Path(temporary), shape)
        measurements = {"parse (--list)": snakemake(folder, "--list")}
        measurements["plan (-n)"] = snakemake(folder, "-n", "--quiet", "rules")
        log(f"  {placeholders(folder, shape)} placeholders")
        measurements["record (--touch runs)"] = snakemake(folder, "runs", "--touch", "--cores", "1", "--quiet", "all")
        measurements["nothing to be done (-n runs)"] = snakemake(folder, "runs", "-n")
        log(f"  {job_records(folder)} records of jobs")
        measurements["the same, with records of the jobs"] = snakemake(folder, "runs", "-n")
        shutil.rmtree(folder / ".snakemake")
        measurements["the same, without .snakemake"] = snakemake(folder, "runs", "-n")
        for name, measurement in list(measurements.items())[3:]:
            if "Nothing to be done" not in measurement["output"]:
                log(f"  {name}: something was to be done:\n{measurement['output'][-2000:]}")
        for measurement in measurements.values():
            measurement["jobs"] = jobs_of(measurement["output"])
        return measurements


# Aggregation ------------------------------------------------------------------------------------------------------


def study_files(folder: Path, models: list, tasks: list, methods: list, seeds: int) -> tuple[list[Path], list[Path]]:
    """Write records, histories and score tables as the stages do; return the manifests of score and of finetune."""
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
    """Write four metrics for two phases and splits of each run, and a fifth for each of ten classes."""
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


def run_one(folder: Path, shape: tuple[int, ...]) -> None:
    """Aggregate in this process and print seconds and peak MB."""
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
        [f"model{index:03d}" for index in range(models)],
        [f"task{index:03d}" for index in range(tasks)],
        list(METHODS[:methods]),
    )


def measure_aggregation(size: str, shape: tuple[int, ...]) -> dict:
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
    arguments = parser.parse_args()
    if arguments.one:
        run_one(Path(arguments.one[0]), shape_of(arguments.one[1]))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; n = 1 each\n")
    print("| runs | measured | seconds | CPU s | peak MB | jobs | seconds over smallest's | runs over smallest's |")
    print("|---|---|---|---|---|---|---|---|")
    first, fewest = {}, None
    for size in arguments.sizes:
        shape = shape_of(size)
        runs = shape[0] * shape[1] * shape[2] * shape[3]
        fewest = fewest or runs
        measurements = {}
        log(f"{runs:,} runs ({size})")
        if arguments.only != "aggregate":
            measurements |= measure_planning(shape)
        if arguments.only != "planning":
            measurements["aggregate"] = measure_aggregation(size, shape)
        for name, one in measurements.items():
            ratio = one["seconds"] / first.setdefault(name, one["seconds"])
            cpu = f"{one['cpu']:.1f}" if "cpu" in one else ""
            numbers = f"{one['seconds']:.1f} | {cpu} | {one['peak_mb']:.0f} | {one['jobs']:,}"
            numbers += f" | {ratio:.1f} | {runs / fewest:g}"
            print(f"| {runs:,} | {name} | {numbers} |", flush=True)


def shape_of(size: str) -> tuple[int, ...]:
    return tuple(map(int, size.split("x")))


if __name__ == "__main__":
    main()
