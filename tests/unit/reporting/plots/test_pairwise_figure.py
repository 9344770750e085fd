"""Tests of the matrix of pairs of candidates."""

import synthetic_study as synthetic

from variability import registry
from variability.reporting.plots.pairwise import MARK


def test_a_decided_pair_with_a_single_run_is_marked_although_it_has_no_probability():
    runs = synthetic.runs(models=("net", "counts"), methods=("full",))
    counted = runs["model"] == "counts"
    runs = runs[~counted | (runs["seed"] == 0)].assign(deterministic=counted)
    runs["value"] = runs["value"].mask(runs["model"] == "counts", 0.1)
    tables = {name: registry.find("analyses", name)({}).table({"runs": runs}) for name in ("pairwise", "decisions")}
    figure = registry.find("plots", "pairwise")({}, "demo").draw(tables | {"runs": runs})
    (axes,) = (axes for axes in figure.axes if axes.texts)
    assert f"n/a\n{MARK}" in [text.get_text() for text in axes.texts]
