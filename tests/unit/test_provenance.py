import subprocess
import sys
from pathlib import Path

import pytest

from variability import provenance

LIB = Path(provenance.__file__).parent.parent
STAGES = sorted(path.stem for path in (LIB / "variability/stages").glob("*.py") if path.stem != "__init__")


def names(*modules):
    return {str(path.relative_to(provenance.PACKAGE)) for path in provenance.closure(*modules)}


def test_a_closure_reaches_modules_imported_two_levels_down():
    found = names("variability.stages.finetune")
    assert {"stages/finetune.py", "training.py", "seeding.py", "__init__.py", "stages/__init__.py"} <= found


def test_scoring_does_not_depend_on_how_networks_are_trained():
    assert not {"training.py", "networks.py", "device.py"} & names("variability.stages.score")


def test_a_plugin_belongs_to_a_closure_only_when_named():
    without = names("variability.stages.prepare")
    assert not any(path.startswith("datasets/") and path != "datasets/__init__.py" for path in without)
    assert names("variability.stages.prepare", "variability.datasets.digits") - without == {"datasets/digits.py"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_closure_holds_every_module_of_ours_that_importing_the_stage_loads(stage):
    program = f"import sys, variability.stages.{stage}; print(*(m for m in sys.modules if m.startswith('variability')))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(LIB)}, capture_output=True, text=True
    )
    assert loaded.returncode == 0, loaded.stderr
    modules = loaded.stdout.split()
    assert {provenance._file(module) for module in modules} <= set(provenance.closure(f"variability.stages.{stage}"))


def test_the_digest_of_code_depends_on_contents_alone(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.py").write_text("y = 2")
    both = [tmp_path / "a.py", tmp_path / "b.py"]
    before = provenance.code_digest(both)
    (tmp_path / "a.py").touch()
    assert provenance.code_digest(reversed(both)) == before
    (tmp_path / "a.py").write_text("x = 3")
    assert provenance.code_digest(both) != before


def test_an_unknown_module_is_an_error():
    with pytest.raises(ValueError, match=r"no module 'variability\.stages\.fientune'"):
        provenance.closure("variability.stages.fientune")
