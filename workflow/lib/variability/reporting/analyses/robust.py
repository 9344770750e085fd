"""Candidates compared over all their tasks by statistics that a few lucky or failed runs do not carry away."""

from itertools import combinations
from typing import ClassVar

import numpy as np

from variability.reporting.analyses import LEVEL, RESAMPLES, SEED, Analysis
from variability.results.columns import STREAM_SEEDS

KEYS = ["model", "method"]
AGGREGATES = ("iqm", "mean", "median")
#: Those of which the jackknife knows the error: of a median it does not (Miller 1974).
SMOOTH = AGGREGATES[:2]
WHAT = {
    "iqm": "interquartile mean of all runs on all tasks, each task with equal weight",
    "mean": "mean over tasks of the mean over runs",
    "median": "median over tasks of the mean over runs",
    "profile": "share of runs better than the threshold, each task with equal weight",
    "improvement": "probability that a run is better than one of the reference, ties half, mean over tasks",
}
REFERENCE = [f"{key}_reference" for key in KEYS]
COLUMNS = [
    *(*KEYS, "quantity", "threshold", *REFERENCE, "reference", "estimate", "low", "high", "n", "n_reference"),
    *(
        "n_failed",
        "n_failed_reference",
        "suite",
        "n_tasks",
        "n_candidates",
        "estimator",
        "interval",
        "level",
        "ddof",
        "note",
    ),
]
#: Fewer runs than this make a percentile interval notably too narrow (84 % at 5 of a nominal 95 %, 90 % at 10).
FEW = 10


