"""Completeness and memory of a study of many small runs whose jobs are killed at random.

    python benchmarks/kills.py [--runs 2000] [--share 0.02] [--cores 2] [--seeds-per-job 10] [--compare]

A small MobileNet with random weights is trained for two epochs on 40 digits, once per seed, in a temporary copy of the
checkout. Each time that 1 / share more runs have finished, a running job of Snakemake is killed (SIGKILL) after a
random delay; Snakemake starts it again (`--retries`). Prints the number of kills, the number of runs in all manifests
and the memory of Snakemake's process by share of the runs. With --compare the study runs again without kills, and the
number of files that differ is printed: checkpoints, predictions, and learning curves without their times.
"""

import argparse
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow" / "lib"), str(ROOT / "tests")]

#: Longest delay before a kill, in seconds: longer than a job takes to start, so that training is hit, too.
DELAY = 8.0


def log(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


def config(runs: int, seeds_per_job: int) -> dict:
    small = {"width_mult": 0.25, "inverted_residual_setting": [[1, 8, 1, 1], [3, 16, 2, 2]]}
    split = {"train": 40, "validation": 20, "test": 40}
    return {
        "study": "kills",
        "seeds": list(range(runs)),
        "models": {"small": {"architecture": "mobilenet_v2", "weights": "none", "options": small}},
        "tasks": {"digits": {"dataset": "digits", "image": {"size": 16}, "split": split}},
        "methods": {"full": {}},
        "recipe": {"epochs": 2, "batch_size": 20},
        "compute": {"seeds_per_job": seeds_per_job},
    }


class Killer:
    """Kills of running jobs, spread over the runs of a study."""

    def __init__(self, process: psutil.Process, share: float, seed: int):
        self.process, self.every, self.random = process, 1 / share if share else float("inf"), random.Random(seed)
        self.kills, self._due = 0, self.every

    def visit(self, finished: int) -> None:
        """Kill a job if as many runs have finished since the last kill."""
        if finished < self._due:
            return
        self._due += self.every
        time.sleep(self.random.uniform(0, DELAY))
        jobs = [child for child in self.process.children(recursive=True) if _is_job(child)]
        if jobs:
            self.random.choice(jobs).send_signal(signal.SIGKILL)
            self.kills += 1


def _is_job(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return any(re.search(r"scripts/\w+\.(finetune|predict|prepare)\.py$", word) for word in words) and "-c" not in words


def run(folder: Path, runs: int, share: float, cores: int) -> dict:
    """Run the study with kills; return facts about it."""
    command = [sys.executable, "-m", "snakemake", "runs", "--configfile", "study.json", "--cores", str(cores)]
    started, memory = time.perf_counter(), []
    with open(folder / "snakemake.log", "w") as output:
        process = subprocess.Popen([*command, "--retries", "20"], cwd=folder, stdout=output, stderr=output)
        watched = psutil.Process(process.pid)
        killer = Killer(watched, share, runs)
        while process.poll() is None:
            finished = sum(1 for _ in folder.glob("results/kills/finetune/small/digits/full/*/run.json"))
            memory.append((finished / runs, watched.memory_info().rss / 1e6))
            killer.visit(finished)
            time.sleep(0.5)
    manifests = [json.loads(path.read_text()) for path in folder.glob("results/kills/predict/*/*/*/block-*.json")]
    seeds = sorted(entry["seed"] for manifest in manifests for entry in manifest["runs"])
    return {
        "exit status": process.returncode,
        "runs": runs,
        "complete": len(seeds) if seeds == list(range(len(seeds))) else "not all seeds, or some twice",
        "kills": killer.kills,
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "MB of the main process by share of the runs": _by_share(memory),
    }


def _by_share(memory: list[tuple[float, float]]) -> dict[str, int]:
    """Return the largest memory up to each tenth of the runs."""
    tenths = [tenth / 10 for tenth in range(1, 11)]
    return {f"{tenth:.0%}": round(max(mb for share, mb in memory if share <= tenth)) for tenth in tenths}


def differing(first: Path, second: Path) -> list[str]:
    """Return the files of runs that are not the same in both folders."""
    patterns = ("finetune/*/*/*/*/checkpoint.safetensors", "finetune/*/*/*/*/history.csv", "predict/*/*/*/*.parquet")
    names = {
        path.relative_to(folder) for folder in (first, second) for pattern in patterns for path in folder.glob(pattern)
    }
    return sorted(str(name) for name in names if _content(first / name) != _content(second / name))


def _content(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    if path.suffix != ".csv":
        return path.read_bytes()
    # The last two columns are times.
    return b"\n".join(b",".join(line.split(b",")[:-2]) for line in path.read_bytes().splitlines())


def main() -> None:
    from support import Checkout

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seeds-per-job", type=int, default=10)
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder, name) for name in ("killed", "undisturbed")[: 1 + options.compare]]
        for copy, share in zip(copies, (options.share, 0.0), strict=False):
            Checkout.of_project(copy)
            text = json.dumps(config(options.runs, options.seeds_per_job))
            (copy / "study.json").write_text(text)
            facts = run(copy, options.runs, share, options.cores)
            print(json.dumps(facts, indent=1), flush=True)
            if facts["exit status"]:
                shutil.copy(copy / "snakemake.log", "snakemake-kills.log")
                sys.exit("Snakemake failed; its output is in snakemake-kills.log")
        if options.compare:
            different = differing(*(copy / "results" / "kills" for copy in copies))
            print(json.dumps({"files that differ": len(different), "the first": different[:3]}))


if __name__ == "__main__":
    main()
