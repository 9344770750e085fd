"""The log of a job: everything goes to its log file, and also to standard error, which Snakemake shows."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from variability.errors import UserError

LOGGER = "variability"


@contextmanager
def log_job(path: str | Path) -> Iterator[None]:
    """Log to ``path`` and to standard error inside the block, and end the process if the block raises.

    A UserError ends the process with its message alone, because a traceback would hide the part that the user can fix.
    Any other exception is a bug; its traceback is logged.
    """
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    warnings_logger = logging.getLogger("py.warnings")
    handlers = [logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        logger.addHandler(handler)
        warnings_logger.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    except KeyboardInterrupt:
        logger.error("interrupted; finished work is kept, run the same command again to continue")
        sys.exit(130)
    except UserError as error:
        logger.error("error: %s", error)
        sys.exit(1)
    except Exception:
        logger.error("%s", traceback.format_exc())
        sys.exit(1)
    finally:
        logging.captureWarnings(False)
        for handler in handlers:
            logger.removeHandler(handler)
            warnings_logger.removeHandler(handler)
            handler.close()
