"""Differences between cells, with seeds and test examples resampled together (multi-bootstrap)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.results.columns import RUN, STREAM_SEEDS
from variability.stats import resampling

if TYPE_CHECKING:
    import pandas as pd

    from variability.results.predictions import Cell

COLUMNS = [
    *("task", "comparison", "model", "method", "model_reference", "method_reference", "split", "metric"),
    *("higher_is_better", "difference", "low", "high", "p", "check_p_holm", "p_floor", "family", "n", "n_reference"),
    *("n_failed", "n_failed_reference", "n_pretrained", "n_pretrained_reference", "n_examples", "n_groups"),
    "seeds_paired",
    *("unit", "note", "estimator", "interval", "level", "ddof", "resamples"),
]
#: Largest number of seeds for which the percentile interval is marked as too narrow.
FEW = 5
#: Number of matrix elements that are processed at a time: as many as fit a processor's cache.
CHUNK = 100_000
UNITS = {"cells": "seeds and examples", "backbones": "pretraining seeds, seeds and examples"}


class Resampled(NamedTuple):
    """Runs of a cell on all examples and on every resample of them.

    runs: names of the runs from their seed and streams. losses: (runs,) mean loss. sums: (runs, resamples) of losses
    over the examples of a resample. sizes: of the resamples, one number or (resamples,).
    """

    runs: tuple[str, ...]
    losses: np.ndarray
    sums: np.ndarray
    sizes: int | np.ndarray

    def only(self, names: set[str]) -> Resampled:
        indices = [index for index, run in enumerate(self.runs) if run in names]
        runs = tuple(self.runs[index] for index in indices)
        return Resampled(runs, self.losses[indices], self.sums[indices], self.sizes)


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
        """The runs of each model: sides with equal units are resampled in the same way."""
        return tuple((name, *model.runs) for name, model in self.models.items())

    @property
    def mean(self) -> float:
        """Mean over models of the mean loss of their runs."""
        return float(np.mean([model.losses.mean() for model in self.models.values()])) if self.n else float("nan")

    def common(self, other: Side) -> tuple[Side, Side]:
        """Return both sides with only the runs that both have."""
        both = [name for name in self.models if name in other.models]
        shared = {name: {*self.models[name].runs} & {*other.models[name].runs} for name in both}
        return self._only(shared), other._only(shared)

    def _only(self, names: dict[str, set[str]]) -> Side:
        models = {name: self.models[name].only(runs) for name, runs in names.items() if runs}
        return replace(self, models=models)


class Multibootstrap(Analysis):
    """Differences of mean accuracy (or MSE) between the cells of a task, by the multi-bootstrap.

    Seeds and test examples are resampled together with replacement, so that the interval refers to other seeds and
    another test set (Sellam et al., ICLR 2022, "The MultiBERTs", section 3). The examples of a resample are the same
    for all cells of a task. The seeds are the same for methods of one model whose runs have the same streams, and for
    all candidates if their runs are pairs (the same splits, or ``pairing: seed``); then only runs that both completed
    are compared. They are independent otherwise.

    If examples come in groups (ratings of one user), whole groups are resampled, and a mean is over the examples of the
    sampled groups: the cluster bootstrap (Field and Welsh 2007, J. R. Stat. Soc. B 69:369), which is the bootstrap of
    examples where every group has one.

    If models of the study differ only in the seed of their pretraining, ``backbones`` compares their backbones: a
    backbone's mean is that of its models' means; its models are resampled, and within each sampled model its runs,
    independently each time.

    Interval: percentile. p = 2 * min over both sides of (b + 1) / (B + 1), where b is the number of resamples on that
    side of 0 or equal to it: the one-sided p of the paper, doubled; never below p_floor. Holm within a task.

    Weaknesses: with few seeds the bootstrap underestimates the spread of the seeds by the factor sqrt((n - 1) / n), and
    its tails are those of the normal instead of t: where the seed alone causes the spread between runs, a nominal 95 %
    interval of 5 paired runs covers about 84 %. On the other hand it counts the joint variation of runs and examples up
    to three times (Owen 2007, Ann. Appl. Stat. 1:386), and is too wide where the test set causes most of the spread
    between runs (see noise_split).
    """

    NEEDS = ("runs", "predictions")
    REQUIRES = ("candidates",)
    CAPTION = (
        "Differences between all pairs of cells of a task, with seeds and test examples resampled together and, for "
        "backbones pretrained several times, pretraining seeds too. Percentile intervals, too narrow with 5 or "
        "fewer seeds (see note); p-values adjusted within a task (Holm) are a check: the table decisions decides."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        from variability.reporting import paired_cells
        from variability.reporting.analyses import _cells, _example_losses

        runs, predictions = tables["runs"], tables["predictions"]
        failures, metrics = _example_losses.failures(runs), _example_losses.metrics(runs, predictions)
        shared = {task for task, of_task in runs.groupby("task") if paired_cells.shared_by_all(of_task)}
        names, backbones = _names_of_runs(runs, shared), _backbones(runs)
        parts = []
        for task in predictions.tasks:
            cells = [cell for cell in predictions.cells_of(task) if cell in failures]
            resampled, counts = self._resampled(task, cells, predictions, names)
            for comparison, groups in (("cells", _single_cells(cells)), ("backbones", _by_backbone(cells, backbones))):
                pooled = comparison == "cells" and task in shared
                sides = [_side(*key, group, resampled, failures, pooled) for key, group in groups.items()]
                part = pd.DataFrame(self._comparisons(task, comparison, sides, metrics[task]))
                facts = metrics[task]._asdict() | counts
                parts.append(part.assign(task=task, comparison=comparison, **facts))
        table = pd.concat([part for part in parts if len(part)] or [pd.DataFrame(columns=COLUMNS)], ignore_index=True)
        return _cells.with_scope(self._completed(table)[COLUMNS], runs, by=["task"])

    def _completed(self, table):
        """Add the columns that are equal in all rows, and adjusted p-values."""
        from variability.reporting.analyses import _example_losses

        resamples, level = self.option("resamples"), self.option("level")
        table["unit"] = table["comparison"].map(UNITS)
        grouped = table["n_groups"] < table["n_examples"]
        table["unit"] = table["unit"].mask(grouped, table["unit"].str.replace("examples", "groups of examples"))
        table["family"] = "all pairs of " + table["comparison"].astype(str) + " of " + table["task"].astype(str)
        table["check_p_holm"] = _example_losses.holm(table["p"], table["family"])
        table["p_floor"] = 2 / (resamples + 1)
        tests = table["p"].groupby(table["family"]).transform("count").astype(float)
        unreachable = (tests * table["p_floor"] > 1 - level) & table["p"].notna()
        needed = np.ceil(2 * tests / (1 - level)).astype(int).astype(str)
        hint = "no p of so many pairs can stay small when adjusted: set resamples to " + needed + " or more"
        table["note"] = [
            "; ".join([*notes, advice] if add_hint else notes) or None
            for notes, advice, add_hint in zip(table["note"], hint, unreachable, strict=True)
        ]
        seeds = table["seeds_paired"].astype(bool).map({True: "paired", False: "independent"}).astype(str)
        return table.assign(
            split="test",
            estimator="difference of means; examples paired, seeds " + seeds,
            interval="multi-bootstrap, percentile",
            level=level,
            ddof=float("nan"),
            resamples=resamples,
        )

    def _resampled(self, task, cells, predictions, names):
        """Read every cell of a task once, on the same resamples of the examples; also return numbers of units.

        A cell whose examples differ from those of the first one has no runs, because nothing can be paired.
        """
        resampled, first, counts, units = {}, None, None, dict.fromkeys(("n_examples", "n_groups"), float("nan"))
        for cell in cells:
            cube = predictions.cube(cell)
            if cube is None:
                continue
            if first is None:
                first, clusters = (cube.example_ids, cube.y_true), cube.clusters
                units = {"n_examples": len(first[0]), "n_groups": _groups(clusters, len(first[0]))}
                rng, resamples = self.generator("examples", task), self.option("resamples")
                counts = _example_counts(rng, units["n_groups"], resamples)
                sizes = len(first[0])
                if clusters is not None:
                    sizes = counts @ np.bincount(clusters)
                    counts = counts[:, clusters]
            if np.array_equal(cube.example_ids, first[0]) and np.array_equal(cube.y_true, first[1]):
                order = np.argsort(cube.seeds, kind="stable")
                losses = cube.losses[order]
                runs = tuple(names.get((*cell, int(seed)), str(seed)) for seed in cube.seeds[order])
                sums = _sums(losses, counts, exact=cube.discrete)
                resampled[cell] = Resampled(runs, losses.mean(axis=1), sums, sizes)
        return resampled, units

    def _comparisons(self, task, comparison, sides, metric):
        """Return one row per pair of sides, each side with every earlier one as the reference."""
        sign = -1 if metric.higher_is_better else 1
        of_sides = [self._replicates(task, side) for side in sides]
        rows = []
        for index, side in enumerate(sides):
            earlier = [
                other
                for other in range(index)
                if comparison == "cells" or max(len(side.models), len(sides[other].models)) > 1
            ]
            pairs = [_pair(side, sides[other]) for other in earlier]
            replicates = np.empty((len(pairs), self.option("resamples")))
            for row, other, pair in zip(replicates, earlier, pairs, strict=True):
                both = (of_sides[index], of_sides[other])
                if pair.reduced:
                    both = [self._replicates(task, one) for one in pair.sides]
                np.subtract(*both, out=row)
            replicates *= sign
            means = np.array([[one.mean for one in pair.sides] for pair in pairs]).reshape(-1, 2)
            numbers = self._numbers(sign * (means[:, 0] - means[:, 1]), replicates, 1e-12 * np.abs(means).sum(axis=1))
            for pair, values, of_pair in zip(pairs, numbers, replicates, strict=True):
                rows.append(_row(pair, values, no_spread=np.ptp(of_pair) == 0))
        return rows

    def _numbers(self, differences, replicates, rounding):
        """Return difference, low, high and p of every pair.

        replicates: (pairs, resamples), NaN without two runs per side.
        """
        low, high = resampling.percentile_interval(replicates, self.option("level"), axis=1)
        below = (replicates <= rounding[:, None]).sum(axis=1)
        above = (replicates >= -rounding[:, None]).sum(axis=1)
        p = np.minimum(2 * resampling.p_value(np.minimum(below, above), self.option("resamples")), 1)
        return np.column_stack([differences, low, high, np.where(np.isnan(low), np.nan, p)])

    def _replicates(self, task, side):
        """Return (resamples,) mean losses of a side on resampled examples and runs; NaN with fewer than two runs."""
        resamples = self.option("resamples")
        total = np.zeros(resamples)
        if side.n < 2:
            return total + np.nan
        rng = self.generator("seeds", task, *("\n".join(unit) for unit in side.units))
        sizes = [len(model.runs) for model in side.models.values()]
        for model, counts in zip(side.models.values(), _seed_counts(rng, sizes, resamples), strict=True):
            # Whole numbers up to this point, so that equal cells have equal replicates.
            total += np.einsum("br,rb->b", counts, model.sums, dtype=float) / (len(model.runs) * model.sizes)
        return total / len(sizes)


class Pair(NamedTuple):
    """Two sides of a comparison; reduced: True if they were reduced to the runs that both have."""

    sides: tuple[Side, Side]
    paired: bool
    reduced: bool


def _pair(side, reference):
    if side.models.keys() & reference.models.keys():
        if side.units == reference.units:
            return Pair((side, reference), side.n > 0, False)
        both = side.common(reference)
        if both[0].n > 1:
            return Pair(both, True, True)
    return Pair((side, reference), False, False)


def _row(pair, values, no_spread):
    side, reference = pair.sides
    row = {"model": side.name, "method": side.method}
    row |= {"model_reference": reference.name, "method_reference": reference.method}
    row |= dict(zip(("difference", "low", "high", "p"), values.tolist(), strict=True))
    for end, one in (("", side), ("_reference", reference)):
        row |= {f"n{end}": one.n, f"n_failed{end}": one.n_failed, f"n_pretrained{end}": len(one.models)}
    return row | {"seeds_paired": pair.paired, "note": _notes(pair, no_spread)}


def _notes(pair, no_spread):
    fewest = min(side.n for side in pair.sides)
    if fewest < 2:
        return ["a side has fewer than two completed runs on the same examples: seeds cannot be resampled"]
    notes = []
    if pair.reduced:
        notes.append("only the seeds that both completed")
    clusters = [len(side.models) for side in pair.sides]
    few = min([fewest, *(count for count in clusters if count > 1)])
    if few <= FEW:
        units = "seeds" if max(clusters) == 1 else "seeds or pretraining seeds"
        notes.append(f"few {units} ({few}): the percentile interval tends to be too narrow and p too small")
    if max(clusters) > 1 and min(clusters) == 1:
        notes.append("one pretraining seed on a side: does not generalise to other pretrainings of it")
    if no_spread:
        notes.append("no spread: neither seeds nor examples make the difference vary")
    return notes


def _side(name, method, cells, resampled, failures, pooled):
    """Return a side of a comparison. pooled: True if the runs of all networks are pairs, not just those of one."""
    # In the same order for all methods, so that a backbone's methods have equal units.
    models = {"all" if pooled else cell[0]: resampled[cell] for cell in sorted(cells) if cell in resampled}
    return Side(name, method, models, sum(failures[cell] for cell in cells))


def _single_cells(cells: list[Cell]) -> dict[tuple[str, str], list[Cell]]:
    return {(model, method): [(model, task, method)] for model, task, method in cells}


def _by_backbone(cells: list[Cell], backbones: dict[str, str]) -> dict[tuple[str, str], list[Cell]]:
    """Group cells by backbone and method; empty if every backbone was pretrained once."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((backbones[cell[0]], cell[2]), []).append(cell)
    return groups if any(len(group) > 1 for group in groups.values()) else {}


