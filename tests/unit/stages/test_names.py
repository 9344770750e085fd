"""Names that look like numbers or like missing values go through the last stages of a study unchanged."""

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
import synthetic_study as synthetic

from variability.config.outputs import Outputs
from variability.config.study import Study
from variability.results import analysis_tables
from variability.results.columns import CELL
from variability.results.predictions import Predictions
from variability.stages import analyse as analyse_stage
from variability.stages.aggregate import aggregate
from variability.stages.analyse import analyse
from variability.stages.claim import claim
from variability.stages.plot import plot
from variability.stages.summarise import summarise

pytestmark = pytest.mark.slow

MODELS = ["1.1", "1.10", "007", "NA", "None", "true", "1e5", "inf", 'a "b"', "a,b"]
TASKS = ["1", "nan"]
METHODS = ["8", "null"]
SPEC = {
    "path": "runs.csv",
    "columns": {"model": "m", "task": "t", "method": "w", "seed": "s"},
    "metrics": {"acc": {"metric": "accuracy"}},
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Runs of all these names, from their file to tables, claims and summary; with the mean of each cell."""
    folder = tmp_path_factory.mktemp("imported")
    rng = np.random.default_rng(0)
    cells = list(product(MODELS, TASKS, METHODS))
    means = {cell: round(0.5 + 0.01 * number, 3) for number, cell in enumerate(cells)}
    rows = [(*cell, seed, means[cell] + rng.normal(0, 0.01)) for cell in cells for seed in range(4)]
    pd.DataFrame(rows, columns=["m", "t", "w", "s", "acc"]).to_csv(folder / "runs.csv", index=False)
    spec = {"models": {}, "tasks": {}, "methods": {}, "imports": {"own": SPEC}, "grid": {}, "scales": {}}
    aggregate([], [], spec, folder / "aggregate", {"own": [folder / "runs.csv"]})
    base = {"runs": folder / "aggregate/runs.parquet"}
    outputs = Outputs(Study({"study": "s", "imports": {"own": SPEC}}))
    of_analyses = made(outputs, base, folder)
    return (
        folder,
        base | of_analyses,
        pd.DataFrame(rows, columns=[*CELL, "seed", "value"]).groupby(CELL)["value"].mean(),
    )


def made(outputs, base, folder, predictions=()):
    """Run the analyses, claims and summary of a study; return the analyses' files."""
    files = {}
    for name, options in outputs.analyses.items():
        quick = {"resamples": 100} if "resamples" in analyse_stage.registry.find("analyses", name).OPTIONS else {}
        files[name] = folder / "analyse" / f"{name}.csv"
        analyse(name, base, options | quick, files[name], predictions)
    out = folder / "claim"
    claim("s", outputs.claims, files, out / "claims.csv", out / "claims.md", out / "claims.html")
    tables = [files[name] for name in files if analyse_stage.registry.find("analyses", name).SUMMARISED]
    summarise(
        "s",
        base["runs"],
        [*tables, out / "claims.csv"],
        *(folder / f"{name}" for name in ("summary.md", "answer.txt", "summary.html")),
    )
    return files


def test_every_table_has_the_names_of_the_file(imported):
    known = dict(zip(CELL, (MODELS, TASKS, METHODS), strict=True))
    known["task"] = [*TASKS, "all tasks"]
    columns = {f"{key}{end}": names for key, names in known.items() for end in ("", "_b")}
    complete = 0
    for path in (imported[0] / "analyse").glob("*.csv"):
        table = analysis_tables.read(path)
        for column in set(columns) & set(table):
            assert set(table[column].dropna()) <= set(columns[column]), (path.stem, column)
        complete += "model" in table and set(table["model"]) == set(MODELS)
    assert complete > 3


def test_the_summary_states_the_mean_of_every_name(imported):
    folder, _, means = imported
    text = (folder / "summary.md").read_text()
    for task in TASKS:
        section = re.search(rf"^## {task}: .*?(?=^## )", text, re.MULTILINE | re.DOTALL)[0]
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:2] == "| "]
        shown = {(row[0], row[1]): float(row[4].split()[0]) for row in rows[1:]}
        assert shown == pytest.approx(
            {(model, method): means[model, task, method] for model, method in shown}, abs=6e-4
        )
        assert set(shown) == set(product(MODELS, METHODS))


def test_figures_name_the_models(imported, tmp_path):
    plot("intervals", imported[1], {"dpi": 50}, "s", tmp_path / "figure.svg", tmp_path / "figure.png")
    texts = set(re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "figure.svg").read_text()))
    assert {model for model in MODELS if not any(model in text for text in texts)} <= {'a "b"'}
    assert any("a &quot;b&quot;" in text or 'a "b"' in text for text in texts)


def test_names_of_trained_runs_are_read_exactly_by_all_analyses(tmp_path, monkeypatch):
    shape = {"models": ("18", "1.10", "None"), "tasks": ("1", "NA"), "methods": ("full", "8"), "seeds": range(3)}
    base = synthetic.base_tables(**shape)
    files = {name: tmp_path / f"{name}.parquet" for name in ("runs", "history")}
    for name, path in files.items():
        base[name].to_parquet(path)
    monkeypatch.setattr(Predictions, "from_manifests", lambda _: base["predictions"])
    for name in ("churn", "intervals", "noise_split", "multibootstrap"):
        options = {"resamples": 100} if "resamples" in analyse_stage.registry.find("analyses", name).OPTIONS else {}
        analyse(name, files, options, tmp_path / f"{name}.csv", [tmp_path / "block-0.json"])
        table = analysis_tables.read(tmp_path / f"{name}.csv")
        assert set(table["model"].dropna()) <= set(shape["models"]) and len(table), name
        assert set(table["task"].dropna()) <= set(shape["tasks"]), name
