"""Submits, watches and cancels Kubernetes jobs for Snakemake's executor cluster-generic. Needs kubectl.

jobs.py submit TEMPLATE THREADS MEM_MB GPUS MINUTES SCRIPT    prints the name of the job
jobs.py status JOB                                            prints running, success or failed
jobs.py cancel JOB...
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any


def manifest(template: str, threads: int, memory: int, gpus: int, minutes: int, script: Path) -> str:
    """Return the manifest of a job. memory: in MB. script: what it runs, in the current folder."""
    values = {"THREADS": threads, "MEMORY": memory, "GPUS": gpus, "SECONDS": minutes * 60}
    return Template(template).substitute(values, SCRIPT=script.resolve(), FOLDER=Path.cwd())


def status(job: Mapping[str, Any]) -> str:
    """Return the state of a job. job: as kubectl prints it."""
    conditions = job.get("status", {}).get("conditions", [])
    states = {condition["type"] for condition in conditions if condition["status"] == "True"}
    return "success" if "Complete" in states else "failed" if "Failed" in states else "running"


def _kubectl(*arguments: str, text: str = "") -> str:
    return subprocess.run(["kubectl", *arguments], input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(action: str, *arguments: str) -> None:
    """Do what the module's docstring lists."""
    if action == "submit":
        template, threads, memory, gpus, minutes, script = arguments
        text = manifest(Path(template).read_text(), int(threads), int(memory), int(gpus), int(minutes), Path(script))
        print(_kubectl("create", "--filename=-", "--output=name", text=text).strip())
    elif action == "status":
        print(status(json.loads(_kubectl("get", *arguments, "--output=json"))))
    elif action == "cancel":
        _kubectl("delete", "--wait=false", "--ignore-not-found", *arguments)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
