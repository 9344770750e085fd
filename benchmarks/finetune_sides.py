"""One side of finetune.py, in a process of its own: fine-tunes for two epochs and prints its speed in the second.

    python benchmarks/finetune_sides.py '{"side": "ours", "workers": 0, "precision": "fp32", ...}'

All sides train the same network from the same weights on the same images, in batches of the same size, with AdamW at a
constant rate, decay 0.01 and no clipping. The clock runs from the end of the first epoch to the end of the second:
what a side does between epochs counts, starting it and warming up do not. Nothing is evaluated, logged or saved.

The peers are written as their documentation has it: a Dataset with torchvision's ToTensor and Normalize image by image
(on arrays, which spares them PIL), a shuffling DataLoader whose workers, if any, stay from epoch to epoch, and
their own default optimisers (the Trainer's is fused, as ours is).
"""

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from variability import seeding

SIZE, BATCH, CLASSES, EPOCHS = 64, 64, 10, 2
LR, DECAY = 1e-3, 0.01
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def examples(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (n, SIZE, SIZE, 3) and int64 (n,), enough for ``steps`` whole batches."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (steps * BATCH, SIZE, SIZE, 3), np.uint8), rng.integers(0, CLASSES, steps * BATCH)


def build(architecture: str) -> nn.Module:
    """A network with random weights, the same in every process."""
    from torchvision import models

    with seeding.torch_global(0, "init"):
        if architecture == "vit_tiny":
            return models.VisionTransformer(
                image_size=SIZE, patch_size=8, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768,
                num_classes=CLASSES,
            )  # fmt: skip
        return models.get_model(architecture, weights=None, num_classes=CLASSES)


class PerImage(Dataset):
    """Images made ready one by one."""

    def __init__(self, steps: int):
        from torchvision import transforms

        self.images, self.labels = examples(steps)
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


def loader(told: dict) -> DataLoader:
    order = seeding.torch_generator(0, "order")
    workers = {"num_workers": told["workers"], "persistent_workers": told["workers"] > 0}
    return DataLoader(PerImage(told["steps"]), BATCH, shuffle=True, generator=order, **workers)


def ours(told: dict) -> list[float]:
    from variability import device, networks, recipe, training
    from variability.inputs import Feed
    from variability.modalities._images import Images
    from variability.preprocessing import Preprocess

    device.configure(threads=told["threads"])
    images, labels = examples(told["steps"])
    settings = {"optimizer": "adamw", "lr": LR, "weight_decay": DECAY, "schedule": "constant", "warmup": 0.0}
    chosen = recipe.resolve(settings, {"epochs": EPOCHS, "batch_size": BATCH, "precision": told["precision"]})
    network = networks.attach_head(build(told["architecture"]), CLASSES, seed=0)
    network.module.to(memory_format=torch.channels_last)
    # Stored as ``prepare`` stores them: channels first.
    stored = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    feed = Feed(network.module, Images(stored, Preprocess(SIZE, SIZE, MEAN, STD), "cpu", chosen["augmentation"]))
    data = training.Data(labels, np.arange(len(labels)), np.arange(0), "classification")
    ends = []
    result = training.fit(
        network, [""], feed, data, chosen, 0, "cpu", on_epoch=lambda row: ends.append(time.perf_counter())
    )
    assert result.status == "completed", result.fail_reason
    return ends[1:]  # the first row is of the untrained network


def plain(told: dict) -> list[float]:
    """A DataLoader and a loop."""
    batches, model = loader(told), build(told["architecture"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    ends = []
    model.train()
    for _ in range(EPOCHS):
        for images, labels in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=told["precision"] == "bf16"):
                loss = functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        ends.append(time.perf_counter())
    return ends


def trainer(told: dict) -> list[float]:
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
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, num_train_epochs=EPOCHS, learning_rate=LR,
            weight_decay=DECAY, lr_scheduler_type="constant", max_grad_norm=0.0, bf16=told["precision"] == "bf16",
            use_cpu=True, dataloader_num_workers=told["workers"], dataloader_persistent_workers=told["workers"] > 0,
            save_strategy="no", logging_strategy="no", eval_strategy="no", report_to=[], disable_tqdm=True,
        )  # fmt: skip
        fitted = transformers.Trainer(
            WithLoss(build(told["architecture"])), settings, train_dataset=Named(told["steps"]), callbacks=[Clock()]
        )
        fitted.train()
    assert fitted.state.global_step == EPOCHS * told["steps"]
    return ends


def lightning(told: dict) -> list[float]:
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
            ends.append(time.perf_counter())

    fitted = pl.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        precision="bf16-mixed" if told["precision"] == "bf16" else "32-true", enable_progress_bar=False,
        enable_model_summary=False, callbacks=[Clock()],
    )  # fmt: skip
    fitted.fit(Module(build(told["architecture"])), loader(told))
    assert fitted.global_step == EPOCHS * told["steps"]
    return ends


SIDES = {"ours": ours, "plain": plain, "trainer": trainer, "lightning": lightning}


def main() -> None:
    told = json.loads(sys.argv[1])
    torch.set_num_threads(told["threads"])
    first, second = SIDES[told["side"]](told)
    print(json.dumps({"images_per_second": told["steps"] * BATCH / (second - first)}))


if __name__ == "__main__":
    main()
