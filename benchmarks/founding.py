"""The founding example, a frozen ResNet-50 with a new head and many seeds, by a conventional loop and by this project.

    VARIABILITY_MIRROR=path/to/mirror python benchmarks/founding.py

The loop is the script as most people write it: for each seed a DataLoader over 32 x 32 images (ToTensor, Normalize,
image by image), the whole network in train mode with the backbone's gradients off, Adam on the head, and a pass over
the test images at the end. Our side are the stages `features`, `finetune` and `predict` with the recipe of
studies/founding.yaml in bf16: the backbone once over all images, then every seed on its activations.

The unit costs of both sides are measured in one run and extrapolated to the size of CIFAR-10 by formulas that are
printed. Then both sides run completely at a smaller size, and the predictions of the formulas are compared with the
measured times. The floor is bare torch: one bf16 pass at the best batch size, and the head's steps on a tensor in
memory.

The images are Fashion-MNIST's, converted to colour and 32 x 32 pixels, instead of CIFAR-10's. The ResNet-50 has random
weights, which are as fast as trained ones. The check at the smaller size runs on both networks; the second is the
mirror's trained MobileNetV2, so that its accuracies mean something. A third side of the check is the loop with its
backbone in eval mode, as ours is: in train mode BatchNorm normalises by the batch, and its running statistics drift.
Starting Python and importing torch are not included anywhere.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sides import founding as sides
from sides import founding_floor
from sides.founding import BATCH, CORES, Net, Size, alone

#: Sizes at which the unit costs of our side are measured; they differ in the number of test images.
UNIT = (Size(1024, 512, 10, 10), Size(1024, 2048, 10, 10))


@dataclass(frozen=True)
class Way:
    """Distribution of our side over the cores.

    prefix: threads of the job that computes the frozen prefix. threads: threads of a job that trains heads. jobs:
    number of such jobs at a time.
    """

    prefix: int
    threads: int
    jobs: int

    def __str__(self) -> str:
        heads = f"heads in {self.jobs} job{'s' if self.jobs > 1 else ''} of {self.threads}"
        return f"prefix on {self.prefix} thread{'s' if self.prefix > 1 else ''}, {heads}"


WAYS = list(dict.fromkeys([Way(CORES, CORES, 1), Way(1, 1, CORES), Way(CORES, 1, CORES)]))


def log(text: str) -> None:
    """Print a line of progress to the standard error."""
    print(text, file=sys.stderr, flush=True)


class Units:
    """Unit costs of one network, measured one after another, each in a process of its own."""

    def __init__(self, net: Net, folder: Path, arguments: argparse.Namespace):
        small, large = (sides.prepare(Path(tempfile.mkdtemp(dir=folder)) / "task", size) for size in UNIT)
        width = {"resnet50": 2048}.get(net.architecture, 1280)
        log(f"{net.architecture}: the loop's steps")
        one_epoch = Size(UNIT[1].train, UNIT[1].test, 1, arguments.repetitions)
        self.training, self.testing = {}, {}
        for threads in dict.fromkeys((1, CORES)):
            (rates,) = alone(sides.loop, large, net, one_epoch, arguments.workers, threads, True, arguments.steps)
            self.training[threads], self.testing[threads] = rates["training"], rates["testing"]
        # Two threads that wait for each other at every operation can be slower than one: the faster number counts.
        self.loop_threads = max(self.training, key=lambda threads: statistics.median(self.training[threads]))
        self.prefix, self.step, self.other, self.predicting, self.floor_step = {}, {}, {}, {}, {}
        self.floor_rates = {}
        for threads in sorted({threads for way in WAYS for threads in (way.prefix, way.threads)}):
            jobs = CORES if threads == 1 else 1
            log(f"{net.architecture}: our side and the floor on {threads} threads")
            (self.prefix[threads],) = alone(sides.prefix_rate, large, net, threads, folder, arguments.repetitions)
            (self.floor_rates[threads],) = alone(founding_floor.bare_pass, net, threads, arguments.images)
            bare = alone(founding_floor.bare_step, width, threads, 8192, 4, processes=jobs)
            self.floor_step[threads] = statistics.mean(bare)
            few_tests = alone(sides.ours, small, net, UNIT[0], threads, folder, processes=jobs)
            many_tests = alone(sides.ours, large, net, UNIT[1], threads, folder, processes=jobs)
            jobs_of_both = few_tests + many_tests
            self.step[threads] = [job["steps"] / UNIT[0].steps for job in jobs_of_both]
            self.other[threads] = statistics.mean(job["finetune"] - job["steps"] for job in jobs_of_both)
            seconds = [statistics.mean(job["predict"] for job in of_size) for of_size in (few_tests, many_tests)]
            slope = (seconds[1] - seconds[0]) / (UNIT[1].test - UNIT[0].test) / UNIT[0].seeds
            self.predicting[threads] = (seconds[0] - slope * UNIT[0].test * UNIT[0].seeds, slope)

    def loop(self, size: Size) -> float:
        """Return the predicted seconds of the loop."""
        train = size.seeds * size.epochs * size.train / statistics.median(self.training[self.loop_threads])
        return train + size.seeds * size.test / statistics.median(self.testing[self.loop_threads])

    def ours(self, size: Size, way: Way) -> dict[str, float]:
        """Return the predicted seconds of the parts of our side."""
        start, slope = self.predicting[way.threads]
        return {
            "prefix": (size.train + size.test) / statistics.median(self.prefix[way.prefix]),
            "steps": size.steps * statistics.median(self.step[way.threads]) / way.jobs,
            "other": self.other[way.threads],
            "predictions": start + slope * size.test * size.seeds / way.jobs,
        }

    def floor(self, size: Size, jobs: int) -> dict[str, float]:
        """Return the predicted seconds of the floor, with its steps in one process or in one for each core."""
        rate = max(rate for rates in self.floor_rates.values() for rate in rates.values())
        step = min(self.floor_step.values()) if jobs == 1 else self.floor_step[1] / jobs
        return {"prefix": (size.train + size.test) / rate, "steps": size.steps * step}


def report(net: Net, units: Units, size: Size, arguments: argparse.Namespace) -> None:
    """Print the unit costs, and the predictions for a size."""
    n, repetitions = f"{size.train:,} + {size.test:,} images", arguments.repetitions
    print(f"\n{net.architecture}, {n}, {size.epochs} epochs, {size.seeds} seeds, {size.steps:,} steps of {BATCH}\n")
    print("| unit | value | range | n |\n|---|---|---|---|")
    rows = []
    for phase, by_threads in (("training", units.training), ("evaluation", units.testing)):
        rows += [(f"loop, {phase}, {threads} threads, images/s", rates) for threads, rates in by_threads.items()]
    rows += [(f"ours, prefix, {threads} threads, images/s", rates) for threads, rates in units.prefix.items()]
    for threads, steps in units.step.items():
        side = f", {CORES} at a time" if threads == 1 else ""
        rows.append((f"ours, head step, {threads} threads{side}, ms", [1000 * step for step in steps]))
    for name, values in rows:
        print(f"| {name} | {statistics.median(values):.4g} | {min(values):.4g} to {max(values):.4g} | {len(values)} |")
    for threads, (start, slope) in units.predicting.items():
        ms = 1000 * slope * size.test
        print(f"| ours, a run's predictions, {threads} threads, ms | {ms:.4g} | | 2 sizes |")
        print(f"| ours, start of the job that predicts, {threads} threads, s | {start:.3g} | | 2 sizes |")
        print(f"| ours, a job's other work, {threads} threads, s | {units.other[threads]:.3g} | | 2 sizes |")
        rates = ", ".join(f"{rate:.0f} at {batch}" for batch, rate in units.floor_rates[threads].items())
        print(
            f"| floor, bare pass, {threads} threads, images/s by batch size | {rates} | | {arguments.images} images |"
        )
        print(f"| floor, bare head step, {threads} threads, ms | {1000 * units.floor_step[threads]:.3g} | | 4 epochs |")
    print(
        "\nloop = seeds x epochs x train / training rate + seeds x test / evaluation rate\n"
        "ours = (train + test) / prefix rate + steps x step / jobs + other + start + seeds x predictions / jobs\n"
        "floor = (train + test) / bare rate at the best batch + steps x bare step / processes\n"
    )
    loop, floors = units.loop(size), [units.floor(size, jobs) for jobs in dict.fromkeys((1, CORES))]
    print("| way | prefix s | steps s | other s | predictions s | total s | loop / way | way / floor of 1, of all |")
    print(f"|---|---|---|---|---|---|---|---|\n| loop, {units.loop_threads} threads | | | | | {loop:.0f} | 1 | |")
    for way in WAYS:
        seconds = units.ours(size, way)
        total = sum(seconds.values())
        over = ", ".join(f"{total / sum(floor.values()):.2f}" for floor in floors)
        parts = " | ".join(f"{part:.1f}" for part in seconds.values())
        print(f"| ours, {way} | {parts} | {total:.1f} | {loop / total:.0f} | {over} |")
    for jobs, floor in zip((1, CORES), floors, strict=False):
        total = sum(floor.values())
        parts = f"{floor['prefix']:.1f} | {floor['steps']:.1f} | | | {total:.1f} | {loop / total:.0f}"
        print(f"| floor, steps in {jobs} process{'es' if jobs > 1 else ''} | {parts} | 1 |")
    log(f"n = {repetitions} repetitions of {arguments.steps} steps of the loop")


def check(net: Net, units: Units, size: Size, folder: Path, arguments: argparse.Namespace) -> None:
    """Run both sides completely at a smaller size; print predicted and measured seconds, and accuracies."""
    task = sides.prepare(Path(tempfile.mkdtemp(dir=folder)) / "task", size)
    results = {}
    for name, training in (("loop", True), ("loop, backbone in eval mode", False)):
        log(f"{net.architecture}: {name}, complete")
        (results[name],) = alone(sides.loop, task, net, size, arguments.workers, units.loop_threads, training)
    log(f"{net.architecture}: ours, complete")
    # All in one process, as it is measured, with the number of threads that is predicted to be faster.
    way = min(
        (Way(threads, threads, 1) for threads in units.prefix), key=lambda way: sum(units.ours(size, way).values())
    )
    (ours,) = alone(sides.ours, task, net, size, way.threads, folder)
    ours["whole"] = sum(ours[stage] for stage in ("features", "finetune", "predict"))
    results["ours"] = ours
    sizes = f"{size.train} + {size.test} images, {size.epochs} epochs, {size.seeds} seeds"
    print(f"\n{net.architecture}, complete, at {sizes}\n")
    print("| side | predicted s | measured s | accuracy, mean | by seed |\n|---|---|---|---|---|")
    predicted = {"ours": sum(units.ours(size, way).values())}
    for name, side in results.items():
        accuracies = side["accuracies"]
        by_seed = ", ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        prediction = predicted.get(name, units.loop(size))
        print(f"| {name} | {prediction:.1f} | {side['whole']:.1f} | {statistics.mean(accuracies):.3f} | {by_seed} |")
    stages = ", ".join(f"{stage} {ours[stage]:.2f}" for stage in ("features", "finetune", "predict"))
    print(f"\nOurs, {way.threads} threads, s: {stages}; of it steps {ours['steps']:.2f}. n = {size.seeds} seeds.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    full_size = ("train", 50_000), ("test", 10_000), ("epochs", 10), ("seeds", 10)
    check_size = ("check-train", 512), ("check-test", 256), ("check-epochs", 2), ("check-seeds", 2)
    for name, default in (*full_size, *check_size):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--steps", type=int, default=30, help="of the loop, to measure its unit cost")
    parser.add_argument("--images", type=int, default=2048, help="of the bare pass at each batch size")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="of the loop's DataLoader, as in most tutorials")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        nets = [sides.random_weights(folder), sides.trained("mobilenet_v2.torchvision.safetensors")]
        print(f"{CORES} cores, {sides.processor()}, load {sides.load():.1f} before")
        for index, net in enumerate(nets):
            units = Units(net, folder, arguments)
            if index == 0:
                report(net, units, Size(arguments.train, arguments.test, arguments.epochs, arguments.seeds), arguments)
            size = Size(arguments.check_train, arguments.check_test, arguments.check_epochs, arguments.check_seeds)
            check(net, units, size, folder, arguments)
    log(f"{time.perf_counter() - started:.0f} s in total")


if __name__ == "__main__":
    main()