class Robust(Analysis):
    """Interquartile mean, mean, median, performance profile and probability of improvement (Agarwal et al. 2021).

    Candidates are (model, method), compared over the tasks that all of them were given; where no task is common to
    all, each set of tasks is a ``suite`` by itself. Scores keep the metric's unit if there is one task, or if the
    tasks share a metric of which more is better and whose values all lie between 0 and 1; else each task's are put
    on a scale from the worst (0) to the best (1) run of any candidate. Intervals are percentile bootstrap, for these
    tasks and new seeds. Where a candidate has the same seeds on all tasks they are drawn whole, because equal seeds
    share streams and their runs are alike across tasks; else runs are drawn within each task. Methods of one model
    whose streams are the same are given the same draws. Failed runs are left out: see n_failed.

    IQM and mean of a candidate with at least three seeds, all of them completed on all tasks, have an interval that
    covers as it should with few of them too: Student's t on the delete-one-seed jackknife (Tukey 1958).
    """

    CAPTION = (
        "Every candidate over all shared tasks at once: interquartile mean, mean and median, the share of runs better "
        "than a threshold, and the probability that a run of one is better than a run of another. Failed runs are "
        "left out and counted."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {
        "level": LEVEL,
        "resamples": RESAMPLES,
        "seed": SEED,
        "compared": {
            "type": "integer",
            "minimum": 2,
            "default": 10,
            "description": "how many candidates, those of the highest IQM, are compared with each other in pairs",
        },
        "thresholds": {
            "type": "integer",
            "minimum": 2,
            "maximum": 50,
            "default": 50,
            "description": "of the performance profiles, evenly from the worst to the best run",
        },
    }

    def table(self, tables):
        from variability.reporting import primary_rows
        from variability.reporting.analyses import _cells, _reference_scopes

        runs = primary_rows.select(tables["runs"])
        runs = runs.sort_values([*KEYS, "task", "seed"])
        parts = [self._suite(suite).assign(suite=at) for at, suite in enumerate(_suites(runs), start=1)]
        table = _cells.stacked(parts).assign(level=self.option("level"), ddof=float("nan"))
        return _reference_scopes.with_scopes(table.reindex(columns=COLUMNS), runs, KEYS)

    def _suite(self, runs):
        """The rows of candidates that were all given the same tasks."""
        import pandas as pd

        scored, scale, sign = _scored(runs)
        values = scored["score"].dropna()
        thresholds = np.unique(np.linspace(values.min(), values.max(), self.option("thresholds")))
        candidates = [_candidate(key, part) for key, part in scored.groupby(KEYS)]
        for candidate in candidates:
            candidate["rng"] = self.generator(*candidate["streams"])
        candidates.sort(key=lambda candidate: -np.inf if candidate["iqm"] is None else candidate["iqm"], reverse=True)
        pairs = list(combinations(candidates[: self.option("compared")], 2))
        whole, compared = self._resampled(candidates, pairs, thresholds)
        rows = [self._of_one(*each, thresholds, sign) for each in zip(candidates, whole, strict=True)]
        rows += [self._of_pair(*pair, replicates) for pair, replicates in zip(pairs, compared, strict=True)]
        table = pd.concat(rows, ignore_index=True)
        table["estimator"] = table["quantity"].map(WHAT) + f"; {scale}"
        return table.assign(n_tasks=scored["task"].nunique(), n_candidates=len(candidates))

    def _resampled(self, candidates, pairs, thresholds):
        """Estimates (first row) and replicates of every candidate's numbers and of every pair's; None without runs."""
        from variability.stats import robust_aggregates

        known = [candidate for candidate in candidates if candidate["pool"]]
        fair = [pair for pair in pairs if all(each["pool"] for each in pair)]
        stood = [robust_aggregates.insertion_points(one["pool"], other["pool"]) for one, other in fair]
        whole, compared = {each["name"]: [] for each in known}, {_names(pair): [] for pair in fair}
        for weights in _draws(known, self.option("resamples")):
            for each in known:
                whole[each["name"]].append(_numbers(each["pool"], weights[each["name"]], thresholds))
            firsts = {one["name"]: one["pool"] for one, _ in fair}
            heaped = {name: robust_aggregates.cumulative_by_task(pool, weights[name]) for name, pool in firsts.items()}
            for (one, other), places in zip(fair, stood, strict=True):
                of_other = other["pool"], weights[other["name"]]
                found = robust_aggregates.improvement(one["pool"], heaped[one["name"]], *of_other, places)
                compared[one["name"], other["name"]].append(found[:, None])
        return (
            [np.concatenate(whole[each["name"]]) if each["pool"] else None for each in candidates],
            [np.concatenate(compared[_names(pair)]) if _names(pair) in compared else None for pair in pairs],
        )

    def _of_one(self, candidate, replicates, thresholds, sign):
        import pandas as pd

        names = [*AGGREGATES, *["profile"] * len(thresholds)]
        table = pd.DataFrame({"quantity": names, "threshold": [np.nan] * len(AGGREGATES) + list(sign * thresholds)})
        estimate, low, high = self._ends(replicates, len(names), candidate["most"] > 1)
        if sign < 0:
            # Only a mean has the metric's sign; a share is the same whichever way is better.
            means = np.arange(len(names)) < len(AGGREGATES)
            estimate, low, high = (
                np.where(means, -first, second) for first, second in ((estimate, estimate), (high, low), (low, high))
            )
        table = table.assign(
            **_said(candidate),
            estimate=estimate,
            low=low,
            high=high,
            interval=_interval(candidate["clustered"]) if candidate["most"] > 1 else "none",
            note=_note(candidate),
        )
        if candidate["crossed"]:
            at = table.index[table["quantity"].isin(SMOOTH)]
            table.loc[at, ["low", "high"]] = _jackknifed(candidate["pool"], sign, self.option("level"))
            table.loc[at, ["interval", "note"]] = ["t, of the jackknife over seeds", "-"]
        return table

    def _of_pair(self, one, other, replicates):
        import pandas as pd

        least = min(one["most"], other["most"])
        estimate, low, high = self._ends(replicates, 1, least > 1)
        draws = "the same draws for both" if one["streams"] == other["streams"] else "independent draws"
        interval = f"{_interval(one['clustered'] and other['clustered'])}, {draws}" if least > 1 else "none"
        said = _said(one) | dict(zip(REFERENCE, other["name"], strict=True)) | {"reference": " / ".join(other["name"])}
        said |= {"n_reference": other["n"], "n_failed_reference": other["n_failed"]}
        note = _note(min(one, other, key=lambda each: (each["pool"] is not None, each["least"])))
        row = {"quantity": "improvement", "threshold": np.nan, **said, "interval": interval, "note": note}
        return pd.DataFrame([row | {"estimate": estimate[0], "low": low[0], "high": high[0]}])

    def _ends(self, replicates, count, spread):
        """Estimates, low and high ends."""
        from variability.stats import resampling

        nothing = np.full(count, np.nan)
        if replicates is None:
            return nothing, nothing, nothing
        ends = resampling.percentile_interval(replicates[1:], self.option("level")) if spread else (nothing, nothing)
        return replicates[0], *ends


def _suites(runs):
    """The runs of the tasks that all candidates were given; where there is none, by the set of their tasks."""
    given = runs.groupby(KEYS)["task"].agg(frozenset)
    if given.empty:
        return [runs]
    common = frozenset.intersection(*given)
    if common:
        return [runs[runs["task"].isin(common)]]
    suites = given.map(lambda tasks: "\0".join(sorted(tasks)))
    of_run = suites.reindex(runs.set_index(KEYS).index).to_numpy()
    return [part for _, part in runs.groupby(of_run)]


def _scored(runs):
    """Runs with a score of which more is better, what its scale is, and the sign that turns it into the metric."""
    better = runs["higher_is_better"].astype(bool)
    values = runs["value"].where(better, -runs["value"])
    alike = len(runs["metric"].unique()) == 1 and better.all() and values.dropna().between(0, 1).all()
    if alike or len(runs["task"].unique()) == 1:
        return runs.assign(score=values), f"{runs['metric'].iloc[0]} as it is", 1 if better.all() else -1
    of_task = values.groupby(runs["task"])
    lowest, span = of_task.transform("min"), of_task.transform("max") - of_task.transform("min")
    # On a task without any difference nobody is better than anybody: halfway.
    scores = ((values - lowest) / span.where(span > 0)).where((span > 0) | values.isna(), 0.5)
    return runs.assign(score=scores), "each task scaled from its worst (0) to its best run (1), taken as fixed", 1


def _candidate(key, runs):
    """What is known of one candidate; pool and iqm are None where a task has no completed run."""
    from variability.reporting.analyses import _cells
    from variability.stats import robust_aggregates

    tasks, seeds = runs["task"].unique(), np.sort(runs["seed"].unique())
    valid = runs[runs["score"].notna()]
    sizes = valid["task"].value_counts().reindex(tasks, fill_value=0)
    pool = None
    if (sizes > 0).all():
        places = np.searchsorted(tasks, valid["task"]), np.searchsorted(seeds, valid["seed"])
        pool = robust_aggregates.Pool.of(valid["score"], *places, len(tasks), len(seeds))
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
    """Names that two candidates share if and only if their runs are pairs: same model, seeds and known streams."""
    known = bool(runs[STREAM_SEEDS].notna().all(axis=None))
    model, method = key
    paired = runs[["task", "seed", *(STREAM_SEEDS if known else ())]].to_json(orient="values")
    return (model, paired) if known else (model, paired, method)


def _draws(candidates, resamples):
    """Weights of all candidates, by name: first of the runs as they are, then of replicates, a few at a time."""
    from variability.stats import robust_aggregates

    yield {each["name"]: robust_aggregates.observed(each["pool"]) for each in candidates}
    each_one = [
        (robust_aggregates.clustered if each["clustered"] else robust_aggregates.stratified)(
            each["pool"], each["rng"], resamples
        )
        for each in candidates
    ]
    names = [each["name"] for each in candidates]
    for weights in zip(*each_one, strict=True):
        yield dict(zip(names, weights, strict=True))


def _numbers(pool, weights, thresholds):
    from variability.stats import robust_aggregates

    heaped, means = robust_aggregates.cumulative(weights), robust_aggregates.task_means(pool, weights)
    aggregates = [robust_aggregates.interquartile_mean(pool, heaped), means.mean(axis=1), np.median(means, axis=1)]
    return np.column_stack([*aggregates, robust_aggregates.profile(pool, heaped, thresholds)])


def _jackknifed(pool, sign, level):
    """Ends of the intervals of SMOOTH, in the metric's own sign."""
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
    return tuple(each["name"] for each in pair)


def _said(candidate):
    known = dict(zip(KEYS, candidate["name"], strict=True))
    return known | {"n": candidate["n"], "n_failed": candidate["n_failed"]}


def _interval(clustered):
    return f"percentile bootstrap, {'clustered by seed' if clustered else 'runs within each task'}"


def _note(candidate):
    if candidate["pool"] is None:
        return f"no completed run on {candidate['without']}"
    if candidate["most"] < 2:
        return "one run on each task: nothing says how far another would lie"
    if candidate["least"] < FEW:
        return f"as few as {candidate['least']} runs on a task: the interval is likely too narrow"
    return "-"
