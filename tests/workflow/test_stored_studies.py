"""Studies whose files are in a storage, from which jobs fetch them: no two jobs share a file system."""

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
import yaml
from support import ROOT, Checkout

from variability.io import artefacts, files

pytestmark = pytest.mark.slow

FOLDER = {"PYTHONPATH": str(ROOT / "tests/storage_plugin")}
CELL = "scratch/digits/full"


class Stored:
    """A checkout whose study is in a storage: a folder, through a plug-in of the tests."""

    def __init__(self, tmp_path):
        self.checkout = Checkout.of_project(tmp_path / "project")
        self.storage = tmp_path / "storage"
        self.options = ("--configfile", "tiny.yaml", "--default-storage-provider", "folder")
        self.options += ("--default-storage-prefix", str(self.storage))

    def run(self, *arguments, check=True):
        """Run Snakemake on a machine that has nothing but the checkout."""
        for name in (".snakemake", "results"):
            shutil.rmtree(self.checkout.folder / name, ignore_errors=True)
        return self.checkout.snakemake(*arguments, *self.options, check=check, **FOLDER)

    def planned(self):
        """Return the number of jobs of each rule that would run."""
        done = self.run("--dry-run", "--quiet", "rules")
        return dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))


@pytest.fixture
def stored(tmp_path):
    return Stored(tmp_path)


def test_runs_are_fetched_from_the_storage_and_have_the_bits_of_a_local_study(stored, finished):
    target = "results/tiny/{}/scratch/digits/full/block-0.json"
    stored.run("--cores", "2", target.format("finetune"))
    # On another machine, which has no checkpoints but those of the storage.
    stored.run("--cores", "2", target.format("predict"), "--allowed-rules", "predict")
    for seed in ("0", "1"):
        carried = stored.storage / "results/tiny/predict" / CELL / "block-0.tar"
        shutil.unpack_archive(carried, carried.parent, filter="data")
        local = finished.folder / "results/tiny/predict" / CELL / f"{seed}.parquet"
        assert files.sha256(carried.parent / local.name) == files.sha256(local)
    runs = stored.storage / "results/tiny/finetune" / CELL / "block-0.tar"
    shutil.unpack_archive(runs, runs.parent, filter="data")
    record = artefacts.read_record(runs.parent / "0/run.json", artefacts.RUN_RECORD)
    # As in a checkout: they are valid where the study is copied to.
    assert record["settings"]["files"] == {"task": "results/tiny/prepare/digits/task.json"}
    assert not (runs.parent / "0/checkpoint.safetensors").exists()
    # A copy of the storage is a study like any other, whatever the times of its files.
    copy = Checkout.of_project(stored.checkout.folder.with_name("copy"))
    shutil.copytree(stored.storage / "results", copy.folder / "results", copy_function=shutil.copyfile)
    due = copy.jobs("--configfile", "tiny.yaml")
    cell = "model=scratch, task=digits, method=full, block=0"
    assert not due & {"prepare task=digits", f"finetune {cell}", f"predict {cell}"}
    assert {"prepare task=letters", "score task=digits"} <= due
    # What is in the storage is up to date on any machine; what an edit concerns is made again.
    stored.checkout.edit("tiny.yaml", "seeds: [0, 1]", "seeds: [0, 2]")
    planned = stored.planned()
    assert (planned["finetune"], planned["predict"], planned["prepare"]) == ("3", "3", "1")


def test_users_own_files_are_read_where_snakemake_runs(stored):
    rows = np.arange(200) % 10
    arrays = {f"{part}_labels": rows for part in ("train", "test")}
    arrays |= {f"{part}_images": np.full((200, 16, 16), 7, np.uint8) for part in ("train", "test")}
    np.savez(stored.checkout.folder / "own.npz", **arrays)
    stored.checkout.edit("tiny.yaml", "dataset: digits", "dataset: npz\n    options: {path: own.npz}")
    done = stored.run("--dry-run", "--until", "prepare")
    jobs = {match[1]: match[0] for match in re.finditer(r"^rule prepare:\n.*?task=(\w+)$", done.stdout, re.M | re.S)}
    # A file that is not in the storage keeps a job on the machine that has it.
    assert f"input: {stored.checkout.folder}/Snakefile," in jobs["digits"]
    assert "Snakefile" not in jobs["letters"]


def test_what_a_storage_cannot_do_is_refused_before_the_first_job(stored):
    stored.checkout.append("tiny.yaml", "checkpoints: best\n")
    done = stored.run("--dry-run", check=False)
    assert done.returncode != 0
    assert "checkpoints: best needs a file system that jobs share: set checkpoints: all" in done.stdout + done.stderr


