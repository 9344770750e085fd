"""The device that a process computes on: a GPU leased for this process alone, or the CPU."""

import logging
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import platformdirs

from variability.errors import UserError
from variability.training import gpu_slots

#: Names the device to use (cpu, mps, cuda:1) instead of leasing one.
OVERRIDE = "VARIABILITY_DEVICE"
#: Names the folder of the lock files, where several users share the GPUs of a machine.
SHARED_LOCKS = "VARIABILITY_LOCKS"

_log = logging.getLogger(__name__)


# Counting GPUs, without torch: at each parse of the workflow ------------------------------------------------------


@cache
def gpu_count() -> int:
    """Return the number of NVIDIA GPUs that this process may use; 0 if they cannot be counted. Fast."""
    if not os.environ.get(OVERRIDE, "cuda").startswith("cuda"):
        return 0
    return len(visible_devices(os.environ, _physical_gpus()))


def visible_devices(environ: Mapping[str, str], count: int) -> list[str]:
    """Return indices or UUIDs of the GPUs that ``CUDA_VISIBLE_DEVICES`` leaves visible, in CUDA's order.

    count: GPUs of the machine. As in CUDA the list ends at the first index that does not exist, and an empty list
    hides all.
    """
    if "CUDA_VISIBLE_DEVICES" not in environ:
        return [str(index) for index in range(count)]
    visible: list[str] = []
    for entry in environ["CUDA_VISIBLE_DEVICES"].split(","):
        entry = entry.strip()
        is_uuid = entry.startswith(("GPU-", "MIG-")) and count > 0
        is_index = entry.isdecimal() and int(entry) < count
        if not (is_uuid or is_index) or entry in visible:
            break
        visible.append(entry)
    return visible


def _physical_gpus() -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        # A failing driver can make nvidia-smi hang.
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("GPUs are not counted: %s", error)
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())


# Leasing one ------------------------------------------------------------------------------------------------------


@contextmanager
def lease(runs_per_gpu: int = 1) -> Iterator[str]:
    """Yield the device to compute on: a GPU that no other leaseholder with the same lock folder has, or ``cpu``.

    Waits until one of the visible GPUs is free; a lease ends with its block or its process, however that dies.
    ``VARIABILITY_DEVICE`` selects a device, which is then not leased. runs_per_gpu: number of leaseholders that share a
    GPU, see ``gpu_slots``.
    """
    import torch

    override = os.environ.get(OVERRIDE)
    if override:
        yield _usable(override)
    elif torch.version.cuda and (slices := mig_slices(os.environ)):
        with lease_slice(slices, runs_per_gpu):
            torch.cuda.set_device("cuda:0")
            yield "cuda:0"
    elif torch.cuda.is_available():
        candidates = {f"cuda:{index}": _identity(index) for index in range(torch.cuda.device_count())}
        with lease_from(candidates, locks_folder(), runs_per_gpu) as device:
            torch.cuda.set_device(device)
            yield device
    else:
        # Apple's MPS only if selected: nothing promises that it computes the same bits again.
        yield "cpu"


@contextmanager
def lease_several(count: int) -> Iterator[list[str]]:
    """Yield as many devices as a run has processes: whole GPUs that no other leaseholder has, or ``cpu`` for each.

    Otherwise as ``lease``. Raises UserError if this process may not use so many GPUs.
    """
    import torch

    override = os.environ.get(OVERRIDE)
    if override == "cpu" or (not override and not torch.cuda.is_available()):
        yield ["cpu"] * count
        return
    needed = f"gpus_per_run: {count} needs {count} whole GPUs"
    if override:
        raise UserError(f"{needed}, and {OVERRIDE}={override} selects one device; use cpu, or leave it out")
    if torch.version.cuda and mig_slices(os.environ):
        raise UserError(f"{needed}, and CUDA_VISIBLE_DEVICES names MIG slices, which do not train together")
    candidates = {f"cuda:{index}": _identity(index) for index in range(torch.cuda.device_count())}
    if len(candidates) < count:
        raise UserError(f"{needed}, and this process may use {len(candidates)}; lower it, or let the job have more")
    names, identities = list(candidates), list(candidates.values())
    waiting = f"waiting for {count} free GPUs among {', '.join(names)}"
    with gpu_slots.several_free(identities, count, locks_folder(), waiting) as positions:
        devices = [names[position] for position in positions]
        _log.info("computes on %s", ", ".join(f"{device} ({candidates[device]})" for device in devices))
        select(devices[0])
        yield devices


