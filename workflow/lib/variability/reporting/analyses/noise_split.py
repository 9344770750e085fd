"""How much of what runs differ by is the seed's doing, and how much the finite test set's."""

from typing import ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL

NUMBERS = [
    *("n", "n_examples", "n_groups", "mean", "sd_observed", "sd_seed", "sd_seed_low", "sd_seed_high"),
    *("variance_observed", "variance_seed", "variance_test_set", "share_test_set", "sd_of_test_set_on_mean"),
    *("f", "p"),
]
ALONE = "one completed run: nothing to compare it with"
CONSTANT = "all runs have the same losses on all examples: no variance to split"
TRUNCATED = "truncated: the estimated variance of the seed is below 0, and its SD is given as 0"
BELOW = "the estimated variance of the test set is below 0; the interval is that of 0, and there is no test"
ADDITIVE = "the losses of all examples rise and fall together: the test set adds no variance"


class NoiseSplit(Analysis):
    """Variance of the score between a cell's runs, split in the seed's part and the finite test set's part.

    Runs crossed with test examples are a two-way table of losses without replication. Of two runs' scores a part of
    the difference is luck with the examples: other examples would have reversed it. With V the variance between runs
    of the score over n examples, and v_i that of the loss of example i (both ddof 1), the variance that is left on
    infinitely many examples is

        variance_seed = n / (n-1) * (V - sum_i v_i / n^2)            (Jordan, ICLR 2024, eq. 3)

    which is (MS_seed - MS_residual) / n of the random-effects analysis of variance. variance_test_set is
    MS_residual / n; the two add up to V exactly. variance_seed is unbiased and can therefore be below 0; its root
    sd_seed is then 0.

    Interval of sd_seed: Williams' and Tukey's (Williams 1962, Biometrika 49:278), whose ends divide MS_seed, less the
    share of it that the F distribution allows the residual, by chi-square quantiles; it covers about at its level
    with normal scores, and leaves 0 out where the F test of MS_seed / MS_residual (one-sided, "the seed does not
    matter", p) rejects at half of 1 - level. Where MS_seed is below MS_residual the upper end is held at that of
    their being equal, so that runs that happen to agree do not pass for proof of a seed without effect; there the
    interval covers more than its level. Scores are means over many examples, so that normality of the single losses
    is not called for; runs are taken as independent and examples as drawn at random.

    Where examples come in groups (ratings of one user), groups are the units, each with the share w_g of the examples:
    with v_g the variance between runs of a group's mean loss,

        variance_seed = (V - sum_g w_g^2 v_g) / (1 - sum_g w_g^2)

    which is the above for groups of one size, and is as unbiased, since sum_g w_g^2 v_g holds the seed's variance
    sum_g w_g^2 times. Interval and F test take 1 / sum_g w_g^2 for the number of units (Kish's effective size), which
    is exact for groups of one size and else an approximation.

    sd_of_test_set_on_mean is the SD between examples of the loss averaged over runs, over sqrt(n): by how much the
    cell's mean would move with another test set of this size; of groups, sqrt(G / (G-1) * sum_g w_g^2 (m_g - mean)^2)
    with m_g the group's mean. More runs do not make it smaller.
    """

    NEEDS = ("runs", "predictions")
    CAPTION = (
        "Variance of accuracy (MSE, NDCG@10) between the runs of a cell, split by analysis of variance of runs crossed "
        "with test examples: the seed's own part, which stays on any test set, and the part of this finite test set."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables):
        import pandas as pd

        from variability.reporting.analyses import _cells, _example_losses

        runs, predictions, level = tables["runs"], tables["predictions"], self.option("level")
        failures, metrics = _example_losses.failures(runs), _example_losses.metrics(runs)
        known = [cell for cell in predictions.cells if cell in failures]
        rows = []
        for cell in [*known, *sorted(set(failures) - set(known))]:
            cube = predictions.cube(cell) if cell in known else None
            found = _split(cube, level)
            if cell not in known:
                found["note"] = "no predictions: runs from elsewhere"
            facts = {"split": "test", "metric": metrics[cell[1]], "n_failed": failures[cell]}
            rows.append(dict(zip(CELL, cell, strict=True)) | facts | found)
        table = pd.DataFrame(rows)
        table["family"] = "F tests of all cells of " + table["task"]
        table["p_adjusted"] = _example_losses.holm(table["p"], table["family"])
        table = table.assign(
            estimator="crossed analysis of variance, runs x examples: (MS_seed - MS_residual) / n_examples",
            interval="Williams-Tukey, of the seed's SD, truncated at 0",
            level=level,
            ddof=1,
        )
        first = [*CELL, "split", "metric", *NUMBERS, "p_adjusted", "family", "n_failed", "note"]
        return _cells.with_scope(table[[*first, "estimator", "interval", "level", "ddof"]], runs)


