"""The study of regression at a reduced size, from pretraining to report, alone and with a task of classification."""

import pandas as pd
import pytest
import yaml
from support import Checkout, aggregated, presented

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Checkout:
    """A study of both kinds of task, run by its rules to the report; and one of regression alone, of the same runs."""
    checkout = Checkout.of_project(tmp_path_factory.mktemp("regression") / "project")
    config = yaml.safe_load((checkout.folder / "studies/regression.yaml").read_text())
    config["seeds"] = [0, 1]
    config["models"] = {name: entry for name, entry in config["models"].items() if "deep" in name}
    config["recipe"]["epochs"] = 2
    config["tasks"]["rotation"]["options"] |= {"per_font": 1, "letters": "abcdefgh"}
    config["tasks"]["rotation"]["split"] |= {"train": 60, "validation": 20}
    config["pretraining"]["letters"]["task"]["options"]["per_font"] = 1
    config["pretraining"]["letters"]["task"]["split"] = {"train": 200, "validation": 50, "test": 50}
    config["pretraining"]["letters"]["recipe"]["epochs"] = 1
    split = {"train": 60, "validation": 20, "test": 100}
    digits = {"dataset": "digits", "image": {"size": 16}, "split": split}
    mixed = config | {"study": "mixed", "tasks": config["tasks"] | {"digits": digits}}
    mixed["plots"] = ["calibration", "model_task_heatmap"]  # that of regression alone draws every figure
    (checkout.folder / "mixed.yaml").write_text(yaml.safe_dump(mixed, sort_keys=False))
    checkout.snakemake("--cores", "2", "--configfile", "mixed.yaml")
    results, alone = (checkout.folder / "results" / name for name in ("mixed", "regression"))
    aggregated(config, results, alone)
    presented(config, results, alone)
    return checkout


def outputs(finished, study):
    folder = finished.folder / "results" / study
    return folder, pd.read_parquet(folder / "aggregate/runs.parquet")


def test_a_number_is_measured_in_its_unit_before_and_after(finished):
    folder, runs = outputs(finished, "regression")
    mixed, _ = outputs(finished, "mixed")
    assert (runs["status"] == "completed").all()
    assert {"rmse", "mae", "mse", "r2"} == set(runs["metric"])
    assert set(runs.loc[runs["primary"], "metric"]) == {"rmse"} and runs["phase"].nunique() == 2
    predictions = pd.read_parquet(mixed / "predict/mobilenet-deep/rotation/full/0.parquet")
    assert predictions["y_true"].abs().max() <= 45 and predictions["y_true"].std() > 15
    row = runs.query(
        "model == 'mobilenet-deep' and method == 'full' and seed == 0 and phase == 'after' and split == 'test'"
        " and metric == 'rmse'"
    )
    after = predictions[(predictions["phase"] == "after") & (predictions["split"] == "test")]
    expected = ((after["y_pred"] - after["y_true"]) ** 2).mean() ** 0.5
    assert row["value"].item() == pytest.approx(expected)
    assert "RMSE (units of the target)" in (folder / "report/summary.md").read_text()


def test_outputs_of_classification_are_not_written_for_regression(finished):
    regression, _ = outputs(finished, "regression")
    assert not (regression / "analyse/calibration.csv").exists()
    assert (regression / "analyse/noise_split.csv").is_file()
    mixed, runs = outputs(finished, "mixed")
    assert set(runs.loc[runs["primary"], "metric"]) == {"rmse", "accuracy"}
    calibration = pd.read_csv(mixed / "analyse/calibration.csv")
    assert calibration.groupby("task")["n"].max().to_dict() == {"digits": 2, "rotation": 0}
    assert (mixed / "plot/calibration.png").is_file()
    assert (mixed / "report/report.html").is_file()
    claims = (mixed / "claim/claims.md").read_text()
    assert "On rotation" in claims and "On digits" in claims
