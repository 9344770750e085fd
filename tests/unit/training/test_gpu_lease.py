import logging
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from variability.errors import UserError
from variability.training import gpu_lease

HOLDER = """
import sys
from pathlib import Path
from variability.training.gpu_lease import lease_from
with lease_from({"cuda:0": "GPU-a", "cuda:1": "GPU-b"}, Path(sys.argv[1])) as leased:
    print(leased, flush=True)
    sys.stdin.read()
"""
LIBRARY = Path(gpu_lease.__file__).parents[2]
CANDIDATES = {"cuda:0": "GPU-a", "cuda:1": "GPU-b"}


@pytest.fixture
def holder(tmp_path):
    """Starts processes that lease a device, with locks in ``tmp_path``, until killed; returns (process, device)."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(LIBRARY)},
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_leaseholders_in_several_processes_get_different_devices(tmp_path, holder):
    (_, first), (_, second) = holder(), holder()
    assert {first, second} == {"cuda:0", "cuda:1"}


def test_the_device_of_a_killed_process_is_free_again(tmp_path, holder):
    killed, first = holder()
    holder()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    with gpu_lease.lease_from(CANDIDATES, tmp_path) as leased:
        assert leased == first


def test_a_lease_waits_until_a_device_is_free_and_logs_that(tmp_path, holder):
    (first, freed), _ = holder(), holder()

    class EndsTheHolder(logging.Handler):
        def emit(self, record):
            assert "waiting for a free GPU among cuda:0, cuda:1" in record.getMessage()
            first.kill()

    handler = EndsTheHolder(level=logging.WARNING)
    logging.getLogger("variability").addHandler(handler)
    try:
        with gpu_lease.lease_from(CANDIDATES, tmp_path) as leased:
            assert first.wait() == -signal.SIGKILL
            assert leased == freed
    finally:
        logging.getLogger("variability").removeHandler(handler)


def test_one_device_under_two_names_is_leased_once(tmp_path, holder):
    holder()
    with gpu_lease.lease_from({"cuda:3": "GPU-a", "cuda:4": "GPU-c"}, tmp_path) as leased:
        assert leased == "cuda:4"


@pytest.mark.parametrize(
    ("visible", "count", "expected"),
    [
        (None, 0, []),
        (None, 2, ["0", "1"]),
        ("", 2, []),
        ("-1", 2, []),
        ("1", 2, ["1"]),
        ("1, 0", 2, ["1", "0"]),
        ("0,7,1", 2, ["0"]),
        ("0,0", 2, ["0"]),
        ("GPU-5,MIG-6", 2, ["GPU-5", "MIG-6"]),
        ("0", 0, []),
        ("NoDevFiles", 2, []),
    ],
)
def test_visible_devices_reads_the_variable_as_cuda_does(visible, count, expected):
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert gpu_lease.visible_devices(environ, count) == expected


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Installs a program named nvidia-smi, found before any other, and forgets earlier counts."""

    def install(body):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv(gpu_lease.OVERRIDE, raising=False)
    gpu_lease.gpu_count.cache_clear()
    yield install
    gpu_lease.gpu_count.cache_clear()


def test_gpus_are_counted_within_what_is_visible(nvidia_smi, monkeypatch):
    nvidia_smi("echo 'GPU 0: H200 (UUID: GPU-a)'; echo '  MIG 1g.18gb Device 0:'; echo 'GPU 1: H200 (UUID: GPU-b)'")
    assert gpu_lease.gpu_count() == 2
    gpu_lease.gpu_count.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpu_lease.gpu_count() == 1
    gpu_lease.gpu_count.cache_clear()
    monkeypatch.setenv(gpu_lease.OVERRIDE, "cpu")
    assert gpu_lease.gpu_count() == 0


def test_with_a_failing_driver_no_gpu_is_counted(nvidia_smi, caplog):
    nvidia_smi("exit 9")
    assert gpu_lease.gpu_count() == 0
    assert "GPUs are not counted" in caplog.text


def test_counting_gpus_does_not_import_torch():
    counting = "import sys; from variability.training import gpu_lease; gpu_lease.gpu_count()"
    script = f"{counting}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(LIBRARY)}, check=True)


def test_the_environment_variable_selects_the_device(monkeypatch):
    monkeypatch.setenv(gpu_lease.OVERRIDE, "cpu")
    with gpu_lease.lease() as leased:
        assert leased == "cpu"


