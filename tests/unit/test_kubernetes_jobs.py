"""Kubernetes jobs from the template in profiles/kubernetes, and their states, with a kubectl that records its calls."""

import importlib.util
import json
import subprocess
import sys

import pytest
import yaml
from support import ROOT

FOLDER = ROOT / "profiles" / "kubernetes"
spec = importlib.util.spec_from_file_location("kubernetes_jobs", FOLDER / "jobs.py")
jobs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(jobs)


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs jobs.py as Snakemake does, with a kubectl that prints a text and stores what it was called with."""

    def run(*arguments: str, answer: str = "") -> tuple[str, list[str], str]:
        (tmp_path / "answer").write_text(answer)
        program = tmp_path / "kubectl"
        program.write_text(
            '#!/bin/sh\necho "$@" > "${0%kubectl}arguments"\ncat > "${0%kubectl}input"\ncat "${0%kubectl}answer"\n'
        )
        program.chmod(0o755)
        command = [sys.executable, str(FOLDER / "jobs.py"), *arguments]
        environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(command, cwd=tmp_path, env=environ, input="", capture_output=True, text=True, check=True)
        return done.stdout, (tmp_path / "arguments").read_text().split(), (tmp_path / "input").read_text()

    return run


def test_a_job_requests_what_snakemake_planned(call, tmp_path):
    arguments = (str(FOLDER / "job.yaml"), "2", "4000", "1", "240", "job.sh")
    printed, arguments, text = call("submit", *arguments, answer="job.batch/finetune-variability-x7\n")
    assert printed == "job.batch/finetune-variability-x7\n"
    assert arguments[0] == "create" and "--output=name" in arguments
    job = yaml.safe_load(text)["spec"]
    assert job["activeDeadlineSeconds"] == 240 * 60
    assert job["backoffLimit"] == 0
    [container] = job["template"]["spec"]["containers"]
    assert container["command"] == ["sh", str(tmp_path / "job.sh")]
    assert container["workingDir"] == str(tmp_path)
    assert container["resources"]["requests"] == {"cpu": "2", "memory": "4000M"}
    assert container["resources"]["limits"] == {"memory": "4000M", "nvidia.com/gpu": "1"}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "running"),
        ([{"type": "Complete", "status": "True"}], "success"),
        ([{"type": "SuccessCriteriaMet", "status": "True"}], "running"),
        ([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}], "failed"),
        ([{"type": "Failed", "status": "False"}], "running"),
    ],
)
def test_states(call, conditions, expected):
    answer = json.dumps({"status": {"conditions": conditions}})
    assert call("status", "job.batch/x", answer=answer)[:2] == (
        f"{expected}\n",
        ["get", "job.batch/x", "--output=json"],
    )
    assert jobs.status({}) == "running"


def test_cancelling_takes_several_jobs(call):
    assert call("cancel", "job.batch/x", "job.batch/y")[1][-2:] == ["job.batch/x", "job.batch/y"]
