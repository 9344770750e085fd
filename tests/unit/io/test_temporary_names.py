import os
import subprocess
import sys
from pathlib import Path

from variability.io import temporary_names
from variability.io.archives import replacing_folder
from variability.io.files import replacing, write_text

LIB = Path(temporary_names.__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from variability.io.archives import replacing_folder
from variability.io.files import replacing
with replacing(Path(sys.argv[1], "a.txt")) as file, replacing_folder(Path(sys.argv[1], "b")) as folder:
    file.write_text("half")
    (folder / "member").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_writer_of_the_same_file(tmp_path):
    environ = os.environ | {"PYTHONPATH": str(LIB)}
    assert subprocess.run([sys.executable, "-c", KILLED, tmp_path], env=environ).returncode == -9
    assert len(os.listdir(tmp_path)) == 2
    write_text(tmp_path / "other.txt", "")
    assert len(os.listdir(tmp_path)) == 3
    write_text(tmp_path / "a.txt", "whole")
    with replacing_folder(tmp_path / "b"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b", "other.txt"]


def test_files_of_running_processes_of_other_machines_and_of_other_names_stay(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    others = [".a.txt.00000000-4194305-abcdefgh.txt", ".a.txt.lock", f"{temporary_names._start(path)}backup"]
    for name in others:
        (tmp_path / name).touch()
    with replacing(path) as first, replacing(path) as second:
        assert first.exists() and second.exists() and first != second
        assert first.name.startswith(temporary_names.prefix(path))
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "a.txt"])


def test_long_names_have_temporary_names_that_fit(tmp_path):
    names = ["x" * 250 + ".txt", "é" * 124 + ".txt", "x" * 249 + "y.txt"]
    for name in names:
        write_text(tmp_path / name, name)
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    assert len({temporary_names.prefix(Path(name)) for name in names}) == 3
