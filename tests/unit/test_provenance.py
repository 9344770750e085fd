import os
import subprocess
import sys
from pathlib import Path

import pytest

from variability import plugins, provenance
from variability.files import sha256

LIB = Path(provenance.__file__).parent.parent
STAGES = sorted(path.stem for path in (LIB / "variability/stages").glob("*.py") if path.stem != "__init__")


def names(*modules):
    return {str(path.relative_to(provenance.PACKAGE)) for path in provenance.closure(*modules)}


def test_a_closure_reaches_modules_imported_two_levels_down():
    found = names("variability.stages.finetune", "variability.frameworks.pytorch")
    assert {"stages/finetune.py", "training.py", "seeding.py", "__init__.py", "stages/__init__.py"} <= found


def test_scoring_does_not_depend_on_how_networks_are_trained():
    assert not {"training.py", "networks.py", "device.py"} & names("variability.stages.score")


def test_a_plugin_belongs_to_a_closure_only_when_named():
    without = names("variability.stages.prepare")
    assert not any(path.startswith("datasets/") and path != "datasets/__init__.py" for path in without)
    assert names("variability.stages.prepare", "variability.datasets.digits") - without == {"datasets/digits.py"}


def test_an_edit_of_one_framework_touches_no_run_of_another():
    model = {"provider": "torchvision"}
    task, method = {"kind": "classification"}, {"kind": "full"}
    for stage in ("finetune", "predict", "pretrain"):
        torch = names(f"variability.stages.{stage}", *plugins.of_cell(model, task, method))
        keras = names(f"variability.stages.{stage}", *plugins.of_cell(model | {"provider": "keras"}, task, method))
        assert {"frameworks/pytorch.py", "providers/torchvision.py", "training.py", "networks.py"} <= torch
        assert not any("keras" in name for name in torch)
        assert {"frameworks/keras.py", "frameworks/_keras_training.py", "providers/_keras_networks.py"} <= keras
        alone = {"frameworks/pytorch.py", "providers/torchvision.py", "providers/_torchvision_source.py", "training.py"}
        assert not alone & keras


@pytest.fixture(scope="module")
def loaded():
    """The modules of ours that importing each stage loads, in a process in which none is loaded yet."""
    program = f"""
import importlib, sys
for stage in {STAGES!r}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "variability"]:
        del sys.modules[name]
    importlib.import_module("variability.stages." + stage)
    print(stage, *(name for name in sys.modules if name.partition(".")[0] == "variability"))
"""
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(LIB)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {stage: modules for stage, *modules in map(str.split, done.stdout.splitlines())}


@pytest.mark.parametrize("stage", STAGES)
def test_a_closure_holds_every_module_of_ours_that_importing_the_stage_loads(stage, loaded):
    assert f"variability.stages.{stage}" in loaded[stage]
    files = {provenance._file(module) for module in loaded[stage]}
    assert files <= set(provenance.closure(f"variability.stages.{stage}"))


def test_a_listing_names_the_files_of_a_stage_its_plug_ins_and_its_script_with_their_checksums():
    lines = dict(
        reversed(line.split("  ")) for line in provenance.listing("score", "variability.metrics.f1").splitlines()
    )
    expected = {f"lib/variability/{name}" for name in names("variability.stages.score", "variability.metrics.f1")}
    assert set(lines) == expected | {"scripts/score.py"}
    assert lines["lib/variability/metrics/f1.py"] == sha256(provenance.PACKAGE / "metrics/f1.py")


def test_a_listing_is_written_only_where_something_changed(tmp_path, monkeypatch):
    path = provenance.write_listing(tmp_path, "score", "variability.metrics.f1")
    assert path.name == "score-f1.txt"
    os.utime(path, (0, 0))
    assert provenance.write_listing(tmp_path, "score", "variability.metrics.f1") == path
    assert path.stat().st_mtime == 0
    monkeypatch.setattr(provenance, "sha256", lambda file: "another")
    provenance.write_listing(tmp_path, "score", "variability.metrics.f1")
    assert path.stat().st_mtime > 0 and "another" in path.read_text()


def test_listings_of_many_plug_ins_have_names_of_their_own(tmp_path):
    plugins = [f"variability.metrics.{name}" for name in ("f1", "nll", "ece", "brier", "recall")]
    all_of_them = provenance.write_listing(tmp_path, "score", *plugins)
    assert all_of_them != provenance.write_listing(tmp_path, "score", *plugins[:4])


def test_an_unknown_module_is_an_error():
    with pytest.raises(ValueError, match=r"no module 'variability\.stages\.fientune'"):
        provenance.closure("variability.stages.fientune")
