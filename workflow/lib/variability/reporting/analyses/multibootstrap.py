"""Differences between cells, with seeds and test examples resampled together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.results.columns import RUN, STREAM_SEEDS
from variability.results.metrics import scalars
from variability.stats import resampling

if TYPE_CHECKING:
    from variability.results.predictions import Cell

COLUMNS = [
    *("task", "comparison", "model", "method", "model_reference", "method_reference", "split", "metric"),
    *("higher_is_better", "difference", "low", "high", "p", "p_adjusted", "p_floor", "family", "n", "n_reference"),
    *("n_failed", "n_failed_reference", "n_pretrained", "n_pretrained_reference", "n_examples", "n_groups"),
    "seeds_paired",
    *("unit", "note", "estimator", "interval", "level", "ddof", "resamples"),
]
#: Numbers of seeds up to which the percentile interval is marked as too narrow.
FEW = 5
#: Numbers of a matrix that are worked on at a time: as many as a processor's cache holds.
CHUNK = 100_000
UNITS = {"cells": "seeds and examples", "backbones": "pretraining seeds, seeds and examples"}


class Resampled(NamedTuple):
    """A cell's runs on all examples and on every resample of them.

    runs: what says which run it is, its seed and streams; losses: (runs,) mean loss; sums: (runs, resamples) of losses
    over a resample's examples; sizes: of the resamples, one number or (resamples,).
    """

    runs: tuple[str, ...]
    losses: np.ndarray
    sums: np.ndarray
    sizes: int | np.ndarray

    def only(self, kept: set[str]) -> Resampled:
        at = [place for place, run in enumerate(self.runs) if run in kept]
        return Resampled(tuple(self.runs[place] for place in at), self.losses[at], self.sums[at], self.sizes)


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the completed runs of one model, or of the models that share a backbone."""

    name: str
    method: str
    models: dict[str, Resampled]
    n_failed: int

    @property
    def n(self) -> int:
        return sum(len(model.runs) for model in self.models.values())

    @property
    def units(self) -> tuple[tuple[str, ...], ...]:
        """Which runs of which models: sides with equal ones are resampled alike."""
        return tuple((name, *model.runs) for name, model in self.models.items())

    @property
    def mean(self) -> float:
        """The mean over models of the mean loss of their runs."""
        return float(np.mean([model.losses.mean() for model in self.models.values()])) if self.n else float("nan")

    def common(self, other: Side) -> tuple[Side, Side]:
        """Both with nothing but the runs that both have."""
        both = [name for name in self.models if name in other.models]
        shared = {name: {*self.models[name].runs} & {*other.models[name].runs} for name in both}
        return self._only(shared), other._only(shared)

    def _only(self, kept: dict[str, set[str]]) -> Side:
        models = {name: self.models[name].only(runs) for name, runs in kept.items() if runs}
        return replace(self, models=models)


