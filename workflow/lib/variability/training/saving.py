"""When a fit saves the state from which it can resume."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Saving:
    """Rules by which a fit saves its state, asked after every step.

    every: seconds after which the state is saved again. clock: function that returns seconds since any fixed time.
    should_stop: returns whether the fit must save its state now and end with ``Interrupted``. postponed: returns a
    context in which requests to stop wait for that question, so that a finished fit is also stored.

    When a state is saved has no effect on results, so nothing here is part of a fingerprint.
    """

    every: float = 600.0
    clock: Callable[[], float] = time.perf_counter
    should_stop: Callable[[], bool] = _never
    postponed: Callable[[], AbstractContextManager[None]] = nullcontext
