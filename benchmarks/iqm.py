"""Interquartile mean with its bootstrap interval: this project's and rliable's, side by side in one run.

    .venv/bin/python benchmarks/iqm.py [repetitions [resamples]]

Both get the same scores and make equally many stratified resamples; times are of the bootstrap alone, without
starting Python. rliable runs in a separate environment, which the first start creates in benchmarks/.rliable-venv.
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
# One thread for each, so that the comparison is of the work and not of the number of cores.
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
        # In turn, so that other load on the machine affects both alike.
        both = [(ours(scores, seed, resamples), theirs(peer, scores, seed, resamples)) for seed in range(repetitions)]
        report(f"{runs} runs x {tasks} tasks", *map(np.array, zip(*both, strict=True)))


def environment() -> Path:
    """Return the peer's Python, after installing it if it is missing."""
    python = PEER / "bin" / "python"
    done = PEER / "installed"
    if not done.exists():
        venv.create(PEER, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "rliable.in"], check=True)
        done.touch()
    return python


def ours(scores, seed, resamples):
    """Return low, high, wall seconds and processor seconds of this project's interval."""
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
    """Return the same as ``ours``, of rliable."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "scores.npy", Path(folder) / "interval.npy"
        np.save(inputs, scores, allow_pickle=False)
        arguments = [str(argument) for argument in (inputs, outputs, seed, resamples, LEVEL)]
        subprocess.run([python, "-c", OF_RLIABLE, *arguments], check=True)
        return tuple(np.load(outputs, allow_pickle=False))


def report(name, mine, other):
    """Print times and ratios, and the ends of the intervals with their difference in standard errors of it.

    The ends of a repetition are random; their SD over repetitions is the Monte-Carlo error of one.
    """
    import numpy as np

    print(f"\n{name}")
    for column, clock in ((2, "wall"), (3, "processor")):
        ratios = other[:, column] / mine[:, column]
        medians = f"ours {np.median(mine[:, column]):.2f}, rliable {np.median(other[:, column]):.2f}"
        print(
            f"  {clock:9} seconds, median: {medians}; "
            f"ratio {np.median(ratios):.1f} ({ratios.min():.1f} to {ratios.max():.1f}, n = {len(ratios)})"
        )
    for column, end in enumerate(("low", "high")):
        difference = mine[:, column].mean() - other[:, column].mean()
        error = np.sqrt((mine[:, column].var(ddof=1) + other[:, column].var(ddof=1)) / len(mine))
        means = f"ours {mine[:, column].mean():.6f}, rliable {other[:, column].mean():.6f}"
        in_errors = f"{difference / error:+.1f} standard errors of {error:.1e}"
        print(f"  {end:4} {means}; difference {difference:+.1e} = {in_errors}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
