"""Profiles of clusters, without the plug-ins of their executors."""

import re

import pytest
import yaml
from support import ROOT, Checkout

PROFILES = ("slurm", "cluster-generic", "kubernetes", "kubernetes-storage")
#: Prefix of the options of a profile's executor.
PLUGIN = {
    "slurm": "slurm-",
    "cluster-generic": "cluster-generic-",
    "kubernetes": "cluster-generic-",
    "kubernetes-storage": "kubernetes-",
}


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "profile.v9+.yaml").read_text())


@pytest.mark.parametrize("name", PROFILES)
def test_every_rule_that_a_profile_names_exists(name):
    rules = {
        rule
        for path in ROOT.glob("workflow/rules/*.smk")
        for rule in re.findall(r"^rule (\w+):", path.read_text(), re.M)
    }
    profile = read(name)
    groups = dict(entry.split("=") for entry in profile["groups"])
    assert set(groups) <= rules and set(profile["set-resources"]) <= rules
    # What follows the last run is one job: nothing of it is submitted alone, except the report, which runs on the host.
    assert {rule for rule, group in groups.items() if group == "present"} == {
        "reference_probe", "score", "aggregate", "keep_checkpoints", "analyse", "plot", "claim", "summarise", "page",
    }  # fmt: skip
    # Its steps share one core and memory.
    assert {rule for rule, entry in profile["set-resources"].items() if entry.get("in_turn") == 1} == {
        rule for rule, group in groups.items() if group == "present"
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
def test_a_dry_run(name, tmp_path):
    checkout = Checkout.of_project(tmp_path / "project")
    options = {
        key: value for key, value in read(name).items() if key != "executor" and not key.startswith(PLUGIN[name])
    }
    if "default-storage-provider" in options:
        # Through a plug-in of the tests, because that of the profile is optional and needs a server.
        options |= {"default-storage-provider": "folder", "default-storage-prefix": str(tmp_path / "storage")}
    folder = checkout.folder / "profiles" / "tested"
    folder.mkdir()
    (folder / "profile.v9+.yaml").write_text(yaml.safe_dump(options))
    arguments = ("--dry-run", "--configfile", "tiny.yaml", "--workflow-profile", "profiles/tested")
    done = checkout.snakemake(*arguments, PYTHONPATH=str(ROOT / "tests/storage_plugin"))
    text = done.stdout + done.stderr
    assert re.search(r"^finetune +3$", text, re.M) and re.search(r"^total +21$", text, re.M)


@pytest.mark.slow
def test_jobs_without_a_shared_file_system_and_without_a_storage_are_refused(tmp_path):
    checkout = Checkout.of_project(tmp_path / "project")
    done = checkout.snakemake("--dry-run", "--configfile", "tiny.yaml", "--shared-fs-usage", "none", check=False)
    assert done.returncode != 0
    assert "need a storage for their files: add --default-storage-provider" in done.stdout + done.stderr
