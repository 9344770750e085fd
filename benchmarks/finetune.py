"""Images per second of full fine-tuning on the CPU: this project, Hugging Face Trainer, Lightning and a plain loop.

    python benchmarks/finetune.py [--architecture resnet18|vit_tiny|mobilenet_v3_small] [--steps 20]
                                  [--repetitions 5] [--precisions fp32 bf16] [--threads 2]

Images of 64 x 64 in batches of 64, 10 classes. Every side (see sides/finetune.py) runs in a process of its own, and the
sides take turns, so that other load affects all of them alike; measurements during which other processes used the cores
are repeated. Peers run both with preprocessing in the training process and with two workers, and their better result
counts. Their environment, benchmarks/.peers-venv, is created at the first start and uses the project's torch: all
compute with the same kernels.

Progress goes to standard error; the last output is a table in Markdown.
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

#: Number of cores used by other processes from which a measurement is discarded, and the number of attempts.
DISTURBED, ATTEMPTS = 0.1, 20

Result = TypeVar("Result")
Speeds = dict[tuple[str, int], list[float]]


def environment() -> Path:
    """Return the peers' Python; install it if it is missing or was made for other requirements."""
    python, marker, pins = PEERS / "bin" / "python", PEERS / "installed", HERE / "peers.in"
    requirements = f"{pins.read_text(encoding='utf-8')}{sys.prefix}\n"
    if not marker.exists() or marker.read_text(encoding="utf-8") != requirements:
        log("installing the peers")
        venv.create(PEERS, with_pip=True, clear=True)
        (site,) = PEERS.glob("lib/python*/site-packages")
        # Searched after the peers' packages; pip also regards the packages there as installed.
        (site / "project.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", pins], check=True)
        marker.write_text(requirements, encoding="utf-8")
    return python


def measure(python: Path, case: dict) -> dict:
    """Run one side; return ``images_per_second`` and, for a GPU, its ``utilisation`` in percent."""
    command = [sys.executable if case["side"] == "ours" else python, HERE / "sides" / "finetune.py", json.dumps(case)]
    # Peers need nothing from the hub, and print long warnings that do not matter here.
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}
    machine = {"OMP_NUM_THREADS": str(case["threads"])}
    if case["device"] == "cpu":
        machine["CUDA_VISIBLE_DEVICES"] = ""
    process = subprocess.run(command, capture_output=True, text=True, env=os.environ | quiet | machine)
    if process.returncode:
        raise SystemExit(f"{case} failed:\n{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])


def undisturbed(python: Path, case: dict) -> dict:
    """``measure`` when the cores are idle, and again if other processes used them meanwhile."""
    for _ in range(ATTEMPTS):
        while _shared(lambda: time.sleep(1))[1] >= DISTURBED:
            time.sleep(5)
        result, used = _shared(lambda: measure(python, case))
        if used < DISTURBED:
            return result
        log(f"  other processes used {used:.2f} of a core: {result} is discarded")
    raise SystemExit(f"other processes used the cores in all {ATTEMPTS} attempts; try again when the machine is idle")


def _shared(work: Callable[[], Result]) -> tuple[Result, float]:
    """Return the result of some work and the number of cores that others used meanwhile, which only Linux reports."""
    started, before = time.perf_counter(), _of_others()
    result = work()
    return result, (_of_others() - before) / (time.perf_counter() - started)


def _of_others() -> float:
    """Return the processor seconds used so far by all processes but this one and its finished children."""
    try:
        used = [int(ticks) for ticks in Path("/proc/stat").read_text(encoding="utf-8").split("\n")[0].split()[1:9]]
    except OSError:
        return 0.0
    # user, nice, system, idle, iowait, irq, softirq, steal
    total = (sum(used) - used[3] - used[4]) / os.sysconf("SC_CLK_TCK")
    return total - sum(os.times()[:4])


def in_turn(python: Path, arguments: argparse.Namespace, precision: str) -> Speeds:
    """Measure the images per second of every variant, ``repetitions`` times."""
    speeds: Speeds = {variant: [] for variant in VARIANTS}
    for repetition in range(arguments.repetitions):
        # Another one starts each time, so that none always follows a pause.
        start = repetition % len(VARIANTS)
        for side, workers in VARIANTS[start:] + VARIANTS[:start]:
            case = {"side": side, "workers": workers, "precision": precision, "architecture": arguments.architecture}
            case |= {"size": 64, "batch": 64, "device": "cpu", "steps": arguments.steps, "threads": arguments.threads}
            speed = undisturbed(python, case)["images_per_second"]
            speeds[side, workers].append(speed)
            log(f"{precision} {repetition + 1}/{arguments.repetitions} {_named(side, workers)}: {speed:.0f} images/s")
    return speeds


def rows(precision: str, speeds: Speeds) -> list[str]:
    """Return the table's lines: every side at its best, with the ratios of ours to it in the same repetition."""
    medians = {variant: statistics.median(values) for variant, values in speeds.items()}
    lines, best = [], {}
    for side in NAMES:
        variant = best[side] = max((variant for variant in speeds if variant[0] == side), key=medians.__getitem__)
        ratios = [mine / other for mine, other in zip(speeds["ours", 0], speeds[variant], strict=True)]
        against = "" if side == "ours" else f"{spread(ratios, 2)}"
        lines.append(f"| {precision} | {_named(*variant)} | {spread(speeds[variant], 0)} | {against} | {len(ratios)} |")
    fastest = max((side for side in NAMES if side != "ours"), key=lambda side: medians[best[side]])
    index = list(NAMES).index(fastest)
    lines[index] = lines[index].replace(_named(*best[fastest]), f"{_named(*best[fastest])} (fastest peer)")
    return lines


def spread(values: list[float], digits: int) -> str:
    """Format the median and the range of values."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _named(side: str, workers: int) -> str:
    return NAMES[side] if side == "ours" else f"{NAMES[side]}, {workers or 'no'} workers"


def log(text: str) -> None:
    """Print a line of progress to the standard error."""
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
    arguments = parser.parse_args()
    python = environment()
    measured = f"{ARCHITECTURES[arguments.architecture]}, 64 x 64, batch 64, {arguments.steps} steps"
    machine = f"{_machine()}, {os.cpu_count()} cores, {arguments.threads} threads"
    print(f"{measured}; {machine}, load at the start {os.getloadavg()[0]:.1f}\n", flush=True)
    table = []
    for precision in arguments.precisions:
        table += rows(precision, in_turn(python, arguments, precision))
    print("| precision | side | images/s, median (range) | ours / side, median (range) | n |")
    print("|---|---|---|---|---|")
    print("\n".join(table))


if __name__ == "__main__":
    main()
