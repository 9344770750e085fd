"""The lines that a terminal shows of the bytes that were written to it."""

import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path

_PART = re.compile(rb"\x1b\[(\d*)K|\x1b\[[\d;]*m|\r|\n|[^\r\n\x1b]+")


def rows(data: bytes, width: int) -> list[str]:
    """Return the rows of a terminal with endless height: what was printed and neither erased nor overwritten."""
    lines, column = [""], 0
    for part in _PART.finditer(data):
        text = part[0]
        if text == b"\r":
            column = 0
        elif text == b"\n":
            lines.append("")
            column = 0
        elif text.startswith(b"\x1b"):
            if text.endswith(b"K"):
                lines[-1] = lines[-1][:column]
        else:
            for character in text.decode():
                if column == width:
                    lines.append("")
                    column = 0
                lines[-1] = lines[-1][:column].ljust(column) + character + lines[-1][column + 1 :]
                column += 1
    return [line.rstrip() for line in lines]


def run_in_terminal(command: Sequence[str], width: int, folder: Path, environ: dict[str, str]) -> tuple[int, bytes]:
    """Run a command in a terminal of a number of columns; return its exit code and what it printed."""
    terminal, process_end = pty.openpty()
    ioctl(process_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"TERM": "xterm"} | environ,
        stdin=process_end,
        stdout=process_end,
        stderr=process_end,
        start_new_session=True,
    )
    os.close(process_end)
    printed = b""
    while True:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # the last process has closed its end
                break
            printed += data
    os.close(terminal)
    return process.wait(timeout=60), printed
