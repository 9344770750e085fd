"""Achieved coverage of nominal 95 % intervals, and false alarms of verdicts at a nominal 5 %.

Simulates studies whose truth is known, analyses them with the library's functions and prints two tables in Markdown;
the docs contain the output of ``python benchmarks/coverage.py --simulations 4000``. A rate p from S simulations has a
standard error of sqrt(p (1 - p) / S): 0.34 points at 95 % and S = 4,000.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

from variability.reporting.analyses import noise_split
from variability.results.predictions import Cube
from variability.stats import (
    comparisons,
    finite_population,
    intervals,
    resampling,
    robust_aggregates,
    variance_components,
)

LEVEL = 0.95
COUNTS = (3, 5, 10, 20, 30)
RESAMPLES = 1000
Row = tuple[str, str, dict[int, float]]


# Runs of one cell -------------------------------------------------------------------------------------------------


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Sample values of mean 0 and SD 1."""
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Sample values of mean 0 and SD 1 with a long lower tail: skewness -1.41, as of accuracies near 1."""
    return -(rng.gamma(2, size=shape) - 2) / np.sqrt(2)


def failing(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Sample values of mean 0 of which one in ten is 10 SD below the others."""
    return rng.standard_normal(shape) - 10.0 * (rng.random(shape) < 0.1) + 1.0


SHAPES = {"normal": (normal, 1.0), "skewed": (skewed, 1.0), "10 % failing, not separated": (failing, np.sqrt(10.0))}


