"""The tiny study, run for real: its results, and the behaviour when something goes wrong."""

import http.server
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from hashlib import sha256

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from support import Checkout, presented

pytestmark = pytest.mark.slow

TINY = "--configfile", "tiny.yaml"


def predictions(checkout: Checkout) -> dict[str, object]:
    folder = checkout.folder / "results/tiny/predict"
    return {str(path.relative_to(folder)): pq.read_table(path) for path in sorted(folder.rglob("*.parquet"))}


def test_every_run_is_in_the_runs_table_before_and_after(finished):
    runs = pd.read_parquet(finished.folder / "results/tiny/aggregate/runs.parquet")
    primary = runs[(runs["metric"] == "accuracy") & (runs["split"] == "test")]
    assert len(primary) == 3 * 2 * 2
    assert set(primary["phase"]) == {"before", "after"}
    assert (primary["status"] == "completed").all()
    assert (primary["n_test"] == 100).all()
    assert primary["value"].between(0, 1).all()


def test_scores_are_those_of_the_predictions(finished):
    runs = pd.read_parquet(finished.folder / "results/tiny/aggregate/runs.parquet")
    for row in runs[runs["metric"] == "accuracy"].itertuples():
        path = finished.folder / f"results/tiny/predict/{row.model}/{row.task}/{row.method}/{row.seed}.parquet"
        table = pd.read_parquet(path)
        chosen = table[(table["phase"] == row.phase) & (table["split"] == row.split)]
        assert row.value == pytest.approx((chosen["y_true"] == chosen["y_pred"]).mean())


def test_before_fine_tuning_all_methods_start_from_the_same_network(finished):
    tables = predictions(finished)
    probe, full = (tables[f"pretrained/digits/{method}/1.parquet"].to_pandas() for method in ("linear_probe", "full"))
    before = [table[table["phase"] == "before"].reset_index()["probabilities"] for table in (probe, full)]
    assert all((one == other).all() for one, other in zip(*before, strict=True))


def test_a_study_without_the_cpu_kernels_gives_the_same_results_up_to_rounding(finished, tmp_path):
    stock = finished.copy(tmp_path / "stock")
    stock.snakemake("runs", "--cores", "2", *TINY, VARIABILITY_STOCK_KERNELS="1")
    records = [yaml.safe_load(path.read_text()) for path in stock.folder.glob("results/tiny/finetune/*/*/*/*/run.json")]
    assert len(records) == 6 and all(record["kernels"] == "stock" for record in records)
    with_kernels, without = predictions(finished), predictions(stock)
    assert with_kernels.keys() == without.keys()
    for name, table in without.items():
        probabilities, expected = (np.stack(each["probabilities"].to_pylist()) for each in (table, with_kernels[name]))
        assert np.abs(probabilities - expected).max() < 0.02, name


def test_training_and_test_examples_are_disjoint(finished):
    examples = pd.read_parquet(finished.folder / "results/tiny/prepare/digits/examples.parquet")
    assert examples["example_id"].is_unique
    assert examples["split"].value_counts().to_dict() == {"test": 100, "train": 40, "validation": 40}


def test_a_probe_stores_its_head_only(finished):
    sizes = {
        method: (finished.folder / f"results/tiny/finetune/pretrained/digits/{method}/0/checkpoint.safetensors").stat()
        for method in ("linear_probe", "full")
    }
    assert sizes["linear_probe"].st_size < sizes["full"].st_size / 20


def test_figures_tables_and_report_are_written(finished):
    results = finished.folder / "results/tiny"
    for name in ("seed_spread", "gain_slopes", "learning_curves", "model_task_heatmap"):
        assert (results / f"plot/{name}.svg").stat().st_size > 5000
        assert (results / f"plot/{name}.png").stat().st_size > 5000
    for name in ("spread", "intervals", "gain"):
        table = pd.read_csv(results / f"analyse/{name}.csv")
        assert {"n", "estimator", "level", "scope"} <= set(table)
    html = (results / "report/report.html").read_text()
    assert "seed_spread" in html and "spread.csv" in html
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?://', html)


def test_a_run_of_snakemake_ends_with_the_answer_and_its_page(study, tmp_path):
    (study.folder / "results/tiny/report/answer.txt").unlink()
    # Jobs import the library of their checkout, whatever others the environment has.
    other = tmp_path / "other/variability/__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("raise ImportError\n")
    environ = {"PYTHONPATH": str(other.parents[1])}
    # A terminal whose encoding lacks some of the answer's characters shows their codes.
    environ |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = study.snakemake("--cores", "1", *TINY, forks="none", **environ)
    folder = study.folder / "results/tiny/report"
    answer = (folder / "answer.txt").read_text(encoding="utf-8")
    shown = answer.encode("ascii", "backslashreplace").decode()
    # It is wrapped to the terminal.
    assert " ".join(shown.split()) in " ".join(done.stderr.split())
    summary = " ".join((folder / "summary.md").read_text(encoding="utf-8").split())
    assert all(" ".join(paragraph.split()) in summary for paragraph in answer.split("\n\n"))
    assert "the best mean" in answer and len(answer.splitlines()) <= 15
    assert "results/tiny/report/index.html" in done.stderr


def test_predictions_are_bit_identical_whatever_the_size_of_blocks(finished, study):
    """The second seed of a job of two, in a job by itself; no earlier run is left that could be reused."""
    for stage in ("finetune", "predict"):
        shutil.rmtree(study.folder / "results/tiny" / stage)
    study.edit("tiny.yaml", "seeds_per_job: 2", "seeds_per_job: 1")
    study.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [1]")
    study.snakemake("runs", "--cores", "2", *TINY)
    expected, actual = predictions(finished), predictions(study)
    assert set(actual) == {name for name in expected if name.endswith("/1.parquet")} and len(actual) == 3
    for name, table in actual.items():
        assert table.equals(expected[name]), name


