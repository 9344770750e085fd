"""One side of finetune.py or gpu.py, in a process of its own: fine-tunes for two epochs and prints the second's speed.

    python benchmarks/sides/finetune.py '{"side": "ours", "workers": 0, "precision": "fp32", ...}'

The argument also holds architecture, size (pixels of a side), batch, steps (of an epoch), device (cpu or cuda) and
threads.

All sides train the same network from the same weights on the same images, in batches of the same size, with AdamW at a
constant rate, decay 0.01 and no clipping. The clock runs from the end of the first epoch to the end of the second: work
between epochs counts, starting and warming up do not. Nothing is evaluated, logged or saved. On a GPU the mean
utilisation in that time is printed too, if NVML reports it.

The peers are written as in their documentation: a Dataset with torchvision's ToTensor and Normalize image by image (on
arrays, which saves them PIL), a shuffling DataLoader whose workers, if any, persist from epoch to epoch, and their own
default optimizers (the Trainer's is fused, like ours).
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow" / "lib"))

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from variability import seeding

CLASSES, EPOCHS = 10, 2
LR, DECAY = 1e-3, 0.01
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def examples(case: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return images, uint8 (n, size, size, 3), and labels, int64 (n,), for the batches of an epoch."""
    rng, count = np.random.default_rng(0), case["steps"] * case["batch"]
    return rng.integers(0, 256, (count, case["size"], case["size"], 3), np.uint8), rng.integers(0, CLASSES, count)


def build(architecture: str, size: int) -> nn.Module:
    """Return a network with random weights, the same in every process."""
    from torchvision import models

    with seeding.backbone(0).torch_global():
        if architecture == "vit_tiny":
            return models.VisionTransformer(
                image_size=size, patch_size=8, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768,
                num_classes=CLASSES,
            )  # fmt: skip
        return models.get_model(architecture, weights=None, num_classes=CLASSES)


class PerImage(Dataset):
    """Images that are preprocessed one by one."""

    def __init__(self, case: dict):
        from torchvision import transforms

        self.images, self.labels = examples(case)
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])


class Named(PerImage):
    """Images and labels under the names that the Trainer expects."""

    def __getitem__(self, index: int) -> dict:
        image, label = super().__getitem__(index)
        return {"pixel_values": image, "labels": label}


def loader(case: dict) -> DataLoader:
    order = seeding.example_order(0, 1).torch_generator()
    workers = {"num_workers": case["workers"], "persistent_workers": case["workers"] > 0}
    pinned = {"pin_memory": case["device"] == "cuda"}
    return DataLoader(PerImage(case), case["batch"], shuffle=True, generator=order, **workers, **pinned)


def now(case: dict) -> float:
    """Return the time when the device has finished all its work."""
    if case["device"] == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def ours(case: dict) -> list[float]:
    """Train with this project."""
    from variability.config import recipe
    from variability.data import kinds
    from variability.data.modalities._images import Images
    from variability.data.preprocessing import Preprocess
    from variability.models import networks
    from variability.training import device
    from variability.training.activations import Feed
    from variability.training.fit_loop import FitData, FitSpec
    from variability.training.torch_fit import TorchFitLoop

    device.configure(threads=case["threads"])
    images, labels = examples(case)
    settings = {"optimizer": "adamw", "lr": LR, "weight_decay": DECAY, "schedule": "constant", "warmup": 0.0}
    chosen = recipe.resolve(settings, {"epochs": EPOCHS, "batch_size": case["batch"], "precision": case["precision"]})
    device_name, size = case["device"], case["size"]
    network = networks.attach_head(build(case["architecture"], size), CLASSES, seed=0)
    network.module.to(device_name, memory_format=torch.channels_last)
    # Channels first, as the stage ``prepare`` stores them.
    stored = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    inputs = Images(stored, Preprocess(size, size, MEAN, STD), device_name, chosen["augmentation"])
    data = FitData(labels, np.arange(len(labels)), np.arange(0), kinds.find("classification"))
    ends = []
    spec = FitSpec(data, chosen, 0, on_epoch=lambda row: ends.append(now(case)))
    result = TorchFitLoop(spec, network, [""], Feed(network.module, inputs)).run()
    assert result.status == "completed", result.fail_reason
    return ends[1:]  # the first row is that of the untrained network


