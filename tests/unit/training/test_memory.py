import errno
import gc
import weakref

import numpy as np
import pytest
import torch

from variability.training import memory


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_of_memory_are_recognised(error, expected):
    assert memory.ran_out(error) is expected


def test_the_allocator_of_the_cpu_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.ran_out(caught.value)
    with pytest.raises(MemoryError) as caught:
        np.ones(2**60, dtype=np.uint8)
    assert memory.ran_out(caught.value)


def test_a_reason_is_one_short_line():
    assert memory.reason(MemoryError()) == "MemoryError"
    assert memory.reason(RuntimeError("first\nsecond")) == "RuntimeError: first"
    assert len(memory.reason(RuntimeError("x" * 1000))) < 250


def limited(limit, sizes):
    def compute(part):
        if len(part) > limit:
            raise MemoryError
        sizes.append(len(part))
        return part * 10

    return compute


def test_parts_that_do_not_fit_are_halved_and_later_ones_cut(caplog):
    sizes = []
    parts = [np.arange(10), np.arange(10, 20), np.arange(20, 23)]
    results = list(memory.in_fitting_parts(parts, limited(4, sizes), "cpu"))
    # 10 -> 5 -> 2, and all that follow are cut into parts of 2.
    assert sizes == [2, 2, 1, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1]
    assert np.array_equal(np.concatenate([part for part, _ in results]), np.arange(23))
    assert all(np.array_equal(part * 10, result) for part, result in results)
    assert "continues with batches of 5 examples" in caplog.text and "batches of 2 examples" in caplog.text


def test_parts_that_fit_are_unchanged():
    sizes = []
    assert len(list(memory.in_fitting_parts([np.arange(4)] * 3, limited(4, sizes), "cpu"))) == 3
    assert sizes == [4, 4, 4]


def test_one_example_that_does_not_fit_and_other_errors_are_raised():
    with pytest.raises(MemoryError):
        list(memory.in_fitting_parts([np.arange(3)], limited(0, []), "cpu"))
    with pytest.raises(ZeroDivisionError):
        list(memory.in_fitting_parts([np.arange(3)], lambda part: 1 / 0, "cpu"))


def test_memory_is_released_when_nothing_holds_the_failed_computation(monkeypatch):
    held = []

    class Buffer:
        pass

    def compute(part):
        buffer = Buffer()
        held.append(weakref.ref(buffer))
        if len(part) > 1:
            raise MemoryError
        return part

    gc.disable()
    try:
        monkeypatch.setattr(memory, "release", lambda device: held.append([each() for each in held if callable(each)]))
        list(memory.in_fitting_parts([np.arange(2)], compute, "cpu"))
    finally:
        gc.enable()
    assert held[1] == [None]
