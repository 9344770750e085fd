"""Signs that a fit has diverged."""

import math
from collections.abc import Mapping
from typing import Any

#: A fit has diverged when an epoch's mean training loss exceeds this many times the larger of two losses: the untrained
#: network's ...
DIVERGED = 100.0
#: ... and this one, roughly the loss of a network that knows nothing, in nats or in variances. It counts where the
#: untrained network knows the answers already (a zero-shot head).
UNINFORMED = 1.0


def why_diverged(row: Mapping[str, Any], losses: list[float], weights_are_finite: bool, untrained: float) -> str | None:
    """Return why a fit has diverged in an epoch, None if it has not.

    row: of the history. losses: one for each step of the epoch. untrained: the loss before the first step.
    """
    epoch = row["epoch"]
    for step, loss in enumerate(losses, 1):
        if not math.isfinite(loss):
            return f"the training loss is {loss} at step {step} of epoch {epoch}"
    if not weights_are_finite:
        return f"weights are not finite after epoch {epoch}"
    if row["validation_loss"] is not None and not math.isfinite(row["validation_loss"]):
        return f"the validation loss is {row['validation_loss']} after epoch {epoch}"
    if row["train_loss"] > DIVERGED * max(untrained, UNINFORMED):
        comparison = f"{row['train_loss']:.4g}, over {DIVERGED:g} times the untrained network's {untrained:.4g}"
        comparison += "" if untrained > UNINFORMED else f", and over {DIVERGED:g}"
        return f"the training loss of epoch {epoch} is {comparison}"
    return None
