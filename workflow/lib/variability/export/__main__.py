"""Command ``python -m variability.export PROGRAM STUDY --to FOLDER``: runs in the stores of other programs."""

import sys

from variability.export.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
