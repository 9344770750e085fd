"""Level and power of "A and B are equivalent within the margin", as ``decisions`` computes it.

Simulates tasks whose truth is known and prints a table in Markdown; the docs contain it. A rate p from S simulations
has a standard error of sqrt(p (1 - p) / S): 0.5 points at 5 % and S = 2,000.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

from variability.stats import equivalence, pair_tests

ALPHA, MARGIN = 0.05, 1.0
SEEDS = (3, 5, 10, 20)
#: SDs of the runs as fractions of the margin: of all candidates, and of the first and the others.
SPREADS = {"SD a third of the margin": (1 / 3, 1 / 3), "SDs a third and 1.5 of the margin": (1 / 3, 1.5)}


def rates(candidates: int, sds: tuple[float, float], seeds: int, simulations: int) -> tuple[float, float]:
    """Return in how many % of tasks a false equivalence is stated, and a true one is stated about a pair.

    For the first rate all others are worse than the first by exactly the margin; for the second all are equal.
    """
    rng = np.random.default_rng(0)
    spread = np.array([sds[0], *[sds[1]] * (candidates - 1)])[:, None]
    behind = np.array([0.0, *[-MARGIN] * (candidates - 1)])[:, None]
    paired = np.zeros((candidates, candidates), dtype=bool)
    wrong, right = 0, 0.0
    for _ in range(simulations):
        noise = spread * rng.standard_normal((candidates, seeds))
        p = _p_equivalent(behind + noise, paired)
        wrong += (p[: candidates - 1] <= ALPHA).any()
        right += (_p_equivalent(noise, paired) <= ALPHA).mean()
    return 100 * wrong / simulations, 100 * right / simulations


def _p_equivalent(values: np.ndarray, paired: np.ndarray) -> np.ndarray:
    pairs = pair_tests.compare(values, paired)
    tests = equivalence.one_sided(pairs.difference, pairs.se, pairs.df, MARGIN)
    return equivalence.adjusted(tests).p_equivalent()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    simulations = parser.parse_args().simulations
    print(f"| candidates | spread | {' | '.join(f'n = {seeds}' for seeds in SEEDS)} |")
    print(f"|---|---|{'---|' * len(SEEDS)}")
    for candidates in (2, 3, 6):
        for name, sds in SPREADS.items():
            cells = [rates(candidates, sds, seeds, simulations) for seeds in SEEDS]
            print(f"| {candidates} | {name} | {' | '.join(f'{wrong:.1f} / {right:.0f}' for wrong, right in cells)} |")


if __name__ == "__main__":
    main()
