"""The environment that make creates imports the library from any folder."""

import subprocess
import sys

from variability import provenance


def test_make_lets_the_environment_import_the_library(tmp_path):
    root, environment = provenance.WORKFLOW.parent, tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    target = f"{environment}/bin/.importable"
    make = ["make", "--silent", "-C", str(root), f"BIN={environment}/bin", "-o", f"{environment}/bin/uv", target]
    subprocess.run(make, check=True)
    command = [f"{environment}/bin/python", "-c", "import variability; print(variability.__file__)"]
    printed = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(root / "workflow/lib/variability/__init__.py")