#: Starts a job in a folder of its own, which is removed after it. Prints the name of the file that holds its state.
POD = """#!/bin/sh
script=$(readlink -f "$1")
pod=$(mktemp -d "{pods}/XXXXXX")
cp "$script" "$pod.sh"
cd "$pod"
PATH={python}:$PATH
export PATH
(
    if sh "$pod.sh" > "$pod.log" 2>&1; then state=success; else state=failed; fi
    rm -rf "$pod"
    echo $state > "$pod.state"
) > /dev/null 2>&1 &
echo "$pod.state"
"""
STATE = """#!/bin/sh
cat "$1" 2> /dev/null || echo running
"""


@pytest.fixture
def s3():
    """Start an S3 server, and return the environment in which the plug-in for S3 uses it."""
    if importlib.util.find_spec("snakemake_storage_plugin_s3") is None or importlib.util.find_spec("moto") is None:
        pytest.skip("needs the packages of envs/storage-test.lock")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(url)
        keys = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "key", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "secret"}
        yield keys | {"SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": url}
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(url):
    for _ in range(300):
        try:
            return urlopen(url, timeout=5).close()
        except (URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"nothing answers at {url}")


@pytest.fixture
def pods(tmp_path):
    """Return the options of profiles/kubernetes-storage, with pods that are folders of this machine."""
    (tmp_path / "pods").mkdir()
    commands = {"pod": POD.format(pods=tmp_path / "pods", python=os.path.dirname(sys.executable)), "state": STATE}
    for name, text in commands.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    profile = yaml.safe_load((ROOT / "profiles/kubernetes-storage/profile.v9+.yaml").read_text())
    options = {key: value for key, value in profile.items() if not key.startswith(("kubernetes", "container"))}
    options |= {"executor": "cluster-generic", "jobs": 2, "job-deploy-sources": True, "retries": 0}
    options |= {"cluster-generic-submit-cmd": str(tmp_path / "pod"), "seconds-between-status-checks": 1}
    return options | {"cluster-generic-status-cmd": str(tmp_path / "state")}


def in_pods(tmp_path, options):
    """Return a checkout, a git clone as pods need it, whose profile ``tested`` has these options."""
    checkout = Checkout.of_project(tmp_path / "project")
    (checkout.folder / "profiles/tested").mkdir()
    (checkout.folder / "profiles/tested/profile.v9+.yaml").write_text(yaml.safe_dump(options))
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        subprocess.run(command, cwd=checkout.folder, check=True)
    return checkout


def compare(stored, local):
    """Compare the predictions of a study, from its bundles, with those of a local one, bit by bit."""
    folders = sorted(path.relative_to(local) for path in local.glob("*/*/*"))
    assert len(folders) == 3
    for folder in folders:
        with tarfile.open(stored / folder / "block-0.tar") as archive:
            archive.extractall(stored / folder, filter="data")
        for table in (local / folder).glob("*.parquet"):
            assert files.sha256(stored / folder / table.name) == files.sha256(table)


@pytest.mark.storage
def test_a_study_in_s3_of_pods_without_a_common_file_system(tmp_path, s3, pods, finished):
    checkout = in_pods(tmp_path, pods)
    arguments = ("--configfile", "tiny.yaml", "--workflow-profile", "profiles/tested")
    done = checkout.snakemake(*arguments, forks="none", **s3)
    assert "Report: " in done.stdout + done.stderr
    again = checkout.snakemake(*arguments, "--dry-run", forks="none", **s3)
    assert "Nothing to be done" in again.stdout + again.stderr
    import boto3

    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    bucket = boto3.resource("s3", endpoint_url=s3["SNAKEMAKE_STORAGE_S3_ENDPOINT_URL"], **keys).Bucket("my-bucket")
    for item in bucket.objects.all():
        path = tmp_path / "copy" / item.key
        path.parent.mkdir(parents=True, exist_ok=True)
        bucket.download_file(item.key, str(path))
    results = tmp_path / "copy/finetune-variability/results/tiny"
    compare(results / "predict", finished.folder / "results/tiny/predict")
    assert (results / "ro-crate-metadata.json").is_file() and (results / "report/report.html").is_file()


@pytest.mark.storage
def test_a_study_in_a_mounted_folder(tmp_path, pods, finished):
    if importlib.util.find_spec("snakemake_storage_plugin_fs") is None or shutil.which("rsync") is None:
        pytest.skip("needs the packages of envs/storage-test.lock, and rsync")
    storage = {"default-storage-provider": "fs", "default-storage-prefix": str(tmp_path / "mounted")}
    checkout = in_pods(tmp_path, pods | storage)
    arguments = ("--configfile", "tiny.yaml", "--workflow-profile", "profiles/tested")
    checkout.snakemake(*arguments, forks="none")
    again = checkout.snakemake(*arguments, "--dry-run", forks="none")
    assert "Nothing to be done" in again.stdout + again.stderr
    compare(tmp_path / "mounted/results/tiny/predict", finished.folder / "results/tiny/predict")
