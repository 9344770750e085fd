"""Which device a process computes on, a GPU held for it alone, and what the machine is."""

import ctypes
import importlib.metadata
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io import locks

#: Names the device to use (cpu, mps, cuda:1) instead of leasing one.
OVERRIDE = "VARIABILITY_DEVICE"

_log = logging.getLogger(__name__)


# Without torch: asked each time the workflow is parsed ------------------------------------------------------------


@cache
def gpu_count() -> int:
    """How many NVIDIA GPUs this process may use; quick, and 0 where that cannot be found out."""
    if not os.environ.get(OVERRIDE, "cuda").startswith("cuda"):
        return 0
    visible = visible_devices(os.environ, _physical_gpus())
    return len(visible)


def visible_devices(environ: Mapping[str, str], count: int) -> list[str]:
    """Indices or UUIDs of the GPUs that ``CUDA_VISIBLE_DEVICES`` leaves visible, in CUDA's order.

    count: GPUs of the machine. As in CUDA the list ends at the first index that does not exist, and an empty list
    hides all.
    """
    if "CUDA_VISIBLE_DEVICES" not in environ:
        return [str(index) for index in range(count)]
    visible: list[str] = []
    for entry in environ["CUDA_VISIBLE_DEVICES"].split(","):
        entry = entry.strip()
        named = entry.startswith(("GPU-", "MIG-")) and count > 0
        indexed = entry.isdecimal() and int(entry) < count
        if not (named or indexed) or entry in visible:
            break
        visible.append(entry)
    return visible


def _physical_gpus() -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        # A driver in trouble makes nvidia-smi hang.
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("GPUs are not counted: %s", error)
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())


# A device for one process -----------------------------------------------------------------------------------------


@contextmanager
def lease() -> Iterator[str]:
    """Yields the device to compute on: a GPU that no other leaseholder of this user has, or ``cpu``.

    Waits until one of the visible GPUs is free; a lease ends with its block or its process, however that dies.
    ``VARIABILITY_DEVICE`` names a device outright, which is then not leased.
    """
    import torch

    wanted = os.environ.get(OVERRIDE)
    if wanted:
        yield _usable(wanted)
    elif torch.cuda.is_available():
        candidates = {f"cuda:{index}": _identity(index) for index in range(torch.cuda.device_count())}
        with lease_from(candidates, locks_folder()) as device:
            torch.cuda.set_device(device)
            yield device
    else:
        # Apple's MPS only where it is asked for: nothing promises the same bits again there.
        yield "cpu"


def locks_folder() -> Path:
    """Where this user's processes hold the locks of GPUs, by UUID, whatever library they compute with."""
    return Path(tempfile.gettempdir()) / f"variability-{os.getuid()}"


@contextmanager
def lease_from(candidates: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Yields the first of the candidates whose lock is free, and holds the lock inside the block.

    candidates: {device: identity of the hardware behind it}; processes that see the same hardware under different
    names contend for the same lock. folder: where the locks stand.
    """
    devices = list(candidates)
    paths = [folder / f"{candidates[device]}.lock" for device in devices]
    with locks.first_free(paths, f"waiting for a free GPU among {', '.join(devices)}") as position:
        _log.info("computes on %s (%s)", devices[position], candidates[devices[position]])
        yield devices[position]


def _identity(index: int) -> str:
    # An index means another GPU in each of SLURM's jobs, which all see theirs as 0; the UUID is the GPU's own. Slices
    # of one GPU may share its UUID, but a process that is given a slice sees just the one.
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
    return given if given.startswith("MIG-") else str(torch.cuda.get_device_properties(index).uuid)


def _usable(name: str) -> str:
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{OVERRIDE}={name} is no device of this machine ({reason}); use cpu, cuda:0, mps, ..."
        ) from error
    return name


# What computes, and how -------------------------------------------------------------------------------------------


def configure(threads: int) -> None:
    """Makes this process compute the same bits each time: called once by a stage, before anything is computed.

    threads: CPU threads of one operation; sums split among another number of threads differ in their last bits, so a
    stage passes the number from the config and not what happens to be free. Operations without a deterministic
    implementation (some poolings on CUDA) are logged as warnings rather than refused. TF32 is off: fp32 means fp32.
    """
    _keep_freed_memory()
    # cuBLAS reads it when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # A debugging aid that comes with the above and costs a pass over every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def _keep_freed_memory() -> None:
    """Lets the process keep what it frees for its next allocation.

    By default glibc hands large blocks back to the kernel, and each step of a training on the CPU then pays for having
    the same pages zeroed and mapped again: a quarter of its time in bf16 (see docs/performance.md).
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    # From <malloc.h>: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD.
    for option, value in ((-1, 2**31 - 1), (-2, 64 * 2**20), (-3, 2**30)):
        libc.mallopt(option, value)


def hardware(device: str) -> dict[str, Any]:
    """What computes: plain values for the record of a run."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else cpu_model()
    return {
        "device": device,
        "device_name": name,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of what computes: of packages, by name, and of Python."""
    found = {name: importlib.metadata.version(name) for name in dict.fromkeys([*packages, "numpy"])}
    return {"python": platform.python_version(), **found}


class Meter:
    """What a stretch of work takes: peak memory in MB and, where the device counts it, energy in joules."""

    def __init__(self, device: str):
        self.device = device
        self.energy = _energy_counter(device)
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)

    def peak_memory_mb(self) -> float:
        """On CUDA the peak allocated since the meter was made; else the peak resident size of the process so far."""
        if self.device.startswith("cuda"):
            import torch

            return torch.cuda.max_memory_allocated(self.device) / 2**20
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)

    def energy_j(self) -> float | None:
        """Energy of the whole GPU since the meter was made; None without an NVIDIA GPU that counts it."""
        now = _energy_counter(self.device)
        return None if now is None or self.energy is None else now - self.energy


def _energy_counter(device: str) -> float | None:
    if not device.startswith("cuda"):
        return None
    try:
        import pynvml
    except ImportError:
        return None
    import torch

    try:
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByUUID(uuid)) / 1000
    except pynvml.NVMLError:
        return None


@cache
def cpu_model() -> str:
    """Name of the machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.lower().startswith("model name"))
    return next(named, platform.processor() or platform.machine())
