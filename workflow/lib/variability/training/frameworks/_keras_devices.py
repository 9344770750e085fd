"""The device that TensorFlow computes on, leased as for torch."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from variability.errors import UserError
from variability.training import device as devices
from variability.training import gpu_lease


@contextmanager
def lease(runs_per_gpu: int = 1) -> Iterator[str]:
    """Yield the device to compute on: a leased GPU, the one that VARIABILITY_DEVICE selects, or ``cpu``."""
    override, slices = os.environ.get(gpu_lease.OVERRIDE, ""), gpu_lease.mig_slices(os.environ)
    if slices and not override:
        with gpu_lease.lease_slice(slices, runs_per_gpu):
            gpus = tf.config.list_physical_devices("GPU")
            yield _show_only({"gpu:0": gpus[0]}, "gpu:0") if gpus else "cpu"
        return
    gpus = {f"gpu:{index}": gpu for index, gpu in enumerate(tf.config.list_physical_devices("GPU"))}
    if override.replace("cuda", "gpu") in gpus or override == "cpu" or not gpus:
        yield _show_only(gpus, override.replace("cuda", "gpu") or "cpu")
    elif override:
        raise UserError(
            f"{gpu_lease.OVERRIDE}={override} is not a device that TensorFlow sees; use cpu or {', '.join(gpus)}"
        )
    else:
        candidates = dict(zip(gpus, _identities(len(gpus)), strict=True))
        with gpu_lease.lease_from(candidates, gpu_lease.locks_folder(), runs_per_gpu) as leased:
            yield _show_only(gpus, leased)


def hardware(device: str) -> dict[str, Any]:
    """Return the hardware of a process as plain values, for the record of a run."""
    gpus = tf.config.get_visible_devices("GPU")
    name = tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else devices.cpu_model()
    return {
        "device": device,
        "device_name": name,
        "cpu": devices.cpu_model(),
        "cores": os.cpu_count(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "cuda": tf.sysconfig.get_build_info().get("cuda_version"),
    }


def _show_only(gpus: dict[str, Any], name: str) -> str:
    """Hide all GPUs but one from TensorFlow, and let it allocate memory as needed; return the name."""
    if gpus:
        visible = [gpus[name]] if name in gpus else []
        tf.config.set_visible_devices(visible, "GPU")
        for gpu in visible:
            tf.config.experimental.set_memory_growth(gpu, True)
    return name


def _identities(count: int) -> list[str]:
    """Return the UUIDs of the GPUs that TensorFlow sees, in its order and in the form of ``gpu_lease.lease``."""
    program = shutil.which("nvidia-smi")
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=5).stdout if program else ""
    physical = re.findall(r"^GPU \d+: .*\(UUID: GPU-([0-9a-f-]+)\)", listed, re.MULTILINE)
    visible = gpu_lease.visible_devices(os.environ, len(physical))
    uuids = [physical[int(entry)] if entry.isdecimal() else _uuid(entry, physical) for entry in visible]
    if len(uuids) != count:
        raise UserError(
            f"TensorFlow sees {count} GPUs and nvidia-smi {len(uuids)}, so none can be leased; select one with "
            f"{gpu_lease.OVERRIDE}=cuda:0, or use {gpu_lease.OVERRIDE}=cpu"
        )
    return uuids


def _uuid(name: str, physical: list[str]) -> str:
    """Return the UUID of a GPU by its name in CUDA_VISIBLE_DEVICES, which may be shortened."""
    start = name.removeprefix("GPU-")
    return next((uuid for uuid in physical if uuid.startswith(start)), start)
