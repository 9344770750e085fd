"""Configures a process to compute the same bits each time, and describes and meters its hardware."""

import ctypes
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any


def configure(threads: int) -> None:
    """Configure this process to compute the same bits each time; a stage calls it once, before any computation.

    threads: CPU threads of one operation. Sums split among another number of threads differ in their last bits, so a
    stage passes the number from the config and not that of the free cores. Operations without a deterministic
    implementation (some poolings on CUDA) are logged as warnings rather than refused. TF32 is off: fp32 means fp32.
    """
    _keep_freed_memory()
    # cuBLAS reads it when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    # The same as use_deterministic_algorithms(True, warn_only=True), which also loads torch's compiler.
    torch.set_deterministic_debug_mode("warn")
    # A debugging aid that the above turns on and that costs a pass over every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def _keep_freed_memory() -> None:
    """Keep freed memory in the process for its next allocations.

    By default glibc returns large blocks to the kernel, and each training step on the CPU then pays for zeroing and
    mapping the same pages again: a quarter of its time in bf16 (see docs/performance.md).
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    # From <malloc.h>: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD.
    for option, value in ((-1, 2**31 - 1), (-2, 64 * 2**20), (-3, 2**30)):
        libc.mallopt(option, value)


def hardware(device: str) -> dict[str, Any]:
    """Return the hardware of a process as plain values, for the record of a run."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else cpu_model()
    return {
        "device": device,
        "device_name": name,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        # Of the CPU, as PyTorch uses them: others round otherwise.
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages, by name, of NumPy and of Python."""
    installed = {name: importlib.metadata.version(name) for name in dict.fromkeys([*packages, "numpy"])}
    return {"python": platform.python_version(), **installed}


class Meter:
    """Resources used since its creation: peak memory in MB and, if the devices count it, energy in joules.

    devices: those of all processes of a run, that of this process first.
    """

    def __init__(self, *devices: str):
        device = devices[0]
        self.device, self.devices = device, devices
        self.energy = self._energies()
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)

    def peak_memory_mb(self) -> float:
        """Return, on CUDA, the peak allocated by this process; otherwise its peak resident size since its start."""
        if self.device.startswith("cuda"):
            import torch

            return torch.cuda.max_memory_allocated(self.device) / 2**20
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)

    def energy_j(self) -> float | None:
        """Return the energy of all whole GPUs; None without NVIDIA GPUs that count it."""
        now = self._energies()
        return None if now is None or self.energy is None else now - self.energy

    def _energies(self) -> float | None:
        counts = [_energy_counter(device) for device in self.devices]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None


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
    """Return the name of the machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.lower().startswith("model name"))
    return next(names, platform.processor() or platform.machine())
