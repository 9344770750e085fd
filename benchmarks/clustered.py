"""Coverage of the standard errors of ``test_noise``, and false alarms of its tests, with grouped examples.

    python benchmarks/clustered.py [--simulations 4000] [--seed 0]

Two single runs without a difference on groups of five examples. A latent normal score has a share RHO of its variance
in common within a group, and another share between the two runs; an example is right if the score is below a threshold,
so that the true accuracy is 0.7.
"""

import argparse
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

from variability.stats import clustered

SIZE, RHO, BETWEEN, ACCURACY, LEVEL = 5, 0.3, 0.4, 0.7, 0.95
GROUPS = (5, 10, 20, 50, 200)


def right(rng: np.random.Generator, groups: int) -> np.ndarray:
    """Return whether each run is right on each example (2, groups * SIZE)."""
    of_group = np.sqrt(RHO) * np.repeat(rng.standard_normal((2, groups)), SIZE, axis=1)
    of_example = np.sqrt(BETWEEN) * rng.standard_normal(groups * SIZE)
    own = np.sqrt(1 - RHO - BETWEEN) * rng.standard_normal((2, groups * SIZE))
    return of_group + of_example + own < NormalDist().inv_cdf(ACCURACY)


def simulate(rng: np.random.Generator, groups: int, simulations: int) -> dict[str, float]:
    """Return the rates of one number of groups, in percent."""
    clusters = np.repeat(np.arange(groups), SIZE)
    held = {"accuracy, groups": 0, "accuracy, groups ignored": 0, "difference, groups": 0}
    alarms = {"McNemar, groups": 0, "McNemar, groups ignored": 0}
    for _ in range(simulations):
        a, b = right(rng, groups)
        differences = a.astype(float) - b
        cases = {
            "accuracy, groups": (a.astype(float), clusters, ACCURACY),
            "accuracy, groups ignored": (a.astype(float), None, ACCURACY),
            "difference, groups": (differences, clusters, 0.0),
        }
        for name, (values, of_case, truth) in cases.items():
            mean = clustered.mean(values, of_case)
            low, high, _ = clustered.t_test(mean.value, mean.se, mean.units, LEVEL)
            held[name] += low <= truth <= high
        for name, of_case in (("McNemar, groups", clusters), ("McNemar, groups ignored", None)):
            alarms[name] += clustered.mcnemar_p(a & ~b, ~a & b, of_case) <= 1 - LEVEL
    return {name: 100 * count / simulations for name, count in (held | alarms).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    rates = {groups: simulate(rng, groups, arguments.simulations) for groups in GROUPS}
    print(f"| rate in percent | {' | '.join(f'{groups} groups' for groups in GROUPS)} |")
    print("|---" * (len(GROUPS) + 1) + "|")
    for name in rates[GROUPS[0]]:
        print(f"| {name} | {' | '.join(f'{rates[groups][name]:.1f}' for groups in GROUPS)} |")


if __name__ == "__main__":
    main()
