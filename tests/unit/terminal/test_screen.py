import subprocess
import sys

import pytest
from terminal_screen import rows, run_in_terminal

from variability.terminal.screen import Screen, above, columns_of

pytestmark = pytest.mark.slow

LIVE = "37/120 runs done"

#: Prints with a live line from this process, from a child, without a newline, and after the line has gone.
PROGRAM = """
import os, subprocess, sys, time
from variability.terminal.screen import Screen
shown = []
def compose(width):
    shown.append(width)
    return f"LIVE {len(shown)}"[: width - 1]
screen = Screen(compose)
print("before", file=sys.stderr)
screen.start()
for number in range(3):
    print("from python", number, file=sys.stderr)
    subprocess.run([sys.executable, "-c", f"import os; os.write(2, b'from a child {number}' + bytes([10]))"])
    os.write(1, b"to standard output\\n")
    time.sleep(0.3)
os.write(2, b"a question? ")
time.sleep(1.2)
os.write(2, b"an answer\\n")
time.sleep(0.4)
os.write(2, b"cut off")
screen.stop()
print(" and after", file=sys.stderr)
print(f"widths {set(shown)}")
"""


def run(program: str, width: int, tmp_path) -> tuple[int, bytes]:
    return run_in_terminal([sys.executable, "-c", program], width, tmp_path, {"PYTHONPATH": ":".join(sys.path)})


def test_the_line_is_below_all_that_any_process_prints_and_leaves_no_trace(tmp_path):
    code, printed = run(PROGRAM, 40, tmp_path)
    assert code == 0
    assert printed.count(b"LIVE") >= 4
    lines = [line for line in rows(printed, 40) if line]
    each = [line for number in range(3) for line in (f"from python {number}", f"from a child {number}")]
    assert sorted(lines) == sorted(
        ["before", *each, *["to standard output"] * 3, "a question? an answer", "cut off and after", "widths {40}"]
    )
    # Lines of this process are in the order in which it printed them.
    assert [line for line in lines if line in each] == each
    assert rows(printed[: printed.rindex(b"LIVE") + 6], 40)[-1].startswith("LIVE")


def test_a_line_that_cannot_be_made_does_not_stop_the_output(tmp_path):
    program = PROGRAM.replace("shown.append(width)", "shown.append(width); {}[0]")
    code, printed = run(program, 60, tmp_path)
    lines = [line for line in rows(printed, 60) if line]
    assert code == 0 and "cut off and after" in lines and not any("KeyError" in line for line in lines)
    assert b"KeyError in the live line" in printed


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_erase_gets_no_line(tmp_path, term):
    program = "from variability.terminal.screen import Screen; print(Screen.is_possible())"
    command, environ = [sys.executable, "-c", program], {"PYTHONPATH": ":".join(sys.path), "TERM": term}
    assert rows(run_in_terminal(command, 40, tmp_path, environ)[1], 40)[0] == "False"


def test_a_pipe_and_a_file_get_no_line(tmp_path):
    program = "from variability.terminal.screen import Screen; print(Screen.is_possible())"
    command = [sys.executable, "-c", program]
    environ = {"PYTHONPATH": ":".join(sys.path), "TERM": "xterm"}
    assert subprocess.run(command, env=environ, capture_output=True, text=True).stdout == "False\n"
    with open(tmp_path / "file", "w") as file:
        assert columns_of(file.fileno()) is None
    assert not Screen.is_possible()


def test_ordinary_lines_push_the_live_line_down():
    data = above(b"one\ntwo\n", LIVE, shown=False) + above(b"three\n", LIVE, shown=True) + above(b"", "", shown=True)
    assert rows(data, 80) == ["one", "two", "three", ""]
    assert rows(data[:-4], 80) == ["one", "two", "three", LIVE]
