"""What a GPU is used for, and what could be won on it: one command, a report in Markdown.

    python benchmarks/gpu.py [--device cuda|cpu] [--repetitions 3] [--steps 40] [--batch 64] [--workers N]

- Full fine-tuning in bf16, ResNet-50 at 224 and ResNet-18 at 64 pixels: images per second and utilisation of this
  project, Hugging Face Trainer and Lightning (finetune_sides.py), each in a process of its own, in turns; and the share
  of the rate of a large bf16 product that the step's own products and convolutions come to.
- Linear probes on a ResNet-50's stored activations: seeds per hour of blocks of 1, 8 and 32, as the stages `finetune`
  and `predict` run them, the start of the frameworks included.
- What is not built, because nobody could see what it gives: heads of many seeds in one product, torch.compile of a
  step, a CUDA graph of a step.

Peers get their images from as many workers as there are cores, 8 at most. Utilisation is NVML's: the share of time in
which any kernel ran; it needs `nvidia-ml-py`. One GPU is used, the first that CUDA_VISIBLE_DEVICES shows; nothing else
should run on it. With --device cpu all of it runs at tiny sizes, so that one sees without a GPU whether it still works:
its figures mean nothing.
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
import founding_sides
import gpu_sides
import numpy as np
from founding_sides import CLASSES, SIDE, Size, alone

SIDES = ("ours", "trainer", "lightning")
WIDTH = 2048


@dataclass(frozen=True)
class Scale:
    """networks: (architecture, pixels). matrix: side of the product. probe: images, epochs. blocks: seeds of a job."""

    networks: tuple[tuple[str, int], ...]
    matrix: int
    probe: Size
    blocks: tuple[int, ...]
    head_seeds: int


SCALES = {
    "cuda": Scale((("resnet50", 224), ("resnet18", 64)), 8192, Size(50_000, 10_000, 10, 1), (1, 8, 32), 32),
    # A small network, which a compiler is soon done with.
    "cpu": Scale((("alexnet", 64),), 256, Size(96, 32, 1, 1), (1, 2), 4),
}


def fine_tuning(given: argparse.Namespace, scale: Scale) -> list[str]:
    python = finetune.environment()
    (rate,) = alone(gpu_sides.matrix_rate, given.device, scale.matrix, 10, given.threads)
    lines = [f"Product of bf16 matrices of side {scale.matrix}: {rate / 1e12:.3g} TFLOP/s.", ""]
    lines += ["| network | side | images/s, median (range) | ours / side | utilisation | of the product's rate | n |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for architecture, size in scale.networks:
        (operations,) = alone(gpu_sides.operations, architecture, size)
        found: dict[str, list[dict]] = {side: [] for side in SIDES}
        for repetition in range(given.repetitions):
            start = repetition % len(SIDES)
            for side in SIDES[start:] + SIDES[:start]:
                told = {"side": side, "workers": 0 if side == "ours" else given.workers, "precision": "bf16"}
                told |= {"architecture": architecture, "size": size, "batch": given.batch, "steps": given.steps}
                found[side].append(finetune.measure(python, told | {"device": given.device, "threads": given.threads}))
                said(f"{architecture} {repetition + 1}/{given.repetitions} {side}: {found[side][-1]}")
        speeds = {side: [each["images_per_second"] for each in found[side]] for side in SIDES}
        for side in SIDES:
            ratios = [mine / other for mine, other in zip(speeds["ours"], speeds[side], strict=True)]
            used = [each["utilisation"] for each in found[side] if each["utilisation"] is not None]
            cells = [f"{architecture}, {size}", finetune.NAMES[side], finetune.spread(speeds[side], 0)]
            cells += ["" if side == "ours" else finetune.spread(ratios, 2)]
            cells += [f"{statistics.mean(used):.0f} %" if used else "not known"]
            cells += [f"{statistics.median(speeds[side]) * operations / rate:.1%}", str(given.repetitions)]
            lines.append(row(cells))
    return lines


def probes(given: argparse.Namespace, scale: Scale) -> list[str]:
    size = scale.probe
    lines = [
        f"{size.train:,} + {size.test:,} images, {size.epochs} epochs, batches of {founding_sides.BATCH}, bf16.",
        "",
        "| seeds of a block | seconds of the job | seeds per hour | n |",
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder, rng, count = Path(temporary), np.random.default_rng(0), size.train + size.test
        images = rng.integers(0, 256, (count, 3, SIDE, SIDE), np.uint8)
        task = founding_sides.leave(folder / "task", size, images, rng.integers(0, CLASSES, count))
        (net,) = alone(founding_sides.random_weights, folder)
        starting = start_of_frameworks(given.device)
        for seeds in scale.blocks:
            block = Size(size.train, size.test, size.epochs, seeds)
            jobs = []
            for _ in range(given.repetitions):
                (found,) = alone(founding_sides.ours, task, net, block, given.threads, folder)
                jobs.append(starting + found["finetune"] + found["predict"])
                said(f"block of {seeds}: {jobs[-1]:.1f} s")
            seconds = statistics.median(jobs)
            lines.append(
                row([str(seeds), finetune.spread(jobs, 1), f"{3600 * seeds / seconds:,.0f}", str(given.repetitions)])
            )
    return lines


def start_of_frameworks(device: str) -> float:
    """Seconds until a new process has computed its first number on the device."""
    program = f"import torch, torchvision; torch.ones(8, 8, device={device!r}).sum().item()"
    found = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def candidates(given: argparse.Namespace, scale: Scale) -> list[str]:
    lines = ["| what | way | figure | unit |", "|---|---|---|---|"]
    for seeds in (1, scale.head_seeds):
        said(f"heads of {seeds} seeds")
        common = (WIDTH, founding_sides.BATCH, given.device, given.steps, given.threads)
        (found,) = alone(gpu_sides.heads, seeds, *common)
        lines += [
            row([f"heads, {seeds} seeds", way, figure(each), "us a seed and step"]) for way, each in found.items()
        ]
    for architecture, size in scale.networks:
        said(f"steps of {architecture}")
        (found,) = alone(gpu_sides.steps, architecture, size, given.batch, given.device, given.steps, given.threads)
        for way, each in found.items():
            name, _, measure = way.partition(": ")
            lines.append(row([f"{architecture}, {size}", name, figure(each), measure or "ms a step"]))
    return lines


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def figure(found: float | str) -> str:
    return found.replace("|", "/") if isinstance(found, str) else f"{found:.4g}"


def said(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def machine(device: str) -> str:
    """What computes, in words; ends the program where there is no GPU to ask."""
    import torch

    if device == "cpu":
        return f"{founding_sides.processor()}: tiny sizes, to see that all of it runs; the figures mean nothing"
    if not torch.cuda.is_available():
        raise SystemExit(
            "No GPU: PyTorch finds none here that it can compute on, and this benchmark is of one. Run it where "
            "`python -c 'import torch; print(torch.cuda.is_available())'` says True, or with --device cpu to see that "
            "it works."
        )
    if not torch.cuda.is_bf16_supported():
        raise SystemExit(f"No bf16: {torch.cuda.get_device_name()} does not compute in it, and all here is in bf16.")
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, PyTorch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--steps", type=int, help="of an epoch, and of what is timed step by step")
    parser.add_argument("--batch", type=int, help="images of a step of full fine-tuning")
    parser.add_argument("--workers", type=int, help="of the peers' DataLoaders")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of one operation on the CPU")
    tiny = {"repetitions": 1, "steps": 2, "batch": 4, "workers": 1}
    full = {"repetitions": 3, "steps": 40, "batch": 64, "workers": min(8, os.cpu_count())}
    given = parser.parse_args()
    for name, value in (tiny if given.device == "cpu" else full).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    what = machine(given.device)
    # The stages compute there and lease nothing; processes that are started inherit it.
    os.environ["VARIABILITY_DEVICE"] = given.device
    print(f"{what}; load at the start {os.getloadavg()[0]:.1f}", flush=True)
    parts = {"Full fine-tuning": fine_tuning, "Probes": probes, "Not built": candidates}
    for title, part in parts.items():
        print(f"\n## {title}\n")
        print("\n".join(part(given, SCALES[given.device])), flush=True)


if __name__ == "__main__":
    main()
