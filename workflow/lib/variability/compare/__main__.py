"""Command ``python -m variability.compare OLD NEW``: are new runs worse than old ones beyond noise?"""

import sys
import traceback

from variability.job_log import leave

#: Exit status of an error. Python's own is 1, which would mean that the new runs are worse.
ERROR = 3


def run(arguments: list[str]) -> int:
    """Return the exit status of the command, see ``command_line.main``."""
    try:
        from variability.compare import command_line

        return command_line.main(arguments)
    except Exception:
        traceback.print_exc()
        return ERROR


if __name__ == "__main__":
    # Its status is the answer, which an abort while the process is taken apart would replace.
    leave(run(sys.argv[1:]))
