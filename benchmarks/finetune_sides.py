"""One side of finetune.py or gpu.py, in a process of its own: fine-tunes two epochs and prints its speed in the second.

    python benchmarks/finetune_sides.py '{"side": "ours", "workers": 0, "precision": "fp32", ...}'

Told are also architecture, size (pixels of a side), batch, steps (of an epoch), device (cpu or cuda) and threads.

All sides train the same network from the same weights on the same images, in batches of the same size, with AdamW at a
constant rate, decay 0.01 and no clipping. The clock runs from the end of the first epoch to the end of the second:
what a side does between epochs counts, starting it and warming up do not. Nothing is evaluated, logged or saved. Of a
GPU the mean utilisation in that time is printed too, where NVML says it.

The peers are written as their documentation has it: a Dataset with torchvision's ToTensor and Normalize image by image
(on arrays, which spares them PIL), a shuffling DataLoader whose workers, if any, stay from epoch to epoch, and
their own default optimisers (the Trainer's is fused, as ours is).
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from variability import seeding

CLASSES, EPOCHS = 10, 2
LR, DECAY = 1e-3, 0.01
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def examples(options: dict) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (n, size, size, 3) and int64 (n,), enough for an epoch's whole batches."""
    rng, count = np.random.default_rng(0), options["steps"] * options["batch"]
    return rng.integers(0, 256, (count, options["size"], options["size"], 3), np.uint8), rng.integers(0, CLASSES, count)


def build(architecture: str, size: int) -> nn.Module:
    """A network with random weights, the same in every process."""
    from torchvision import models

    with seeding.backbone(0).torch_global():
        if architecture == "vit_tiny":
            return models.VisionTransformer(
                image_size=size, patch_size=8, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768,
                num_classes=CLASSES,
            )  # fmt: skip
        return models.get_model(architecture, weights=None, num_classes=CLASSES)


class PerImage(Dataset):
    """Images made ready one by one."""

    def __init__(self, options: dict):
        from torchvision import transforms

        self.images, self.labels = examples(options)
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])


class Named(PerImage):
    """As the Trainer wants them."""

    def __getitem__(self, index: int) -> dict:
        image, label = super().__getitem__(index)
        return {"pixel_values": image, "labels": label}


def loader(options: dict) -> DataLoader:
    order = seeding.example_order(0, 1).torch_generator()
    workers = {"num_workers": options["workers"], "persistent_workers": options["workers"] > 0}
    pinned = {"pin_memory": options["device"] == "cuda"}
    return DataLoader(PerImage(options), options["batch"], shuffle=True, generator=order, **workers, **pinned)


def now(options: dict) -> float:
    """The time once the device has finished all its work."""
    if options["device"] == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def ours(options: dict) -> list[float]:
    from variability.config import recipe
    from variability.data import kinds
    from variability.data.modalities._images import Images
    from variability.data.preprocessing import Preprocess
    from variability.models import networks
    from variability.training import device
    from variability.training.activations import Feed
    from variability.training.fit_loop import FitData, FitSpec
    from variability.training.torch_fit import TorchFitLoop

    device.configure(threads=options["threads"])
    images, labels = examples(options)
    settings = {"optimizer": "adamw", "lr": LR, "weight_decay": DECAY, "schedule": "constant", "warmup": 0.0}
    chosen = recipe.resolve(
        settings, {"epochs": EPOCHS, "batch_size": options["batch"], "precision": options["precision"]}
    )
    where, size = options["device"], options["size"]
    network = networks.attach_head(build(options["architecture"], size), CLASSES, seed=0)
    network.module.to(where, memory_format=torch.channels_last)
    # Stored as ``prepare`` stores them: channels first.
    stored = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    feed = Feed(network.module, Images(stored, Preprocess(size, size, MEAN, STD), where, chosen["augmentation"]))
    data = FitData(labels, np.arange(len(labels)), np.arange(0), kinds.find("classification"))
    ends = []
    spec = FitSpec(data, chosen, 0, on_epoch=lambda row: ends.append(now(options)))
    result = TorchFitLoop(spec, network, [""], feed).run()
    assert result.status == "completed", result.fail_reason
    return ends[1:]  # the first row is of the untrained network


def plain(options: dict) -> list[float]:
    """A DataLoader and a loop."""
    batches, model = loader(options), build(options["architecture"], options["size"]).to(options["device"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    ends = []
    model.train()
    for _ in range(EPOCHS):
        for images, labels in batches:
            images, labels = (each.to(options["device"], non_blocking=True) for each in (images, labels))
            optimizer.zero_grad()
            with torch.autocast(options["device"], torch.bfloat16, enabled=options["precision"] == "bf16"):
                loss = functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        ends.append(now(options))
    return ends


def trainer(options: dict) -> list[float]:
    """Hugging Face Trainer."""
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
            ends.append(now(options))

    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=options["batch"], num_train_epochs=EPOCHS, learning_rate=LR,
            weight_decay=DECAY, lr_scheduler_type="constant", max_grad_norm=0.0, bf16=options["precision"] == "bf16",
            use_cpu=options["device"] == "cpu", dataloader_num_workers=options["workers"],
            dataloader_persistent_workers=options["workers"] > 0,
            save_strategy="no", logging_strategy="no", eval_strategy="no", report_to=[], disable_tqdm=True,
        )  # fmt: skip
        fitted = transformers.Trainer(
            WithLoss(build(options["architecture"], options["size"])), settings, train_dataset=Named(options),
            callbacks=[Clock()],
        )  # fmt: skip
        fitted.train()
    assert fitted.state.global_step == EPOCHS * options["steps"]
    return ends


def lightning(options: dict) -> list[float]:
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
            ends.append(now(options))

    fitted = pl.Trainer(
        max_epochs=EPOCHS, accelerator=options["device"], devices=1, logger=False, enable_checkpointing=False,
        precision="bf16-mixed" if options["precision"] == "bf16" else "32-true", enable_progress_bar=False,
        enable_model_summary=False, callbacks=[Clock()],
    )  # fmt: skip
    fitted.fit(Module(build(options["architecture"], options["size"])), loader(options))
    assert fitted.global_step == EPOCHS * options["steps"]
    return ends


SIDES = {"ours": ours, "plain": plain, "trainer": trainer, "lightning": lightning}


class Watch:
    """Samples a GPU's utilisation, from the side, until it is read."""

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
            print(f"utilisation is not known: {error}", file=sys.stderr)

    def between(self, start: float, end: float) -> float | None:
        """Mean percent of the time between two moments in which a kernel ran; None where that is not known."""
        self.ended.set()
        percents = [percent for moment, percent in self.samples if start <= moment <= end]
        return statistics.mean(percents) if percents else None


def main() -> None:
    options = json.loads(sys.argv[1])
    torch.set_num_threads(options["threads"])
    watch = Watch(options["device"])
    first, second = SIDES[options["side"]](options)
    speed = options["steps"] * options["batch"] / (second - first)
    print(json.dumps({"images_per_second": speed, "utilisation": watch.between(first, second)}))


if __name__ == "__main__":
    main()
