"""The floor of the founding example, for founding.py: bare torch, each function in a process of its own."""

import statistics
import time

from sides.founding import BATCH, CLASSES, LR, SIDE, Net

from variability.training import device


def bare_pass(net: Net, threads: int, images: int) -> dict[int, float]:
    """Return the images per second of a bare bf16 pass, by batch size."""
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
    """Return the seconds of a bare head step in the fastest epoch, on activations in fp32 or bf16."""
    import torch
    from torch.nn import functional

    device.configure(threads)
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
    y = torch.randint(CLASSES, (rows,), generator=torch.Generator().manual_seed(1))
    best = float("inf")
    for dtype in (torch.float32, torch.bfloat16):
        stored, head = x.to(dtype), torch.nn.Linear(width, CLASSES)
        optimizer = torch.optim.Adam(head.parameters(), lr=LR, fused=True)
        for epoch in range(epochs):
            order = torch.randperm(rows, generator=torch.Generator().manual_seed(epoch)).split(BATCH)
            started = time.perf_counter()
            for rows_of_batch in order:
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
                    outputs = head(stored.index_select(0, rows_of_batch))
                functional.cross_entropy(outputs.float(), y[rows_of_batch]).backward()
                optimizer.step()
            best = min(best, (time.perf_counter() - started) / len(order))
    return best