def test_a_study_killed_in_training_resumes_to_the_same_predictions(finished, tmp_path):
    again = Checkout.of_project(tmp_path / "project")
    command = [sys.executable, "-m", "snakemake", "runs", "--cores", "2", *TINY]
    running = subprocess.Popen(
        command, cwd=again.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not list(again.folder.glob("results/tiny/finetune/*/*/*/*/.lock")):
        assert running.poll() is None, "the study ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    again.snakemake("--unlock", *TINY)
    again.snakemake("runs", "--cores", "2", *TINY)
    for name, table in predictions(finished).items():
        assert table.equals(predictions(again)[name]), name


def test_a_diverging_run_is_recorded_and_the_study_continues(study):
    study.append("tiny.yaml", "overrides: [{model: scratch, recipe: {optimizer: sgd, lr: 1.0e+30}}]\n")
    study.snakemake("results/tiny/aggregate/manifest.json", "--cores", "2", *TINY)
    presented(yaml.safe_load((study.folder / "tiny.yaml").read_text()), study.folder / "results/tiny")
    runs = pd.read_parquet(study.folder / "results/tiny/aggregate/runs.parquet")
    diverged = runs[runs["status"] == "diverged"]
    assert set(diverged["model"]) == {"scratch"}
    assert diverged["fail_reason"].str.contains("epoch 1").all()
    assert diverged.loc[diverged["phase"] == "after", "value"].isna().all()
    assert "diverged" in (study.folder / "results/tiny/report/summary.md").read_text()


@pytest.fixture
def empty_server():
    """Address of a server without files. Requests to one that does not answer would be repeated for half a minute."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_bad_data_is_named_and_other_tasks_continue(study, empty_server):
    """One task for each defect of a file that a job downloads, all in one run; others are checked before."""
    names = [f"photos/{label}/{number}.png" for label in ("cat", "dog") for number in (1, 2)]
    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "png")

    def archive(name: str, members: list[str], content: bytes) -> None:
        with zipfile.ZipFile(study.folder / name, "w") as written:
            for member in members:
                written.writestr(member, content)

    archive("garbled.zip", names, b"this is no image")
    archive("escaping.zip", ["../outside.png", *names], image.getvalue())
    archive("lonely.zip", names[:3], image.getvalue())
    archive("whole.zip", names, image.getvalue())
    (study.folder / "truncated.zip").write_bytes((study.folder / "whole.zip").read_bytes()[:300])

    def fetched(name: str) -> dict[str, str]:
        path = study.folder / name
        return {"url": path.as_uri(), "sha256": sha256(path.read_bytes()).hexdigest()}

    tasks = {
        "garbled": (fetched("garbled.zip"), r"photos/(cat|dog)/[12]\.png"),
        "escaping": (fetched("escaping.zip"), r"\.\./outside\.png"),
        "truncated": (fetched("truncated.zip"), r"truncated|archive"),
        "lonely": (fetched("lonely.zip"), r"'dog'"),
        "other": (fetched("whole.zip") | {"sha256": "0" * 64}, r"sha256 should be 0000"),
        "nowhere": (
            {"url": f"{empty_server}/a.zip", "sha256": "0" * 64},
            r"could not fetch .*VARIABILITY_MIRROR",
        ),
    }
    config = yaml.safe_load((study.folder / "tiny.yaml").read_text())
    config["seeds"], config["methods"], config["models"] = [0], {"full": {}}, {"scratch": config["models"]["scratch"]}
    del config["grid"], config["pretraining"]
    for task, (options, _) in tasks.items():
        split = {"train": 0.5, "validation": 0, "test": 0.5}
        config["tasks"][task] = {"dataset": "image_folder", "options": options, "image": {"size": 16}, "split": split}
    (study.folder / "tiny.yaml").write_text(yaml.safe_dump(config))
    done = study.snakemake("runs", "--cores", "2", "--keep-going", *TINY, check=False)
    assert done.returncode == 1
    for task, (_, message) in tasks.items():
        assert re.search(f"error: .*{message}", done.stderr), f"{task}: {done.stderr[-5000:]}"
        assert not list((study.folder / f"results/tiny/prepare/{task}").glob("*.[jnp][spa]*"))
    assert not list((study.folder / "results/downloads/datasets").glob(".*"))
    assert not (study.folder / "results/downloads/outside.png").exists()
    assert (study.folder / "results/tiny/predict/scratch/digits/full/block-0.json").exists()


def test_damaged_and_deleted_runs_are_repaired_by_training_those_alone(study):
    """With the command that docs/running.md gives."""
    full, probe = (
        study.folder / f"results/tiny/finetune/{cell}"
        for cell in ("scratch/digits/full", "pretrained/digits/linear_probe")
    )
    intact = {path: path.stat().st_mtime_ns for folder in (full, probe) for path in (folder / "0").iterdir()}
    (full / "1/checkpoint.safetensors").write_bytes(b"damaged")
    expected = (probe / "1/checkpoint.safetensors").read_bytes()
    shutil.rmtree(probe / "1")
    study.snakemake("--cores", "1", *TINY, "--forcerun", "finetune", "--until", "finetune")
    assert {path: path.stat().st_mtime_ns for path in intact} == intact
    assert (full / "1/checkpoint.safetensors").stat().st_size > 1000
    assert (probe / "1/checkpoint.safetensors").read_bytes() == expected