def _backbones(runs) -> dict[str, str]:
    """Return the backbone of every model; the model itself if it is the only one or its backbone is unknown."""
    models = runs.drop_duplicates("model")
    known = models["backbone"].where(models["seed_pretrain"].notna()).fillna(models["model"])
    return dict(zip(models["model"], known, strict=True))


def _names_of_runs(runs, shared) -> dict[tuple, str]:
    """Return names of (model, task, method, seed) from the run's seed and streams.

    Runs of one model with equal names are pairs; on the tasks in ``shared``, names are seeds, and of all models.
    """
    every_run = runs.drop_duplicates(RUN)
    # If there are imported runs, whose streams are unknown, the same integers are floats.
    streams = every_run[STREAM_SEEDS].astype(float).map(repr).agg(" ".join, axis=1)
    keys = zip(every_run["model"], every_run["task"], every_run["method"], every_run["seed"], strict=True)
    return {
        (*cell, int(seed)): str(seed) if cell[1] in shared else f"{seed}: {words}"
        for (*cell, seed), words in zip(keys, streams, strict=True)
    }


def _groups(clusters, examples):
    """Return the number of units to resample."""
    return examples if clusters is None else int(clusters.max()) + 1


def _example_counts(rng, n, resamples):
    """Return (resamples, n) counts of each example; small integers, as they are stored for all cells of a task."""
    counts = np.empty((resamples, n), dtype=np.uint16)
    step = max(1, CHUNK // n)
    for start in range(0, resamples, step):
        part = counts[start : start + step]
        part[:] = resampling.bootstrap_counts(rng, n, len(part))
    return counts


def _sums(losses, counts, exact):
    """Return (runs, resamples) losses of every run, summed over the examples of every resample.

    exact: True if the losses are 0 and 1, whose sums 32 bits hold without rounding; otherwise 64 bits are used.
    """
    kind = np.float32 if exact and losses.shape[1] < 2**24 else np.float64
    by_example = np.ascontiguousarray(losses.T, dtype=kind)
    sums = np.empty((len(losses), len(counts)), dtype=kind)
    step = max(2 * len(losses), CHUNK // losses.shape[1])
    for start in range(0, len(counts), step):
        sums[:, start : start + step] = (counts[start : start + step].astype(kind) @ by_example).T
    return sums


def _seed_counts(rng, sizes, resamples):
    """Return, for every model, (resamples, runs) counts of its runs.

    Models are resampled first. Each time a model of k runs is sampled, k of its runs are sampled, together k times the
    number of times that the model was sampled.
    """
    times = resampling.bootstrap_counts(rng, len(sizes), resamples)
    return [rng.multinomial(size * times[:, model], np.full(size, 1 / size)) for model, size in enumerate(sizes)]
