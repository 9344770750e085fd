"""Tests of all figures: drawn from tables alone, the same every time, with room for all texts."""

import re
import subprocess
import sys
from functools import cache
from itertools import combinations
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability import registry
from variability.reporting import figure_style, paper_figures, run_counts
from variability.results import analysis_tables
from variability.stages.plot import plot, read_table

pytestmark = pytest.mark.slow

NAMES = registry.names("plots")
FAILED = {("cnn", "digits", "full", 0), ("cnn", "digits", "full", 1)}
STUDIES = {
    "typical": {"models": ("cnn", "cnn-scratch"), "tasks": ("digits", "letter-case"), "failed": FAILED},
    "one run": {"models": ("cnn",), "tasks": ("digits",), "methods": ("full",), "seeds": (0,)},
    "all failed": {
        "models": ("cnn", "vit"),
        "methods": ("full",),
        "seeds": (0, 1),
        "failed": {(model, "digits", "full", seed) for model in ("cnn", "vit") for seed in (0, 1)},
    },
    "rankings": {"kind": "ranking", "models": ("cnn", "cnn-scratch")},
    "long names": {
        "models": tuple(f"a_very_long_architecture_{at}.in21k-pretrained" for at in range(7)),
        "tasks": tuple(f"a-task-with-a-name-of-some-length-{at}" for at in range(4)),
        "methods": ("linear_probe", "full", "partial-last-two-blocks"),
        "seeds": range(2),
    },
}


class Studies(dict):
    """Tables of the studies by name, computed on first access."""

    def __missing__(self, name):
        return self.setdefault(name, synthetic.tables(**STUDIES[name]))


@pytest.fixture(scope="module")
def studies():
    return Studies()


@pytest.fixture(scope="module")
def drawn(studies):
    """Return every plot of every study with its texts, drawn once for all tests that only inspect it."""

    @cache
    def drawn(name, study):
        figure = draw(name, studies[study])
        return figure, texts_of(figure)

    return drawn


def draw(name, tables, **options):
    plugin = registry.find("plots", name)(options, "demo")
    with figure_style.applied():
        figure = plugin.draw({need: tables[need] for need in (*plugin.NEEDS, *plugin.ANALYSES)})
        figure.draw_without_rendering()
    return figure


