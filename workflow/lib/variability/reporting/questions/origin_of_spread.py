"""Shares of the seed and of the test examples in the spread between runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from variability.advice import plural
from variability.reporting.questions import Chart, Question

if TYPE_CHECKING:
    import pandas as pd

SEED, TEST = "the seed", "the choice of test examples"


class OriginOfSpread(Question):
    """Variance between runs, split into that of the seed and that of the test examples."""

    TITLE = "Is the spread due to the seed or to the test set?"
    ORDER = 40
    ANALYSES: ClassVar[tuple[str, ...]] = ("noise_split",)
    READING = (
        "One bar per candidate: the variance between its runs, split into the part that other test examples would "
        "change and the part that remains, which is due to the seed; the number to its right is the SD of the latter. "
        "A larger test set shrinks the first part only."
    )
    DOCS = "statistics/noise.md#noise_split"

    def sentences(self, tables: Mapping[str, pd.DataFrame]) -> list[str]:
        rows = _split(tables["noise_split"])
        if rows.empty:
            return []
        more = int((rows["share_test_set"] < 0.5).sum())
        alpha = 1 - rows["level"].iloc[0]
        shown = int((rows["p_adjusted"] <= alpha).sum())
        return [
            f"In {more} of {plural(len(rows), 'cell')} the seed causes more of the spread than the choice "
            "of the test examples.",
            "That the seed has an effect at all, beyond the noise of the test examples, is shown in "
            f"{shown} of {len(rows)} (F test, adjusted p at most {alpha:.2g}).",
        ]

    def charts(self, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
        import pandas as pd

        from variability.reporting.page import vega

        rows = _split(tables["noise_split"])
        cells = rows[["task", "model", "method", "n", "sd_observed", "sd_seed", "n_examples"]]
        halves = [
            cells.assign(part=SEED, share=1 - rows["share_test_set"], order=0),
            cells.assign(part=TEST, share=rows["share_test_set"], order=1),
        ]
        tips = vega.tooltip(
            candidate="candidate", part="part", share="share of the variance", sd_observed="SD between runs",
            sd_seed="SD due to the seed", n="runs", n_examples="test examples",
        )  # fmt: skip
        bar = {
            "data": {"name": "rows"},
            "mark": {"type": "bar", "height": 14},
            "encoding": {
                "y": vega.CANDIDATES,
                "x": {
                    "field": "share",
                    "type": "quantitative",
                    "stack": True,
                    "title": "share of the variance between runs",
                    "axis": {"format": ".0%"},
                    "scale": {"domain": [0, 1]},
                },
                "order": {"field": "order"},
                "color": {
                    "field": "part",
                    "scale": {"domain": [SEED, TEST], "range": ["{accent}", "{faint}"]},
                    "legend": {"title": None, "orient": "top"},
                },
                "opacity": vega.DIMMED,
                "tooltip": tips,
            },
        }
        label = {
            "data": {"name": "rows"},
            "transform": [{"filter": f"datum.part === '{SEED}'"}],
            "mark": {"type": "text", "align": "left", "dx": 6},
            "encoding": {
                "y": vega.CANDIDATES,
                "x": {"value": "width"},
                "text": {"field": "sd_seed", "format": ".2~g"},
                "opacity": vega.DIMMED,
            },
        }
        return [
            Chart(
                pd.concat(halves), vega.layers(bar, label), "Origin of the variance between runs; right: SD of the seed"
            )
        ]


def _split(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell with a split: of its task's primary metric, or of that of the losses."""
    rows = table.dropna(subset="share_test_set")
    primary = rows["primary"].astype(bool)
    return rows[primary == rows["task"].isin(rows.loc[primary, "task"])]
