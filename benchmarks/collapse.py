"""Level and power of the decisions where single runs collapse, next to those of Student's t alone.

Simulates the runs of tasks, of which a share collapses to chance, marks them as the workflow does (``run_flags``),
decides with the library's functions and prints tables in Markdown; the docs contain an excerpt. A rate p from S
simulations has a standard error of sqrt(p (1 - p) / S): 0.7 points at 5 % and S = 1,000.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

from variability.results import metric_scales, run_flags, runs_table
from variability.stats import pair_tests, resampling, simultaneous

ALPHA = 0.05
RESAMPLES = 1000
#: Good runs, collapsed ones, and their SDs.
GOOD, SD, COLLAPSED, SD_COLLAPSED = 0.9, 0.01, 0.1, 0.02
SHARES = (0.0, 0.05, 0.2)
#: Numbers of runs of both sides.
SIZES = ((3, 3), (5, 5), (10, 10), (5, 100))
SPREADS = {"equal SDs": (1, 1), "SDs 1 and 5": (1, 5), "SDs 5 and 1": (5, 1)}


def sample(rng, simulations: int, sizes, sds, shares, means) -> np.ndarray:
    """Return (simulations, candidates, runs) accuracies, NaN beyond the size of a candidate."""
    values = np.full((simulations, len(sizes), max(sizes)), np.nan)
    for index, (size, sd, share, mean) in enumerate(zip(sizes, sds, shares, means, strict=True)):
        good = GOOD + SD * mean + SD * sd * rng.standard_normal((simulations, size))
        collapsed = COLLAPSED + SD_COLLAPSED * rng.standard_normal((simulations, size))
        values[:, index, :size] = np.where(rng.random((simulations, size)) < share, collapsed, good)
    return values


def separate(values: np.ndarray) -> np.ndarray:
    """Return which runs of (simulations, candidates, runs) are far from the others of their cell."""
    tasks, models, seeds = (index.ravel() for index in np.indices(values.shape))
    rows = pd.DataFrame({"task": tasks, "model": models, "method": "full", "seed": seeds, "value": values.ravel()})
    rows = rows[rows["value"].notna()]
    facts = {"phase": "after", "split": "test", "metric": "accuracy", "status": "completed", "higher_is_better": True}
    facts |= {"range_low": 0.0, "range_high": 1.0}
    rows = metric_scales.with_declared(rows.reindex(columns=runs_table.COLUMNS).assign(**facts), {})
    marked = run_flags.with_separate(rows, rows)
    result = np.zeros(values.shape, dtype=bool)
    result[marked["task"], marked["model"], marked["seed"]] = marked["separate"]
    return result


def decide(rng, values: np.ndarray, marked: np.ndarray) -> simultaneous.Decisions:
    unpaired = np.zeros((len(values), len(values)), dtype=bool)
    facts = pair_tests.plain(values)._replace(separate=marked)
    return simultaneous.decide(values, unpaired, ALPHA, rng, RESAMPLES, facts)


def rates(rng, simulations: int, *truth) -> tuple[np.ndarray, np.ndarray]:
    """Return rates of "a is decided to be better" by (this rule, t alone): (2, candidates, candidates), and best."""
    values = sample(rng, simulations, *truth)
    marked = separate(values)
    beats, best = np.zeros((2, values.shape[1], values.shape[1], simulations)), np.zeros((2, values.shape[1]))
    for index in range(simulations):
        for rule, marks in enumerate((marked[index], np.zeros_like(marked[index]))):
            result = decide(rng, values[index], marks)
            beats[rule, result.pairs.a, result.pairs.b, index] = result.beats
            best[rule, result.order[0]] += result.best
    return beats, best / simulations


def two(rng, simulations: int) -> Iterator[tuple[str, str, list[str]]]:
    """Yield false decisions about two equal candidates, and true ones about two that differ by 5 SD."""
    for gap, name in ((0, "equal"), (5, "5 SD apart")):
        for spread, sds in SPREADS.items() if not gap else (("equal SDs", (1, 1)),):
            cells = {share: [] for share in SHARES}
            for share in SHARES:
                for sizes in SIZES:
                    beats, _ = rates(rng, simulations, sizes, sds, (share, share), (gap, 0))
                    shown = beats[:, 0, 1] if gap else beats.max(axis=(1, 2))
                    cells[share].append(" / ".join(f"{100 * rate:.1f}" for rate in shown.mean(axis=-1)))
            for share, row in cells.items():
                yield f"{name}; {spread}", f"{100 * share:.0f} %", row


def many(rng, simulations: int) -> Iterator[tuple[str, str, list[str]]]:
    """Yield false decisions about 3, 6 and 20 candidates, and how often the best of them is named."""
    for count in (3, 6, 20):
        for truth, means in {
            "all are equal": np.zeros(count),
            "two tie, the others 20 SD behind": -20 * (np.arange(count) > 1.0),
            "the first is 5 SD ahead": 5.0 * (np.arange(count) == 0),
        }.items():
            for share in SHARES:
                row = []
                for size in (5, 10):
                    beats, best = rates(rng, simulations, [size] * count, [1] * count, [share] * count, means)
                    if truth.startswith("the first"):
                        row.append(" / ".join(f"{100 * rate:.1f}" for rate in best[:, 0]))
                        continue
                    false = means[:, None] <= means
                    wrong = beats[:, false].max(axis=1).mean(axis=-1)
                    row.append(" / ".join(f"{100 * rate:.1f}" for rate in wrong))
                yield f"{count} candidates, {truth}", f"{100 * share:.0f} %", row


def show(head: list[str], rows: Iterator[tuple[str, str, list[str]]]) -> None:
    print("| truth | collapsed runs | " + " | ".join(head) + " |\n|" + "---|" * (len(head) + 2))
    for truth, share, cells in rows:
        print(f"| {truth} | {share} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started, count = time.perf_counter(), arguments.simulations
    print(
        f"Any decision about two candidates in % of {count:,} tasks, this rule / t alone: false ones if they are equal,"
    )
    print("true ones if the first is better. Runs of both sides:\n")
    show([f"{a} and {b}" for a, b in SIZES], two(resampling.generator(arguments.seed, "two"), count))
    fewer = max(count // 2, 1)
    print(f'\nAny false "A beats B", or the best one is named, in % of {fewer:,} tasks, this rule / t alone.\n')
    show(["5 runs each", "10 runs each"], many(resampling.generator(arguments.seed, "many"), fewer))
    print(f"\n{time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
