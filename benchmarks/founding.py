"""The founding example by its own loop and by this project: a frozen ResNet-50 with a new head, many seeds.

    VARIABILITY_MIRROR=path/to/mirror python benchmarks/founding.py

The loop is the script as it is usually written: for each seed a DataLoader over 32 x 32 images (ToTensor, Normalize,
image by image), the whole network in train mode with its backbone's gradients off, Adam on the head, and a pass over
the test images at the end. Ours are the stages `features`, `finetune` and `predict` with the recipe of
studies/founding.yaml in bf16: the backbone once over all images, then every seed on what it gave.

Both sides' unit costs are measured in one run and extrapolated to the size of CIFAR-10 by formulas that are printed;
then both run whole at a smaller size, and what the formulas say of that size stands beside what it took. The floor is
bare torch: one bf16 pass at the best batch size, and the head's steps on a tensor in memory.

Images are Fashion-MNIST's, in colour and 32 x 32 pixels, in the place of CIFAR-10's. The ResNet-50 has random weights,
whose speed is that of trained ones; the smaller check runs on the mirror's trained MobileNetV2, so that accuracies mean
something, and there a third side is the loop with its backbone in eval mode, as ours is: in train mode its BatchNorm
normalises by the batch, and its running statistics drift. Starting Python and importing torch are left out throughout.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import founding_floor
import founding_sides as sides
from founding_sides import BATCH, CORES, Net, Size, alone

#: What the unit costs of ours are measured on; of the second only the test images differ.
UNIT = (Size(1024, 512, 10, 10), Size(1024, 2048, 10, 10))


@dataclass(frozen=True)
class Way:
    """How ours is spread over the cores: threads of the prefix's job, threads of a head's, how many such at a time."""

    prefix: int
    threads: int
    jobs: int

    def __str__(self) -> str:
        heads = f"heads in {self.jobs} job{'s' if self.jobs > 1 else ''} of {self.threads}"
        return f"prefix on {self.prefix} thread{'s' if self.prefix > 1 else ''}, {heads}"


WAYS = list(dict.fromkeys([Way(CORES, CORES, 1), Way(1, 1, CORES), Way(CORES, 1, CORES)]))


def said(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


class Units:
    """Unit costs of one network, measured one after another in processes of their own."""

    def __init__(self, net: Net, folder: Path, given: argparse.Namespace):
        small, large = (sides.prepare(Path(tempfile.mkdtemp(dir=folder)) / "task", size) for size in UNIT)
        width = {"resnet50": 2048}.get(net.architecture, 1280)
        said(f"{net.architecture}: the loop's steps")
        one = Size(UNIT[1].train, UNIT[1].test, 1, given.repetitions)
        self.training, self.testing = {}, {}
        for threads in dict.fromkeys((1, CORES)):
            (found,) = alone(sides.loop, large, net, one, given.workers, threads, True, given.steps)
            self.training[threads], self.testing[threads] = found["training"], found["testing"]
        # Two threads that wait for each other at every operation can be slower than one: the loop gets the better.
        self.loop_threads = max(self.training, key=lambda threads: statistics.median(self.training[threads]))
        self.prefix, self.step, self.beside, self.predicting, self.floor_step = {}, {}, {}, {}, {}
        self.floor_rates = {}
        for threads in sorted({each for way in WAYS for each in (way.prefix, way.threads)}):
            jobs = CORES if threads == 1 else 1
            said(f"{net.architecture}: ours and the floor on {threads} threads")
            (self.prefix[threads],) = alone(sides.prefix_rate, large, net, threads, folder, given.repetitions)
            (self.floor_rates[threads],) = alone(founding_floor.bare_pass, net, threads, given.images)
            bare = alone(founding_floor.bare_step, width, threads, 8192, 4, processes=jobs)
            self.floor_step[threads] = statistics.mean(bare)
            little = alone(sides.ours, small, net, UNIT[0], threads, folder, processes=jobs)
            much = alone(sides.ours, large, net, UNIT[1], threads, folder, processes=jobs)
            self.step[threads] = [each["steps"] / UNIT[0].steps for each in little + much]
            self.beside[threads] = statistics.mean(each["finetune"] - each["steps"] for each in little + much)
            seconds = [statistics.mean(each["predict"] for each in found) for found in (little, much)]
            slope = (seconds[1] - seconds[0]) / (UNIT[1].test - UNIT[0].test) / UNIT[0].seeds
            self.predicting[threads] = (seconds[0] - slope * UNIT[0].test * UNIT[0].seeds, slope)

    def loop(self, size: Size) -> float:
        train = size.seeds * size.epochs * size.train / statistics.median(self.training[self.loop_threads])
        return train + size.seeds * size.test / statistics.median(self.testing[self.loop_threads])

    def ours(self, size: Size, way: Way) -> dict[str, float]:
        start, slope = self.predicting[way.threads]
        return {
            "prefix": (size.train + size.test) / statistics.median(self.prefix[way.prefix]),
            "steps": size.steps * statistics.median(self.step[way.threads]) / way.jobs,
            "beside": self.beside[way.threads],
            "predictions": start + slope * size.test * size.seeds / way.jobs,
        }

    def floor(self, size: Size, jobs: int) -> dict[str, float]:
        """With the steps in one process, or in as many as there are cores."""
        rate = max(rate for rates in self.floor_rates.values() for rate in rates.values())
        step = min(self.floor_step.values()) if jobs == 1 else self.floor_step[1] / jobs
        return {"prefix": (size.train + size.test) / rate, "steps": size.steps * step}


def report(net: Net, units: Units, size: Size, given: argparse.Namespace) -> None:
    """Unit costs, and what they come to at a size."""
    n, repetitions = f"{size.train:,} + {size.test:,} images", given.repetitions
    print(f"\n{net.architecture}, {n}, {size.epochs} epochs, {size.seeds} seeds, {size.steps:,} steps of {BATCH}\n")
    print("| unit | value | range | n |\n|---|---|---|---|")
    rows = []
    for what, found in (("training", units.training), ("evaluation", units.testing)):
        rows += [(f"loop, {what}, {threads} threads, images/s", rates) for threads, rates in found.items()]
    rows += [(f"ours, prefix, {threads} threads, images/s", rates) for threads, rates in units.prefix.items()]
    for threads, steps in units.step.items():
        side = f", {CORES} at a time" if threads == 1 else ""
        rows.append((f"ours, head step, {threads} threads{side}, ms", [1000 * each for each in steps]))
    for name, values in rows:
        print(f"| {name} | {statistics.median(values):.4g} | {min(values):.4g} to {max(values):.4g} | {len(values)} |")
    for threads, (start, slope) in units.predicting.items():
        ms = 1000 * slope * size.test
        print(f"| ours, a run's predictions, {threads} threads, ms | {ms:.4g} | | 2 sizes |")
        print(f"| ours, start of the job that predicts, {threads} threads, s | {start:.3g} | | 2 sizes |")
        print(f"| ours, a job's other work, {threads} threads, s | {units.beside[threads]:.3g} | | 2 sizes |")
        rates = ", ".join(f"{rate:.0f} at {batch}" for batch, rate in units.floor_rates[threads].items())
        print(f"| floor, bare pass, {threads} threads, images/s by batch size | {rates} | | {given.images} images |")
        print(f"| floor, bare head step, {threads} threads, ms | {1000 * units.floor_step[threads]:.3g} | | 4 epochs |")
    print(
        "\nloop = seeds x epochs x train / training rate + seeds x test / evaluation rate\n"
        "ours = (train + test) / prefix rate + steps x step / jobs + other + start + seeds x predictions / jobs\n"
        "floor = (train + test) / bare rate at the best batch + steps x bare step / processes\n"
    )
    loop, floors = units.loop(size), [units.floor(size, jobs) for jobs in dict.fromkeys((1, CORES))]
    print("| way | prefix s | steps s | other s | predictions s | total s | loop / it | it / floor of 1, of all |")
    print(f"|---|---|---|---|---|---|---|---|\n| loop, {units.loop_threads} threads | | | | | {loop:.0f} | 1 | |")
    for way in WAYS:
        found = units.ours(size, way)
        total = sum(found.values())
        over = ", ".join(f"{total / sum(floor.values()):.2f}" for floor in floors)
        parts = " | ".join(f"{each:.1f}" for each in found.values())
        print(f"| ours, {way} | {parts} | {total:.1f} | {loop / total:.0f} | {over} |")
    for jobs, floor in zip((1, CORES), floors, strict=False):
        total = sum(floor.values())
        parts = f"{floor['prefix']:.1f} | {floor['steps']:.1f} | | | {total:.1f} | {loop / total:.0f}"
        print(f"| floor, steps in {jobs} process{'es' if jobs > 1 else ''} | {parts} | 1 |")
    said(f"n = {repetitions} repetitions of {given.steps} steps of the loop")


def check(net: Net, units: Units, size: Size, folder: Path, given: argparse.Namespace) -> None:
    """Both sides whole at a smaller size: what the units say of it, and what it takes."""
    task = sides.prepare(Path(tempfile.mkdtemp(dir=folder)) / "task", size)
    found = {}
    for name, training in (("loop", True), ("loop, backbone in eval mode", False)):
        said(f"{net.architecture}: {name}, whole")
        (found[name],) = alone(sides.loop, task, net, size, given.workers, units.loop_threads, training)
    said(f"{net.architecture}: ours, whole")
    # All in one process, as it is measured; at the number of threads that the units say is faster.
    way = min((Way(each, each, 1) for each in units.prefix), key=lambda way: sum(units.ours(size, way).values()))
    (ours,) = alone(sides.ours, task, net, size, way.threads, folder)
    ours["whole"] = sum(ours[stage] for stage in ("features", "finetune", "predict"))
    found["ours"] = ours
    at = f"{size.train} + {size.test} images, {size.epochs} epochs, {size.seeds} seeds"
    print(f"\n{net.architecture} whole at {at}\n")
    print("| side | predicted s | measured s | accuracy, mean | by seed |\n|---|---|---|---|---|")
    predicted = {"ours": sum(units.ours(size, way).values())}
    for name, side in found.items():
        accuracies = side["accuracies"]
        by_seed = ", ".join(f"{each:.3f}" for each in accuracies)
        guess = predicted.get(name, units.loop(size))
        print(f"| {name} | {guess:.1f} | {side['whole']:.1f} | {statistics.mean(accuracies):.3f} | {by_seed} |")
    stages = ", ".join(f"{stage} {ours[stage]:.2f}" for stage in ("features", "finetune", "predict"))
    print(f"\nOurs, {way.threads} threads, s: {stages}; of it steps {ours['steps']:.2f}. n = {size.seeds} seeds.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole = ("train", 50_000), ("test", 10_000), ("epochs", 10), ("seeds", 10)
    small = ("check-train", 512), ("check-test", 256), ("check-epochs", 2), ("check-seeds", 2)
    for name, default in (*whole, *small):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--steps", type=int, default=30, help="of the loop, measured for its unit cost")
    parser.add_argument("--images", type=int, default=2048, help="of the bare pass at each batch size")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="of the loop's DataLoader, as in the usual tutorial")
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        nets = [sides.random_weights(folder), sides.trained("mobilenet_v2.torchvision.safetensors")]
        print(f"{CORES} cores, {sides.processor()}, load {sides.load():.1f} before")
        for at, net in enumerate(nets):
            units = Units(net, folder, given)
            if at == 0:
                report(net, units, Size(given.train, given.test, given.epochs, given.seeds), given)
            size = Size(given.check_train, given.check_test, given.check_epochs, given.check_seeds)
            check(net, units, size, folder, given)
    said(f"{time.perf_counter() - started:.0f} s in all")


if __name__ == "__main__":
    main()
