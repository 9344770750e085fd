"""Images per second of full fine-tuning on the CPU: this project's, Hugging Face Trainer's, Lightning's and a loop's.

    python benchmarks/finetune.py [--architecture resnet18|vit_tiny|mobilenet_v3_small] [--steps 20]
                                  [--repetitions 5] [--precisions fp32 bf16] [--threads 2]

Images of 64 x 64 in batches of 64, 10 classes. Every side (see finetune_sides.py) runs in a process of its own, and
they take turns, so that whatever else the machine does falls on all alike; and what was measured while others took the
cores is measured again. Peers run with their images made ready in the training process and with two workers, and the
better of the two stands for them. They live in an environment made at the first start under benchmarks/.peers-venv,
which borrows the project's torch: all compute with the same kernels.

Progress goes to standard error; the last thing printed is a table in Markdown.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).resolve().parent
PEERS = HERE / ".peers-venv"
NAMES = {"ours": "ours", "plain": "DataLoader loop", "trainer": "Hugging Face Trainer", "lightning": "Lightning"}
ARCHITECTURES = {"resnet18": "ResNet-18", "vit_tiny": "ViT-tiny", "mobilenet_v3_small": "MobileNetV3-small"}
#: (side, workers)
VARIANTS = [("ours", 0), *((peer, workers) for peer in ("plain", "trainer", "lightning") for workers in (0, 2))]

#: Cores in use by other processes from which on a measurement does not count, and how often it is made again.
DISTURBED, ATTEMPTS = 0.1, 20

Found = TypeVar("Found")
Speeds = dict[tuple[str, int], list[float]]


def environment() -> Path:
    """The peers' Python, installed where it is not there yet, or for another version of what is asked for."""
    python, done, wanted = PEERS / "bin" / "python", PEERS / "installed", HERE / "peers.in"
    asked = f"{wanted.read_text(encoding='utf-8')}{sys.prefix}\n"
    if not done.exists() or done.read_text(encoding="utf-8") != asked:
        _say("installing the peers")
        venv.create(PEERS, with_pip=True, clear=True)
        (site,) = PEERS.glob("lib/python*/site-packages")
        # Searched after its own packages; pip, too, takes what it finds there as installed.
        (site / "project.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
        done.write_text(asked, encoding="utf-8")
    return python


def measure(python: Path, told: dict) -> dict:
    """What finetune_sides.py prints of one side: ``images_per_second``, and of a GPU its ``utilisation`` in percent."""
    command = [sys.executable if told["side"] == "ours" else python, HERE / "finetune_sides.py", json.dumps(told)]
    # Peers ask the hub for nothing, and warn at length of what does not concern them.
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}
    machine = {"OMP_NUM_THREADS": str(told["threads"])}
    if told["device"] == "cpu":
        machine["CUDA_VISIBLE_DEVICES"] = ""
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | quiet | machine)
    if done.returncode:
        raise SystemExit(f"{told} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def undisturbed(python: Path, told: dict) -> dict:
    """``measure`` once the cores are idle, and again as long as other processes took part of them meanwhile."""
    for _ in range(ATTEMPTS):
        while _shared(lambda: time.sleep(1))[1] >= DISTURBED:
            time.sleep(5)
        found, taken = _shared(lambda: measure(python, told))
        if taken < DISTURBED:
            return found
        _say(f"  other processes took {taken:.2f} of a core: {found} does not count")
    raise SystemExit(f"in {ATTEMPTS} attempts other processes always wanted the cores; try when the machine is idle")


def _shared(work: Callable[[], Found]) -> tuple[Found, float]:
    """What a piece of work returns, and how many cores others used in that time, where Linux says so."""
    started, before = time.perf_counter(), _of_others()
    found = work()
    return found, (_of_others() - before) / (time.perf_counter() - started)


def _of_others() -> float:
    """Seconds of the processor that anyone but this process and those it has waited for has used, since some moment."""
    try:
        used = [int(each) for each in Path("/proc/stat").read_text(encoding="utf-8").split("\n")[0].split()[1:9]]
    except OSError:
        return 0.0
    # user, nice, system, idle, iowait, irq, softirq, steal
    everyone = (sum(used) - used[3] - used[4]) / os.sysconf("SC_CLK_TCK")
    return everyone - sum(os.times()[:4])


def in_turn(python: Path, given: argparse.Namespace, precision: str) -> Speeds:
    """Images per second of every variant and repetition."""
    found: Speeds = {variant: [] for variant in VARIANTS}
    for repetition in range(given.repetitions):
        # Another one begins each time: none is always the one after a pause.
        start = repetition % len(VARIANTS)
        for side, workers in VARIANTS[start:] + VARIANTS[:start]:
            told = {"side": side, "workers": workers, "precision": precision, "architecture": given.architecture}
            told |= {"size": 64, "batch": 64, "device": "cpu", "steps": given.steps, "threads": given.threads}
            speed = undisturbed(python, told)["images_per_second"]
            found[side, workers].append(speed)
            _say(f"{precision} {repetition + 1}/{given.repetitions} {_named(side, workers)}: {speed:.0f} images/s")
    return found


def rows(precision: str, found: Speeds) -> list[str]:
    """Lines of the table: every side at its best, then what the ratio to the fastest peer was in each repetition."""
    middle = {variant: statistics.median(speeds) for variant, speeds in found.items()}
    lines, best = [], {}
    for side in NAMES:
        variant = best[side] = max((each for each in found if each[0] == side), key=middle.__getitem__)
        ratios = [mine / other for mine, other in zip(found["ours", 0], found[variant], strict=True)]
        against = "" if side == "ours" else f"{spread(ratios, 2)}"
        lines.append(f"| {precision} | {_named(*variant)} | {spread(found[variant], 0)} | {against} | {len(ratios)} |")
    fastest = max((side for side in NAMES if side != "ours"), key=lambda side: middle[best[side]])
    at = list(NAMES).index(fastest)
    lines[at] = lines[at].replace(_named(*best[fastest]), f"{_named(*best[fastest])} (fastest peer)")
    return lines


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _named(side: str, workers: int) -> str:
    return NAMES[side] if side == "ours" else f"{NAMES[side]}, {workers or 'no'} workers"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="resnet18")
    parser.add_argument("--steps", type=int, default=20, help="of each of two epochs; the second is timed")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    python = environment()
    print(
        f"{ARCHITECTURES[given.architecture]}, 64 x 64, batch 64, {given.steps} steps; {_machine()}, {os.cpu_count()} "
        f"cores, {given.threads} threads, load at the start {os.getloadavg()[0]:.1f}\n",
        flush=True,
    )
    table = [line for precision in given.precisions for line in rows(precision, in_turn(python, given, precision))]
    print("| precision | side | images/s, median (range) | ours / side, median (range) | n |")
    print("|---|---|---|---|---|")
    print("\n".join(table))


if __name__ == "__main__":
    main()
