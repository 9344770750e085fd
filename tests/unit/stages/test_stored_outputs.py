"""Outputs of one job: what is unchanged is restored, what fails keeps nothing else from being made."""

import os
from functools import partial

import pytest

from variability.errors import UserError
from variability.stages import _stored_outputs
from variability.stages._stored_outputs import Output

NAMES = ("a", "b", "c")


def produce(log, name, files):
    """Write the name to all files, and to a log; fail for some names."""
    with open(log, "a") as file:
        file.write(f"{name} {os.getpid()}\n")
    if name == "wrong":
        raise UserError("this is wrong")
    if name == "broken":
        raise ValueError("a bug")
    if name == "killed":
        os._exit(9)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name} as {file.suffix}")


def outputs(folder, names=NAMES, **fingerprints):
    files = {name: (folder / f"{name}.svg", folder / f"{name}.png") for name in names}
    return {name: Output(fingerprints.get(name, f"fingerprint of {name}"), files[name]) for name in names}


def make(folder, threads=1, names=NAMES, **fingerprints):
    """Make the outputs; return the names of those that were produced."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    try:
        of_names = outputs(folder, names, **fingerprints)
        _stored_outputs.make(of_names, partial(produce, log), folder / ".stored", threads, ("json",))
    finally:
        produced = sorted(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else []
        (folder / "produced").write_text(" ".join(produced))
    return produced


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_all_are_made_once_and_restored_after_they_were_deleted(threads, tmp_path):
    assert make(tmp_path, threads) == list(NAMES)
    for path in [*tmp_path.glob("*.svg"), *tmp_path.glob("*.png")]:
        path.unlink()
    assert make(tmp_path, threads) == []
    assert {path.name: path.read_text() for path in tmp_path.glob("*.?n?")} == {
        f"{n}.png": f"{n} as .png" for n in NAMES
    }
    assert len(list(tmp_path.glob("*.svg"))) == 3


def test_a_changed_fingerprint_makes_one_again_and_removes_the_old_copy(tmp_path):
    make(tmp_path)
    assert make(tmp_path, b="edited") == ["b"]
    assert len(list((tmp_path / ".stored").iterdir())) == 2 * 6, "copies, and the stamp of each"
    assert make(tmp_path, names=("a", "c")) == []
    assert len(list((tmp_path / ".stored").iterdir())) == 2 * 4


def test_a_restored_file_is_a_copy(tmp_path):
    """An edit of an output does not reach the copy."""
    make(tmp_path)
    with open(tmp_path / "a.svg", "a") as file:
        file.write("edited")
    make(tmp_path)
    assert (tmp_path / "a.svg").read_text() == "a as .svg"


def test_several_processes_are_used(tmp_path):
    log = tmp_path / "log"
    _stored_outputs.make(outputs(tmp_path), partial(produce, log), tmp_path / ".stored", 2, ())
    processes = {line.split()[1] for line in log.read_text().splitlines()}
    assert len(processes) == 3 and str(os.getpid()) not in processes


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failure_is_named_and_the_others_are_finished(threads, tmp_path):
    with pytest.raises(UserError, match=r"^wrong: this is wrong$"):
        make(tmp_path, threads, ("wrong", "a", "b"))
    assert (tmp_path / "a.svg").is_file() and (tmp_path / "b.png").is_file()
    with pytest.raises(RuntimeError, match=r"(?s)broken: Traceback.*ValueError: a bug"):
        make(tmp_path, threads, ("broken", "wrong", "a", "b"))
    assert (tmp_path / "produced").read_text() == "broken wrong", "what was finished is restored"


def test_a_process_that_is_killed_is_a_failure(tmp_path):
    with pytest.raises(RuntimeError, match="killed: its process ended with exit code 9"):
        make(tmp_path, 2, ("killed", "a"))
    assert (tmp_path / "a.svg").is_file()
