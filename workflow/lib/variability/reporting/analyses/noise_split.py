"""Variance between runs, split into the part of the seed and the part of the finite test set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL
from variability.stats import confusion_scores, rounding

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = [
    *("n", "n_examples", "n_groups", "mean", "sd_observed", "sd_seed", "sd_seed_low", "sd_seed_high"),
    *("variance_observed", "variance_seed", "variance_test_set", "share_test_set", "sd_of_test_set_on_mean"),
    *("f", "p"),
]
ALONE = "one completed run: nothing to compare it with"
CONSTANT = "all runs have the same losses on all examples: no variance to split"
TRUNCATED = "truncated: the estimated variance of the seed is below 0, and its SD is given as 0"
BELOW = "the estimated variance of the test set is below 0; the interval is that of 0, and there is no test"
NOT_A_MEAN = "no split of this metric, which is no function of counts or means over examples"
ADDITIVE = "the losses of all examples rise and fall together: the test set adds no variance"


class NoiseSplit(Analysis):
    """Variance of the score between a cell's runs, split into the part of the seed and that of the finite test set.

    Two rows per cell if the primary metric is not the one of the losses (accuracy, MSE, NDCG@10): first that of the
    primary metric, ``primary``. Scores that are no means over examples, such as F1 and RMSE, are replaced by their
    linear approximation: an example's loss is its influence on the score. There is no split of other metrics.

    Runs crossed with test examples are a two-way table of losses without replication. Part of the difference between
    two runs' scores is due to the choice of examples: other examples would have reversed it. With V the variance
    between runs of the score over n examples, and v_i that of the loss of example i (both ddof 1), the variance on
    infinitely many examples is

        variance_seed = n / (n-1) * (V - sum_i v_i / n^2)            (Jordan, ICLR 2024, eq. 3)

    which is (MS_seed - MS_residual) / n of the random-effects analysis of variance. variance_test_set is MS_residual /
    n; the two add up to V exactly. variance_seed is unbiased and can therefore be negative; its root sd_seed is then 0.

    The interval of sd_seed is that of Williams and Tukey (Williams 1962, Biometrika 49:278). Its ends are MS_seed,
    minus the share of it that the F distribution attributes to the residual, divided by chi-square quantiles. It covers
    approximately at its level with normal scores, and excludes 0 where the F test of MS_seed / MS_residual (one-sided,
    "the seed does not matter", p) rejects at half of 1 - level. Where MS_seed is below MS_residual, the upper end is
    that of equal mean squares, so that runs that happen to agree are not evidence of a seed without effect; there the
    interval covers more than its level. Scores are means over many examples, so the single losses need not be normal;
    runs are assumed to be independent and examples to be a random sample.

    If examples come in groups (ratings of one user), groups are the units, each with the share w_g of the examples:
    with v_g the variance between runs of a group's mean loss,

        variance_seed = (V - sum_g w_g^2 v_g) / (1 - sum_g w_g^2)

    which equals the formula above for groups of one size, and is also unbiased, because sum_g w_g^2 v_g contains the
    seed's variance sum_g w_g^2 times. Interval and F test use 1 / sum_g w_g^2 as the number of units (Kish's effective
    size), which is exact for groups of one size and otherwise an approximation.

    sd_of_test_set_on_mean is the SD between examples of the loss averaged over runs, divided by sqrt(n): the SD of the
    cell's mean over test sets of this size; with groups, sqrt(G / (G-1) * sum_g w_g^2 (m_g - mean)^2) with m_g the
    group's mean. More runs do not reduce it.
    """

    NEEDS = ("runs", "predictions")
    CAPTION = (
        "Variance of the primary metric (and of accuracy, MSE or NDCG@10) between the runs of a cell, split by an "
        "analysis of variance of runs crossed with test examples: the part of the seed, which remains on any test set, "
        "and the part of this finite test set."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting.analyses import _cells, _example_losses

        runs, predictions, level = tables["runs"], tables["predictions"], self.option("level")
        failures, metrics = _example_losses.failures(runs), _example_losses.metrics(runs, predictions)
        primary = _example_losses.primary_metrics(runs)
        known = [cell for cell in predictions.cells if cell in failures]
        rows = []
        for cell in [*known, *sorted(set(failures) - set(known))]:
            cube = predictions.cube(cell) if cell in known else None
            of_cell = {"split": "test", "n_failed": failures[cell]} | dict(zip(CELL, cell, strict=True))
            of_losses = metrics[cell[1]].metric
            first = primary.get(cell[1], of_losses)
            for metric in dict.fromkeys([first, of_losses]):
                numbers = _split(metric, cube, _classes(metric, predictions, cell, cube), level)
                if cell not in known:
                    numbers["note"] = "no predictions: imported runs"
                rows.append(of_cell | {"metric": metric, "primary": metric == first} | numbers)
        table = pd.DataFrame(rows)
        table["family"] = "F tests of " + table["metric"] + " of all cells of " + table["task"]
        table["p_adjusted"] = _example_losses.holm(table["p"], table["family"])
        table = table.assign(
            estimator="crossed analysis of variance, runs x examples: (MS_seed - MS_residual) / n_examples",
            interval="Williams-Tukey, of the seed's SD, truncated at 0",
            level=level,
            ddof=1,
        )
        first = [*CELL, "split", "metric", "primary", *NUMBERS, "p_adjusted", "family", "n_failed", "note"]
        return _cells.with_scope(table[[*first, "estimator", "interval", "level", "ddof"]], runs)


def _classes(metric, predictions, cell, cube):
    """Return the number of classes of a cell's task, for metrics of classes; 0 where it is not needed."""
    if cube is None or metric not in confusion_scores.METRICS:
        return 0
    return next(iter(predictions.runs(cell))).classes


