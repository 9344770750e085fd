"""Measurements of gpu.py, each in a process of its own: the rate of products, and steps with possible optimisations."""

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow" / "lib"))

import torch
from sides.finetune import CLASSES, DECAY, LR, build
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from variability.training import device as devices
from variability.training.cpu_kernels.quick import QuickLayers
from variability.training.optimizers import make_optimizer

WARM = 3
Step = Callable[[], None]


def seconds(work: Callable[[], object], device: str, times: int) -> float:
    """Return the median seconds of some work on an idle device, until it is finished."""
    durations = []
    for _ in range(WARM + times):
        started = _now(device)
        work()
        durations.append(_now(device) - started)
    return statistics.median(durations[WARM:])


def in_a_row(work: Callable[[], object], device: str, times: int) -> float:
    """Return the mean seconds of some work that is queued many times in a row, as in training."""
    for _ in range(WARM):
        work()
    started = _now(device)
    for _ in range(times):
        work()
    return (_now(device) - started) / times


def matrix_rate(device: str, side: int, times: int, threads: int) -> float:
    """Return the floating-point operations per second of a product of two bf16 matrices of side x side."""
    devices.configure(threads)
    first, second = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    return 2 * side**3 / seconds(lambda: first @ second, device, times)


def operations(architecture: str, size: int) -> float:
    """Return the floating-point operations per image of the products and convolutions of both passes of a step."""
    module, images = build(architecture, size), torch.zeros(2, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        module(images).sum().backward()
    return counter.get_total_flops() / len(images)


# The whole network's step -----------------------------------------------------------------------------------------


def steps(architecture: str, size: int, batch: int, device: str, times: int, threads: int) -> dict[str, float | str]:
    """Return the milliseconds of a bf16 step on one batch that is on the device: {way: ms, or why it failed}."""
    ways = {"eager": _eager, "torch.compile": _compiled}
    if device == "cuda":
        ways |= {"torch.compile, reduce-overhead": _compiled_to_graphs, "CUDA graph": _graphed}
    results: dict[str, float | str] = {}
    for way, make in ways.items():
        devices.configure(threads)
        torch.compiler.reset()
        started = _now(device)
        try:
            step = make(architecture, size, batch, device)
            step()
            first = _now(device) - started
            results[way] = 1000 * in_a_row(step, device, times)
        except Exception as error:  # compilers and captures raise anything; the other ways are still of interest
            results[way] = _reason(error)
            continue
        if way.startswith("torch.compile"):
            results[f"{way}: seconds until the end of its first step"] = first
    return results


def _eager(
    architecture: str, size: int, batch: int, device: str, compiled: dict | None = None, graph: bool = False
) -> Step:
    module = build(architecture, size).to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(module.parameters(), {"optimizer": "adamw", "lr": LR, "weight_decay": DECAY})
    images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (batch,), device=device)
    quick_layers = QuickLayers(module, device, "bf16")
    forward = module if compiled is None else torch.compile(module, **compiled)
    for group in optimizer.param_groups:
        group["capturable"] = graph

    def step() -> None:
        # A graph must not contain weights that autocast converted before it.
        with torch.autocast(device, torch.bfloat16, cache_enabled=not graph), quick_layers:
            outputs = forward(images)
        loss = functional.cross_entropy(outputs.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _compiled(*case: Any) -> Step:
    return _eager(*case, compiled={})


def _compiled_to_graphs(*case: Any) -> Step:
    return _eager(*case, compiled={"mode": "reduce-overhead"})


def _graphed(*case: Any) -> Step:
    return capture(_eager(*case, graph=True))


def capture(step: Step) -> Step:
    """Return a step as a CUDA graph, after a few runs in another stream than the default, as a capture requires."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


# Heads of many seeds ----------------------------------------------------------------------------------------------


def heads(seeds: int, width: int, batch: int, device: str, times: int, threads: int) -> dict[str, float | str]:
    """Return the microseconds per seed and step of linear heads on bf16 activations: {way: us, or why it failed}."""
    devices.configure(threads)
    stored = torch.randn(8192, width, device=device).bfloat16()
    labels = torch.randint(CLASSES, (len(stored),), device=device)
    rows = torch.randint(len(stored), (seeds, batch), device=device)
    ways = {"one after another": lambda: _one_by_one(stored, labels, rows)}
    ways["in one product"] = lambda: _together(stored, labels, rows)
    if device == "cuda":
        ways["one after another, CUDA graph"] = lambda: capture(_one_by_one(stored, labels, rows, True))
        ways["in one product, CUDA graph"] = lambda: capture(_together(stored, labels, rows, True))
    results: dict[str, float | str] = {}
    for way, make in ways.items():
        try:
            results[way] = 1e6 * in_a_row(make(), device, times) / seeds
        except Exception as error:  # as above
            results[way] = _reason(error)
    return results


def _one_by_one(stored: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, graph: bool = False) -> Step:
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


def _together(stored: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, graph: bool = False) -> Step:
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
        # The sum over seeds of the mean of each: no seed's gradient depends on another's.
        loss = functional.cross_entropy(outputs.float().flatten(0, 1), labels.index_select(0, flat)) * seeds
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _adam(parameters: Iterable[torch.Tensor], graph: bool) -> torch.optim.Optimizer:
    settings = {"fused": True, "capturable": True} if graph else {"fused": True}
    return torch.optim.Adam(parameters, lr=LR, **settings)


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:80]}" if lines else type(error).__name__