def test_mps_is_used_only_if_it_is_selected(monkeypatch):
    monkeypatch.delenv(gpu_lease.OVERRIDE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with gpu_lease.lease() as leased:
        assert leased == "cpu"
    monkeypatch.setattr(gpu_lease, "_usable", lambda name: name)
    monkeypatch.setenv(gpu_lease.OVERRIDE, "mps")
    with gpu_lease.lease() as leased:
        assert leased == "mps"


def test_the_error_for_a_missing_device_names_it_and_the_variable(monkeypatch):
    monkeypatch.setenv(gpu_lease.OVERRIDE, "cuda:99")
    with (
        pytest.raises(UserError, match="VARIABILITY_DEVICE=cuda:99 is not a device of this machine"),
        gpu_lease.lease(),
    ):
        pass


@pytest.fixture
def no_override(monkeypatch, tmp_path):
    monkeypatch.delenv(gpu_lease.SHARED_LOCKS, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("no_override")
@pytest.mark.skipif(sys.platform == "darwin", reason="the cache folder is elsewhere")
def test_locks_are_in_a_folder_that_only_the_user_can_enter(tmp_path):
    folder = gpu_lease.locks_folder()
    assert folder.is_relative_to(tmp_path / "cache")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert gpu_lease.locks_folder() == folder
    with gpu_lease.lease_from(CANDIDATES, folder):
        assert [path.name for path in folder.iterdir()] == ["GPU-a.lock"]
        assert stat.S_IMODE((folder / "GPU-a.lock").stat().st_mode) == 0o600


@pytest.mark.usefixtures("no_override")
@pytest.mark.skipif(sys.platform == "darwin", reason="the cache folder is elsewhere")
def test_a_folder_of_another_user_or_open_to_others_is_refused(monkeypatch):
    folder = gpu_lease.locks_folder()
    folder.chmod(0o755)
    with pytest.raises(UserError, match="open to other users; remove it, or set VARIABILITY_LOCKS"):
        gpu_lease.locks_folder()
    folder.chmod(0o700)
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    with pytest.raises(UserError, match="open to other users"):
        gpu_lease.locks_folder()


@pytest.mark.usefixtures("no_override")
@pytest.mark.skipif(sys.platform == "darwin", reason="the cache folder is elsewhere")
def test_a_folder_that_cannot_be_created_is_an_error_with_its_reason(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"cannot be created .*VARIABILITY_LOCKS"):
        gpu_lease.locks_folder()


def test_users_of_a_group_share_locks_in_a_folder_of_theirs(tmp_path, monkeypatch):
    tmp_path.chmod(0o2770)
    monkeypatch.setenv(gpu_lease.SHARED_LOCKS, str(tmp_path))
    assert gpu_lease.locks_folder() == tmp_path
    umask = os.umask(0o077)
    try:
        with gpu_lease.lease_from(CANDIDATES, tmp_path):
            assert stat.S_IMODE((tmp_path / "GPU-a.lock").stat().st_mode) == 0o660
    finally:
        os.umask(umask)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o2777, 0o770], ids=oct)
def test_a_shared_folder_in_which_others_could_hold_or_replace_locks_is_refused(tmp_path, monkeypatch, mode):
    tmp_path.chmod(mode)
    monkeypatch.setenv(gpu_lease.SHARED_LOCKS, str(tmp_path))
    with pytest.raises(UserError, match=f"chmod 2770 {tmp_path}"):
        gpu_lease.locks_folder()


def test_a_shared_folder_that_does_not_exist_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(gpu_lease.SHARED_LOCKS, str(tmp_path / "locks"))
    with pytest.raises(UserError, match=r"VARIABILITY_LOCKS=.*locks is not a folder"):
        gpu_lease.locks_folder()


# Other users cannot hold or replace the locks ------------------------------------------------------------------------


@pytest.mark.usefixtures("no_override")
@pytest.mark.skipif(sys.platform == "darwin", reason="the cache folder is elsewhere")
@pytest.mark.parametrize("shared", [False, True], ids=["private", "shared"])
def test_locks_in_a_folder_that_others_can_rename_are_refused(tmp_path, monkeypatch, shared):
    above = tmp_path / "above"
    above.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(above / "cache"))
    if shared:
        (above / "locks").mkdir(mode=0o700)
        monkeypatch.setenv(gpu_lease.SHARED_LOCKS, str(above / "locks"))
    gpu_lease.locks_folder()
    above.chmod(0o777)
    with pytest.raises(UserError, match=f"other users can replace {above}/(cache|locks), in which"):
        gpu_lease.locks_folder()
    above.chmod(0o1777)
    gpu_lease.locks_folder()  # As in /tmp, where only the owner can rename what is his.


