"""Share of a study's processor time that goes into checksums.

    python benchmarks/checksums.py [--studies embedded large gigabyte] [--cores 2]

`embedded` is config.yaml. `large` has large files: a ResNet-50 whose weights are a file of 100 MB, 2,000 images of 64
pixels, their activations, and 20 seeds of a linear probe on them. `gigabyte` has a ViT-L/16 whose weights are a file of
1.2 GB, and as little as possible to compute: 80 images, and 20 seeds of a linear probe. Each runs once by `snakemake`
in a temporary copy of the checkout. In all of its processes, Snakemake's own included, the functions of `hashlib` are
replaced by ones that add up the processor time of the thread that calls them: for files, reading is part of it. Other
hashes than checksums of files count, too: those of specs, of code and of equal examples.

Prints, for each study, the processor time of hashing, that of all processes, and their ratio.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

#: Imported by each process of Python at its start.
SITECUSTOMIZE = """
import atexit, hashlib, os, time

_spent = [0]
_leave = os._exit


def _timed(function):
    def timed(*arguments, **options):
        started = time.thread_time_ns()
        try:
            return function(*arguments, **options)
        finally:
            _spent[0] += time.thread_time_ns() - started
    return timed


class _Hash:
    def __init__(self, made):
        self._made, self.name = made, made.name
        self.digest_size, self.block_size = made.digest_size, made.block_size

    def copy(self):
        return _Hash(self._made.copy())

    def __getattr__(self, name):
        method = _timed(getattr(self._made, name))
        setattr(self, name, method)
        return method


def _write():
    spent, _spent[0] = _spent[0], 0
    if spent:
        with open(os.path.join(os.environ["HASHING"], str(os.getpid())), "a") as file:
            file.write(f"{spent}\\n")


def _leave_after_writing(code):
    _write()
    _leave(code)


def _wrapped(function):
    timed = _timed(function)
    return lambda *arguments, **options: _Hash(timed(*arguments, **options))


for name in ("sha256", "sha1", "md5", "blake2b", "blake2s"):
    setattr(hashlib, name, _wrapped(getattr(hashlib, name)))
hashlib.file_digest = _timed(hashlib.file_digest)
os._exit = _leave_after_writing
os.register_at_fork(before=_write)
atexit.register(_write)
"""
LARGE = """
study: large
seeds: {seeds}
models:
  large: {{architecture: {architecture}, weights: weights.safetensors}}
tasks:
  shapes: {{dataset: npz, options: {{path: shapes.npz}}, image: {{size: {size}}}, split: {{validation: {validation}}}}}
methods:
  linear_probe: {{}}
"""


class Large(NamedTuple):
    """A study with large weights. train, validation, test: numbers of images; those of validation are among train."""

    architecture: str
    size: int
    train: int
    validation: int
    test: int


STUDIES = {
    "embedded": None,
    "large": Large("resnet50", 64, 1600, 200, 400),
    "gigabyte": Large("vit_l_16", 224, 60, 10, 20),
}


def write_large(folder: Path, study: Large) -> Path:
    """Write a study with large files, whose images and weights are noise; return its config."""
    import numpy as np
    import safetensors.torch
    import torch
    from torchvision import models

    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", study.train), ("test", study.test)):
        arrays[f"{part}_images"] = generator.integers(0, 256, (count, study.size, study.size, 3), np.uint8)
        arrays[f"{part}_labels"] = np.arange(count) % 10
    np.savez(folder / "shapes.npz", **arrays)
    torch.manual_seed(0)
    safetensors.torch.save_file(models.get_model(study.architecture).state_dict(), folder / "weights.safetensors")
    config = folder / "large.yaml"
    config.write_text(LARGE.format(seeds=list(range(20)), **study._asdict()), encoding="utf-8")
    return config


def run(folder: Path, config: Path, cores: int) -> tuple[float, float]:
    """Run a study; return the processor seconds of hashing, and of all of its processes."""

    hashing = folder / "hashing"
    hashing.mkdir()
    (hashing / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
    environ = os.environ | {"PYTHONPATH": str(hashing), "HASHING": str(hashing)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", str(config), "--quiet", "all"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environ, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    written = [path for path in hashing.iterdir() if path.name.isdecimal()]
    lines = [line for path in written for line in path.read_text(encoding="utf-8").split()]
    everything = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return sum(map(int, lines)) / 1e9, everything


def main() -> None:
    """Run the studies and print a line for each."""
    from support import Checkout

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    for name in options.studies:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "checkout"
            Checkout.of_project(folder)
            study = STUDIES[name]
            config = write_large(folder, study) if study else folder / "config.yaml"
            hashing, everything = run(folder, config, options.cores)
        print(
            f"{name}: {hashing:.2f} s of {everything:.1f} s of processor time, {hashing / everything:.2%}", flush=True
        )


if __name__ == "__main__":
    main()
