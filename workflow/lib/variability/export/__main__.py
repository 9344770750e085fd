"""Command ``python -m variability.export PROGRAM STUDY --to FOLDER``: runs in the stores of other programs."""

import sys

from variability.export.command_line import main
from variability.job_log import leave

if __name__ == "__main__":
    leave(main(sys.argv[1:]))
