"""Output of whole executions: with and without a terminal, of dry runs, and of processes that run single jobs."""

import re
import sys

import pytest
from support import Checkout
from terminal_screen import rows, run_in_terminal

pytestmark = pytest.mark.slow

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
TINY = ("--configfile", "tiny.yaml")
SIX_SEEDS = ("--config", "seeds=[0,1,2,3,4,5]", "compute={seeds_per_job: 6}")


def test_a_dry_run_ends_with_one_table_of_what_will_be_trained_and_what_used_again(finished: Checkout):
    done = finished.snakemake("--dry-run", "--quiet", "rules", *TINY, *SIX_SEEDS)
    output = done.stdout + done.stderr
    assert not CONTROL.search(output)
    assert output.count("To be computed:") == output.count("Job stats:") == 1
    table = output[output.index("To be computed:") :]
    # Three cells of six seeds, of which two are there.
    fitted = re.search(r"^finetune +3 +12 +6 +(\d+ s|\d+ min) +\d+\.\d MB$", table, re.M)
    assert fitted, table
    assert re.search(r"^total +\d+ +12 +6 +(\d+ s|\d+ min) +\d+\.\d MB$", table, re.M)
    assert "cores and disk are estimated from earlier runs of tiny.\n" in table


def test_a_process_that_runs_one_job_prints_no_table(finished: Checkout):
    done = finished.snakemake("--dry-run", "--mode", "remote", *TINY, "--forcerun", "summarise")
    assert "summarise" in done.stdout + done.stderr and "To be computed:" not in done.stdout + done.stderr


def test_a_terminal_shows_a_live_line_and_at_last_the_answer(study: Checkout):
    report = "results/tiny/report/report.html"
    (study.folder / report).unlink()
    command = [sys.executable, "-m", "snakemake", report, "--cores", "2", *TINY, "--quiet", "host", "rules"]
    code, printed = run_in_terminal(command, 90, study.folder, {"NO_COLOR": "1"})
    lines = rows(printed, 90)
    assert code == 0, "\n".join(lines)
    assert b"6/6 runs done, 0 running, 0 failed | ETA " in printed and b"| report" in printed
    # It is gone, with the lines of Snakemake that it replaces.
    assert not any("runs done" in line or "steps (" in line or "Select jobs" in line for line in lines)
    end = lines[lines.index("# tiny") :]
    assert len(end) <= 15 and "Report: results/tiny/report/index.html" in end
