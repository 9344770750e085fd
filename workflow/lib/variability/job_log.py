"""The frame of a job's process: its log, its errors, and a quick start and end."""

import atexit
import gc
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from variability.errors import Interrupted, UserError
from variability.interruption import Interruption
from variability.io import storage

LOGGER = "variability"
#: Exit code of a job that was asked to stop, as of a shell after Ctrl+C.
INTERRUPTED = 130


# Objects of Python between two garbage collections. The default, 700, walks through what importing torch creates again
# and again, a third of the time that the import takes.
COLLECT_AFTER = 50_000


@contextmanager
def log_job(path: str | Path, end_process: bool = True) -> Iterator[Interruption]:
    """Log to ``path`` and to standard error inside the block, the whole job, and end the process after it.

    A UserError ends the process with its message alone, because a traceback would hide the part that the user can fix.
    So does an error of the disk or of permissions. Any other exception is a bug; its traceback is logged. Signals that
    ask the process to stop are handled by the yielded object. end_process: if false, a block that succeeds does not end
    the process, and one that fails raises SystemExit.
    """
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    warnings_logger = logging.getLogger("py.warnings")
    handlers = [_log_file(path), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        logger.addHandler(handler)
        warnings_logger.addHandler(handler)
    logging.captureWarnings(True)
    interruption, code = Interruption(), 0
    with interruption.handled():
        try:
            yield interruption
        except (Interrupted, KeyboardInterrupt) as interrupted:
            logger.error("%s", interruption.message(str(interrupted)))
            code = INTERRUPTED
        except UserError as error:
            logger.error("error: %s", error)
            code = 1
        except Exception as error:
            problem = storage.explain(error)
            logger.error("%s", f"error: {problem}" if problem else traceback.format_exc())
            code = 1
        finally:
            logging.captureWarnings(False)
            for handler in handlers:
                logger.removeHandler(handler)
                warnings_logger.removeHandler(handler)
                handler.close()
        if end_process:
            leave(code)
    if code:
        sys.exit(code)


def leave(code: int) -> None:
    """End this process with an exit status, without taking apart each object of the libraries.

    That is a second of work after importing torchvision, and where it begins while threads of Arrow are still starting,
    because a table was read just before, it ends in SIGABRT instead of the status. Functions that libraries registered
    for the end run as always.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may be gone.
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


class _LogFile(logging.FileHandler):
    """A log file that a full disk cuts short: the same lines go to standard error, and the job goes on."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def _log_file(path: str | Path) -> logging.Handler:
    try:
        return _LogFile(path, mode="w", encoding="utf-8")
    except OSError as error:
        print(f"error: {storage.explain(error) or error}", file=sys.stderr)
        sys.exit(1)
