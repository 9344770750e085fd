"""A study of imported scores alone: all of its tables, figures, claims and pages, up to the summary."""

import csv

import numpy as np
import pytest
from support import presented

from variability.config import specs, validate
from variability.config.outputs import Outputs
from variability.results import imported_files
from variability.stages.aggregate import aggregate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A metric of which less is better, with values below 0 and above 1, on grouped examples: b is better than a."""
    folder = tmp_path_factory.mktemp("imported")
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=24)
    with (folder / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "seed", "id", "page", "cost"])
        for model, level in (("a", 1.0), ("b", -2.0)):
            for seed in range(3):
                for example, value in enumerate(level + difficulty + 0.1 * rng.normal(size=24)):
                    writer.writerow([model, seed, f"q{example}", example // 3, value])
    entry = {
        "path": str(folder / "scores.csv"),
        "examples": "scores",
        "columns": {"model": "model", "seed": "seed", "example_id": "id", "group": "page"},
        "metrics": {"cost": {"higher_is_better": False}},
    }
    plots = ["churn", "multibootstrap", "noise_split"]
    study = validate.check({"study": "s", "imports": {"own": entry}, "plots": plots}, [])
    spec = specs.aggregate(study)
    spec["imports"]["own"]["names"] = ["scores.csv"]
    files = {"own": [file.path for file in imported_files.find(entry)]}
    aggregate([], [], spec, folder / "results/aggregate", files)
    return presented(study.config, folder / "results"), Outputs(study)


def test_all_outputs_are_made_also_of_a_metric_that_nobody_knows(study):
    folder, outputs = study
    assert {"noise_split", "multibootstrap", "churn"} <= set(outputs.plots) and "test_noise" in outputs.analyses
    for name in outputs.plots:
        assert (folder / f"plot/{name}.svg").stat().st_size > 1000
    assert "difference of mean cost (+ is better, that is, lower)" in (folder / "plot/multibootstrap.svg").read_text()
    summary = (folder / "report/summary.md").read_text()
    assert "b has the best mean" in summary
    # No method is stated, so that there is none to name.
    shown = [
        summary,
        (folder / "claim/claims.md").read_text(),
        *(path.read_text() for path in folder.glob("plot/*.svg")),
    ]
    assert not any("(fine-tuned)" in text for text in shown)


def test_the_better_model_is_the_one_with_less(study):
    def rows(name):
        with (study[0] / f"analyse/{name}.csv").open() as file:
            return list(csv.DictReader(file))

    (noise,) = [row for row in rows("test_noise") if row["quantity"] == "difference"]
    assert (noise["model"], noise["verdict"], noise["n_groups"]) == ("b", "beyond test noise", "8")
    (pair,) = rows("multibootstrap")
    assert pair["metric"] == "cost" and float(pair["high"]) * float(pair["low"]) > 0
    assert all(row["metric"] == "cost" and float(row["n_groups"]) == 8 for row in rows("noise_split"))
    flips = [row for row in rows("churn") if row["quantity"] == "disagreement"]
    assert {row["kind"] for row in flips} == {"scores"}
    between = next(float(row["estimate"]) for row in flips if row["model_reference"])
    assert between == pytest.approx(3, abs=0.2), "the mean difference of the scores of single examples"
