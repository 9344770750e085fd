"""The floor of the founding example, for founding.py: bare torch, each function in a process of its own."""

import statistics
import time

from founding_sides import BATCH, CLASSES, LR, SIDE, Net

from variability.training import device


def bare_pass(net: Net, threads: int, images: int) -> dict[int, float]:
    """Images a second of a bare bf16 pass, by batch size."""
    import torch

    device.configure(threads)
    module = net.build()[0].eval().to(memory_format=torch.channels_last)
    rates = {}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for batch in (64, 128, 256, 512):
            x = torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
            x = x.contiguous(memory_format=torch.channels_last)
            module(x)
            times = []
            for _ in range(max(1, images // batch)):
                started = time.perf_counter()
                module(x)
                times.append(time.perf_counter() - started)
            rates[batch] = batch / statistics.median(times)
    return rates


def bare_step(width: int, threads: int, rows: int, epochs: int) -> float:
    """Seconds of a bare head step: the fastest epoch, of activations in bf16 or fp32, whichever is faster."""
    import torch
    from torch.nn import functional

    device.configure(threads)
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
    y = torch.randint(CLASSES, (rows,), generator=torch.Generator().manual_seed(1))
    best = float("inf")
    for form in (torch.float32, torch.bfloat16):
        stored, head = x.to(form), torch.nn.Linear(width, CLASSES)
        optimizer = torch.optim.Adam(head.parameters(), lr=LR, fused=True)
        for epoch in range(epochs):
            order = torch.randperm(rows, generator=torch.Generator().manual_seed(epoch)).split(BATCH)
            started = time.perf_counter()
            for at in order:
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=form is torch.bfloat16):
                    said_of = head(stored.index_select(0, at))
                functional.cross_entropy(said_of.float(), y[at]).backward()
                optimizer.step()
            best = min(best, (time.perf_counter() - started) / len(order))
    return best
