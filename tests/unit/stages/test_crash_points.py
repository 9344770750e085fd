"""A study that dies, or whose disk fails, at any of its file operations goes on to the same files, bit for bit."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import fault_sweep
import pytest
from small_disk import SmallDisk

pytestmark = pytest.mark.slow


def swept(folder: Path, *arguments: str) -> dict:
    """Return the result of ``fault_sweep`` in a process of its own, because it forks."""
    environ = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    environ.pop("VARIABILITY_MIRROR", None)
    command = [sys.executable, fault_sweep.__file__, str(folder / "sweep"), *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def test_a_sample_of_crash_points_is_survived(tmp_path):
    results = swept(tmp_path, "--rules", "prepare", "--every", "11", "--offset", "3")
    for kind in ("kill", "ENOSPC", "EIO"):
        assert results[kind]["tried"] >= 4 and not results[kind]["lost"]
    assert results["kill"]["killed"] == results["kill"]["tried"]
    assert results["ENOSPC"]["failed"] >= 3
    assert all(message.startswith("error: PATH cannot be written") for message in results["EIO"]["messages"])


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["kill", "ENOSPC", "EIO"])
def test_every_crash_point_is_survived(tmp_path, kind):
    result = swept(tmp_path, "--kinds", kind)[kind]
    assert result["tried"] > 500 and not result["lost"], json.dumps(result["lost"], indent=1)
    assert {"open", "write", "fsync", "rename", "unlink", "mkdir"} <= result["operations"].keys()
    print(kind, {key: result[key] for key in ("tried", "survived", "operations")})


@pytest.mark.faults
@pytest.mark.skipif(find_spec("transformers") is None, reason="`make .venv/.transformers` installs it")
@pytest.mark.parametrize(("kind", "every"), [("kill", 2), ("ENOSPC", 5), ("EIO", 5)])
def test_crash_points_of_downloads_and_tokens_are_survived(tmp_path, kind, every):
    rules = ("download", "download_assets", "download_weights", "tokenize")
    result = swept(tmp_path, "--study", "fetched", "--kinds", kind, "--every", str(every), "--rules", *rules)[kind]
    assert result["tried"] > 40 and not result["lost"], json.dumps(result["lost"], indent=1)
    print(kind, {key: result[key] for key in ("tried", "survived", "operations")})


@pytest.mark.faults
def test_disks_that_become_full_in_the_middle_of_a_job_are_survived(tmp_path):
    try:
        with SmallDisk(tmp_path / "disk"):
            pass
    except PermissionError as error:
        pytest.skip(str(error))
    result = swept(tmp_path, "--kinds", "disk")["disk"]
    assert result["tried"] > 50 and not result["lost"], json.dumps(result["lost"], indent=1)
    assert result["failed"] > result["tried"] // 2