def texts_of(figure):
    """Return the texts that are really drawn; labels of ticks beyond the limits of an axis are not."""
    from matplotlib.text import Text

    drawn, draw_text = {}, Text.draw

    def record(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn[id(text)] = text
        draw_text(text, renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", record)
        figure.draw_without_rendering()
    return list(drawn.values())


@pytest.mark.parametrize(
    "study", ["typical", *(pytest.param(study, marks=pytest.mark.slow) for study in list(STUDIES)[1:])]
)
@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_cut_off_and_no_two_overlap(name, study, drawn):
    figure, texts = drawn(name, study)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    for text, box in boxes:
        assert box.x0 >= -1 and box.y0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1 and box.y1 <= figure.bbox.height + 1, text
    for (one, box), (other, other_box) in combinations(boxes, 2):
        # Line spacing lets neighbouring boxes touch by a pixel or two.
        across = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
        down = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
        assert across <= 2 or down <= 2, (one, other)


def test_nothing_is_written_over_the_curves_of_calibration(drawn):
    figure, _ = drawn("calibration", "typical")
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(panels) > 1 and all("ECE " in axes.get_title(loc="left") for axes in panels)
    assert [text.get_text() for axes in panels for text in axes.texts] == []


@pytest.mark.parametrize("name", ["churn", "model_task_heatmap", "overall", "robust", "task_quality"])
def test_parts_of_a_narrow_figure_are_below_each_other(name, studies):
    plugin = registry.find("plots", name)({}, "demo")
    tables = {need: studies["typical"][need] for need in (*plugin.NEEDS, *plugin.ANALYSES)}
    fitted = paper_figures.fitted(lambda: plugin.draw(tables), 8.5 / 2.54, 8)
    assert fitted.font_size == 8
    boxes = [axes.get_window_extent() for axes in fitted.figure.axes if axes.axison]
    assert not any(min(one.y1, other.y1) - max(one.y0, other.y0) > 1 for one, other in combinations(boxes, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_equal_tables_give_equal_bytes(name, studies, tmp_path):
    plugin = registry.find("plots", name)
    tables = {}
    for need in plugin.NEEDS:
        tables[need] = tmp_path / f"{need}.parquet"
        studies["typical"][need].to_parquet(tables[need])
    for need in plugin.ANALYSES:
        tables[need] = tmp_path / f"{need}.csv"
        analysis_tables.write(studies["typical"][need], tables[need])
    files = [(tmp_path / f"{at}.svg", tmp_path / f"{at}.png") for at in range(2)]
    for svg, png in files:
        plot(name, tables, {"dpi": 50}, "demo", svg, png)
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
    assert files[0][1].read_bytes() == files[1][1].read_bytes()
    svg = files[0][0].read_text()
    assert re.search(r"<text[^>]*>[^<]*demo", svg), "text must stay text"
    assert "<dc:date>" not in svg


@pytest.mark.parametrize("name", NAMES)
def test_title_and_note_state_study_n_and_failures(name, drawn):
    figure, texts = drawn(name, "typical")
    everything = " ".join(" ".join(text.get_text().split()) for text in texts)
    assert figure.get_suptitle().startswith("demo: ")
    assert re.search(r"\bn\b", everything)
    assert re.search("failed|diverged|not complete", everything)


@pytest.mark.parametrize("name", [name for name in NAMES if "runs" in registry.find("plots", name).NEEDS])
def test_the_title_names_metric_and_split(name, drawn):
    assert "accuracy on the test split" in " ".join(drawn(name, "typical")[0].get_suptitle().split())


@pytest.mark.parametrize("name", NAMES)
def test_the_title_can_be_replaced(name, studies):
    plugin = registry.find("plots", name)({"title": "Mine"}, "demo")
    with figure_style.applied():
        figure = plugin.draw({need: studies["one run"][need] for need in (*plugin.NEEDS, *plugin.ANALYSES)})
    assert figure.get_suptitle().strip() == "Mine"


@pytest.mark.parametrize("name", NAMES)
def test_options_are_a_schema_whose_defaults_it_accepts(name):
    for schema in registry.find("plots", name).OPTIONS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        if "default" in schema:
            jsonschema.validate(schema["default"], schema)


@pytest.mark.parametrize("name", NAMES)
def test_the_caption_describes_the_plot(name):
    caption = registry.find("plots", name).CAPTION
    assert 80 <= len(caption) <= 400 and caption.endswith(".")


READS_RUNS = [
    name
    for name in NAMES
    if all(
        set(plugin.NEEDS) <= {"runs"}
        for plugin in [
            registry.find("plots", name),
            *(registry.find("analyses", read) for read in registry.find("plots", name).ANALYSES),
        ]
    )
]


@pytest.mark.slow
@pytest.mark.parametrize("name", READS_RUNS)
def test_imported_runs_are_drawn_or_the_figure_explains_why_not(name, imported):
    figure = draw(name, imported)
    assert any(axes.has_data() or axes.texts for axes in figure.axes)


@pytest.mark.slow
@pytest.mark.parametrize("name", READS_RUNS)
def test_imported_runs_fail_and_do_not_diverge(name, imported):
    texts = [text.get_text() for text in texts_of(draw(name, imported))] + [registry.find("plots", name).CAPTION]
    assert not [text for text in texts if "diverge" in text.lower()]


@pytest.fixture(scope="module")
def imported():
    analyses = {name for plot in READS_RUNS for name in registry.find("plots", plot).ANALYSES}
    base = synthetic.base_tables(models=("cnn", "vit"), tasks=("digits", "letters"), failed=FAILED)
    runs = synthetic.as_imported(base["runs"])
    runs["status"] = runs["status"].replace("diverged", "failed")
    return synthetic.analysed({"runs": runs}, sorted(analyses))


@pytest.mark.parametrize("name", ["seed_spread", "intervals", "model_task_heatmap"])
def test_runs_without_a_value_are_counted_with_the_reason(name, studies):
    runs = studies["typical"]["runs"].copy()
    hit = (runs["phase"] == "after") & (runs["task"] == "digits") & (runs["method"] == "full") & (runs["seed"] == 4)
    runs["value"] = runs["value"].mask(hit)
    tables = synthetic.analysed({"runs": runs}, ["spread", "intervals"])
    texts = [" ".join(text.get_text().split()) for text in texts_of(draw(name, tables))]
    for counts in ("2 (2 not completed, 1 undefined)", "4 (1 undefined)"):
        assert sum(text.endswith(counts) for text in texts) == 1, texts


@pytest.mark.parametrize("name", ["best_of_n", "cost", "ranks", "seeds_needed"])
def test_notes_count_runs_as_the_summary_does(name, studies):
    runs = studies["typical"]["runs"].copy()
    crashed = (runs["model"] == "cnn") & (runs["task"] == "digits") & (runs["method"] == "full") & (runs["seed"] == 0)
    runs["status"] = runs["status"].mask(crashed, "failed")
    figure = draw(name, studies["typical"] | {"runs": runs})
    texts = " ".join(" ".join(text.get_text().split()) for text in texts_of(figure))
    assert "2 of 40 runs did not complete (1 diverged, 1 failed)" in texts
    assert "40 runs: 38 completed, 1 diverged, 1 failed" in " ".join(run_counts.in_words(runs).split())


def hollow(figure):
    return [line for axes in figure.axes for line in axes.lines if line.get_markerfacecolor() == "white"]


def test_one_run_without_an_interval_has_no_dot_and_the_note_explains_why(studies, imported):
    assert len(hollow(draw("intervals", studies["typical"]))) == 8
    figure = draw("intervals", imported)
    assert not hollow(figure)
    texts = " ".join(" ".join(text.get_text().split()) for text in texts_of(figure))
    assert "No interval of one run's test examples: number of test examples unknown." in texts
    assert "Dashed" not in texts


def test_the_cells_without_an_interval_of_one_run_are_counted(studies):
    tables = dict(studies["typical"])
    table = tables["intervals"].copy()
    hit = (table["target"] == "one_run") & (table["model"] == "cnn") & (table["method"] == "full")
    table.loc[hit, ["low", "high"]] = np.nan
    table.loc[hit, "note"] = "number of test examples unknown"
    figure = draw("intervals", tables | {"intervals": table})
    assert len(hollow(figure)) == 6
    texts = " ".join(" ".join(text.get_text().split()) for text in texts_of(figure))
    assert "of its test examples alone (missing for 2 of 8 cells: number of test examples unknown)." in texts


def test_every_seed_is_a_dot(studies):
    figure = draw("seed_spread", studies["typical"])
    dots = sum(len(line.get_xdata()) for axes in figure.axes for line in axes.lines if line.get_marker() in ("o", "s"))
    assert dots == 2 * 2 * 2 * 5 - len(FAILED)


def test_every_run_is_a_slope(studies):
    figure = draw("gain_slopes", studies["typical"])
    slopes = [line for axes in figure.axes for line in axes.lines if line.get_linewidth() == 0.7]
    assert len(slopes) == 40


@pytest.mark.parametrize("quantity", ["validation_loss", "validation_accuracy", "train_loss"])
def test_every_run_is_a_curve_and_a_diverged_one_does_not_change_the_limits(quantity, studies):
    figure = draw("learning_curves", studies["typical"], quantity=quantity)
    thin = [
        line for axes in figure.axes for line in axes.lines if line.get_linewidth() == 0.6 and len(line.get_xdata()) > 2
    ]
    assert len(thin) == 40
    assert all(axes.get_ylim()[1] < 10 for axes in figure.axes)


def test_a_loss_has_the_unit_of_its_tasks_kind(studies):
    history = studies["typical"]["history"]
    regression = history.assign(kind="regression", validation_rmse=1 - history["validation_accuracy"])
    mixed = history.assign(kind=history["kind"].where(history["task"] == "digits", "regression"))

    def texts(table, **options):
        return {
            " ".join(text.get_text().split())
            for text in texts_of(draw("learning_curves", {"history": table}, **options))
        }

    assert "validation loss (nats per example)" in texts(history)
    of_regression = texts(regression)
    assert "validation loss (share of the variance)" in of_regression
    assert not any("nats" in text for text in of_regression)
    assert "validation RMSE (in the target's unit)" in texts(regression, quantity="validation_rmse")
    of_both = texts(mixed)
    assert {"validation loss", "digits (nats per example)", "letter-case (share of the variance)"} <= of_both


def test_a_measure_that_a_task_lacks_is_reported_as_not_measured(studies):
    empty = studies["typical"]["history"].assign(validation_loss=float("nan"))
    texts = [text.get_text() for text in texts_of(draw("learning_curves", {"history": empty}))]
    assert texts.count("not measured") == 4


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_read_exactly(suffix, tmp_path):
    # A faster parser would change the last bit of some values.
    values = pd.DataFrame({"value": np.random.default_rng(0).lognormal(size=1000, sigma=20)})
    path = tmp_path / f"table.{suffix}"
    analysis_tables.write(values, path) if suffix == "csv" else values.to_parquet(path)
    assert read_table(path)["value"].tolist() == values["value"].tolist()


def test_cells_of_the_heat_map_contain_the_numbers_of_the_table(studies):
    spread = studies["typical"]["spread"]
    row = spread.query("model == 'cnn' and task == 'digits' and method == 'full' and phase == 'after'")
    row = row[(row["split"] == "test") & row["primary"]].iloc[0]
    expected = f"{row['mean']:.4f}\n± {row['sd']:.4f}\nn = 3 (2 not\ncompleted)"
    assert 0.001 < row["sd"] < 0.0095, "two significant digits"
    assert expected in {text.get_text() for text in texts_of(draw("model_task_heatmap", studies["typical"]))}


@pytest.mark.slow
def test_tasks_with_different_metrics_share_no_scale(studies):
    tables = {}
    for name, table in studies["typical"].items():
        if {"metric", "task"} <= set(table):
            wanted = table["task"].map({"digits": "accuracy", "letter-case": "nll"})
            table = table.assign(primary=table["metric"] == wanted)
        tables[name] = table
    texts = {text.get_text() for text in texts_of(draw("model_task_heatmap", tables))}
    assert any("within a task" in text for text in texts)
    for name in NAMES:
        draw(name, tables)


@pytest.mark.slow
def test_a_cell_that_is_not_in_the_study_is_blank(studies):
    base = synthetic.base_tables(**STUDIES["typical"])
    remaining = {cell for cell in base["predictions"].cells if cell[:2] != ("cnn", "digits")}
    cells = {name: list(zip(base[name]["model"], base[name]["task"], strict=True)) for name in ("runs", "history")}
    base |= {
        name: base[name][[cell != ("cnn", "digits") for cell in cell_of_row]] for name, cell_of_row in cells.items()
    }
    tables = synthetic.analysed(base | {"predictions": base["predictions"].only(remaining)})
    for name in NAMES:
        draw(name, tables)


@pytest.mark.slow
def test_drawing_does_not_import_pyplot():
    names = ", ".join(repr(name) for name in NAMES)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import synthetic_study\n"
        "from variability import registry; from variability.reporting.figure_style import applied\n"
        "tables = synthetic_study.tables()\n"
        f"for name in ({names},):\n"
        "    with applied(): registry.find('plots', name)({}, 'demo').draw(tables)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    tests = Path(synthetic.__file__).parent
    library = Path(sys.modules["variability"].__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, str(tests)], check=True, env={"PYTHONPATH": str(library)})


@pytest.mark.parametrize("count", [1, 6, 7, 12])
def test_looks_also_differ_in_grey(count):
    looks = figure_style.looks([str(at) for at in range(count)]).values()
    assert len({(look.marker, look.line) for look in looks}) == count


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("short", "short"),
        ("resnet18-scratch", "resnet18-\nscratch"),
        ("digits: full", "digits:\nfull"),
        ("a" * 14, f"{'a' * 10}\naaaa"),
    ],
)
def test_names_break_after_their_punctuation(name, lines):
    assert figure_style.wrap(name, 10) == lines
