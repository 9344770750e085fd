"""Memory that runs out: how libraries report it, how it is freed, and smaller batches for what then fits."""

import ctypes
import errno
import gc
import logging
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

#: Parts of the messages of errors that have no class of their own: of torch's allocators on the CPU and on Apple's
#: GPUs, and of NVIDIA's libraries.
_MESSAGES = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


def ran_out(error: BaseException) -> bool:
    """Return whether an error of any library says that memory ran out."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    # Libraries that were not imported cannot have raised it.
    torch, tensorflow = sys.modules.get("torch"), sys.modules.get("tensorflow")
    classes = [torch.OutOfMemoryError] if torch else []
    classes += [tensorflow.errors.ResourceExhaustedError] if tensorflow else []
    if isinstance(error, tuple(classes)):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _MESSAGES)


def reason(error: BaseException) -> str:
    """Return an error in one short line."""
    text = str(error).strip()
    first = text.splitlines()[0] if text else ""
    # torch puts advice for developers behind the size that was requested.
    return f"{type(error).__name__}: {first[:200]}" if first else type(error).__name__


def message(what: str, device: str, reason: str, advice: str = "") -> str:
    """Return the sentence for memory that is too small.

    what: the thing that does not fit. advice: what to try first.
    """
    first = f"{advice}, or " if advice else ""
    memory = "raise compute.mem_mb" if device == "cpu" else "use a GPU with more memory, or compute.runs_per_gpu: 1"
    return (
        f"out of memory on {device} ({reason}): {what}; {first}choose a smaller network or smaller examples, a method "
        f"that trains less (linear_probe, lora), or precision: bf16, or {memory}"
    )


def release(device: str) -> None:
    """Return memory that is not used any more to the device; call it outside the ``except`` block of the error.

    Inside that block the traceback still holds the tensors of the computation that failed.
    """
    gc.collect()
    if torch := sys.modules.get("torch"):
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
        elif device == "mps":
            torch.mps.empty_cache()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def in_fitting_parts(
    parts: Iterable[np.ndarray], compute: Callable[[np.ndarray], _Result], device: str
) -> Iterator[tuple[np.ndarray, _Result]]:
    """Yield each part with what ``compute`` returns for it; parts for which memory runs out are halved.

    parts: arrays of rows or of positions, whose results are independent. Once memory has run out, later parts are no
    longer than the one that then fitted. Errors of a part of one are those of ``compute``.
    """
    waiting, limit = list(parts)[::-1], sys.maxsize
    while waiting:
        part = waiting.pop()
        if len(part) > limit:
            waiting += [part[start : start + limit] for start in range(0, len(part), limit)][::-1]
            continue
        try:
            result = compute(part)
        except Exception as error:
            if len(part) <= 1 or not ran_out(error):
                raise
            message = reason(error)
        else:
            yield part, result
            continue
        limit = len(part) // 2
        release(device)
        _log.warning("out of memory on %s (%s): continues with batches of %d examples", device, message, limit)
        waiting.append(part)