def plain(case: dict) -> list[float]:
    """Train with a DataLoader and a loop."""
    batches, model = loader(case), build(case["architecture"], case["size"]).to(case["device"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    ends = []
    model.train()
    for _ in range(EPOCHS):
        for images, labels in batches:
            images, labels = (tensor.to(case["device"], non_blocking=True) for tensor in (images, labels))
            optimizer.zero_grad()
            with torch.autocast(case["device"], torch.bfloat16, enabled=case["precision"] == "bf16"):
                loss = functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        ends.append(now(case))
    return ends


def trainer(case: dict) -> list[float]:
    """Train with Hugging Face Trainer."""
    import transformers

    class WithLoss(nn.Module):
        def __init__(self, model: nn.Module):
            super().__init__()
            self.model = model

        def forward(self, pixel_values, labels):
            logits = self.model(pixel_values)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    ends = []

    class Clock(transformers.TrainerCallback):
        def on_epoch_end(self, *_, **__):
            ends.append(now(case))

    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=case["batch"], num_train_epochs=EPOCHS, learning_rate=LR,
            weight_decay=DECAY, lr_scheduler_type="constant", max_grad_norm=0.0, bf16=case["precision"] == "bf16",
            use_cpu=case["device"] == "cpu", dataloader_num_workers=case["workers"],
            dataloader_persistent_workers=case["workers"] > 0,
            save_strategy="no", logging_strategy="no", eval_strategy="no", report_to=[], disable_tqdm=True,
        )  # fmt: skip
        trained = transformers.Trainer(
            WithLoss(build(case["architecture"], case["size"])), settings, train_dataset=Named(case),
            callbacks=[Clock()],
        )  # fmt: skip
        trained.train()
    assert trained.state.global_step == EPOCHS * case["steps"]
    return ends


def lightning(case: dict) -> list[float]:
    """Train with Lightning."""
    import lightning as pl

    class Module(pl.LightningModule):
        def __init__(self, model: nn.Module):
            super().__init__()
            self.model = model

        def training_step(self, batch, _):
            images, labels = batch
            return functional.cross_entropy(self.model(images), labels)

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=DECAY)

    ends = []

    class Clock(pl.Callback):
        def on_train_epoch_end(self, *_):
            ends.append(now(case))

    trained = pl.Trainer(
        max_epochs=EPOCHS, accelerator=case["device"], devices=1, logger=False, enable_checkpointing=False,
        precision="bf16-mixed" if case["precision"] == "bf16" else "32-true", enable_progress_bar=False,
        enable_model_summary=False, callbacks=[Clock()],
    )  # fmt: skip
    trained.fit(Module(build(case["architecture"], case["size"])), loader(case))
    assert trained.global_step == EPOCHS * case["steps"]
    return ends


SIDES = {"ours": ours, "plain": plain, "trainer": trainer, "lightning": lightning}


class Watch:
    """Samples a GPU's utilisation in a thread, until it is read."""

    def __init__(self, device: str):
        self.samples: list[tuple[float, int]] = []
        self.ended = threading.Event()
        if device == "cuda":
            threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        try:
            while not self.ended.wait(0.05):
                self.samples.append((time.perf_counter(), torch.cuda.utilization()))
        except (ImportError, RuntimeError) as error:
            print(f"utilisation is unknown: {error}", file=sys.stderr)

    def between(self, start: float, end: float) -> float | None:
        """Return the mean percentage of the time from start to end in which a kernel ran; None if unknown."""
        self.ended.set()
        percentages = [percent for moment, percent in self.samples if start <= moment <= end]
        return statistics.mean(percentages) if percentages else None


def main() -> None:
    case = json.loads(sys.argv[1])
    torch.set_num_threads(case["threads"])
    watch = Watch(case["device"])
    first, second = SIDES[case["side"]](case)
    speed = case["steps"] * case["batch"] / (second - first)
    print(json.dumps({"images_per_second": speed, "utilisation": watch.between(first, second)}))


if __name__ == "__main__":
    main()
