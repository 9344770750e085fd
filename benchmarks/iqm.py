"""Interquartile mean with its bootstrap interval: this project's and rliable's, side by side in one run.

    .venv/bin/python benchmarks/iqm.py [repetitions [resamples]]

Both get the same scores and make equally many stratified resamples; times are of the bootstrap alone, without
starting Python. rliable runs in an environment of its own, made at the first start under benchmarks/.rliable-venv.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEER = HERE / ".rliable-venv"
SHAPES = ((10, 26), (100, 20))
LEVEL = 0.95
# One thread for each, so that what is compared is the work and not the number of cores.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# Reads scores (runs, tasks); writes low, high, seconds of wall time, seconds of the processor.
OF_RLIABLE = """
import sys, time
import numpy as np
from rliable import library, metrics
scores = np.load(sys.argv[1], allow_pickle=False)
np.random.seed(int(sys.argv[3]))
wall, cpu = time.perf_counter(), time.process_time()
_, ends = library.get_interval_estimates(
    {"all": scores}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=int(sys.argv[4]),
    confidence_interval_size=float(sys.argv[5]))
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
np.save(sys.argv[2], np.array([*ends["all"].ravel(), wall, cpu]), allow_pickle=False)
"""


def main(repetitions: int = 5, resamples: int = 50_000) -> None:
    import numpy as np

    peer = environment()
    print(f"{resamples} resamples, {repetitions} repetitions, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for runs, tasks in SHAPES:
        means = np.random.default_rng(0).uniform(0.3, 0.9, tasks)
        scores = np.random.default_rng(1).normal(means, 0.1, (runs, tasks))
        # In turn, so that whatever else the machine does falls on both alike.
        both = [(ours(scores, seed, resamples), theirs(peer, scores, seed, resamples)) for seed in range(repetitions)]
        report(f"{runs} runs x {tasks} tasks", *map(np.array, zip(*both, strict=True)))


def environment() -> Path:
    """The peer's Python, installed where it is not there yet."""
    python = PEER / "bin" / "python"
    done = PEER / "installed"
    if not done.exists():
        venv.create(PEER, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "rliable.in"], check=True)
        done.touch()
    return python


def ours(scores, seed, resamples):
    """low, high, wall seconds, processor seconds."""
    import numpy as np

    sys.path.insert(0, str(HERE.parent / "workflow" / "lib"))
    from variability.stats import resampling, robust_aggregates

    runs, tasks = scores.shape
    rng = np.random.default_rng(seed)
    wall, cpu = time.perf_counter(), time.process_time()
    pool = robust_aggregates.Pool.of(
        scores.ravel(), np.tile(np.arange(tasks), runs), np.repeat(np.arange(runs), tasks), tasks, runs
    )
    draws = robust_aggregates.stratified(pool, rng, resamples)
    replicates = np.concatenate(
        [robust_aggregates.interquartile_mean(pool, robust_aggregates.cumulative(weights)) for weights in draws]
    )
    ends = resampling.percentile_interval(replicates, LEVEL)
    return *ends, time.perf_counter() - wall, time.process_time() - cpu


def theirs(python, scores, seed, resamples):
    """As ``ours``, by rliable."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "scores.npy", Path(folder) / "found.npy"
        np.save(given, scores, allow_pickle=False)
        told = [str(each) for each in (given, found, seed, resamples, LEVEL)]
        subprocess.run([python, "-c", OF_RLIABLE, *told], check=True)
        return tuple(np.load(found, allow_pickle=False))


def report(name, mine, other):
    """Times and ratios; the ends of the intervals, and how far they lie apart in standard errors of that difference.

    A repetition's ends are random; their SD over repetitions is the Monte-Carlo error of one.
    """
    import numpy as np

    print(f"\n{name}")
    for at, clock in ((2, "wall"), (3, "processor")):
        ratios = other[:, at] / mine[:, at]
        print(
            f"  {clock:9} seconds, median: ours {np.median(mine[:, at]):.2f}, rliable {np.median(other[:, at]):.2f}; "
            f"ratio {np.median(ratios):.1f} ({ratios.min():.1f} to {ratios.max():.1f}, n = {len(ratios)})"
        )
    for at, end in enumerate(("low", "high")):
        apart = mine[:, at].mean() - other[:, at].mean()
        error = np.sqrt((mine[:, at].var(ddof=1) + other[:, at].var(ddof=1)) / len(mine))
        means = f"ours {mine[:, at].mean():.6f}, rliable {other[:, at].mean():.6f}"
        print(f"  {end:4} {means}; apart {apart:+.1e} = {apart / error:+.1f} standard errors of {error:.1e}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