@pytest.mark.usefixtures("no_override")
@pytest.mark.skipif(sys.platform == "darwin", reason="the cache folder is elsewhere")
def test_a_folder_that_another_user_created_first_in_a_temporary_folder_is_refused(tmp_path, monkeypatch):
    squatted = tmp_path / "tmp" / "finetune"
    squatted.mkdir(parents=True)
    squatted.chmod(0o777)
    (tmp_path / "tmp").chmod(0o1777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(squatted))
    with pytest.raises(UserError, match="other users can replace"):
        gpu_lease.locks_folder()
    squatted.chmod(0o755)
    gpu_lease.locks_folder()
    stat_of = Path.stat

    def owned_by_another(path, **options):
        facts = list(stat_of(path, **options))
        if path == squatted:
            facts[stat.ST_UID] = 12345
        return os.stat_result(facts)

    monkeypatch.setattr(Path, "stat", owned_by_another)
    with pytest.raises(UserError, match=f"other users can replace {squatted}, in which"):
        gpu_lease.locks_folder()


@pytest.mark.usefixtures("no_override")
@pytest.mark.skipif(sys.platform == "darwin", reason="the cache folder is elsewhere")
def test_a_link_to_a_folder_is_judged_by_its_target(tmp_path):
    target, cache = tmp_path / "open", tmp_path / "cache" / "finetune-variability"
    target.mkdir()
    cache.mkdir(parents=True)
    (cache / "gpu-locks").symlink_to(target)
    target.chmod(0o755)
    with pytest.raises(UserError, match="open to other users"):
        gpu_lease.locks_folder()
    target.chmod(0o700)
    tmp_path.chmod(0o777)
    with pytest.raises(UserError, match=f"other users can replace {target}"):
        gpu_lease.locks_folder()


def test_a_lock_file_that_is_a_link_or_a_folder_is_refused_and_its_target_unchanged(tmp_path):
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "GPU-a.lock").symlink_to(tmp_path / "mine")
    with (
        pytest.raises(UserError, match=r"GPU-a\.lock is a link; remove it"),
        gpu_lease.lease_from(CANDIDATES, tmp_path),
    ):
        pass
    assert (tmp_path / "mine").read_text() == "precious"
    (tmp_path / "GPU-a.lock").unlink()
    (tmp_path / "GPU-a.lock").mkdir()
    with (
        pytest.raises(UserError, match=r"GPU-a\.lock cannot be written or read: it is a folder"),
        gpu_lease.lease_from(CANDIDATES, tmp_path),
    ):
        pass


def test_a_lock_file_with_content_is_not_changed_by_a_lease(tmp_path):
    (tmp_path / "precious").write_text("content")
    os.link(tmp_path / "precious", tmp_path / "GPU-a.lock")
    with gpu_lease.lease_from(CANDIDATES, tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "content"


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """A machine with two GPUs, as torch would describe it."""
    monkeypatch.delenv(gpu_lease.OVERRIDE, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.version, "cuda", "13")
    monkeypatch.setattr(gpu_lease, "_identity", lambda index: f"GPU-{index}")
    monkeypatch.setattr(gpu_lease, "locks_folder", lambda: tmp_path)


def test_a_run_on_several_gpus_leases_as_many(two_gpus):
    with gpu_lease.lease_several(2) as devices:
        assert devices == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("count", "environ", "reason"),
    [
        (3, {}, "needs 3 whole GPUs, and this process may use 2; lower it"),
        (2, {gpu_lease.OVERRIDE: "cuda:1"}, "VARIABILITY_DEVICE=cuda:1 selects one device; use cpu"),
        (2, {"CUDA_VISIBLE_DEVICES": "MIG-1,MIG-2"}, "names MIG slices"),
    ],
)
def test_devices_that_cannot_train_a_run_together_are_refused(count, environ, reason, two_gpus, monkeypatch):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=reason), gpu_lease.lease_several(count):
        pass


def test_without_gpus_all_processes_of_a_run_compute_on_the_cpu(two_gpus, monkeypatch):
    monkeypatch.setenv(gpu_lease.OVERRIDE, "cpu")
    with gpu_lease.lease_several(3) as devices:
        assert devices == ["cpu"] * 3
    monkeypatch.delenv(gpu_lease.OVERRIDE)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with gpu_lease.lease_several(2) as devices:
        assert devices == ["cpu"] * 2
