"""Level and power of the decisions "A beats B" and "A is the best", next to those of other procedures.

Simulates the runs of tasks whose truth is known, decides them with the library's functions and prints three tables in
Markdown; the docs contain an excerpt. A rate p from S simulations has a standard error of sqrt(p (1 - p) / S): 0.7
points at 5 % and S = 1,000.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

from variability import registry
from variability.results import metric_scales, runs_table
from variability.stats import comparisons, resampling, shared_ranks, simultaneous

ALPHA = 0.05
SEEDS = (3, 5, 10)
CANDIDATES = (2, 3, 6, 20)
RESAMPLES = 1000
#: SD of what the runs of a seed have in common, where they are pairs.
SHARED = 1.0


def spreads(candidates: int) -> dict[str, np.ndarray]:
    """Return SDs of the candidates: equal ones, and ones of which the largest is ten times the smallest."""
    return {"equal SDs": np.ones(candidates), "SDs from 0.3 to 3": np.geomspace(0.3, 3, candidates)}


def sample(rng: np.random.Generator, means: np.ndarray, sds: np.ndarray, seeds: int, paired: bool) -> np.ndarray:
    """Sample (candidates, seeds) normal values."""
    values = means[:, None] + sds[:, None] * rng.standard_normal((len(means), seeds))
    return values + SHARED * rng.standard_normal(seeds) * paired


def decide(rng: np.random.Generator, values: np.ndarray, paired: bool) -> simultaneous.Decisions:
    every = np.full((len(values), len(values)), paired)
    return simultaneous.decide(values, every, ALPHA, rng, RESAMPLES)


# Level --------------------------------------------------------------------------------------------------------------


def level(rng: np.random.Generator, simulations: int) -> Iterator[tuple[str, str, dict[int, str]]]:
    """Yield rates of false statements: of any "A beats B", and of a winner among candidates that share the lead."""
    for candidates in CANDIDATES:
        truths = {"all are equal": np.zeros(candidates)}
        if candidates > 2:
            truths |= {
                f"two tie, the others {gap} SD behind": -gap * (np.arange(candidates) > 1.0) for gap in (1, 2, 9)
            }
        for truth, means in truths.items():
            for spread, sds in spreads(candidates).items():
                for paired in (False, True):
                    rates = {n: _false(rng, means, sds, n, paired, simulations) for n in SEEDS}
                    condition = f"{truth}; {spread}; {'pairs' if paired else 'unpaired'}"
                    yield f"{candidates} candidates", condition, rates


def _false(rng, means, sds, seeds, paired, simulations) -> str:
    beats = winner = 0
    for _ in range(simulations):
        decisions = decide(rng, sample(rng, means, sds, seeds, paired), paired)
        a, b = decisions.pairs.a, decisions.pairs.b
        beats += bool((decisions.beats & (means[a] <= means[b])).any())
        winner += decisions.best
    return f"{100 * beats / simulations:.1f} / {100 * winner / simulations:.1f}"


# Power --------------------------------------------------------------------------------------------------------------


def power(rng: np.random.Generator, simulations: int) -> Iterator[tuple[str, str, dict[int, str]]]:
    """Yield rates at which the true best candidate, two SD ahead, is shown to differ from every other."""
    for candidates in CANDIDATES[1:]:
        for behind in ("all tied", "each 0.5 SD behind the one before"):
            steps = np.arange(candidates - 1) * (0.5 if behind != "all tied" else 0.0)
            means = np.concatenate([[0.0], -2.0 - steps])
            rates = {n: _shown(rng, means, n, simulations) for n in SEEDS}
            yield f"{candidates} candidates", f"the others {behind}", rates


def _shown(rng, means, seeds, simulations) -> str:
    rates = np.zeros(4)
    for _ in range(simulations):
        values = sample(rng, means, np.ones(len(means)), seeds, paired=False)
        decisions = decide(rng, values, paired=False)
        pairs, rivals = decisions.pairs, decisions.pairs.a == 0
        rates[0] += decisions.best and decisions.order[0] == 0
        if rivals.sum() == len(means) - 1:
            pooled = (seeds - 1) * len(means)
            t = pairs.difference / np.sqrt(2 * values.var(axis=1, ddof=1).mean() / seeds)
            rates[1:] += [
                (comparisons.holm(pairs.p)[rivals] <= ALPHA).all(),
                (pairs.t[rivals] >= _studentized(len(means), pairs.df[rivals])).all(),
                (t[rivals] >= _studentized(len(means), np.array([pooled]))).all(),
            ]
    return " / ".join(f"{100 * rate / simulations:.0f}" for rate in rates)


def _studentized(candidates: int, df: np.ndarray) -> np.ndarray:
    """Return critical values of |t| from the studentised range."""
    grid, values = _table_of_range(candidates)
    return np.interp(1 / df, grid, values)


@lru_cache
def _table_of_range(candidates: int) -> tuple[np.ndarray, np.ndarray]:
    df = np.array([1000, 200, 100, 60, 40, 30, 20, 15, 12, 10, 9, 8, 7, 6, 5, 4.5, 4, 3.5, 3, 2.75, 2.5, 2.25, 2])
    return 1 / df, stats.studentized_range.ppf(1 - ALPHA, candidates, df) / np.sqrt(2)


# Ties ---------------------------------------------------------------------------------------------------------------


def ties(rng: np.random.Generator, simulations: int) -> Iterator[tuple[str, str, dict[int, str]]]:
    """Yield rates at which the limits of ranks contain all true ranks, of rounded scores, many of which are equal."""
    for candidates in (3, 6):
        for truth, means in {
            "all are equal": np.zeros(candidates),
            "two groups, 2 SD apart, ties in the first": -2.0 * (np.arange(candidates) > candidates // 2),
        }.items():
            for step in (0.0, 0.5, 1.0):
                rounded = f"scores rounded to {step:g} SD" if step else "scores not rounded"
                rates = {n: _covered(rng, means, step, n, simulations) for n in SEEDS}
                yield f"{candidates} candidates", f"{truth}; {rounded}", rates


def _covered(rng, means, step, seeds, simulations) -> str:
    lowest = 1 + (means[:, None] < means).sum(axis=1)
    highest = len(means) - (means[:, None] > means).sum(axis=1)
    values = means[:, None] + rng.standard_normal((simulations, len(means), seeds))
    values = step * np.round(values / step) if step else values
    shared = 0
    for one in values:
        decisions = decide(rng, one, paired=False)
        everybody = np.ones(len(means), dtype=bool)
        pairs = decisions.pairs
        limits = shared_ranks.of_decisions(pairs.a, pairs.b, decisions.beats, decisions.order, everybody)
        shared += bool(((limits.rank_low <= lowest) & (limits.rank_high >= highest)).all())
    return f"{100 * shared / simulations:.1f} / {100 * _named_by_bootstrap(values):.1f}"


def _named_by_bootstrap(values: np.ndarray) -> float:
    """Return how often the analysis ``ranks`` has one candidate first in 95 % of its replicates."""
    tasks, models, seeds = (index.ravel() for index in np.indices(values.shape))
    facts = {"method": "full", "phase": "after", "split": "test", "metric": "score", "status": "completed"}
    facts |= {"primary": True, "higher_is_better": True, "pairing": "auto", "source": "simulation", "weights": "none"}
    rows = pd.DataFrame({"task": tasks, "model": models, "seed": seeds, "value": values.ravel()}).assign(**facts)
    rows = metric_scales.with_declared(rows.reindex(columns=runs_table.COLUMNS), {})
    rows = rows.astype({"task": "str", "model": "str"})
    table = registry.find("analyses", "ranks")({"resamples": RESAMPLES}).table({"runs": rows})
    return float((table.groupby("task")["check_p_best"].max() >= 1 - ALPHA).mean())


# Tables -------------------------------------------------------------------------------------------------------------


def show(rows: Iterator[tuple[str, str, dict[int, str]]]) -> None:
    """Print a table row by row, as the simulations take long."""
    print("| task | truth | " + " | ".join(f"n = {n}" for n in SEEDS) + " |\n|" + "---|" * (len(SEEDS) + 2))
    for name, truth, rates in rows:
        print(f"| {name} | {truth} | " + " | ".join(rates[n] for n in SEEDS) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.perf_counter()
    count = arguments.simulations
    print(
        f'False statements in % of tasks at a nominal 5 %, {count:,} simulations: any false "A beats B" / a winner is'
    )
    print("named although two or more share the lead.\n")
    show(level(resampling.generator(arguments.seed, "level"), count))
    print(
        f"\nThe true best is shown to differ from every other, in % of {count:,} tasks: this rule / Holm over all pairs"
    )
    print("(Welch) / Games and Howell / Tukey (which assumes equal SDs).\n")
    show(power(resampling.generator(arguments.seed, "power"), count))
    print(f"\nAll true ranks are within their limits (shared ranks), in % of {count:,} tasks / one candidate is first")
    print("in 95 % of the replicates of `ranks`, although two or more share the first place.\n")
    show(ties(resampling.generator(arguments.seed, "ties"), count))
    print(f"\n{time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
