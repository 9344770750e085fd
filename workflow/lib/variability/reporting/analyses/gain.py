"""Gain of fine-tuning over the untrained head, over a linear probe, and over training from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from variability.reporting.analyses import LEVEL, Analysis
from variability.results.columns import CELL, CELL_VALUE, RUN, STREAM_SEEDS
from variability.results.predictions import is_discrete
from variability.stats import rounding

if TYPE_CHECKING:
    import pandas as pd

VALUE = ["split", "metric"]
SIDES = ("", "_reference")
#: Columns about changes of single examples, from the predictions.
CHANGES = ["repaired", "broken", "repaired_per_run", "broken_per_run", "mcnemar_p_median", "n_examples"]
COLUMNS = [
    *(*CELL, *VALUE, "primary", "higher_is_better", "comparison", "reference", "gain", "low", "high", "sd"),
    *("n", "n_reference", "n_failed", "n_failed_reference", "mean_reference", "error_reduction"),
    *("estimator", "interval", "level", "ddof", *CHANGES),
]


class Gain(Analysis):
    """Differences of a metric after fine-tuning, in its own unit and sign: below 0 is better for a loss.

    before: the same run with its untrained head, paired by run. linear_probe: the same model and task trained as a
    linear probe, paired by seed where all streams are equal. from_scratch: the same provider, architecture, options,
    preprocessing, task and method without pretrained weights; unpaired (Welch 1947), because equal seeds do not pair
    different networks, unless they do for all candidates (the same splits, or ``pairing: seed``). Pairs with a failed
    run are counted in n_failed and left out. error_reduction is the share of the reference's distance from a perfect
    value that is gone, computed from the means.

    If there are predictions of classes, rows of ``before`` on the test split also report changes of the n_examples
    examples, whatever the row's metric: repaired (wrong before, right after) and broken (the reverse), summed over the
    completed runs and as a mean per run. mcnemar_p_median is the median over runs of each run's exact McNemar test
    (1947), whose units are whole groups where examples are grouped (``clustered.mcnemar_p``). Runs are never pooled
    into one such test: they share their examples, so that counting an example once per run would be pseudo-replication.
    """

    ROWS = (
        "values from before fine-tuning (phase `before`), linear probes of the same models, or the same models trained "
        "from scratch"
    )
    SUMMARISED = True
    USES = ("predictions",)

    CAPTION = (
        "Change of the metric by fine-tuning, in its own unit and sign: relative to the untrained head and to a linear "
        "probe (paired), and to the same architecture trained from scratch (Welch, unless paired). Relative to the "
        "untrained head also the numbers of test examples that were repaired and broken."
    )
    OPTIONS: ClassVar[dict[str, dict]] = {"level": LEVEL}

    def table(self, tables: dict[str, Any]) -> pd.DataFrame:
        from variability.reporting.analyses import _cells

        runs, level = tables["runs"], self.option("level")
        after = runs[runs["phase"] == "after"]
        parts = [
            _with_changes(_over_before(runs, after, level), tables.get("predictions")),
            _over_probe(after, level),
            *_over_scratch(after, level),
        ]
        table = _cells.stacked(parts).assign(level=level, ddof=1).reindex(columns=COLUMNS)
        return _cells.with_scope(table, runs)


def _over_before(runs, after, level):
    keys = [*RUN, *VALUE]
    pairs = after.merge(runs[runs["phase"] == "before"], on=keys, suffixes=SIDES)
    pairs["reference"] = "untrained head"
    return _paired(pairs, "before", "mean of differences within runs", level)


def _with_changes(table, predictions):
    import pandas as pd

    from variability.reporting import primary_rows

    changes = [_change(cell, predictions) for cell in (predictions.cells if predictions else [])]
    changes = pd.DataFrame(changes, columns=[*CELL, *CHANGES]).astype(dict.fromkeys(CHANGES, float))
    changes = changes.assign(split=primary_rows.SPLIT).astype({name: table[name].dtype for name in [*CELL, "split"]})
    return table.merge(changes, on=[*CELL, "split"], how="left", validate="many_to_one")


def _change(cell, predictions):
    """Return the CHANGES of one cell; NaN in regression and without a completed run."""
    import numpy as np

    from variability.reporting import primary_rows
    from variability.stats import clustered, comparisons

    before, after = (
        {run.seed: run for run in predictions.runs(cell, phase, primary_rows.SPLIT, probabilities=False)}
        for phase in ("before", "after")
    )
    row = dict(zip(CELL, cell, strict=True))
    seeds = [seed for seed in after if seed in before and is_discrete(after[seed].kind)]
    if not seeds:
        return row
    correct_before, correct_after = (
        [runs[seed].y_pred == runs[seed].y_true for seed in seeds] for runs in (before, after)
    )
    repaired, broken = (
        np.array([int((~first & second).sum()) for first, second in zip(*pair, strict=True)])
        for pair in ((correct_before, correct_after), (correct_after, correct_before))
    )
    p, clusters = comparisons.mcnemar_p(repaired, broken), after[seeds[0]].clusters
    if clusters is not None:
        pairs = zip(correct_before, correct_after, strict=True)
        p = np.array([clustered.mcnemar_p(~first & second, first & ~second, clusters) for first, second in pairs])
    return row | {
        **{"repaired": repaired.sum(), "broken": broken.sum()},
        **{"repaired_per_run": repaired.mean(), "broken_per_run": broken.mean()},
        "mcnemar_p_median": np.median(p),
        "n_examples": len(correct_after[0]),
    }


def _over_probe(after, level):
    is_probe = after["method_kind"] == "linear_probe"
    keys = ["model", "task", "seed", *STREAM_SEEDS, *VALUE]
    pairs = after[~is_probe].merge(after[is_probe], on=keys, suffixes=SIDES)
    pairs["reference"] = pairs["method_reference"]
    return _paired(pairs, "linear_probe", "mean of differences of runs paired by seed: same network, streams", level)


def _over_scratch(after, level):
    """Return the comparisons with random weights, unpaired and paired."""
    from variability.reporting import paired_cells
    from variability.reporting.analyses import _cells
    from variability.stats import intervals

    shared = [task for task, runs in after.groupby("task", sort=False) if paired_cells.shared_by_all(runs)]

    columns = [
        *("provider", "architecture", "model_options", "preprocess", "weights", "recipe_hash"),
        *("higher_is_better", "perfect"),
    ]
    facts = after.drop_duplicates(CELL_VALUE)[[*CELL_VALUE, *columns]]
    cells = _cells.moments(after).merge(facts, on=CELL_VALUE)
    scratch = cells["weights"] == "none"
    same = ["provider", "architecture", "model_options", "preprocess", "task", "method", *VALUE]
    pairs = cells[~scratch].merge(cells[scratch], on=same, suffixes=SIDES)
    unpaired = ~pairs["task"].isin(shared)
    partners = pairs.loc[~unpaired, [*CELL, *VALUE, "model_reference"]]
    pairs = pairs[unpaired]
    moments, moments_reference = ([pairs[f"{name}{side}"] for name in ("mean", "sd", "n")] for side in SIDES)
    low, high = intervals.welch_interval(*moments, *moments_reference, level)
    recipes = pairs["recipe_hash"] == pairs["recipe_hash_reference"]
    table = pairs.assign(
        comparison="from_scratch",
        reference=pairs["model_reference"],
        gain=pairs["mean"] - pairs["mean_reference"],
        low=low,
        high=high,
        sd=float("nan"),
        estimator="difference of means, unpaired: equal seeds do not pair different networks"
        + recipes.map({True: "", False: "; the recipes differ too"}).astype(str),
        interval="Welch t",
    )
    return [_with_error_reduction(table), _over_scratch_in_pairs(after, partners, level)]


def _over_scratch_in_pairs(after, partners, level):
    """Return the comparisons of cells whose runs of equal seeds are pairs. partners: cells with their references."""
    columns = ["model", "task", "method", "seed", *VALUE]
    reference = after[[*columns, "value", "status"]].rename(columns={"model": "model_reference"})
    pairs = after.merge(partners, on=[*CELL, *VALUE]).merge(
        reference, on=["model_reference", *columns[1:]], suffixes=SIDES
    )
    pairs["reference"] = pairs["model_reference"]
    return _paired(pairs, "from_scratch", "mean of differences of runs with equal seeds, which are pairs", level)


def _paired(pairs, comparison, estimator, level):
    import numpy as np

    from variability.reporting.analyses import _cells
    from variability.stats import intervals

    valid = pairs["value"].notna() & pairs["value_reference"].notna()
    reference = pairs[["value_reference", "status_reference"]].set_axis(["value", "status"], axis=1)
    pairs = pairs.assign(
        gain=pairs["value"] - pairs["value_reference"],
        mean_reference=pairs["value_reference"].where(valid),
        lost=_cells.failed(pairs),
        lost_reference=_cells.failed(reference),
    )
    groups = pairs.groupby([*CELL, "reference", *VALUE], sort=False)
    table = groups.agg(
        primary=("primary", "first"),
        higher_is_better=("higher_is_better", "first"),
        perfect=("perfect", "first"),
        n=("gain", "count"),
        n_failed=("lost", "sum"),
        n_failed_reference=("lost_reference", "sum"),
        mean_reference=("mean_reference", "mean"),
        sd=("gain", "std"),
        mean=("value", "mean"),
        gain=("gain", "mean"),
    ).reset_index()
    size = np.maximum(table["mean"].abs(), table["mean_reference"].abs())
    table["sd"] = table["sd"].mask(rounding.is_rounding(table["sd"], size), 0.0)
    table["n_reference"] = table["n"]
    table["low"], table["high"] = intervals.t_interval(table["gain"], table["sd"], table["n"], level)
    table = table.assign(comparison=comparison, estimator=estimator, interval="t, of paired differences")
    return _with_error_reduction(table)


def _with_error_reduction(table):
    distance = table["perfect"] - table["mean_reference"]
    return table.assign(error_reduction=(table["gain"] / distance).where(distance != 0))
