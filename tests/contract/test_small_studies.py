"""All analyses, claims and the summary of small studies: rounded, tied, incomplete, without any spread."""

import warnings

import numpy as np
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import run_counts
from variability.reporting.summary import summarise
from variability.stages.claim import claims

pytestmark = pytest.mark.slow

ANALYSES = [name for name in registry.names("analyses") if registry.find("analyses", name).NEEDS == ("runs",)]
CLAIMS = [name for name in registry.names("claims") if set(registry.find("claims", name).ANALYSES) <= set(ANALYSES)]
FEW = {"resamples": 100, "thresholds": 5}
KINDS = ("rounded", "equal", "equal within cells", "tiny", "zero", "negative", "undefined")


def study(kind, rng):
    """Return the runs of a small study with a hole and some lost runs, whose values are of one kind."""
    models, tasks = (tuple(name + str(at) for at in range(rng.integers(1, 4))) for name in "mt")
    methods = ("full", "linear_probe")[: rng.integers(1, 3)]
    runs = synthetic.runs(models, tasks, methods, seeds=range(rng.integers(1, 5)))
    if rng.random() < 0.5:
        runs = synthetic.as_imported(runs)
    if kind in ("tiny", "negative"):
        runs = synthetic.with_scale(runs.assign(metric=runs["metric"].replace("accuracy", "score")))
    hole = (runs["model"] == models[-1]) & (runs["task"] == tasks[-1])
    runs = runs[~hole | (hole.all() or rng.random() < 0.3)].reset_index(drop=True)
    cell = runs.groupby(["model", "task", "method"]).ngroup().to_numpy()
    normal = rng.normal(0.6, 0.1, len(runs))
    values = {
        **{"rounded": normal.round(1), "equal": np.full(len(runs), 0.5), "equal within cells": cell / 20},
        **{"tiny": (1e-8 * normal).round(10), "zero": np.zeros(len(runs)), "negative": (normal - 0.6).round(2)},
        "undefined": np.full(len(runs), np.nan),
    }
    runs["value"] = values[kind]
    if rng.random() < 0.4 and kind != "undefined":
        lost = (runs["seed"] == 0) & (runs["model"] == models[0]) & (runs["phase"] == "after")
        runs = runs.assign(value=runs["value"].mask(lost), status=runs["status"].mask(lost, "diverged"))
    return runs


@pytest.mark.parametrize("kind", KINDS)
def test_small_studies_have_tables_without_nonsense(kind):
    runs = study(kind, np.random.default_rng(KINDS.index(kind)))
    tables = {"runs": runs}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for name in ANALYSES:
            plugin = registry.find("analyses", name)
            options = {key: value for key, value in FEW.items() if key in plugin.OPTIONS}
            table = tables[name] = plugin(options).table({"runs": runs})
            assert not np.isinf(table.select_dtypes(float)).any(axis=None), name
            if {"low", "high"} <= set(table):
                assert not (table["low"] > table["high"]).any(), name
        for name in CLAIMS:
            effects = claims({name: {}}, tables)["effect"].astype(float)
            # A ranking of candidates that all tie has no correlation with another.
            assert not np.isinf(effects).any() and (name == "stable_ranking" or effects.notna().all()), name
        text = summarise(tables, "small")
    assert run_counts.in_words(runs, tables["failures"]) == run_counts.in_words(runs)
    assert "inf" not in text and "nan" not in text


def test_equal_means_of_cells_in_a_grid_with_a_hole_have_components():
    """Two runs of 0.5 and 0.6 in each of three cells: squares of 0.015 within cells, on 3 degrees of freedom, and of 0
    between them, on 2; REML, with no component below 0, distributes the squares over all 5.
    """
    runs = synthetic.runs(("a", "b"), ("t1", "t2"), ("full",), seeds=range(2))
    runs = runs.assign(value=0.5 + 0.1 * runs["seed"])[(runs["model"] != "b") | (runs["task"] != "t2")]
    table = registry.find("analyses", "components")({}).table({"runs": runs})
    across = table[(table["task"] == "all tasks") & (table["population"] == "many like these")].set_index("role")
    assert across.loc["seed", ["variance_raw", "variance"]].tolist() == pytest.approx([0.015 / 3, 0.015 / 5])
    assert across.loc[across.index != "seed", "variance"].fillna(0).eq(0).all()
