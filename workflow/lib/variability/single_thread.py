"""Processes that share their processors with others of the same job: each computes with one thread."""

import os

#: Read by the libraries below NumPy when it is imported.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit() -> None:
    """Limit NumPy to one thread, in this process and in those that it starts. Call it before NumPy is imported."""
    os.environ |= dict.fromkeys(VARIABLES, "1")
