"""What gpu.py measures in processes of their own: the matrix rate, and steps in ways that are not built yet."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

import torch
from finetune_sides import CLASSES, DECAY, LR, build
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from variability.training import device as devices
from variability.training.cpu_kernels.quick import QuickLayers
from variability.training.optimizers import make_optimizer

WARM = 3


def seconds(work: Callable[[], object], device: str, times: int) -> float:
    """Median seconds of a piece of work, which is given to an idle device and waited for."""
    found = []
    for _ in range(WARM + times):
        started = _now(device)
        work()
        found.append(_now(device) - started)
    return statistics.median(found[WARM:])


def in_a_row(work: Callable[[], object], device: str, times: int) -> float:
    """Mean seconds of a piece of work, of which many are given to the device one upon another, as in a training."""
    for _ in range(WARM):
        work()
    started = _now(device)
    for _ in range(times):
        work()
    return (_now(device) - started) / times


def matrix_rate(device: str, side: int, times: int, threads: int) -> float:
    """Floating-point operations per second of a product of two bf16 matrices of side x side."""
    devices.configure(threads)
    one, other = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    return 2 * side**3 / seconds(lambda: one @ other, device, times)


def operations(architecture: str, size: int) -> float:
    """Floating-point operations of a training step, per image: those of products and convolutions, both passes."""
    module, images = build(architecture, size), torch.zeros(2, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        module(images).sum().backward()
    return counter.get_total_flops() / len(images)


# The whole network's step -----------------------------------------------------------------------------------------


def steps(architecture: str, size: int, batch: int, device: str, times: int, threads: int) -> dict[str, float | str]:
    """Milliseconds of a bf16 step on one batch that stays on the device, {way: ms, or why it did not work}."""
    ways = {"as it is": _eager, "torch.compile": _compiled}
    if device == "cuda":
        ways |= {"torch.compile, reduce-overhead": _compiled_to_graphs, "CUDA graph": _graphed}
    found: dict[str, float | str] = {}
    for way, make in ways.items():
        devices.configure(threads)
        torch.compiler.reset()
        started = _now(device)
        try:
            step = make(architecture, size, batch, device)
            step()
            first = _now(device) - started
            found[way] = 1000 * in_a_row(step, device, times)
        except Exception as error:  # whatever a compiler or a capture ends with: the other ways are still of interest
            found[way] = _reason(error)
            continue
        if way.startswith("torch.compile"):
            found[f"{way}: seconds before its first step is done"] = first
    return found


def _eager(architecture: str, size: int, batch: int, device: str, compiled: dict | None = None, graph: bool = False):
    module = build(architecture, size).to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(module.parameters(), {"optimizer": "adamw", "lr": LR, "weight_decay": DECAY})
    images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (batch,), device=device)
    quick = QuickLayers(module, device, "bf16")
    forward = module if compiled is None else torch.compile(module, **compiled)
    for group in optimizer.param_groups:
        group["capturable"] = graph

    def step() -> None:
        # A graph must not hold weights that autocast converted before it.
        with torch.autocast(device, torch.bfloat16, cache_enabled=not graph), quick:
            outputs = forward(images)
        loss = functional.cross_entropy(outputs.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _compiled(*given):
    return _eager(*given, compiled={})


def _compiled_to_graphs(*given):
    return _eager(*given, compiled={"mode": "reduce-overhead"})


def _graphed(*given):
    return capture(_eager(*given, graph=True))


def capture(step: Callable[[], None]) -> Callable[[], None]:
    """The step as a CUDA graph, after it ran a few times beside the default stream, as a capture wants it."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


# Heads of many seeds ----------------------------------------------------------------------------------------------


def heads(seeds: int, width: int, batch: int, device: str, times: int, threads: int) -> dict[str, float | str]:
    """Microseconds a seed and step of linear heads on stored activations in bf16, {way: us, or why it did not work}."""
    devices.configure(threads)
    stored = torch.randn(8192, width, device=device).bfloat16()
    labels = torch.randint(CLASSES, (len(stored),), device=device)
    rows = torch.randint(len(stored), (seeds, batch), device=device)
    ways = {"one after another": lambda: _one_by_one(stored, labels, rows)}
    ways["in one product"] = lambda: _together(stored, labels, rows)
    if device == "cuda":
        ways["one after another, CUDA graph"] = lambda: capture(_one_by_one(stored, labels, rows, True))
        ways["in one product, CUDA graph"] = lambda: capture(_together(stored, labels, rows, True))
    found: dict[str, float | str] = {}
    for way, make in ways.items():
        try:
            found[way] = 1e6 * in_a_row(make(), device, times) / seeds
        except Exception as error:  # as above
            found[way] = _reason(error)
    return found


def _one_by_one(stored: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, graph: bool = False):
    layers = [nn.Linear(stored.shape[1], CLASSES, device=stored.device) for _ in rows]
    optimizers = [_adam(layer.parameters(), graph) for layer in layers]

    def step() -> None:
        for layer, optimizer, chosen in zip(layers, optimizers, rows, strict=True):
            with torch.autocast(stored.device.type, torch.bfloat16, cache_enabled=not graph):
                outputs = layer(stored.index_select(0, chosen))
            loss = functional.cross_entropy(outputs.float(), labels.index_select(0, chosen))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return step


def _together(stored: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, graph: bool = False):
    seeds, batch = rows.shape
    weights, biases = (
        nn.Parameter(torch.randn(seeds, size, CLASSES, device=stored.device) / size) for size in (stored.shape[1], 1)
    )
    optimizer = _adam([weights, biases], graph)
    flat = rows.reshape(-1)

    def step() -> None:
        inputs = stored.index_select(0, flat).view(seeds, batch, -1)
        with torch.autocast(stored.device.type, torch.bfloat16, cache_enabled=not graph):
            outputs = torch.baddbmm(biases, inputs, weights)
        # The sum over seeds of each one's mean: no seed's gradient depends on another's.
        loss = functional.cross_entropy(outputs.float().flatten(0, 1), labels.index_select(0, flat)) * seeds
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _adam(parameters, graph: bool) -> torch.optim.Optimizer:
    settings = {"fused": True, "capturable": True} if graph else {"fused": True}
    return torch.optim.Adam(parameters, lr=LR, **settings)


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:80]}" if lines else type(error).__name__
