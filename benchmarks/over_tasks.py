"""Level, power and coverage of the decisions over all tasks, next to Holm's adjustment and Nemenyi's test.

Simulates tables of candidates, tasks and seeds whose truth is known and prints four tables in Markdown; the docs
contain an excerpt. A rate p from S simulations has a standard error of sqrt(p (1 - p) / S).
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

from variability.stats import comparisons, over_tasks, resampling, shared_ranks

ALPHA = 0.05
TASKS = (6, 11, 20, 40)
#: Numbers of tasks of the table of intervals.
FEW_TASKS = (2, 3, 4, 5, 6, 11, 20, 40)
CANDIDATES = (2, 3, 6, 20)
RESAMPLES = 4000


def effects() -> dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]]:
    """Return samplers of what a task adds to each candidate: mean 0 and SD 1."""
    return {
        "normal": lambda rng, size: rng.standard_normal(size),
        "skewed (exponential)": lambda rng, size: rng.standard_exponential(size) - 1,
        "heavy tails (t, 3 degrees of freedom)": lambda rng, size: rng.standard_t(3, size) / np.sqrt(3),
    }


def decide(rng: np.random.Generator, values: np.ndarray) -> over_tasks.OverTasks:
    """Decide about values (candidates, tasks)."""
    return over_tasks.decide(values[:, None] - values, ALPHA, rng, RESAMPLES)


def rows(simulations: int, seed: int, rates: Callable) -> Iterator[tuple[str, str, dict[int, str]]]:
    """Yield the rates of all numbers of candidates and distributions, by number of tasks."""
    for candidates in CANDIDATES:
        for name, sampler in effects().items():
            rng = resampling.generator(seed, rates.__name__, str(candidates), name)
            by_tasks = {tasks: rates(rng, sampler, candidates, tasks, simulations) for tasks in TASKS}
            yield f"{candidates} candidates", name, by_tasks


def level(rng, sampler, candidates, tasks, simulations) -> str:
    """Return how often anything false is decided if all candidates are equal; and if one is far behind."""
    false = np.zeros(2)
    for _ in range(simulations):
        values = sampler(rng, (candidates, tasks))
        false[0] += decide(rng, values).beats.any()
        if candidates > 2:
            values = sampler(rng, (candidates, tasks))
            values[-1] -= 20
            result = decide(rng, values)
            false[1] += (result.beats & (result.b != candidates - 1)).any()
    return " / ".join(f"{100 * rate / simulations:.1f}" for rate in false[: 1 + (candidates > 2)])


def power(rng, sampler, candidates, tasks, simulations) -> str:
    """Return the share of true differences that are decided if candidates differ by 0.5 SD each."""
    shown = np.zeros(3)
    means = -0.5 * np.arange(candidates)[:, None]
    for _ in range(simulations):
        values = means + sampler(rng, (candidates, tasks))
        result = decide(rng, values)
        right = result.a < result.b
        average = stats.rankdata(-values, axis=0).mean(axis=1)
        apart = average[result.b] - average[result.a] >= comparisons.nemenyi_cd(max(candidates, 2), tasks, 1 - ALPHA)
        shown += [(found & right).mean() for found in (result.beats, result.p_holm <= ALPHA, apart)]
    return " / ".join(f"{100 * rate / simulations:.0f}" for rate in shown)


def coverage(rng, sampler, candidates, tasks, simulations) -> str:
    """Return how often all true ranks are within their limits, if the candidates form three groups of ties."""
    means = -1.5 * (np.arange(candidates) * 3 // candidates)
    lowest = 1 + (means[:, None] < means).sum(axis=1)
    highest = candidates - (means[:, None] > means).sum(axis=1)
    covered = width = 0.0
    for _ in range(simulations):
        result = decide(rng, means[:, None] + sampler(rng, (candidates, tasks)))
        everybody = np.ones(candidates, dtype=bool)
        limits = shared_ranks.of_decisions(result.a, result.b, result.beats, result.order, everybody)
        covered += ((limits.rank_low <= lowest) & (limits.rank_high >= highest)).all()
        width += (limits.rank_high - limits.rank_low + 1).mean()
    return f"{100 * covered / simulations:.1f} ({width / simulations:.1f})"


def intervals(simulations: int, seed: int) -> Iterator[str]:
    """Yield rows of a table: coverage in % and mean half-width in SDs of the t interval of the mean difference."""
    for name, sampler in effects().items():
        rng = resampling.generator(seed, "intervals", name)
        cells = []
        for tasks in FEW_TASKS:
            differences = np.subtract(*sampler(rng, (2, simulations * tasks))).reshape(-1, tasks)
            half = stats.t.ppf(1 - ALPHA / 2, tasks - 1) * over_tasks.standard_error(differences)
            covered = np.abs(differences.mean(axis=1)) <= half
            cells.append(f"{100 * covered.mean():.1f} ({half.mean() / np.sqrt(2):.1f})")
        yield f"| {name} | " + " | ".join(cells) + " |"


def show(head: str, table: Iterator[tuple[str, str, dict[int, str]]]) -> None:
    """Print a table row by row, as the simulations take long."""
    print(f"\n{head}\n\n| | effects of tasks | " + " | ".join(f"{n} tasks" for n in TASKS) + " |")
    print("|" + "---|" * (len(TASKS) + 2))
    for name, truth, rates in table:
        print(f"| {name} | {truth} | " + " | ".join(rates[n] for n in TASKS) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started, count = time.perf_counter(), arguments.simulations
    heads = {
        level: 'any false "A beats B", all equal / one far behind, in %',
        power: "true differences that are decided, in %: this rule / Holm / Nemenyi",
        coverage: "all true ranks are within their limits, in % (mean number of ranks of a candidate)",
    }
    for rates, head in heads.items():
        show(f"{head} ({count:,} simulations)", rows(count, arguments.seed, rates))
    print(f"\nt interval of the mean difference: coverage in % (half-width in SDs; {100 * count:,} simulations)\n")
    print(
        "| effects of tasks | " + " | ".join(f"{n} tasks" for n in FEW_TASKS) + " |\n|" + "---|" * (len(FEW_TASKS) + 1)
    )
    print("\n".join(intervals(100 * count, arguments.seed)))
    print(f"\n{time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
