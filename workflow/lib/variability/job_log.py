"""What a job tells the person: everything to its log file, the lines that matter to the terminal, errors in words."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from variability.errors import UserError

LOGGER = "variability"


@contextmanager
def journal(path: str | Path) -> Iterator[None]:
    """Logs to ``path`` and standard error while the block runs.

    A UserError ends the process with its message alone: a traceback would bury what the user can mend. Any other
    exception is a bug and leaves its traceback in both places.
    """
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    warned = logging.getLogger("py.warnings")
    handlers = [logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        logger.addHandler(handler)
        warned.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    except KeyboardInterrupt:
        logger.error("interrupted; what is done is kept, the same command goes on from there")
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
            warned.removeHandler(handler)
            handler.close()