def select(device: str) -> None:
    """Let CUDA use a device wherever code names none; nothing for other devices."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.set_device(device)


@contextmanager
def lease_slice(slices: list[str], runs_per_gpu: int) -> Iterator[None]:
    """Hold one of several MIG slices inside the block, the only one that CUDA shows from then on.

    Must be entered before CUDA starts, which shows a process only the first of the slices that it may use.
    """
    with lease_from({name: name for name in slices}, locks_folder(), runs_per_gpu) as name:
        os.environ["CUDA_VISIBLE_DEVICES"] = name
        yield


def mig_slices(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the MIG slices in ``CUDA_VISIBLE_DEVICES``; empty if it names something else."""
    names = [name.strip() for name in environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return list(dict.fromkeys(names)) if all(name.startswith("MIG-") for name in names) else []


@contextmanager
def lease_from(candidates: Mapping[str, str], folder: Path, runs_per_gpu: int = 1) -> Iterator[str]:
    """Yield the first of the candidates of which a share is free, and hold it inside the block.

    candidates: {device: identity of its hardware}; processes that see the same hardware under different names contend
    for the same locks. folder: of the lock files, which get its permissions.
    """
    devices = list(candidates)
    waiting = f"waiting for a free GPU among {', '.join(devices)}"
    with gpu_slots.first_free(list(candidates.values()), runs_per_gpu, folder, waiting) as position:
        _log.info("computes on %s (%s)", devices[position], candidates[devices[position]])
        yield devices[position]


def _identity(index: int) -> str:
    # An index is another GPU in each of SLURM's jobs, which all see theirs as 0; a UUID always is the same GPU.
    import torch

    return str(torch.cuda.get_device_properties(index).uuid)


def _usable(name: str) -> str:
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{OVERRIDE}={name} is not a device of this machine ({reason}); use cpu, cuda:0, mps, ..."
        ) from error
    return name


# Where the locks are ----------------------------------------------------------------------------------------------


def locks_folder() -> Path:
    """Return the folder of the lock files, named after the UUIDs of GPUs, whichever library computes on them.

    By default a folder in the user's cache that nobody else can enter, so that no other user can hold or replace its
    locks. It is the same in all sessions and jobs of the user, unlike a runtime folder, which ends with a login.
    ``VARIABILITY_LOCKS`` names a folder for all users of a machine. Raises UserError for a folder that is not safe.
    """
    shared = os.environ.get(SHARED_LOCKS)
    if shared:
        return _checked_shared(Path(shared))
    return _private(platformdirs.user_cache_path("finetune-variability", appauthor=False) / "gpu-locks")


def _private(folder: Path) -> Path:
    remedy = f"remove it, or set {SHARED_LOCKS} to another folder"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the folder {folder} for the locks of GPUs cannot be created ({error.strerror}); {remedy}"
        ) from error
    facts = folder.stat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise UserError(f"the folder {folder} for the locks of GPUs is open to other users; {remedy}")
    if above := _replaceable(folder):
        raise UserError(
            f"other users can replace {above}, in which the folder {folder} for the locks of GPUs is; change its "
            f"permissions, or set {SHARED_LOCKS} to another folder"
        )
    return folder


def _checked_shared(folder: Path) -> Path:
    """Return a folder in which the members of a group, and only they, can lock files of one another."""
    if not folder.is_dir():
        raise UserError(f"{SHARED_LOCKS}={folder} is not a folder; create it for all users of the GPUs")
    mode = folder.stat().st_mode
    for_one_user = not mode & 0o022
    for_a_group = mode & stat.S_IWGRP and mode & stat.S_ISGID and not mode & stat.S_IWOTH
    if not (for_one_user or for_a_group):
        raise UserError(
            f"{SHARED_LOCKS}={folder} must be writable for one group of users, which its files inherit, and for nobody "
            f"else, who could hold or replace the locks: chgrp GROUP {folder}; chmod 2770 {folder}"
        )
    if above := _replaceable(folder):
        raise UserError(
            f"other users can replace {above}, in which {SHARED_LOCKS}={folder} is; change its permissions, or create "
            "the folder where only an administrator can rename it"
        )
    return folder


def _replaceable(folder: Path) -> Path | None:
    """Return the folder in the path of another one that any user can rename, and put another in its position."""
    resolved = folder.resolve()
    for parent, child in zip(resolved.parents, [resolved, *resolved.parents], strict=False):
        mode = parent.stat().st_mode
        if not mode & stat.S_IWOTH:
            continue
        # Where files may be renamed by their owners only, as in /tmp, it matters who that is.
        if not mode & stat.S_ISVTX or child.stat().st_uid not in (0, os.getuid()):
            return child
    return None