class Multibootstrap(Analysis):
    """Differences of mean accuracy (or MSE) between the cells of a task, by the multi-bootstrap.

    Seeds and test examples are drawn again with replacement, both at once, so that the interval speaks of other seeds
    and another test set (Sellam et al., ICLR 2022, "The MultiBERTs", section 3). The examples of a resample are the
    same for all cells of a task. The seeds are the same for methods of one model whose runs have the same streams,
    of which only runs that both methods completed are then compared, and independent else.

    Where examples come in groups (ratings of one user), groups are drawn in place of examples, each with all that is
    its own, and a mean is over the examples of the groups drawn: the cluster bootstrap (Field and Welsh 2007, J. R.
    Stat. Soc. B 69:369), which is the bootstrap of examples where every group has one.

    Where models of the study differ in nothing but their pretraining's seed, ``backbones`` compares what they have in
    common: a backbone's mean is that of its models' means; its models are drawn again, and within each drawn one its
    runs, anew every time it is drawn.

    Interval: percentile. p = 2 * min over both sides of (b + 1) / (B + 1), b being the resamples on that side of 0 or
    at it: the paper's one-sided p, doubled; never below p_floor. Holm within a task.

    Weaknesses: with few seeds the bootstrap's spread of the seeds is too small by the factor sqrt((n - 1) / n), and
    its tails are the normal's rather than t's: where the spread between runs is the seed's alone, a nominal 95 %
    interval of 5 paired runs covers some 84 %. Against that it counts what runs and examples differ by jointly up to
    three times (Owen 2007, Ann. Appl. Stat. 1:386), and is too wide where most of the spread between runs is the test
    set's (see noise_split).
    """

    NEEDS = ("runs", "predictions")
    REQUIRES = ("candidates",)
    CAPTION = (
        "Differences between all pairs of cells of a task, with seeds and test examples resampled together and, for "
        "backbones pretrained several times, pretraining seeds too. Percentile intervals, too narrow with 5 or "
        "fewer seeds (see note); p-values adjusted within a task (Holm)."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}

    def table(self, tables):
        import pandas as pd

        from variability.reporting.analyses import _cells, _example_losses

        runs, predictions = tables["runs"], tables["predictions"]
        failures, metrics = _example_losses.failures(runs), _example_losses.metrics(runs)
        names, backbones = _names_of_runs(runs), _backbones(runs)
        parts = []
        for task in predictions.tasks:
            cells = [cell for cell in predictions.cells_of(task) if cell in failures]
            resampled, about = self._resampled(task, cells, predictions, names)
            for comparison, groups in (("cells", _alone(cells)), ("backbones", _together(cells, backbones))):
                sides = [_side(*key, group, resampled, failures) for key, group in groups.items()]
                part = pd.DataFrame(self._compared(task, comparison, sides, metrics[task]))
                parts.append(part.assign(task=task, comparison=comparison, metric=metrics[task], **about))
        table = pd.concat([part for part in parts if len(part)] or [pd.DataFrame(columns=COLUMNS)], ignore_index=True)
        return _cells.with_scope(self._said(table)[COLUMNS], runs, by=["task"])

    def _said(self, table):
        """The table with what is the same in all rows, and with adjusted p-values."""
        from variability.reporting.analyses import _example_losses

        resamples, level = self.option("resamples"), self.option("level")
        table["unit"] = table["comparison"].map(UNITS)
        grouped = table["n_groups"] < table["n_examples"]
        table["unit"] = table["unit"].mask(grouped, table["unit"].str.replace("examples", "groups of examples"))
        table["family"] = "all pairs of " + table["comparison"].astype(str) + " of " + table["task"].astype(str)
        table["p_adjusted"] = _example_losses.holm(table["p"], table["family"])
        table["p_floor"] = 2 / (resamples + 1)
        tests = table["p"].groupby(table["family"]).transform("count").astype(float)
        blunt = (tests * table["p_floor"] > 1 - level) & table["p"].notna()
        needed = np.ceil(2 * tests / (1 - level)).astype(int).astype(str)
        hint = "no p of so many pairs can stay small when adjusted: set resamples to " + needed + " or more"
        table["note"] = [
            "; ".join([*said, advice] if dull else said) or "-"
            for said, advice, dull in zip(table["note"], hint, blunt, strict=True)
        ]
        seeds = table["seeds_paired"].astype(bool).map({True: "paired", False: "independent"}).astype(str)
        return table.assign(
            split="test",
            higher_is_better=[scalars()[metric].HIGHER_IS_BETTER for metric in table["metric"]],
            estimator="difference of means; examples paired, seeds " + seeds,
            interval="multi-bootstrap, percentile",
            level=level,
            ddof=float("nan"),
            resamples=resamples,
        )

    def _resampled(self, task, cells, predictions, names):
        """Every cell of a task, read once, on the same resamples of the examples; and how many of these there are.

        A cell whose examples are not those of the first one is left without runs: nothing can be paired.
        """
        found, first, counts, about = {}, None, None, dict.fromkeys(("n_examples", "n_groups"), float("nan"))
        for cell in cells:
            cube = predictions.cube(cell)
            if cube is None:
                continue
            if first is None:
                first, clusters = (cube.example_ids, cube.y_true), cube.clusters
                about = {"n_examples": len(first[0]), "n_groups": _groups(clusters, len(first[0]))}
                rng, resamples = self.generator("examples", task), self.option("resamples")
                counts = _example_counts(rng, about["n_groups"], resamples)
                sizes = len(first[0])
                if clusters is not None:
                    sizes = counts @ np.bincount(clusters)
                    counts = counts[:, clusters]
            if np.array_equal(cube.example_ids, first[0]) and np.array_equal(cube.y_true, first[1]):
                order = np.argsort(cube.seeds, kind="stable")
                losses = cube.losses[order]
                runs = tuple(names.get((*cell, int(seed)), str(seed)) for seed in cube.seeds[order])
                sums = _sums(losses, counts, exact=cube.discrete)
                found[cell] = Resampled(runs, losses.mean(axis=1), sums, sizes)
        return found, about

    def _compared(self, task, comparison, sides, metric):
        """One row per pair of sides, a later one against each one before it as the reference."""
        sign = -1 if scalars()[metric].HIGHER_IS_BETTER else 1
        drawn = [self._replicates(task, side) for side in sides]
        rows = []
        for at, side in enumerate(sides):
            earlier = [
                place
                for place in range(at)
                if comparison == "cells" or max(len(side.models), len(sides[place].models)) > 1
            ]
            pairs = [_pair(side, sides[place]) for place in earlier]
            replicates = np.empty((len(pairs), self.option("resamples")))
            for row, place, pair in zip(replicates, earlier, pairs, strict=True):
                both = (drawn[at], drawn[place])
                if pair.cut:
                    both = [self._replicates(task, one) for one in pair.sides]
                np.subtract(*both, out=row)
            replicates *= sign
            means = np.array([[one.mean for one in pair.sides] for pair in pairs]).reshape(-1, 2)
            numbers = self._numbers(sign * (means[:, 0] - means[:, 1]), replicates, 1e-12 * means.sum(axis=1))
            for place, (pair, values) in enumerate(zip(pairs, numbers, strict=True)):
                still = np.ptp(replicates[place]) == 0
                rows.append(_row(pair, values, still))
        return rows

    def _numbers(self, differences, replicates, rounding):
        """difference, low, high and p of every pair; replicates: (pairs, resamples), NaN without two runs a side."""
        low, high = resampling.percentile_interval(replicates, self.option("level"), axis=1)
        below = (replicates <= rounding[:, None]).sum(axis=1)
        above = (replicates >= -rounding[:, None]).sum(axis=1)
        p = np.minimum(2 * resampling.p_value(np.minimum(below, above), self.option("resamples")), 1)
        return np.column_stack([differences, low, high, np.where(np.isnan(low), np.nan, p)])

    def _replicates(self, task, side):
        """(resamples,): the side's mean loss on resampled examples and runs; NaN with fewer than two runs."""
        resamples = self.option("resamples")
        total = np.zeros(resamples)
        if side.n < 2:
            return total + np.nan
        rng = self.generator("seeds", task, *("\n".join(unit) for unit in side.units))
        sizes = [len(model.runs) for model in side.models.values()]
        for model, counts in zip(side.models.values(), _seed_counts(rng, sizes, resamples), strict=True):
            # Whole numbers up to here, so that equal cells have equal replicates.
            total += np.einsum("br,rb->b", counts, model.sums, dtype=float) / (len(model.runs) * model.sizes)
        return total / len(sizes)