def _split(cube, level):
    """The numbers of one cell."""
    found = dict.fromkeys(NUMBERS, float("nan")) | {"n": 0, "note": "no completed run"}
    if cube is None:
        return found
    losses = cube.losses
    runs, examples = losses.shape
    scores = losses.mean(axis=1)
    mean = scores.mean()
    found |= {"n": runs, "n_examples": examples, "n_groups": examples, "mean": mean}
    found["mean"] = 1 - mean if cube.higher_is_better else mean
    shares = None
    if cube.clusters is not None:
        sizes = np.bincount(cube.clusters)
        shares, examples = sizes / examples, len(sizes)
        losses = _means(losses, cube.clusters, sizes)
        found["n_groups"] = examples
    if examples < 2:
        return found | {
            "note": "fewer than two test examples" if shares is None else "fewer than two groups of examples"
        }
    found["sd_of_test_set_on_mean"] = _sd_on_mean(losses.mean(axis=0), shares, mean)
    if runs < 2:
        return found | {"note": ALONE}
    # Rounding of a mean makes equal runs differ, so that equality is asked of the losses themselves.
    if (losses == losses[0]).all():
        nothing = ("sd_observed", "sd_seed", "sd_seed_low", "sd_seed_high", "variance_observed", "variance_seed")
        return found | dict.fromkeys([*nothing, "variance_test_set"], 0.0) | {"note": CONSTANT}
    between = scores.var(ddof=1) if np.ptp(scores) > 0 else 0.0
    if shares is not None:
        squares = np.square(shares)
        units = 1 / squares.sum()
        test_set = (squares @ losses.var(axis=0, ddof=1) - between / units) / (1 - 1 / units)
        # Times the number of units it takes the place of the residual mean square, which cannot be negative.
        found |= _components(between, max(test_set, 0.0) * units, runs, units, level)
        if test_set < 0:
            seed = {"variance_seed": between - test_set, "sd_seed": np.sqrt(between - test_set)}
            found |= seed | {"variance_test_set": test_set, "p": float("nan"), "note": BELOW}
        return found
    residuals = losses - losses.mean(axis=0)
    residuals -= (scores - mean)[:, None]
    residual = np.square(residuals, out=residuals).sum() / ((runs - 1) * (examples - 1))
    return found | _components(between, residual, runs, examples, level)


def _means(losses, clusters, sizes):
    """(runs, groups): the mean loss in each group of examples."""
    return np.stack([np.bincount(clusters, weights=of_run, minlength=len(sizes)) for of_run in losses]) / sizes


def _sd_on_mean(of_units, shares, mean):
    """By how much the mean would move with other units, of equal shares where these are None."""
    n = len(of_units)
    if shares is None:
        return of_units.std(ddof=1) / np.sqrt(n)
    return np.sqrt(n / (n - 1) * np.square(shares * (of_units - mean)).sum())


def _components(between, residual, runs, examples, level):
    """The split of the variance between runs, given the residual mean square; not both of them are 0."""
    from scipy import special

    seed = between - residual / examples
    low, high = _seed_interval(between, residual, runs, examples, level)
    found = {
        "sd_observed": np.sqrt(between),
        "sd_seed": np.sqrt(max(seed, 0.0)),
        "sd_seed_low": np.sqrt(low),
        "sd_seed_high": np.sqrt(high),
        "variance_observed": between,
        "variance_seed": seed,
        "variance_test_set": residual / examples,
        "note": TRUNCATED if seed < 0 else "-",
    }
    if between > 0:
        found["share_test_set"] = min(residual / examples / between, 1.0)
    if residual == 0:
        return found | {"p": 0.0, "note": ADDITIVE}
    f = examples * between / residual
    return found | {"f": f, "p": special.fdtrc(runs - 1, (runs - 1) * (examples - 1), f)}


def _seed_interval(between, residual, runs, examples, level):
    """Ends of the seed's variance (Williams 1962), the lower one at least 0, the upper one at least that of F = 1."""
    from scipy import special

    freedom = runs - 1
    ends = []
    for tail, seen in (((1 + level) / 2, between), ((1 - level) / 2, max(between, residual / examples))):
        ratio = special.fdtri(freedom, freedom * (examples - 1), tail)
        # chdtri asks for the probability above.
        chi_square = special.chdtri(freedom, 1 - tail)
        ends.append(max((seen - ratio * residual / examples) * freedom / chi_square, 0.0))
    return ends
