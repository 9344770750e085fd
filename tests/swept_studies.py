"""The studies whose jobs ``fault_sweep`` runs: the tiny one, and one that downloads all that can be downloaded."""

import contextlib
import hashlib
import io
import itertools
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from support import ROOT, Checkout

#: All analyses and plots are made by the same functions.
_OUTPUTS = "\nanalyses: [intervals, decisions, gain]\nplots: [seed_spread]\ncheckpoints: best\n"
#: Texts from a table, images from an archive, both from a server; a network of Transformers with weights and assets.
_FETCHED = """
study: fetched
seeds: [0]
models:
  bert: {{provider: transformers, architecture: {model}, weights: pretrained}}
  scratch: {{architecture: shufflenet_v2_x0_5, weights: none}}
tasks:
  pets:
    dataset: text_table
    options: {{url: "{server}/pets.csv", sha256: {table}, partition: part}}
    text: {{max_length: 12}}
    split: {{validation: 4}}
  shapes:
    dataset: image_folder
    options: {{url: "{server}/shapes.zip", sha256: {archive}}}
    image: {{size: 16}}
    split: {{train: 8, validation: 4, test: 4}}
methods:
  full: {{}}
"""


@contextlib.contextmanager
def tiny(folder: Path) -> Iterator[Path]:
    """Yield the config of the study of all workflow tests, in a new checkout."""
    Checkout.of_project(folder).append("tiny.yaml", _OUTPUTS)
    yield folder / "tiny.yaml"


@contextlib.contextmanager
def fetched(folder: Path) -> Iterator[Path]:
    """Yield the config of a study that downloads from a server, which ends with the block, in a new checkout."""
    Checkout.of_project(folder)
    _write_model(folder / "models/bert")
    served = folder / "served"
    served.mkdir()
    pairs = itertools.product(("cat", "dog"), ("sat", "ran"), ("red", "blue", "big", "small"), ("train", "test"))
    rows = [f"the {color} {animal} {verb} {part},{animal},{part}" for animal, verb, color, part in pairs]
    (served / "pets.csv").write_text("\n".join(["text,label,part", *rows, ""]))
    _write_shapes(served / "shapes.zip")
    with _server(served) as address:
        checksums = {
            key: hashlib.sha256((served / name).read_bytes()).hexdigest()
            for key, name in (("table", "pets.csv"), ("archive", "shapes.zip"))
        }
        config = folder / "fetched.yaml"
        config.write_text(_FETCHED.format(server=address, model=folder / "models/bert", **checksums))
        yield config


STUDIES = {"tiny": tiny, "fetched": fetched}


def _write_model(folder: Path) -> None:
    """Write a network in a process of its own: this one must not import the library, which that of the jobs has."""
    code = "import sys, pathlib, text_models as made; made.weights(made.folder(pathlib.Path(sys.argv[1])))"
    paths = os.pathsep.join([str(ROOT / "workflow/lib"), str(ROOT / "tests")])
    command = [sys.executable, "-c", code, str(folder)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=True, stderr=subprocess.PIPE)


def _write_shapes(archive: Path) -> None:
    import numpy as np
    from PIL import Image

    with zipfile.ZipFile(archive, "w") as opened:
        for label, name in enumerate(("dark", "light")):
            for number in range(8):
                picture = io.BytesIO()
                Image.fromarray(np.full((16, 16, 3), 100 * label + number, np.uint8)).save(picture, "PNG")
                opened.writestr(f"{name}/{number}.png", picture.getvalue())


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Yield the address of a server of the files of a folder: a process of its own, because the sweep forks."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().rpartition("port ")[2].split()[0]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