class Pair(NamedTuple):
    """Two sides as they are compared; cut: whether they had to be cut to the runs that both have."""

    sides: tuple[Side, Side]
    paired: bool
    cut: bool


def _pair(side, reference):
    if side.name == reference.name:
        if side.units == reference.units:
            return Pair((side, reference), side.n > 0, False)
        both = side.common(reference)
        if both[0].n > 1:
            return Pair(both, True, True)
    return Pair((side, reference), False, False)


def _row(pair, values, still):
    side, reference = pair.sides
    row = {"model": side.name, "method": side.method}
    row |= {"model_reference": reference.name, "method_reference": reference.method}
    row |= dict(zip(("difference", "low", "high", "p"), values.tolist(), strict=True))
    for end, one in (("", side), ("_reference", reference)):
        row |= {f"n{end}": one.n, f"n_failed{end}": one.n_failed, f"n_pretrained{end}": len(one.models)}
    return row | {"seeds_paired": pair.paired, "note": _notes(pair, still)}


def _notes(pair, still):
    fewest = min(side.n for side in pair.sides)
    if fewest < 2:
        return ["a side has fewer than two completed runs on the same examples: seeds cannot be resampled"]
    said = []
    if pair.cut:
        said.append("only the seeds that both completed")
    clusters = [len(side.models) for side in pair.sides]
    few = min([fewest, *(count for count in clusters if count > 1)])
    if few <= FEW:
        what = "seeds" if max(clusters) == 1 else "seeds or pretraining seeds"
        said.append(f"few {what} ({few}): the percentile interval tends to be too narrow and p too small")
    if max(clusters) > 1 and min(clusters) == 1:
        said.append("one pretraining seed on a side: nothing is said of other pretrainings of it")
    if still:
        said.append("no spread: neither seeds nor examples make the difference vary")
    return said


