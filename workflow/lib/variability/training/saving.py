"""When a fit saves the state from which it can resume, and whether a state is its own."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


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


def matches_fingerprint(path: Path, metadata: Mapping[str, Any], fingerprint: str) -> bool:
    """Return whether a stored state is of the fit with this fingerprint, and log if it is not."""
    if metadata["fingerprint"] != fingerprint:
        _log.info("%s belongs to a run with other settings and is ignored", path)
    return metadata["fingerprint"] == fingerprint