def of_one_cell(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    for shape, (draw, sd) in SHAPES.items():
        values = {n: draw(rng, (simulations, n)) for n in COUNTS}
        more = {n: draw(rng, (simulations,)) for n in COUNTS}
        moments = {n: (each.mean(1), each.std(1, ddof=1), n) for n, each in values.items()}
        yield "mean, t", shape, {n: _holds(intervals.t_interval(*moments[n], LEVEL), 0.0) for n in COUNTS}
        yield "mean, percentile bootstrap", shape, {n: _holds(_bootstrap(rng, values[n]), 0.0) for n in COUNTS}
        yield (
            "next run, t prediction",
            shape,
            {n: _holds(intervals.prediction_interval(*moments[n], LEVEL), more[n]) for n in COUNTS},
        )
        yield "SD, chi-square", shape, {n: _holds(intervals.sd_interval(*moments[n][1:], LEVEL), sd) for n in COUNTS}
    others = {n: _moments_without_failed(failing(rng, (simulations, n)) - 1.0) for n in COUNTS}
    yield (
        "mean of the others, t",
        "10 % failing, separated as in `failures`",
        {n: _holds(intervals.t_interval(*others[n], LEVEL), 0.0) for n in COUNTS},
    )


def _moments_without_failed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, SD and number of the runs that are at most 5 scaled MAD below the median."""
    median = np.median(values, axis=1, keepdims=True)
    mad = np.median(np.abs(values - median), axis=1, keepdims=True)
    rest = np.where(values >= median - 5 * 1.4826 * mad, values, np.nan)
    n = (~np.isnan(rest)).sum(axis=1)
    mean = np.nansum(rest, axis=1) / n
    sd = np.sqrt(np.nansum(np.square(rest - mean[:, None]), axis=1) / np.maximum(n - 1, 1))
    return mean, sd, n


# Two cells --------------------------------------------------------------------------------------------------------


def of_two_cells(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    for shape, (draw, _) in list(SHAPES.items())[:2]:
        rates = {}
        for n in COUNTS:
            a, b = draw(rng, (simulations, n)), 2 * draw(rng, (simulations, n))
            rates[n] = _holds(intervals.welch_interval(*_moments(a), *_moments(b), LEVEL), 0.0)
        yield "difference of means, Welch", f"{shape}, SDs 1 and 2", rates
    rates = {}
    for n in COUNTS:
        a, b = (
            each + shared for shared in [normal(rng, (simulations, n))] for each in normal(rng, (2, simulations, n))
        )
        rates[n] = _holds(intervals.t_interval(*_moments(a - b), LEVEL), 0.0)
    yield "difference of means, paired t", "normal, half of the variance shared", rates
    for probability, shift in ((0.5, 0.0), (0.75, 0.9539), (0.95, 2.3262)):
        rates = {}
        for n in COUNTS:
            a, b = normal(rng, (simulations, n)) + shift, normal(rng, (simulations, n))
            share, _ = comparisons.superiority(a, b)
            rates[n] = _holds(comparisons.superiority_interval(share, n, n, LEVEL), probability)
        yield "P(A > B), Newcombe", f"normal, truth {probability:g}", rates


# Proportions ------------------------------------------------------------------------------------------------------


def of_proportions(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    for examples in (100, 1000):
        for accuracy in (0.5, 0.9, 0.99):
            right = rng.binomial(examples, accuracy, simulations)
            covered = _holds(intervals.wilson_interval(right, examples, LEVEL), accuracy)
            yield "accuracy of one run, Wilson", f"{examples} examples, truth {accuracy:g}", {0: covered}
    for rate in (0.1, 0.3):
        rates = {n: _wilson(rng, n, rate, simulations) for n in COUNTS}
        yield "rate of failed runs, Wilson", f"truth {rate:g}", rates


def _wilson(rng: np.random.Generator, n: int, rate: float, simulations: int) -> float:
    return _holds(intervals.wilson_interval(rng.binomial(n, rate, simulations), n, LEVEL), rate)


# Runs crossed with examples ---------------------------------------------------------------------------------------


def of_noise_split(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    simulations = max(simulations // 4, 1)
    for sd in (0.005, 0.02):
        rates = {}
        for n in COUNTS[:3]:
            cells = (noise_split._split(_cube(rng, n, 1000, sd), LEVEL) for _ in range(simulations))
            ends = np.array([(cell["sd_seed_low"], cell["sd_seed_high"]) for cell in cells])
            rates[n] = _holds((ends[:, 0], ends[:, 1]), sd)
        yield "SD of the seed apart from test-set noise", f"1,000 examples, accuracy near 0.8, truth {sd:g}", rates


def _cube(rng: np.random.Generator, runs: int, examples: int, sd: float) -> Cube:
    """Sample runs whose accuracy on infinitely many examples has mean 0.8 and this SD.

    The examples differ in difficulty.
    """
    level = 0.8 + sd * rng.standard_normal(runs)
    easy = rng.beta(8, 2, examples)
    # A run moves the probabilities of all examples together, so that their mean over examples is the run's accuracy.
    chance = np.clip(easy + (level - 0.8)[:, None], 0, 1)
    right = rng.random((runs, examples)) < chance
    return Cube(("m", "t", "f"), np.arange(runs), np.arange(examples), np.zeros(examples, int), (~right).astype(int))


def of_components(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Yield the coverage for five models x four tasks x n seeds."""
    names, truth = ["model", "task", "model x task", "seed"], [4.0, 1.0, 0.25, 1.0]
    held = {name: {} for name in names}
    simulations = max(simulations // 4, 1)
    for n in COUNTS[:3]:
        ends = []
        for _ in range(simulations):
            values = 2 * rng.standard_normal((5, 1, 1)) + rng.standard_normal((1, 4, 1))
            values = values + 0.5 * rng.standard_normal((5, 4, 1)) + rng.standard_normal((5, 4, n))
            table = variance_components.anova(values)
            ends.append(
                [variance_components.mls_interval(weights, table.ms, table.df, LEVEL) for weights in table.weights]
            )
        for name, (low, high), true in zip(names, np.transpose(ends, (1, 2, 0)), truth, strict=True):
            held[name][n] = _holds((low, high), true)
    for name, rates in held.items():
        yield f"variance component, {name}", "5 models x 4 tasks, variances 4, 1, 0.25, 1", rates


def of_shares(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Yield the coverage of shares and SDs of a grid with fixed effects: levels x 2 methods x n seeds.

    The noise has variance 1. The effects of a factor are equally spaced, with the mean square that the condition names.
    """
    names = ["model", "method", "model x method", "seed"]
    truths = {"no effect": (0.0, 0.0, 0.0), "small effects": (0.1, 0.1, 0.0), "large effects": (9.0, 1.0, 0.25)}
    simulations = max(simulations // 4, 1)
    for levels in (2, 3, 6):
        codes = np.indices((levels, 2)).reshape(2, -1).T
        model = finite_population.Decomposition(codes, variance_components.terms(2))
        for condition, truth in truths.items():
            held = {name: ({}, {}) for name in names}
            contributions = np.array([*truth, 1.0])
            for n in COUNTS[:3]:
                ends = [_share_intervals(rng, model, codes, truth, n) for _ in range(simulations)]
                for source, name in enumerate(names):
                    sizes, shares = np.transpose([each[source] for each in ends], (1, 2, 0))
                    held[name][0][n] = _holds(sizes, contributions[source])
                    held[name][1][n] = _holds(shares, contributions[source] / contributions.sum())
            for name, (sizes, shares) in held.items():
                yield f"SD of this grid, {name}", f"{levels} models x 2 methods, {condition}", sizes
                yield f"share of this grid, {name}", f"{levels} models x 2 methods, {condition}", shares


def _share_intervals(rng, model: finite_population.Decomposition, codes: np.ndarray, truth, n: int):
    """Simulate a grid; return the intervals of contribution and share of each source."""
    lines = [np.linspace(-1, 1, size)[column] for size, column in zip(codes.max(axis=0) + 1, codes.T, strict=True)]
    shapes = [*lines, lines[0] * lines[1]]
    means = sum(np.sqrt(size / np.square(shape).mean()) * shape for size, shape in zip(truth, shapes, strict=True))
    values = means[:, None] + rng.standard_normal((len(codes), n))
    counts = np.full(len(codes), n)
    noise = finite_population.noise_of_cells(values.var(axis=1, ddof=1), counts, rng, RESAMPLES)
    found = finite_population.contributions(model, values.mean(axis=1), noise, rng)
    return [found.intervals([source], LEVEL) for source in range(4)]


# Across tasks -----------------------------------------------------------------------------------------------------


def of_tasks(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Yield the coverage for ten tasks; effects of seeds correlate by 0 or 0.3 over tasks. IQM and mean are both 0."""
    simulations = max(simulations // 8, 1)
    ways = {
        "stratified bootstrap": robust_aggregates.stratified,
        "bootstrap clustered by seed": robust_aggregates.clustered,
    }
    names = [*ways, "t of the jackknife over seeds"]
    for correlation in (0.0, 0.3):
        held = {name: {} for name in names}
        for n in COUNTS:
            task, seed = np.repeat(np.arange(10), n), np.tile(np.arange(n), 10)
            inside = {name: 0 for name in names}
            for _ in range(simulations):
                shared = np.sqrt(correlation) * rng.standard_normal(n)
                values = np.sqrt(1 - correlation) * rng.standard_normal(10 * n) + shared[seed]
                pool = robust_aggregates.Pool.of(values, task, seed, 10, n)
                for name, weights in ways.items():
                    drawn = [
                        robust_aggregates.interquartile_mean(pool, robust_aggregates.cumulative(w))
                        for w in weights(pool, rng, RESAMPLES)
                    ]
                    low, high = resampling.percentile_interval(np.concatenate(drawn), LEVEL)
                    inside[name] += low <= 0 <= high
                whole, *without = robust_aggregates.interquartile_mean(
                    pool,
                    robust_aggregates.cumulative(
                        np.vstack([robust_aggregates.observed(pool), robust_aggregates.without_seeds(pool)])
                    ),
                )
                low, high = robust_aggregates.jackknife_interval(whole, np.array(without), LEVEL)
                inside[names[-1]] += low <= 0 <= high
            for name, count in inside.items():
                held[name][n] = count / simulations
        for name, rates in held.items():
            yield f"IQM over tasks, {name}", f"10 tasks, correlation {correlation:g}", rates


# False alarms -----------------------------------------------------------------------------------------------------


def alarms(rng: np.random.Generator, simulations: int) -> Iterator[Row]:
    """Yield how often a verdict is positive without a difference; nominal 5 %."""
    for shape, (draw, _) in SHAPES.items():
        pairs = {n: (draw(rng, (simulations, n)), draw(rng, (simulations, n))) for n in COUNTS}
        yield (
            "two cells differ, Welch",
            shape,
            _rates(pairs, lambda a, b: comparisons.welch_p(*_moments(a), *_moments(b))),
        )
        yield (
            "two cells differ, permutation",
            shape,
            _rates(pairs, lambda a, b: comparisons.permutation(a, b, rng, RESAMPLES).p),
        )
        yield (
            "two cells differ, sign-flip of pairs",
            shape,
            _rates(pairs, lambda a, b: comparisons.sign_flip(a - b, rng, RESAMPLES).p),
        )
        yield "P(A > B) significant and meaningful (gamma 0.75)", shape, {n: _meaningful(*pairs[n]) for n in COUNTS}
        yield "any of 15 pairs of 6 cells, Welch", shape, {n: _family(rng, draw, n, simulations, False) for n in COUNTS}
        yield (
            "any of 15 pairs of 6 cells, Welch with Holm",
            shape,
            {n: _family(rng, draw, n, simulations, True) for n in COUNTS},
        )
    rates = {}
    for n in COUNTS[:3]:
        cells = (noise_split._split(_cube(rng, n, 1000, 0.0), LEVEL)["p"] for _ in range(max(simulations // 4, 1)))
        rates[n] = float(np.mean([p <= 1 - LEVEL for p in cells]))
    yield "the seed matters beyond the test set, F", "1,000 examples, accuracy near 0.8", rates
    changed = rng.binomial(100, 0.5, simulations)
    rate = float((comparisons.mcnemar_p(changed, 100 - changed) <= 1 - LEVEL).mean())
    yield "before and after differ, McNemar", "100 changed examples", {0: rate}
    for tasks in (3, 5, 10, 20):
        ranks = np.argsort(np.argsort(rng.random((simulations, tasks, 5)), axis=2), axis=2) + 1.0
        rate = float(np.mean([comparisons.friedman(each).p <= 1 - LEVEL for each in ranks[: simulations // 2]]))
        yield "candidates differ over tasks, Iman-Davenport", f"5 candidates, {tasks} tasks", {0: rate}
    pairs = {n: normal(rng, (2, simulations, n)) for n in COUNTS}
    alone = {n: _leads(rng, *pair) for n, pair in pairs.items()}
    yield "one of two is the best, in 95 % of bootstrap replicates", "normal", {n: alone[n].mean() for n in COUNTS}
    tested = {n: comparisons.welch_p(*_moments(pair[0]), *_moments(pair[1])) <= 1 - LEVEL for n, pair in pairs.items()}
    both = {n: (alone[n] & tested[n]).mean() for n in COUNTS}
    yield "one of two is the best, by replicates and Welch", "normal", both


def _leads(rng: np.random.Generator, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return whether one has the better mean in LEVEL of the replicates, sampled and scaled as in ``ranks``."""
    replicates = []
    for values in (a, b):
        n, mean = values.shape[1], values.mean(axis=1, keepdims=True)
        drawn = values @ resampling.bootstrap_counts(rng, n, RESAMPLES).T / n
        replicates.append(mean + np.sqrt(n / (n - 1)) * (drawn - mean))
    share = (replicates[0] > replicates[1]).mean(axis=1)
    return np.maximum(share, 1 - share) >= LEVEL


def _rates(pairs: dict[int, tuple], p: Callable) -> dict[int, float]:
    return {n: float((p(*pair) <= 1 - LEVEL).mean()) for n, pair in pairs.items()}


def _meaningful(a: np.ndarray, b: np.ndarray) -> float:
    ends = comparisons.superiority_interval(comparisons.superiority(a, b)[0], a.shape[1], b.shape[1], LEVEL)
    return float((comparisons.verdicts(*ends, 0.75) == comparisons.MEANINGFUL).mean())


def _family(rng: np.random.Generator, draw: Callable, n: int, simulations: int, adjusted: bool) -> float:
    cells = draw(rng, (6, simulations, n))
    pairs = [(i, j) for i in range(6) for j in range(i)]
    p = np.stack([comparisons.welch_p(*_moments(cells[i]), *_moments(cells[j])) for i, j in pairs])
    # Holm multiplies the smallest p of a family by its size.
    return float((p.min(axis=0) * (len(pairs) if adjusted else 1) <= 1 - LEVEL).mean())


# Tables -----------------------------------------------------------------------------------------------------------


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    return values.mean(axis=1), values.std(axis=1, ddof=1), values.shape[1]


def _bootstrap(rng: np.random.Generator, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = values.shape[1]
    counts = resampling.bootstrap_counts(rng, n, RESAMPLES)
    return resampling.percentile_interval(values @ counts.T / n, LEVEL, axis=1)


def _holds(ends: tuple[np.ndarray, np.ndarray], truth) -> float:
    return float(((ends[0] <= truth) & (truth <= ends[1])).mean())


def _table(rows: Iterator[Row], first: str) -> str:
    lines = [f"| {first} | distribution | " + " | ".join(f"n = {n}" for n in COUNTS) + " | any n |"]
    lines.append("|" + "---|" * (len(COUNTS) + 3))
    for name, condition, rates in rows:
        cells = [f"{100 * rates[n]:.1f}" if n in rates else "" for n in (*COUNTS, 0)]
        lines.append(f"| {name} | {condition} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.perf_counter()
    parts = (of_one_cell, of_two_cells, of_proportions, of_noise_split, of_components, of_shares, of_tasks)
    # A stream for each part, so that a change of one does not change the others.
    streams = {part: resampling.generator(arguments.seed, part.__name__) for part in (*parts, alarms)}
    covered = (row for part in parts for row in part(streams[part], arguments.simulations))
    simulations = f"{arguments.simulations:,} simulations"
    print(f"Coverage in % of intervals at a nominal 95 %, {simulations} (a quarter of them for the")
    print("split of noise, the components and the shares, an eighth for the IQM); n is the number of seeds.\n")
    print(_table(covered, "interval"))
    print(f"\nFalse alarms in % of verdicts at a nominal 5 %, {simulations}.\n")
    print(_table(alarms(streams[alarms], arguments.simulations), "verdict"))
    print(f"\n{time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
