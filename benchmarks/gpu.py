"""Speed and utilisation of a GPU, and the gain of possible optimisations: one command, a report in Markdown.

    python benchmarks/gpu.py [--device cuda|cpu] [--repetitions 3] [--steps 40] [--batch 64] [--workers N]

- Full fine-tuning in bf16, ResNet-50 at 224 and ResNet-18 at 64 pixels: images per second and utilisation of this
  project, Hugging Face Trainer and Lightning (sides/finetune.py), each in a process of its own, in turns; and the rate
  of the step's products and convolutions as a share of the rate of a large bf16 product.
- Linear probes on a ResNet-50's stored activations: seeds per hour of blocks of 1, 8 and 32, as the stages `finetune`
  and `predict` run them, including the start of the frameworks.
- Optimisations that are not implemented because their gain is unknown: heads of many seeds in one product,
  torch.compile of a step, a CUDA graph of a step.

Peers get their images from as many workers as there are cores, at most 8. Utilisation is NVML's share of time in which
any kernel ran; it needs `nvidia-ml-py`. One GPU is used, the first that CUDA_VISIBLE_DEVICES shows; nothing else should
run on it. With --device cpu everything runs at tiny sizes, which shows without a GPU that it works; its figures mean
nothing.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import finetune
import numpy as np
from sides import founding, gpu
from sides.founding import CLASSES, SIDE, Size, alone

SIDES = ("ours", "trainer", "lightning")
WIDTH = 2048


@dataclass(frozen=True)
class Scale:
    """Sizes of all measurements.

    networks: (architecture, pixels of a side). matrix: side of the product. probe: images and epochs. blocks: numbers
    of seeds of a job. head_seeds: seeds in one product.
    """

    networks: tuple[tuple[str, int], ...]
    matrix: int
    probe: Size
    blocks: tuple[int, ...]
    head_seeds: int


SCALES = {
    "cuda": Scale((("resnet50", 224), ("resnet18", 64)), 8192, Size(50_000, 10_000, 10, 1), (1, 8, 32), 32),
    # A small network, which compiles fast.
    "cpu": Scale((("alexnet", 64),), 256, Size(96, 32, 1, 1), (1, 2), 4),
}


def fine_tuning(arguments: argparse.Namespace, scale: Scale) -> list[str]:
    """Return the lines of the report on full fine-tuning."""
    python = finetune.environment()
    (rate,) = alone(gpu.matrix_rate, arguments.device, scale.matrix, 10, arguments.threads)
    lines = [f"Product of bf16 matrices of side {scale.matrix}: {rate / 1e12:.3g} TFLOP/s.", ""]
    lines += ["| network | side | images/s, median (range) | ours / side | utilisation | of the product's rate | n |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for architecture, size in scale.networks:
        (operations,) = alone(gpu.operations, architecture, size)
        results: dict[str, list[dict]] = {side: [] for side in SIDES}
        for repetition in range(arguments.repetitions):
            start = repetition % len(SIDES)
            for side in SIDES[start:] + SIDES[:start]:
                case = {"side": side, "workers": 0 if side == "ours" else arguments.workers, "precision": "bf16"}
                case |= {"architecture": architecture, "size": size, "batch": arguments.batch, "steps": arguments.steps}
                case |= {"device": arguments.device, "threads": arguments.threads}
                results[side].append(finetune.measure(python, case))
                finetune.log(f"{architecture} {repetition + 1}/{arguments.repetitions} {side}: {results[side][-1]}")
        speeds = {side: [result["images_per_second"] for result in results[side]] for side in SIDES}
        for side in SIDES:
            ratios = [mine / other for mine, other in zip(speeds["ours"], speeds[side], strict=True)]
            used = [result["utilisation"] for result in results[side] if result["utilisation"] is not None]
            cells = [f"{architecture}, {size}", finetune.NAMES[side], finetune.spread(speeds[side], 0)]
            cells += ["" if side == "ours" else finetune.spread(ratios, 2)]
            cells += [f"{statistics.mean(used):.0f} %" if used else "unknown"]
            cells += [f"{statistics.median(speeds[side]) * operations / rate:.1%}", str(arguments.repetitions)]
            lines.append(row(cells))
    return lines


def probes(arguments: argparse.Namespace, scale: Scale) -> list[str]:
    """Return the lines of the report on linear probes."""
    size = scale.probe
    lines = [
        f"{size.train:,} + {size.test:,} images, {size.epochs} epochs, batches of {founding.BATCH}, bf16.",
        "",
        "| seeds of a block | seconds of the job | seeds per hour | n |",
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder, rng, count = Path(temporary), np.random.default_rng(0), size.train + size.test
        images = rng.integers(0, 256, (count, 3, SIDE, SIDE), np.uint8)
        task = founding.write_task(folder / "task", size, images, rng.integers(0, CLASSES, count))
        (net,) = alone(founding.random_weights, folder)
        starting = start_of_frameworks(arguments.device)
        for seeds in scale.blocks:
            block = Size(size.train, size.test, size.epochs, seeds)
            jobs = []
            for _ in range(arguments.repetitions):
                (result,) = alone(founding.ours, task, net, block, arguments.threads, folder)
                jobs.append(starting + result["finetune"] + result["predict"])
                finetune.log(f"block of {seeds}: {jobs[-1]:.1f} s")
            seconds = statistics.median(jobs)
            per_hour = f"{3600 * seeds / seconds:,.0f}"
            lines.append(row([str(seeds), finetune.spread(jobs, 1), per_hour, str(arguments.repetitions)]))
    return lines


def start_of_frameworks(device: str) -> float:
    """Return the seconds until a new process has computed its first number on the device."""
    program = f"import torch, torchvision; torch.ones(8, 8, device={device!r}).sum().item()"
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def candidates(arguments: argparse.Namespace, scale: Scale) -> list[str]:
    """Return the lines of the report on optimisations that are not implemented."""
    lines = ["| what | way | figure | unit |", "|---|---|---|---|"]
    for seeds in (1, scale.head_seeds):
        finetune.log(f"heads of {seeds} seeds")
        common = (WIDTH, founding.BATCH, arguments.device, arguments.steps, arguments.threads)
        (figures,) = alone(gpu.heads, seeds, *common)
        for way, value in figures.items():
            lines.append(row([f"heads, {seeds} seeds", way, figure(value), "us per seed and step"]))
    for architecture, size in scale.networks:
        finetune.log(f"steps of {architecture}")
        common = (size, arguments.batch, arguments.device, arguments.steps, arguments.threads)
        (figures,) = alone(gpu.steps, architecture, *common)
        for way, value in figures.items():
            name, _, measure = way.partition(": ")
            lines.append(row([f"{architecture}, {size}", name, figure(value), measure or "ms per step"]))
    return lines


def row(cells: list[str]) -> str:
    """Format a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def figure(value: float | str) -> str:
    """Format a number, or the reason that there is none."""
    return value.replace("|", "/") if isinstance(value, str) else f"{value:.4g}"


