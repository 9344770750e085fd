"""Effect of stored activations on results: metrics on real data, compared with those computed from the images.

    VARIABILITY_MIRROR=path/to/mirror python benchmarks/fidelity.py [--seeds 10] [--epochs 8] [--threads 2]

MobileNetV2 with ImageNet weights on a part of Fashion-MNIST, as in studies/mirror.yaml, with both methods that freeze a
part of the network. The plain path computes the whole network from the images at each step, in fp32. The fast paths
train the part after the frozen prefix on its stored activations, in fp32 and in bf16 (stored in bf16, trained under
autocast, as with `precision: bf16`). A third path, bf16 from the images, separates the effect of bf16 from that of
storing. Test outputs are computed in fp32, from the images or from the activations as in training.
A seed determines the head and the order of the examples, the same on all paths: differences are within seeds.

The output compares each path with the plain one: the difference of mean test accuracy with its paired t interval over
seeds, the largest absolute difference of any probability, and the share of test predictions that agree. Progress goes
to standard error; the last output is a table in Markdown. Data and weights come from the mirror, not the network.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "lib"))

import numpy as np

from variability.config import recipe
from variability.data.inputs import Inputs
from variability.data.prepared_task import PreparedTask
from variability.io import files
from variability.io.fetcher import Fetcher
from variability.io.mirrors import mirrors_from
from variability.stages.download import download
from variability.stages.download_weights import download_weights
from variability.stages.prepare import prepare
from variability.stats import intervals
from variability.training import device, inference, stored_features
from variability.training.activations import Activations, Feed
from variability.training.fit_loop import FitData, FitSpec
from variability.training.input_files import InputFiles
from variability.training.seeded_network import SeededNetwork
from variability.training.torch_fit import TorchFitLoop

LEVEL = 0.95
MODEL = {
    "name": "mobilenet_v2",
    "provider": "torchvision",
    "architecture": "mobilenet_v2",
    "options": {},
    "weights": "mobilenet_v2.torchvision.safetensors",
    "sha256": "c3e13532fb454757e5e749acf3161618e2bd5f31731a6756e39668af5504de77",
    "preprocess": {"size": 80, "resize": 80, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}
TASK = {
    "name": "fashion",
    "dataset": "torchvision",
    "options": {"class": "FashionMNIST"},
    "kind": "classification",
    "modality": "image",
    "input": {"size": 28, "color": "grey"},
    "split": {"train": 200, "validation": 50, "test": 400, "seed": 0, "resample": False},
}
METHODS = {
    "linear_probe": ({"name": "linear_probe", "kind": "linear_probe"}, {"lr": 0.003}),
    "partial": ({"name": "partial", "kind": "partial", "blocks": 2}, {}),
}
RECIPE = {"optimizer": "adamw", "lr": 0.0005, "weight_decay": 0.01, "schedule": "cosine", "warmup": 0.1}
PLAIN = "images, fp32"
#: {name: (number format, whether the frozen part is computed once)}
PATHS = {"activations, fp32": ("fp32", True), "activations, bf16": ("bf16", True), "images, bf16": ("bf16", False)}


@dataclass(frozen=True)
class Bench:
    """The task, weights, folder and settings that all paths share."""

    task: PreparedTask
    weights: Path
    folder: Path
    settings: dict

    def probabilities(self, method: str, number_format: str, cut: bool, seeds: range) -> np.ndarray:
        """Return the probabilities after training, (seeds, test examples, classes).

        number_format: of training and of stored activations. cut: whether the frozen part is computed once.
        """
        entry, settings = METHODS[method]
        chosen = recipe.resolve(RECIPE, settings, self.settings, {"precision": number_format})
        network = SeededNetwork(MODEL, entry, self.task, InputFiles(self.task.path, self.weights), "cpu")
        network.reset(seed=0)
        images = self.task.modality.inputs(self.task, network.provider, None, "cpu", chosen["augmentation"])
        stored = self._stored(network, images, f"{method}-{number_format}", number_format) if cut else None
        return np.stack([self._run(network, images, stored, chosen, seed) for seed in seeds])

    def _stored(self, network: SeededNetwork, images: Inputs, name: str, number_format: str) -> Activations:
        if network.cut is None:
            raise SystemExit(f"{name}: the network cannot be cut where its frozen part ends")
        target, may_train = self.folder / name / stored_features.FILE, self.task.may_train
        layout = stored_features.FrozenPrefix(network.cut.prefix, images, number_format).store(may_train, target)
        content = {"stored": True, "activations": layout, "sha256": files.sha256(target)}
        files.write_json(target.parent / "manifest.json", content)
        return stored_features.read(target.parent / "manifest.json", may_train, "cpu")

    def _run(
        self, network: SeededNetwork, images: Inputs, stored: Activations | None, chosen: dict, seed: int
    ) -> np.ndarray:
        task, rows = self.task, np.arange(len(self.task.labels))
        network.reset(seed)
        feed = Feed(network.module, images)
        if stored is not None:
            feed = stored_features.feed(network.module, network.cut, images, stored, rows, chosen["precision"])
        data = FitData(task.labels, task.rows("train", seed), task.rows("validation", seed), task.kind)
        result = TorchFitLoop(FitSpec(data, chosen, seed), network.network, network.trainable, feed).run()
        if result.status != "completed":
            raise SystemExit(f"seed {seed}: {result.fail_reason}")
        network.module.eval()
        outputs = inference.outputs(feed.module, feed.inputs, task.rows("test", seed))
        return outputs.double().softmax(1).numpy()


def prepared(folder: Path) -> tuple[PreparedTask, Path]:
    """Return the task and the file of the pretrained network, from the mirror."""
    mirrors = mirrors_from([], os.environ)
    if not mirrors:
        raise SystemExit("set VARIABILITY_MIRROR to a folder that holds Fashion-MNIST and the weights of MobileNetV2")
    fetcher = Fetcher(cache=folder / "cache", mirrors=mirrors)
    download(TASK["dataset"], TASK["options"], folder / "data" / "files", folder / "data" / "manifest.json", fetcher)
    prepare(TASK, folder / "data" / "files", folder / "task")
    weights = folder / "weights.safetensors"
    download_weights(MODEL, weights, folder / "weights.json", fetcher, mirrors)
    return PreparedTask.open(folder / "task" / "task.json"), weights


def line(method: str, path: str, plain: np.ndarray, fast: np.ndarray, truth: np.ndarray) -> str:
    """Return a line of the table. plain, fast: (seeds, examples, classes). truth: (examples,)."""
    accuracies = [(probabilities.argmax(2) == truth).mean(1) for probabilities in (plain, fast)]
    difference = accuracies[1] - accuracies[0]
    n = len(difference)
    interval = "none from one seed"
    if n > 1:
        low, high = intervals.t_interval(difference.mean(), difference.std(ddof=1), n, LEVEL)
        interval = f"{low:+.4f} to {high:+.4f}"
    agree = (plain.argmax(2) == fast.argmax(2)).mean()
    return (
        f"| {method} | {path} | {accuracies[0].mean():.4f} | {accuracies[1].mean():.4f} | {difference.mean():+.4f} | "
        f"{interval} | {np.abs(plain - fast).max():.1e} | {100 * agree:.2f} % | {n} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    device.configure(threads=arguments.threads)
    table = []
    with tempfile.TemporaryDirectory() as temporary:
        task, weights = prepared(Path(temporary))
        bench = Bench(task, weights, Path(temporary), {"epochs": arguments.epochs, "batch_size": 32})
        truth = task.labels[task.rows("test", 0)]
        for method in METHODS:
            print(f"{method}: {PLAIN}", file=sys.stderr, flush=True)
            plain = bench.probabilities(method, "fp32", False, range(arguments.seeds))
            for path, (number_format, cut) in PATHS.items():
                print(f"{method}: {path}", file=sys.stderr, flush=True)
                other = bench.probabilities(method, number_format, cut, range(arguments.seeds))
                table.append(line(method, path, plain, other, truth))
    print(f"Against {PLAIN}: {len(truth)} test examples, {arguments.epochs} epochs, {arguments.threads} threads\n")
    print(
        "| method | path | accuracy, plain | accuracy, this path | difference | 95 % interval | "
        "largest difference of a probability | predictions that agree | n |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(table))


if __name__ == "__main__":
    main()
