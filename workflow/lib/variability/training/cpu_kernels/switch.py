"""The switch that turns all kernels of this package off: the environment variable ``VARIABILITY_STOCK_KERNELS=1``."""

import os

from variability.errors import UserError

VARIABLE = "VARIABILITY_STOCK_KERNELS"


def enabled() -> bool:
    """Return False where the user asked for PyTorch's own kernels, True otherwise.

    The only function that reads the variable. Raises UserError for a value other than 1, 0 or the empty string.
    """
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise UserError(f"{VARIABLE}={value} is neither 1 (PyTorch's own kernels) nor 0 (the faster ones, the default)")
    return value != "1"


def fingerprint() -> dict[str, str]:
    """Return the entry that a run with PyTorch's own kernels has in its params, fingerprint and record.

    Empty while the kernels are in use, so that the default needs no key.
    """
    return {} if enabled() else {"kernels": "stock"}