def _split(metric, cube, classes, level):
    """Return the numbers of one cell."""
    from variability.reporting.analyses import _example_losses

    numbers = dict.fromkeys(NUMBERS, float("nan")) | {"n": 0, "note": "no completed run"}
    if cube is None:
        return numbers
    losses = _example_losses.contributions(metric, cube, classes)
    if losses is None:
        return numbers | {"n": len(cube.seeds), "note": NOT_A_MEAN}
    runs, examples = losses.shape
    scores = losses.mean(axis=1)
    mean = scores.mean()
    numbers |= {"n": runs, "n_examples": examples, "n_groups": examples, "mean": mean}
    shares = None
    if cube.clusters is not None:
        sizes = np.bincount(cube.clusters)
        shares, examples = sizes / examples, len(sizes)
        losses = _means(losses, cube.clusters, sizes)
        numbers["n_groups"] = examples
    if examples < 2:
        return numbers | {
            "note": "fewer than two test examples" if shares is None else "fewer than two groups of examples"
        }
    numbers["sd_of_test_set_on_mean"] = _sd_on_mean(losses.mean(axis=0), shares, mean)
    if runs < 2:
        return numbers | {"note": ALONE}
    # Rounding of a mean makes equal runs differ, so equality is tested on the losses themselves.
    if (losses == losses[0]).all():
        zeros = ("sd_observed", "sd_seed", "sd_seed_low", "sd_seed_high", "variance_observed", "variance_seed")
        return numbers | dict.fromkeys([*zeros, "variance_test_set"], 0.0) | {"note": CONSTANT}
    between = 0.0 if rounding.is_rounding(np.ptp(scores), mean) else scores.var(ddof=1)
    if shares is not None:
        squares = np.square(shares)
        units = 1 / squares.sum()
        test_set = (squares @ losses.var(axis=0, ddof=1) - between / units) / (1 - 1 / units)
        # Multiplied by the number of units it replaces the residual mean square, which cannot be negative.
        numbers |= _components(between, max(test_set, 0.0) * units, runs, units, level)
        if test_set < 0:
            seed = {"variance_seed": between - test_set, "sd_seed": np.sqrt(between - test_set)}
            numbers |= seed | {"variance_test_set": test_set, "p": float("nan"), "note": BELOW}
        return numbers
    residuals = losses - losses.mean(axis=0)
    residuals -= (scores - mean)[:, None]
    residual = np.square(residuals, out=residuals).sum() / ((runs - 1) * (examples - 1))
    return numbers | _components(between, residual, runs, examples, level)


def _means(losses, clusters, sizes):
    """Return (runs, groups) mean losses in each group of examples."""
    return np.stack([np.bincount(clusters, weights=of_run, minlength=len(sizes)) for of_run in losses]) / sizes


def _sd_on_mean(of_units, shares, mean):
    """Return the SD of the mean over other units; shares None: of equal shares."""
    n = len(of_units)
    if shares is None:
        return of_units.std(ddof=1) / np.sqrt(n)
    return np.sqrt(n / (n - 1) * np.square(shares * (of_units - mean)).sum())


def _components(between, residual, runs, examples, level):
    """Return the split of the variance between runs from the residual mean square; not both may be 0."""
    from scipy import special

    seed = between - residual / examples
    if rounding.is_rounding(abs(seed), between):
        seed = 0.0
    low, high = _seed_interval(between, residual, runs, examples, level)
    numbers = {
        "sd_observed": np.sqrt(between),
        "sd_seed": np.sqrt(max(seed, 0.0)),
        "sd_seed_low": np.sqrt(low),
        "sd_seed_high": np.sqrt(high),
        "variance_observed": between,
        "variance_seed": seed,
        "variance_test_set": residual / examples,
        "note": TRUNCATED if seed < 0 else None,
    }
    if between > 0:
        numbers["share_test_set"] = min(residual / examples / between, 1.0)
    if residual == 0:
        return numbers | {"p": 0.0, "note": ADDITIVE}
    f = examples * between / residual
    return numbers | {"f": f, "p": special.fdtrc(runs - 1, (runs - 1) * (examples - 1), f)}


def _seed_interval(between, residual, runs, examples, level):
    """Return the ends of the seed's variance (Williams 1962).

    The lower end is at least 0, the upper one at least that of F = 1.
    """
    from scipy import special

    freedom = runs - 1
    ends = []
    for tail, variance in (((1 + level) / 2, between), ((1 - level) / 2, max(between, residual / examples))):
        ratio = special.fdtri(freedom, freedom * (examples - 1), tail)
        # chdtri takes the probability of the upper tail.
        chi_square = special.chdtri(freedom, 1 - tail)
        ends.append(max((variance - ratio * residual / examples) * freedom / chi_square, 0.0))
    return ends
