"""Both sides of the founding example, for founding.py and gpu.py; each function runs in a process of its own."""

import gzip
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow" / "lib"))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability.config import recipe
from variability.config.study import Study
from variability.data.prepared_task import FILES
from variability.io import files, mirrors
from variability.training import device

if TYPE_CHECKING:
    import torch

BATCH, LR, SIDE, CLASSES = 32, 0.001, 32, 10
RECIPE = {"optimizer": "adam", "lr": LR, "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0}
CORES = os.cpu_count()


@dataclass(frozen=True)
class Size:
    """train, test: number of images. epochs: passes over them per seed."""

    train: int
    test: int
    epochs: int
    seeds: int

    @property
    def steps(self) -> int:
        """Number of training steps of all seeds."""
        return self.seeds * self.epochs * -(-self.train // BATCH)


@dataclass(frozen=True)
class Net:
    """A torchvision network, the file of its weights, and mean and SD by which its images are normalised."""

    architecture: str
    weights: str
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def build(self) -> "tuple[torch.nn.Module, torch.nn.Linear]":
        """Return torchvision's network, frozen, with a new head, and the head."""
        import safetensors.torch
        import torch
        import torchvision

        module = getattr(torchvision.models, self.architecture)(weights=None)
        module.load_state_dict(safetensors.torch.load_file(self.weights))
        for parameter in module.parameters():
            parameter.requires_grad = False
        owner, name = (module, "fc") if hasattr(module, "fc") else (module.classifier, "1")
        head = torch.nn.Linear(getattr(owner, name).in_features, CLASSES)
        setattr(owner, name, head)
        return module, head


def alone(function: Callable[..., Any], *arguments: Any, processes: int = 1) -> list[Any]:
    """Call a function in new processes at the same time; return its results.

    New processes share no threads, caches or memory.
    """
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        return [call.result() for call in [pool.submit(function, *arguments) for _ in range(processes)]]


# Data and weights -------------------------------------------------------------------------------------------------


def prepare(folder: Path, size: Size) -> Path:
    """Write Fashion-MNIST's first images as the stage `prepare` writes a task; return its task.json."""
    import torch
    from torch.nn import functional

    images, labels = [], []
    for part, count in (("train", size.train), ("t10k", size.test)):
        for kind, skip, arrays in (("images-idx3", 16, images), ("labels-idx1", 8, labels)):
            path = mirrors.get_file(f"{part}-{kind}-ubyte.gz", mirrors.mirrors_from([], os.environ))
            length = 784 if kind.startswith("images") else 1
            with gzip.open(path) as handle:
                content = np.frombuffer(handle.read(skip + count * length), np.uint8, offset=skip)
                arrays.append(content.reshape(-1, length))
    pixels = torch.from_numpy(np.concatenate(images).reshape(-1, 1, 28, 28)).float()
    pixels = functional.interpolate(pixels, (SIDE, SIDE), mode="bilinear").round().byte().expand(-1, 3, -1, -1)
    return write_task(folder, size, pixels.numpy(), np.concatenate(labels).ravel().astype(np.int64))


def write_task(folder: Path, size: Size, images: np.ndarray, labels: np.ndarray) -> Path:
    """Write a task as the stage `prepare` does; return its task.json.

    images: uint8 (n, 3, SIDE, SIDE). labels: int64 (n,).
    """
    folder.mkdir(parents=True)
    np.save(folder / "inputs.npy", images)
    counts = {"train": size.train, "validation": 0, "test": size.test}
    split = ["train"] * size.train + ["test"] * size.test
    table = {"example_id": np.arange(len(split)), "label": labels}
    pq.write_table(pa.table(table | {"split": split, "partition": split}), folder / "examples.parquet")
    content = {"kind": "classification", "modality": "image", "class_names": [str(label) for label in range(CLASSES)]}
    content |= {"facts": {"channels": 3, "size": SIDE}, "target": {}, "counts": counts}
    content |= {"split": counts | {"seed": 0, "resample": False}}
    checksums = {name: files.sha256(folder / file) for name, file in FILES.items()}
    files.write_json(folder / "task.json", content | {"sha256": checksums})
    return folder / "task.json"


def random_weights(folder: Path) -> Net:
    """Return a ResNet-50 with random weights, which are written to a folder."""
    import safetensors.torch
    import torch
    import torchvision

    torch.manual_seed(0)
    path = folder / "resnet50.safetensors"
    safetensors.torch.save_file(torchvision.models.resnet50(weights=None).state_dict(), path)
    return Net("resnet50", str(path))


def trained(name: str) -> Net:
    """Return the mirror's MobileNetV2, which takes pixels from -1 to 1."""
    path = mirrors.get_file(name, mirrors.mirrors_from([], os.environ))
    return Net("mobilenet_v2", str(path), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def processor() -> str:
    """Return the name of the CPU."""
    return device.hardware("cpu")["cpu"]


def load() -> float:
    """Return the load of the machine in the last minute."""
    return os.getloadavg()[0]


# The loop ---------------------------------------------------------------------------------------------------------


def loop(
    task_json: Path,
    net: Net,
    size: Size,
    workers: int,
    threads: int,
    train_mode: bool = True,
    steps: int | None = None,
) -> dict[str, Any]:
    """Run the loop, all of it, or only a number of steps of each seed and as many batches of its evaluation."""
    import torch
    from torchvision import transforms

    torch.set_num_threads(threads)
    begun = time.perf_counter()
    images = np.load(task_json.parent / "inputs.npy").transpose(0, 2, 3, 1)
    labels = pq.read_table(task_json.parent / "examples.parquet")["label"].to_numpy()
    ready = transforms.Compose([transforms.ToTensor(), transforms.Normalize(net.mean, net.std)])
    chosen = {"train": range(size.train), "test": range(size.train, size.train + size.test)}
    data = {split: [(ready, images[row], int(labels[row])) for row in rows] for split, rows in chosen.items()}
    loss_of, training, testing, accuracies = torch.nn.CrossEntropyLoss(), [], [], []
    for seed in range(size.seeds):
        torch.manual_seed(seed)
        order = torch.Generator().manual_seed(seed)
        common = {"batch_size": BATCH, "num_workers": workers, "collate_fn": _collate}
        batches = torch.utils.data.DataLoader(data["train"], shuffle=True, generator=order, **common)
        module, head = net.build()
        optimizer = torch.optim.Adam(head.parameters(), lr=LR)
        for _ in range(size.epochs):
            module.train(train_mode)
            started, done = time.perf_counter(), 0
            for batch, (inputs, targets) in enumerate(batches):
                if steps and batch == 3:  # the first steps cost more than all others
                    started, done = time.perf_counter(), 0
                optimizer.zero_grad()
                loss = loss_of(module(inputs), targets)
                loss.backward()
                optimizer.step()
                done += len(targets)
                if steps and batch == steps + 2:
                    break
            training.append(done / (time.perf_counter() - started))
        module.eval()
        started, right, done = time.perf_counter(), 0, 0
        with torch.no_grad():
            for batch, (inputs, targets) in enumerate(torch.utils.data.DataLoader(data["test"], **common)):
                if steps and batch == 3:
                    started, right, done = time.perf_counter(), 0, 0
                right += int((module(inputs).argmax(1) == targets).sum())
                done += len(targets)
                if steps and batch == steps + 2:
                    break
        testing.append(done / (time.perf_counter() - started))
        accuracies.append(right / done)
    return {"training": training, "testing": testing, "accuracies": accuracies, "whole": time.perf_counter() - begun}


def _collate(batch: list) -> "tuple[torch.Tensor, torch.Tensor]":
    import torch

    # The work of Dataset.__getitem__, image by image.
    return torch.stack([ready(image) for ready, image, _ in batch]), torch.tensor([label for *_, label in batch])


# Ours -------------------------------------------------------------------------------------------------------------


def ours(task_json: Path, net: Net, size: Size, threads: int, folder: Path) -> dict[str, Any]:
    """Run the three stages one after another; return their seconds, the seconds of all steps, and the accuracies."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    # Before the clock starts.
    import torch  # noqa: F401
    import torchvision  # noqa: F401

    from variability.config import specs
    from variability.config.feature_plan import FeaturePlan
    from variability.stages import features, finetune, predict
    from variability.training import checkpoints, inference, seeded_network, torch_fit  # noqa: F401
    from variability.training.input_files import InputFiles
    from variability.training.workplace import Workplace

    study, cell = study_of(net, size), ("net", "images", "linear_probe")
    plan = FeaturePlan(study)
    features_spec = plan.specs[cell[0], cell[1], plan.for_training(*cell)]
    spec, weights = specs.finetune(study, *cell, 0), Path(net.weights)
    manifest, fitted = folder / "features" / "features.json", folder / "finetune"
    seconds = {}
    for path in (manifest.parent, fitted, folder / "predict"):
        path.mkdir(parents=True)

    def timed(name: str, stage: Callable[..., None], *arguments: Any) -> None:
        started = time.perf_counter()
        stage(*arguments)
        seconds[name] = time.perf_counter() - started

    activations = manifest.parent / "activations.npy"
    timed("features", features.features, features_spec, InputFiles(task_json, weights), activations, manifest, threads)
    runs, predictions = fitted / "block-0.json", folder / "predict"
    input_files = InputFiles(task_json, weights, features=manifest)
    with Workplace(spec["model"], threads) as workplace:
        timed("finetune", finetune.finetune, spec, input_files, "code", runs, workplace)
    predict_spec = {key: spec[key] for key in ("model", "task", "method", "seeds")}
    arguments = (predict_spec, input_files, runs, "code", predictions, predictions / "block-0.json")
    with Workplace(spec["model"], threads) as workplace:
        timed("predict", predict.predict, *arguments, workplace)
    steps, accuracies = 0.0, []
    for seed in spec["seeds"]:
        steps += files.read_json(fitted / str(seed) / "run.json")["seconds"]
        table = pq.read_table(predictions / f"{seed}.parquet").to_pandas()
        after = table[(table["phase"] == "after") & (table["split"] == "test")]
        accuracies.append(float((after["y_true"] == after["y_pred"]).mean()))
    return seconds | {"steps": steps, "accuracies": accuracies}


def study_of(net: Net, size: Size) -> Study:
    """Return the study of a linear probe on a network."""
    preprocess = {"size": SIDE, "resize": SIDE, "mean": list(net.mean), "std": list(net.std)}
    model = {"architecture": net.architecture, "weights": net.weights, "preprocess": preprocess}
    task = {"dataset": "torchvision", "options": {"class": "FashionMNIST"}, "image": {"size": SIDE}}
    settings = RECIPE | {"epochs": size.epochs, "batch_size": BATCH, "precision": "bf16"}
    config = {
        "study": "founding",
        "seeds": list(range(size.seeds)),
        "models": {"net": model},
        "tasks": {"images": task},
    }
    return Study(config | {"methods": {"linear_probe": {}}, "recipe": settings, "compute": {"seeds_per_job": 10**6}})


def prefix_rate(task_json: Path, net: Net, threads: int, folder: Path, repetitions: int) -> list[float]:
    """Return the images per second of the frozen backbone, as the stage `features` computes and stores them."""
    from variability.data.prepared_task import open_task
    from variability.training import stored_features
    from variability.training.input_files import InputFiles
    from variability.training.seeded_network import SeededNetwork
    from variability.training.workplace import Workplace

    model = study_of(net, Size(1, 1, 1, 1)).model_entry("net")
    with Workplace(model, threads) as workplace:
        task = open_task(task_json)
        network = SeededNetwork(model, None, task, InputFiles(task_json, Path(net.weights)), workplace.device)
        network.reset(seed=0)
        network.module.eval()
        plain = recipe.DEFAULTS["augmentation"]
        images = task.modality.inputs(task, network.provider, None, workplace.device, plain)
        prefix = stored_features.FrozenPrefix(network.cut.prefix, images, "bf16")
        rates = []
        for _ in range(repetitions + 1):
            started = time.perf_counter()
            prefix.store(task.may_train, folder / "activations.npy")
            rates.append(len(task.may_train) / (time.perf_counter() - started))
        return rates[1:]
