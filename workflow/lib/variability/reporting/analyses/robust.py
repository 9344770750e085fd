"""Robust comparison of candidates over all their tasks, with statistics that a few extreme runs do not dominate."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from variability.advice import plural
from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.results.columns import CANDIDATE, STREAM_SEEDS

if TYPE_CHECKING:
    import pandas as pd

AGGREGATES = ("iqm", "mean", "median")
#: Aggregates whose error the jackknife estimates; it fails for a median (Miller 1974).
SMOOTH = AGGREGATES[:2]
ESTIMATORS = {
    "iqm": "interquartile mean of all runs on all tasks, each task with equal weight",
    "mean": "mean over tasks of the mean over runs",
    "median": "median over tasks of the mean over runs",
    "profile": "share of runs better than the threshold, each task with equal weight",
    "improvement": "probability that a run is better than one of the reference, ties half, mean over tasks",
}
REFERENCE = [f"{key}_reference" for key in CANDIDATE]
COLUMNS = [
    *(*CANDIDATE, "quantity", "threshold", *REFERENCE, "reference", "estimate", "low", "high", "n", "n_reference"),
    *("n_failed", "n_failed_reference", "suite", "n_tasks", "tasks", "other_tasks", "left_out", "metric", "scale"),
    *("n_candidates", "estimator", "interval", "level", "ddof", "note"),
]
#: With fewer runs than this, a percentile interval is notably too narrow (84 % at 5 of a nominal 95 %, 90 % at 10).
FEW = 10
SHIFTED = "the percentile interval is widened to the estimate, which it would exclude"


class Robust(Analysis):
    """Interquartile mean, mean, median, performance profile and probability of improvement (Agarwal et al. 2021).

    Candidates are (model, method), compared over the tasks of ``overall``, see ``stats.complete_tables.select``:
    left_out names the others, and the candidates that lack one of these tasks, which have no estimate. Tasks whose
    metrics are not on one scale (another metric, another unit) are separate suites, and so is each set of tasks if no
    two candidates share a task: see ``suite``, ``tasks``, and ``other_tasks`` for those of other scales. A task alone
    on its scale is never left out. Scores keep the metric's unit, or are normalised as the config declares
    (``normalise``); ``scale`` names which. Values are never rescaled by the observed ones: another run would then
    change the order of the candidates.

    Intervals are percentile bootstrap, for these tasks and new seeds. If a candidate has the same seeds on all tasks,
    whole seeds are resampled, because equal seeds share streams and their runs are correlated across tasks; otherwise
    runs are resampled within each task. Methods of one model with the same streams share their resamples. Failed runs
    are left out: see n_failed.

    An interval that would exclude its estimate is widened to it, with a note: aggregates that are not linear, such as a
    median, are biased in the resamples.

    IQM and mean of a candidate with at least three seeds, all of them completed on all tasks, have an interval with
    correct coverage for few seeds, too: Student's t on the delete-one-seed jackknife (Tukey 1958).
    """

    CAPTION = (
        "Every candidate over all tasks of the table overall together: interquartile mean, mean and median, the share "
        "of runs better than a threshold, and the probability that a run of one is better than a run of another. Runs "
        "that did not complete are left out and counted. A check: what is better on a task is decided in the table "
        "decisions."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "resamples": RESAMPLES,
        "seed": SEED,
        "compared": {
            "type": "integer",
            "minimum": 2,
            "default": 10,
            "description": "number of candidates, those with the highest IQM, that are compared in pairs",
        },
        "thresholds": {
            "type": "integer",
            "minimum": 2,
            "maximum": 50,
            "default": 50,
            "description": "number of thresholds of the performance profiles, from the worst to the best run",
        },
    }

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells, _complete_tasks, _metric_scale, _reference_scopes

        runs = primary_rows.select(tables["runs"])
        runs = runs.sort_values([*CANDIDATE, "task", "seed"])
        part = _complete_tasks.of(runs)
        suites = [
            (suite, _of_scale(runs, scale) | {"left_out": _left_out(suite, part)}, scale)
            for scale in _metric_scale.scales(runs)
            for suite in _suites(_metric_scale.on_scale(runs, scale), part.complete.index)
        ]
        parts = [
            self._suite(suite, scale.higher_is_better).assign(**facts, suite=at)
            for at, (suite, facts, scale) in enumerate(suites, start=1)
        ]
        table = _cells.stacked(parts).assign(level=self.option("level"), ddof=float("nan"))
        return _reference_scopes.with_scopes(table.reindex(columns=COLUMNS), runs, CANDIDATE)

    def _suite(self, runs, higher_is_better):
        """Return the rows of candidates on the same tasks, which are on one scale."""
        import pandas as pd

        sign = 1 if higher_is_better else -1
        scored = runs.assign(score=sign * runs["value"])
        values = scored["score"].dropna()
        thresholds = np.unique(np.linspace(values.min(), values.max(), self.option("thresholds")))
        tasks = np.sort(scored["task"].unique())
        candidates = [_candidate(key, part, tasks) for key, part in scored.groupby(CANDIDATE)]
        for candidate in candidates:
            candidate["rng"] = self.generator(*candidate["streams"])
        candidates.sort(key=lambda candidate: -np.inf if candidate["iqm"] is None else candidate["iqm"], reverse=True)
        pairs = list(combinations(candidates[: self.option("compared")], 2))
        of_candidates, of_pairs = self._resampled(candidates, pairs, thresholds)
        rows = [
            self._candidate_rows(candidate, replicates, thresholds, sign)
            for candidate, replicates in zip(candidates, of_candidates, strict=True)
        ]
        rows += [self._pair_row(*pair, replicates) for pair, replicates in zip(pairs, of_pairs, strict=True)]
        table = pd.concat(rows, ignore_index=True)
        table["estimator"] = table["quantity"].map(ESTIMATORS)
        known = sum(candidate["pool"] is not None for candidate in candidates)
        return table.assign(n_tasks=len(tasks), tasks=", ".join(tasks), n_candidates=known)

    def _resampled(self, candidates, pairs, thresholds):
        """Return estimates (first row) and replicates of all candidates and pairs; None without runs."""
        from variability.stats import robust_aggregates

        known = [candidate for candidate in candidates if candidate["pool"]]
        comparable = [pair for pair in pairs if all(candidate["pool"] for candidate in pair)]
        points = [robust_aggregates.insertion_points(one["pool"], other["pool"]) for one, other in comparable]
        of_candidates = {candidate["name"]: [] for candidate in known}
        of_pairs = {_names(pair): [] for pair in comparable}
        for weights in _weights(known, self.option("resamples")):
            for candidate in known:
                name = candidate["name"]
                of_candidates[name].append(_numbers(candidate["pool"], weights[name], thresholds))
            firsts = {one["name"]: one["pool"] for one, _ in comparable}
            cumulative = {
                name: robust_aggregates.cumulative_by_task(pool, weights[name]) for name, pool in firsts.items()
            }
            for (one, other), of_pair in zip(comparable, points, strict=True):
                of_other = other["pool"], weights[other["name"]]
                share = robust_aggregates.improvement(one["pool"], cumulative[one["name"]], *of_other, of_pair)
                of_pairs[one["name"], other["name"]].append(share[:, None])
        return (
            [np.concatenate(of_candidates[one["name"]]) if one["pool"] else None for one in candidates],
            [np.concatenate(of_pairs[_names(pair)]) if _names(pair) in of_pairs else None for pair in pairs],
        )

    def _candidate_rows(self, candidate, replicates, thresholds, sign):
        import pandas as pd

        names = [*AGGREGATES, *["profile"] * len(thresholds)]
        table = pd.DataFrame({"quantity": names, "threshold": [np.nan] * len(AGGREGATES) + list(sign * thresholds)})
        estimate, low, high, shifted = self._ends(replicates, len(names), candidate["most"] > 1)
        if sign < 0:
            # Only an aggregate has the metric's sign; a share is the same for both directions.
            aggregates = np.arange(len(names)) < len(AGGREGATES)
            estimate, low, high = (
                np.where(aggregates, -first, second)
                for first, second in ((estimate, estimate), (high, low), (low, high))
            )
        table = table.assign(
            **_facts(candidate),
            estimate=estimate,
            low=low,
            high=high,
            interval=_interval(candidate["clustered"]) if candidate["most"] > 1 else "none",
            note=_with_shifted(_note(candidate), shifted),
        )
        if candidate["crossed"]:
            smooth = table.index[table["quantity"].isin(SMOOTH)]
            table.loc[smooth, ["low", "high"]] = _jackknifed(candidate["pool"], sign, self.option("level"))
            table.loc[smooth, ["interval", "note"]] = ["t, of the jackknife over seeds", None]
        return table

    def _pair_row(self, one, other, replicates):
        import pandas as pd

        least = min(one["most"], other["most"])
        estimate, low, high, shifted = self._ends(replicates, 1, least > 1)
        resamples = "the same draws for both" if one["streams"] == other["streams"] else "independent draws"
        interval = f"{_interval(one['clustered'] and other['clustered'])}, {resamples}" if least > 1 else "none"
        facts = (
            _facts(one) | dict(zip(REFERENCE, other["name"], strict=True)) | {"reference": " / ".join(other["name"])}
        )
        facts |= {"n_reference": other["n"], "n_failed_reference": other["n_failed"]}
        note = _note(min(one, other, key=lambda candidate: (candidate["pool"] is not None, candidate["least"])))
        (note,) = _with_shifted(note, shifted)
        row = {"quantity": "improvement", "threshold": np.nan, **facts, "interval": interval, "note": note}
        return pd.DataFrame([row | {"estimate": estimate[0], "low": low[0], "high": high[0]}])

    def _ends(self, replicates, count, spread):
        """Return estimates, low and high ends, and which intervals were widened to their estimate."""
        from variability.stats import resampling

        missing = np.full(count, np.nan)
        if replicates is None:
            return missing, missing, missing, np.zeros(count, dtype=bool)
        estimate, low, high = replicates[0], missing, missing
        if spread:
            low, high = resampling.percentile_interval(replicates[1:], self.option("level"))
        return estimate, np.minimum(low, estimate), np.maximum(high, estimate), (low > estimate) | (high < estimate)


def _of_scale(runs, scale):
    from variability.reporting.analyses import _metric_scale

    others = _metric_scale.others(runs, scale) or None
    return {"other_tasks": others, "metric": scale.metric, "scale": scale.description}


def _left_out(suite, part):
    """Return what is missing from a suite; None if nothing is, as where its only task is not one of the part."""
    alone = suite["task"].nunique() == 1 and suite["task"].iloc[0] not in part.complete.index
    return None if alone else part.left_out or None


def _suites(runs, tasks):
    """Return the runs on these tasks; if there are none, as no two candidates share one, those of each candidate.

    A task that is alone on its scale is compared with no other one, so that nothing is gained by leaving it out.
    """
    if runs["task"].nunique() == 1:
        return [runs]
    if len(tasks):
        runs = runs[runs["task"].isin(tasks)]
        return [runs] if len(runs) else []
    return [part for _, part in runs.groupby(CANDIDATE, sort=False)]


def _candidate(key, runs, tasks):
    """Return the facts about one candidate; pool and iqm are None if one of the sorted tasks has no completed run."""
    from variability.reporting.analyses import _cells
    from variability.stats import robust_aggregates

    seeds = np.sort(runs["seed"].unique())
    valid = runs[runs["score"].notna()]
    sizes = valid["task"].value_counts().reindex(tasks, fill_value=0)
    pool = None
    if (sizes > 0).all():
        indices = np.searchsorted(tasks, valid["task"]), np.searchsorted(seeds, valid["seed"])
        pool = robust_aggregates.Pool.of(valid["score"], *indices, len(tasks), len(seeds))
    return {
        "name": key,
        "pool": pool,
        "iqm": pool
        and robust_aggregates.interquartile_mean(pool, robust_aggregates.cumulative(robust_aggregates.observed(pool)))[
            0
        ],
        "crossed": pool is not None and len(valid) == len(tasks) * len(seeds) and len(seeds) >= 3,
        "clustered": len(runs) == len(tasks) * len(seeds),
        "streams": _streams(key, runs),
        "n": len(valid),
        "n_failed": int(_cells.failed(runs).sum()),
        "least": int(sizes.min()),
        "most": int(sizes.max()),
        "without": ", ".join(sizes.index[sizes == 0]),
    }


def _streams(key, runs):
    """Return names that two candidates share if and only if their runs are pairs.

    Those are runs of all candidates with equal seeds (see ``paired_cells.shared_by_all``), or of one model with equal
    streams.
    """
    from variability.reporting import paired_cells

    model, method = key
    known = bool(runs[STREAM_SEEDS].notna().all(axis=None))
    if paired_cells.shared_by_all(runs):
        return "all", runs[["task", "seed", *(["seed_split"] if known else [])]].to_json(orient="values")
    paired = runs[["task", "seed", *(STREAM_SEEDS if known else ())]].to_json(orient="values")
    return (model, paired) if known else (model, paired, method)


def _weights(candidates, resamples):
    """Yield the weights of all candidates by name: of the runs as observed, then of replicates, a few at a time."""
    from variability.stats import robust_aggregates

    yield {one["name"]: robust_aggregates.observed(one["pool"]) for one in candidates}
    replicates = [
        (robust_aggregates.clustered if one["clustered"] else robust_aggregates.stratified)(
            one["pool"], one["rng"], resamples
        )
        for one in candidates
    ]
    names = [one["name"] for one in candidates]
    for weights in zip(*replicates, strict=True):
        yield dict(zip(names, weights, strict=True))


def _numbers(pool, weights, thresholds):
    from variability.stats import robust_aggregates

    cumulative, means = robust_aggregates.cumulative(weights), robust_aggregates.task_means(pool, weights)
    aggregates = [robust_aggregates.interquartile_mean(pool, cumulative), means.mean(axis=1), np.median(means, axis=1)]
    return np.column_stack([*aggregates, robust_aggregates.profile(pool, cumulative, thresholds)])


def _jackknifed(pool, sign, level):
    """Return the ends of the intervals of SMOOTH, in the metric's own sign."""
    from variability.stats import robust_aggregates

    whole, without = robust_aggregates.observed(pool), robust_aggregates.without_seeds(pool)
    ends = []
    for numbers in (
        lambda weights: robust_aggregates.interquartile_mean(pool, robust_aggregates.cumulative(weights)),
        lambda weights: robust_aggregates.task_means(pool, weights).mean(axis=1),
    ):
        low, high = robust_aggregates.jackknife_interval(numbers(whole)[0], numbers(without), level)
        ends.append((low, high) if sign > 0 else (-high, -low))
    return ends


def _names(pair):
    return tuple(candidate["name"] for candidate in pair)


def _facts(candidate):
    known = dict(zip(CANDIDATE, candidate["name"], strict=True))
    return known | {"n": candidate["n"], "n_failed": candidate["n_failed"]}


def _interval(clustered):
    return f"percentile bootstrap, {'clustered by seed' if clustered else 'runs within each task'}"


def _note(candidate):
    if candidate["pool"] is None:
        return f"no completed run on {candidate['without']}"
    if candidate["most"] < 2:
        return "one run on each task: nothing says how far another would lie"
    if candidate["least"] < FEW:
        return f"as few as {plural(candidate['least'], 'run')} on a task: the interval is likely too narrow"
    return None


def _with_shifted(note, shifted):
    """Return the note of every row, with the remark on those whose interval was widened."""
    return [f"{note}; {SHIFTED}" if one and note else SHIFTED if one else note for one in shifted]
