"""Tests that table, claims, summary, page and figure say the same about all tasks together."""

import html
import re

import numpy as np
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import overall_words, rank_words, summary
from variability.reporting.page import document, web_libraries
from variability.reporting.page.first_screen import HEADINGS
from variability.reporting.plots.overall import _shown
from variability.stages.claim import claims

pytestmark = pytest.mark.slow


def tables_of(gap, holes):
    """Return the tables of four imported models on seven tasks. gap: between models; holes: (model, task)."""
    models, tasks = [f"m{index}" for index in range(4)], [f"t{index}" for index in range(7)]
    runs = synthetic.as_imported(synthetic.runs(models=models, tasks=tasks, methods=("full",), seeds=range(3)))
    runs = runs.query("metric == 'accuracy' and phase == 'after'")
    runs = runs[[cell not in holes for cell in zip(runs["model"], runs["task"], strict=True)]]
    of_tasks = dict(zip(tasks, 0.6 + np.random.default_rng(3).normal(0, 0.05, len(tasks)), strict=True))
    # Seeds add to each model and task another small number.
    noise = 0.004 * np.sin(17.0 * np.arange(len(runs)))
    values = runs["task"].map(of_tasks) - gap * runs["model"].map({"m0": 0, "m1": 1, "m2": 1, "m3": -1}) + noise
    runs = runs.assign(value=values, range_low=0.0, range_high=1.0)
    tables = {"runs": runs}
    for name, options in {"spread": {}, "decisions": {"resamples": 200}, "overall": {}}.items():
        tables[name] = registry.find("analyses", name)(options).table(tables)
    return tables | {"claims": claims({"overall": {"candidates": 9}}, tables)}


def rows_of(axes):
    """Return what a panel shows by row: ``bar`` (ends of its line), ``dot`` and ``open``."""
    rows = {}
    for line in axes.lines:
        x, y = (np.asarray(values, dtype=float).tolist() for values in line.get_data())
        if line.get_marker() == "o":
            rows.setdefault(y[0], {})["dot"] = x[0]
            rows[y[0]]["open"] = line.get_markerfacecolor() == "white"
        elif len(x) == 2 and y[0] == y[1]:
            rows.setdefault(y[0], {})["bar"] = x
    return rows


def test_table_claims_summary_page_and_figure_agree(monkeypatch):
    monkeypatch.setattr(web_libraries, "vega", lambda: "window.vegaEmbed = null")
    monkeypatch.setattr(web_libraries, "data_tables", lambda: ("export default null", ""))
    holes = {("m3", "t1")}
    tables = tables_of(0.05, holes)
    pairs, stated = tables["overall"], tables["claims"]
    ranked = rank_words.ranked(pairs)
    # Two of the candidates have equal means, and the best one has no rank.
    assert [one.limits for one in ranked] == ["1", "2-3", "2-3", ""]
    assert [one.model for one in ranked if one.low != one.low] == [model for model, _ in holes]
    # Summary and page have the same sentences, of which the page first shows who is ahead.
    ahead, *evidence = overall_words.sentences(tables)
    page = html.unescape(document.render(document.Contents("demo", tables)))
    assert f"{ahead} {' '.join(evidence)}" in " ".join(summary.summarise(tables, "demo").split())
    assert f'<p class="lead">{ahead}</p>' in page
    assert f"<details><summary>How sure is that?</summary><p>{' '.join(evidence)}</p></details>" in page
    # The page has the claims under the headings of their verdicts.
    first_screen = page.partition('id="filters"')[0]
    parts = re.split("|".join(f"(?=<h2>{heading}</h2>)" for heading in HEADINGS.values()), first_screen)[1:]
    shown = {
        sentence: verdict
        for part in parts
        for verdict, heading in HEADINGS.items()
        if part.startswith(f"<h2>{heading}")
        for sentence in re.findall("<q>(.*?)</q>", part)
    }
    assert shown and shown.items() <= dict(zip(stated["sentence"], stated["verdict"], strict=True)).items()
    # The figure has ranks, differences and names of the table.
    figure = registry.find("plots", "overall")({}, "demo").draw(tables)
    limits, differences = (rows_of(axes) for axes in figure.axes)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [one.name for one in ranked]
    for row, one in enumerate(ranked):
        assert limits.get(row, {}).get("bar") == ([one.low, one.high] if one.low == one.low else None)
        claim = (
            f"{one.name} ranks {one.limits} of" if one.low == one.high else f"{one.name} ranks between {one.low:g} and"
        )
        assert stated["sentence"].str.contains(claim, regex=False).any() == (one.low == one.low)
        if row:
            (pair,) = pairs[(pairs["model"] == ranked[0].model) & (pairs["model_b"] == one.model)].to_dict("records")
            assert differences[row]["dot"] == -pair["difference"]
            assert differences[row]["bar"] == [-pair["high"], -pair["low"]]
            assert differences[row]["open"] == (pair["decision"] == "not ranked") == (one.low != one.low)
    assert [text.get_text() for text in figure.axes[0].texts] == [f"no result on {task}" for _, task in holes]


def test_candidates_without_a_rank_are_shown_where_there_is_no_room_for_all():
    names = [rank_words.Ranked(f"m{index}", "full", index + 1, index + 1, "") for index in range(9)]
    others = [one._replace(model=f"x{index}", low=np.nan, high=np.nan) for index, one in enumerate(names)]
    assert _shown([*names, *others], 18) == [*names, *others]
    assert _shown([*names, *others], 14) == [*names[:8], *others[:6]]
    assert _shown([*names[:3], *others], 10) == [*names[:3], *others[:7]]
    assert _shown([*names, *others], 5) == names[:5]
    assert _shown([*names[:3], *others[:1]], 4) == [*names[:3], *others[:1]]
