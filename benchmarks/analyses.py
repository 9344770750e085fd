"""Seconds and memory of every analysis at scale: 100,000 runs, and predictions of 200 runs on 10,000 examples.

    python benchmarks/analyses.py [--runs 100 --examples 10000]

Each analysis runs in a separate process on tables read from disk, like a job of the workflow; its peak memory is that
of the process. The limits: all run-level analyses together in 60 s and 2 GB, all prediction-level ones in 60 s.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from variability import registry
from variability.results.columns import CELL
from variability.results.runs_table import COLUMNS
from variability.stages.analyse import analyse


def runs_table(models: int, tasks: int, methods: int, seeds: int) -> pd.DataFrame:
    """Return the runs table of an invented study, as an import makes it: one metric, on validation and test."""
    shape = (models, tasks, methods, seeds)
    rng = np.random.default_rng(0)
    effects = [
        0.03 * rng.standard_normal([n if index == axis else 1 for index, n in enumerate(shape)]) for axis in range(3)
    ]
    levels = np.indices(shape).reshape(4, -1)
    parts = []
    for split in ("validation", "test"):
        value = 0.8 + sum(effects) + 0.01 * rng.standard_normal(shape)
        keys = {name: [f"{name}{level:03d}" for level in levels[axis]] for axis, name in enumerate(CELL)}
        parts.append(pd.DataFrame(keys | {"seed": levels[3], "split": split, "value": value.ravel()}))
    table = pd.concat(parts, ignore_index=True).assign(
        phase="after",
        metric="accuracy",
        primary=True,
        higher_is_better=True,
        perfect=1.0,
        label="accuracy",
        status="completed",
        source="benchmark",
        backbone="",
        seconds=100.0,
        n_test=10_000.0,
        majority=0.1,
    )
    return table.reindex(columns=COLUMNS)


def predictions(folder: Path, cells: int, seeds: int, examples: int, classes: int) -> list[Path]:
    """Write predictions from after fine-tuning as ``predict`` does, and return the manifests."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, examples)
    hard = rng.random(examples)
    manifests = []
    for cell in range(cells):
        cell_folder = folder / f"model{cell:03d}" / "task000" / "method000"
        cell_folder.mkdir(parents=True)
        for seed in range(seeds):
            wrong = 0.7 * hard + 0.3 * rng.random(examples) > 0.8
            y_pred = np.where(wrong, (truth + 1 + rng.integers(0, classes - 1, examples)) % classes, truth)
            confident = 4 * np.eye(classes, dtype=np.float32)[y_pred]
            probabilities = rng.random((examples, classes), dtype=np.float32) + confident
            probabilities /= probabilities.sum(axis=1, keepdims=True)
            offsets = np.arange(examples + 1, dtype=np.int32) * classes
            keys = {
                **dict(zip(CELL, cell_folder.parts[-3:], strict=True)),
                "kind": "classification",
                "phase": "after",
                "split": "test",
            }
            columns = {name: pa.array([value] * examples).dictionary_encode() for name, value in keys.items()}
            columns |= {
                "seed": np.full(examples, seed),
                "example_id": np.arange(examples),
                "y_true": truth,
                "y_pred": y_pred,
            }
            columns["probabilities"] = pa.ListArray.from_arrays(offsets, probabilities.reshape(-1))
            pq.write_table(pa.table(columns), cell_folder / f"{seed}.parquet", compression="zstd")
        manifest = cell_folder / "block-0.json"
        manifest.write_text(json.dumps({"runs": [{"seed": seed} for seed in range(seeds)]}))
        manifests.append(manifest)
    return manifests


def run_one(name: str, runs: Path, manifests: list[Path], csv: Path) -> None:
    """Run one analysis in this process and print its seconds and its peak memory in MB."""
    started = time.perf_counter()
    analyse(name, {"runs": runs}, {}, csv, manifests)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_mb": peak, "rows": len(pd.read_csv(csv))}))


def measure(name: str, runs: Path, manifests: list[Path], folder: Path) -> dict:
    command = [sys.executable, __file__, "--one", name, str(runs), str(folder / f"{name}.csv"), *map(str, manifests)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def report(title: str, names: list[str], runs: Path, manifests: list[Path], folder: Path) -> None:
    print(f"\n{title}\n\n| analysis | seconds | peak MB | rows |\n|---|---|---|---|", flush=True)
    measurements = []
    for name in names:
        one = measure(name, runs, manifests, folder)
        measurements.append(one)
        print(f"| {name} | {one['seconds']:.1f} | {one['peak_mb']:.0f} | {one['rows']:,} |", flush=True)
    total, peak = sum(one["seconds"] for one in measurements), max(one["peak_mb"] for one in measurements)
    print(f"| together | {total:.1f} | {peak:.0f} (largest) | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="seeds of each of 50 models on each of 20 tasks")
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, runs, csv, *manifests = arguments.one
        run_one(name, Path(runs), [Path(path) for path in manifests], Path(csv))
        return
    plugins = {name: registry.find("analyses", name) for name in registry.names("analyses")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table = runs_table(50, 20, 1, arguments.runs)
        table.to_parquet(folder / "runs.parquet")
        alone = [name for name, plugin in plugins.items() if plugin.NEEDS == ("runs",)]
        report(f"{len(table) // 2:,} runs, no predictions", alone, folder / "runs.parquet", [], folder)
        manifests = predictions(folder / "predict", 20, 10, arguments.examples, 10)
        few = runs_table(20, 1, 1, 10)
        few.to_parquet(folder / "few.parquet")
        reading = [name for name, plugin in plugins.items() if "predictions" in (*plugin.NEEDS, *plugin.USES)]
        report(
            f"Predictions of 200 runs x {arguments.examples:,} examples x 10 classes",
            reading,
            folder / "few.parquet",
            manifests,
            folder,
        )


if __name__ == "__main__":
    main()
