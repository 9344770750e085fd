"""The first error in the log of a job, in a line."""

import re

#: Start of an entry of a log, see ``job_log``.
_ENTRY = re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE)
#: Entries of errors, of a whole job and of a seed.
_ERROR = re.compile(r"error: |.*: seed \d+ failed:\s|(?=Traceback )")


def first_error(log: str) -> str:
    """Return the message of the first error, the last line of a traceback; empty without an error.

    Where seeds failed, the first of them has the reason, and the job's own error only counts them.
    """
    for entry in _ENTRY.split(log):
        if not (kind := _ERROR.match(entry)):
            continue
        message = entry[kind.end() :].strip()
        if message.startswith("Traceback "):
            unindented = [line for line in message.splitlines()[1:] if line and not line[0].isspace()]
            message = unindented[-1] if unindented else ""
        if message:
            return " ".join(message.split())
    return ""
