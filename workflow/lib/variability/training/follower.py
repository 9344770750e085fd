"""A process that trains runs together with the process of a job, see ``followers``.

Runs as ``python -c "from variability.training import follower; follower.main()"`` with requests on its standard input,
one JSON value per line: first the job, then each fit. It ends when its input ends, as it does with the job's process
however that dies, and prints a line when it is ready.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from variability.errors import Interrupted, UserError
from variability.training import frameworks, gpu_lease
from variability.training.fit_loop import FitSpec
from variability.training.input_files import InputFiles

READY = "ready"


def main() -> None:
    """Serve the requests on standard input."""
    from variability.training.ranks import Lost

    requests = _requests()
    try:
        _serve(next(requests), requests)
    except UserError as error:
        print(error, file=sys.stderr)
    except (Interrupted, Lost):
        # The process of the job reports why.
        pass
    except Exception:
        traceback.print_exc()
    sys.stderr.flush()
    # At once, because the thread that reads still holds the standard input.
    os._exit(1)


def _serve(job: dict[str, Any], requests: Iterator[dict[str, Any]]) -> None:
    """Train each fit that is requested.

    job: {model, method, input_files, threads, device, rank, size, meeting}: entries of the config, paths by the names
    of ``InputFiles``, and arguments of ``Ranks``.
    """
    from variability.training.ranks import Ranks

    framework_class = frameworks.of(job["model"])
    framework_class.configure(job["threads"])
    gpu_lease.select(job["device"])
    input_files = InputFiles(**{name: Path(path) for name, path in job["input_files"].items()})
    framework = framework_class(job["model"], job["method"], input_files, job["device"])
    print(READY, flush=True)
    # Nobody reads what libraries print from now on.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    ranks = Ranks(Path(job["meeting"]), job["rank"], job["size"], job["device"])
    framework.shared = lambda spec: nullcontext(ranks)
    for fit in requests:
        data, state = framework.data(fit["seed"]), fit["state"] and Path(fit["state"])
        framework.fit(FitSpec(data, fit["recipe"], fit["seed"], state, fit["fingerprint"]))


def _requests() -> Iterator[dict[str, Any]]:
    """Yield the requests; a thread reads them, so that the end of the input ends the process whatever it computes."""
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(lines.get())
