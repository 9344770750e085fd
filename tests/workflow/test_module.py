"""The workflow as a module of another one, in another directory, and by the entry point of the workflow catalog."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support import Checkout

pytestmark = pytest.mark.slow

STUDY = {
    "study": "imported-module",
    "seeds": [0, 1],
    "models": {"scratch": {"architecture": "shufflenet_v2_x0_5", "weights": "none"}},
    "tasks": {
        "digits": {"dataset": "digits", "image": {"size": 16}, "split": {"train": 40, "validation": 40, "test": 100}}
    },
    "methods": {"full": {}},
    "recipe": {"epochs": 1, "batch_size": 20, "lr": 0.002},
    "analyses": ["spread"],
    "plots": ["seed_spread"],
    "claims": [],
}
SNAKEFILE = """
configfile: "study.yaml"


module variability:
    snakefile:
        "PROJECT/workflow/Snakefile"
    config:
        config


use rule * from variability as variability_*


rule count:
    default_target: True
    input:
        rules.variability_all.input,
        runs="results/imported-module/aggregate/runs.csv",
    output:
        "rows.txt",
    shell:
        "wc -l < {input.runs} > {output}"
"""
#: Prints the environment file of each job of a dry run, as a line of JSON by rule.
ENVIRONMENTS = """
import json
from snakemake.cli import main
from snakemake.executors import dryrun


def printed(self, job):
    if job.conda_env_spec:
        print("ENVIRONMENT", json.dumps([job.rule.name, job.conda_env_spec.file.get_path_or_uri(secret_free=True)]))


dryrun.Executor.printjob = printed
main(["--dry-run", "--quiet", "all"])
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Checkout:
    return Checkout.of_project(tmp_path_factory.mktemp("module") / "project")


@pytest.fixture(scope="module")
def importing(project) -> Checkout:
    """Another workflow next to the project, which imports it."""
    other = Checkout(project.folder.parent / "other")
    other.folder.mkdir()
    (other.folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (other.folder / "Snakefile").write_text(SNAKEFILE.replace("PROJECT", str(project.folder)))
    return other


def test_a_bad_config_is_reported_to_the_importing_workflow(importing):
    importing.edit("study.yaml", "epochs: 1", "epoch: 1")
    done = importing.snakemake("--dry-run", check=False)
    importing.edit("study.yaml", "epoch: 1", "epochs: 1")
    assert done.returncode == 1
    assert "recipe.epoch: unknown key; did you mean 'epochs'?" in done.stdout + done.stderr


def test_environments_are_those_of_the_project(project, importing):
    done = subprocess.run([sys.executable, "-c", ENVIRONMENTS], cwd=importing.folder, capture_output=True, text=True)
    lines = re.findall(r"^ENVIRONMENT (.*)$", done.stdout, re.MULTILINE)
    files = {rule: Path(path).resolve() for rule, path in map(json.loads, lines)}
    assert {"variability_prepare", "variability_finetune", "variability_report"} <= set(files), done.stderr
    assert set(files.values()) == {project.folder.resolve() / "envs/core.yaml"}


def test_the_importing_workflow_gets_the_results_and_the_report(project, importing):
    importing.snakemake("--cores", "2")
    results = importing.folder / "results/imported-module"
    runs = pd.read_parquet(results / "aggregate/runs.parquet")
    assert set(runs["seed"]) == {0, 1} and (runs["status"] == "completed").all()
    assert int((importing.folder / "rows.txt").read_text()) == len(runs) + 1
    report = (results / "report/report.html").read_text()
    assert "seed_spread" in report and "How much of a fine-tuning result" in report
    assert not (project.folder / "results").exists()
    assert importing.jobs() == set()
    importing.edit("study.yaml", "lr: 0.002", "lr: 0.003")
    assert "variability_finetune model=scratch, task=digits, method=full, block=0" in importing.jobs()


def test_the_entry_point_of_the_catalog_plans_the_same_jobs(project):
    tiny = "--configfile", "tiny.yaml"
    by_catalog = project.jobs("--snakefile", "workflow/Snakefile", *tiny)
    assert by_catalog - {"default"} == project.jobs(*tiny) != set()


def test_a_module_without_the_library_is_refused(project, tmp_path):
    """As when a module statement names a file of a remote repository, of which Snakemake fetches the rules alone."""
    copy = project.copy(tmp_path / "project")
    (copy.folder / "workflow/lib").rename(copy.folder / "lib")
    done = copy.snakemake("--dry-run", check=False)
    output = done.stdout + done.stderr
    assert "clone the repository" in output and "Traceback" not in output