def _side(name, method, cells, resampled, failures):
    # In one order for all methods, so that a backbone's methods have equal units.
    models = {cell[0]: resampled[cell] for cell in sorted(cells) if cell in resampled}
    return Side(name, method, models, sum(failures[cell] for cell in cells))


def _alone(cells: list[Cell]) -> dict[tuple[str, str], list[Cell]]:
    return {(model, method): [(model, task, method)] for model, task, method in cells}


def _together(cells: list[Cell], backbones: dict[str, str]) -> dict[tuple[str, str], list[Cell]]:
    """Cells by backbone and method; none where every backbone was pretrained once."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((backbones[cell[0]], cell[2]), []).append(cell)
    return groups if any(len(group) > 1 for group in groups.values()) else {}


def _backbones(runs) -> dict[str, str]:
    """For every model what it is one of several pretrainings of: itself, where it is the only one or none is known."""
    each = runs.drop_duplicates("model")
    known = each["backbone"].where(each["seed_pretrain"].notna()).fillna(each["model"])
    return dict(zip(each["model"], known, strict=True))


def _names_of_runs(runs) -> dict[tuple, str]:
    """(model, task, method, seed): the run's seed and streams in words; equal words within a model are a pairing."""
    each = runs.drop_duplicates(RUN)
    # Beside runs from elsewhere, of which no stream is known, the same integers come as floats.
    streams = each[STREAM_SEEDS].astype(float).map(repr).agg(" ".join, axis=1)
    keys = zip(each["model"], each["task"], each["method"], each["seed"], strict=True)
    return {(*cell, int(seed)): f"{seed}: {words}" for (*cell, seed), words in zip(keys, streams, strict=True)}


def _groups(clusters, examples):
    """How many units there are to be drawn."""
    return examples if clusters is None else int(clusters.max()) + 1


def _example_counts(rng, n, resamples):
    """(resamples, n): how often each example is drawn; small integers, as they are kept for all cells of a task."""
    counts = np.empty((resamples, n), dtype=np.uint16)
    step = max(1, CHUNK // n)
    for start in range(0, resamples, step):
        part = counts[start : start + step]
        part[:] = resampling.bootstrap_counts(rng, n, len(part))
    return counts


def _sums(losses, counts, exact):
    """(runs, resamples): every run's loss summed over the examples of every resample.

    exact: the losses are 0 and 1, and 32 bits hold their sums without rounding; else 64 are taken.
    """
    kind = np.float32 if exact and losses.shape[1] < 2**24 else np.float64
    by_example = np.ascontiguousarray(losses.T, dtype=kind)
    sums = np.empty((len(losses), len(counts)), dtype=kind)
    step = max(2 * len(losses), CHUNK // losses.shape[1])
    for start in range(0, len(counts), step):
        sums[:, start : start + step] = (counts[start : start + step].astype(kind) @ by_example).T
    return sums


def _seed_counts(rng, sizes, resamples):
    """For every model (resamples, runs): how often its runs are drawn.

    Models are drawn first, and each time a model of k runs is drawn, k of its runs: together as many as k times the
    number of times that it was drawn.
    """
    times = resampling.bootstrap_counts(rng, len(sizes), resamples)
    return [rng.multinomial(size * times[:, at], np.full(size, 1 / size)) for at, size in enumerate(sizes)]