def machine(device: str) -> str:
    """Describe the device; exit if the benchmark cannot run on it."""
    import torch

    if device == "cpu":
        return f"{founding.processor()}: tiny sizes, to test that everything runs; the figures mean nothing"
    if not torch.cuda.is_available():
        raise SystemExit(
            "No GPU: PyTorch finds none that it can compute on. Run this benchmark where "
            "`python -c 'import torch; print(torch.cuda.is_available())'` prints True, or with --device cpu to test "
            "that it works."
        )
    if not torch.cuda.is_bf16_supported():
        raise SystemExit(f"No bf16: {torch.cuda.get_device_name()} does not support it, and this benchmark needs it.")
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, PyTorch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--steps", type=int, help="of an epoch, and of the candidates")
    parser.add_argument("--batch", type=int, help="number of images per step of full fine-tuning")
    parser.add_argument("--workers", type=int, help="of the peers' DataLoaders")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads of one operation")
    tiny = {"repetitions": 1, "steps": 2, "batch": 4, "workers": 1}
    full = {"repetitions": 3, "steps": 40, "batch": 64, "workers": min(8, os.cpu_count())}
    arguments = parser.parse_args()
    for name, value in (tiny if arguments.device == "cpu" else full).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    device = machine(arguments.device)
    # Inherited by all processes: the stages compute on this device and lease none.
    os.environ["VARIABILITY_DEVICE"] = arguments.device
    print(f"{device}; load at the start {os.getloadavg()[0]:.1f}", flush=True)
    parts = {"Full fine-tuning": fine_tuning, "Probes": probes, "Not implemented": candidates}
    for title, part in parts.items():
        print(f"\n## {title}\n")
        print("\n".join(part(arguments, SCALES[arguments.device])), flush=True)


if __name__ == "__main__":
    main()
