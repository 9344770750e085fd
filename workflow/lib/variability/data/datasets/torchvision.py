"""Any image classification data set of ``torchvision.datasets``, by the name of its class."""

import contextlib
import importlib
import importlib.util
import operator
import os
import pathlib
import pickle
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.error import URLError

import numpy as np

from variability import advice
from variability.advice import RERUN_DOWNLOAD
from variability.data.datasets import Dataset, Examples
from variability.data.datasets._torchvision_facts import classes
from variability.errors import Problem, UserError
from variability.io import image_files

_VAL = {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}
_VAL_AS_TEST = {"train": {"split": "train"}, "test": {"split": "val"}}
#: Constructor arguments per partition, where they are not ``train=True/False`` or ``split="train"/"test"``.
PARTITIONS = {
    **dict.fromkeys(("DTD", "FGVCAircraft", "Flowers102", "PCAM", "RenderedSST2"), _VAL),
    "Country211": _VAL | {"validation": {"split": "valid"}},
    "OxfordIIITPet": {"train": {"split": "trainval"}, "test": {"split": "test"}},
    # They ship no test labels: what they call validation is what results are reported on.
    **dict.fromkeys(("CLEVRClassification", "Imagenette"), _VAL_AS_TEST),
    "Places365": _VAL_AS_TEST | {"train": {"split": "train-standard"}},
}
_FOLDER = "get its files yourself and use `dataset: image_folder`"
#: Classes of torchvision.datasets that are not for this, and why.
REFUSED = {
    **dict.fromkeys(("CocoDetection", "VOCDetection", "WIDERFace", "Kitti"), "is for object detection"),
    **dict.fromkeys(("VOCSegmentation", "SBDataset", "Cityscapes"), "is for segmentation"),
    **dict.fromkeys(("CocoCaptions", "SBU", "Flickr8k", "Flickr30k"), "is for image captions"),
    **dict.fromkeys(("KittiFlow", "Sintel", "FlyingChairs", "FlyingThings3D", "HD1K"), "is for optical flow"),
    **dict.fromkeys(
        ("Kitti2012Stereo", "Kitti2015Stereo", "CarlaStereo", "Middlebury2014Stereo", "CREStereo", "InStereo2k",
         "FallingThingsStereo", "SceneFlowStereo", "SintelStereo", "ETH3DStereo"), "is for stereo matching",
    ),
    **dict.fromkeys(("Kinetics", "HMDB51", "UCF101", "MovingMNIST"), "holds videos"),
    **dict.fromkeys(("PhotoTour", "LFWPairs"), "is for comparing pairs of images"),
    **dict.fromkeys(("ImageFolder", "DatasetFolder", "VisionDataset"), "is no data set of its own; use image_folder"),
    **dict.fromkeys(("ImageNet", "FER2013", "LSUN", "LSUNClass", "StanfordCars", "LFWPeople"),
                    f"is not downloaded by torchvision; {_FOLDER}"),
    "CelebA": f"labels each image with forty attributes, not with one class; {_FOLDER}",
    "FakeData": "holds random noise",
}  # fmt: skip
#: Packages beyond the core environment that some need.
_PACKAGES = {"PCAM": "h5py"}
_OURS = ("root", "download", "transform", "target_transform", "transforms", "loader")
_CLASS_NAMES = ("classes", "bin_classes", "categories", "all_categories", "_characters")


class Torchvision(Dataset):
    """``class: FashionMNIST``; torchvision knows where its files are and their checksums.

    arguments: of its constructor (``split: letters`` for EMNIST). partitions: constructor arguments per partition,
    in place of those torchvision documents.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "class": {"type": "string", "description": "a class of torchvision.datasets"},
        "arguments": {"type": "object", "default": {}, "description": "further arguments of its constructor"},
        "partitions": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"enum": ["train", "validation", "test"]},
            "additionalProperties": {"type": "object"},
            "description": "constructor arguments per partition, in place of the usual ones",
        },
    }
    REQUIRED = ("class",)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        name = self.options["class"]
        known = [each for each in classes() if each not in REFUSED]
        if not known:
            yield Problem("class", "torchvision is not installed; install the core environment")
        elif name in REFUSED:
            yield Problem("class", f"{name} {REFUSED[name]}")
        elif name not in known:
            yield Problem("class", f"torchvision.datasets has no {name!r}; {advice.suggest(name, known)}")
        else:
            if name in _PACKAGES and importlib.util.find_spec(_PACKAGES[name]) is None:
                yield Problem("class", f"{name} needs the package {_PACKAGES[name]}, which is not installed")
            yield from self._argument_problems()

    def _argument_problems(self) -> Iterator[Problem]:
        name = self.options["class"]
        taken = {argument: needed for argument, needed in classes()[name].items() if argument not in _OURS}
        given = {"arguments": self.options.get("arguments", {})}
        given |= {f"partitions.{each}": named for each, named in self.options.get("partitions", {}).items()}
        for key, named in given.items():
            for argument in named:
                if argument not in taken:
                    hint = advice.suggest(argument, list(taken))
                    yield Problem(f"{key}.{argument}", f"{name} takes no such argument here; {hint}")
        for argument, needed in taken.items():
            if needed and not all(argument in chosen for _, chosen in self._partitions()):
                yield Problem(
                    "arguments", f"{name} must be told its {argument!r}; see its page in torchvision's manual"
                )

    def is_remote(self) -> bool:
        return True

    def download(self, folder: Path, fetcher: Any) -> None:
        with fetching_through(fetcher) as failures:
            for _, chosen in self._partitions():
                try:
                    self._construct(folder, chosen, download=True)
                except Exception as error:
                    if failures:
                        raise UserError("\n".join(map(str, failures))) from error
                    raise

    def load(self, folder: Path | None) -> Examples:
        parts = [(partition, self._construct(folder, chosen)) for partition, chosen in self._partitions()]
        labels = np.array(
            [label for partition, part in parts for label in self._labels(partition, part)], dtype=np.int64
        )
        # Classes that no image belongs to (EMNIST's "N/A") could be neither learnt nor measured.
        present, labels = np.unique(labels, return_inverse=True)
        names = _class_names(parts[0][1], int(present.max()) + 1)
        ends = np.cumsum([len(part) for _, part in parts])

        def read(index: int) -> np.ndarray:
            which = int(np.searchsorted(ends, index, side="right"))
            part = parts[which][1]
            within = index - (ends[which] - len(part))
            with self._naming(parts[which][0], within):
                return image_files.to_array(part[within][0])

        return Examples(
            labels=labels.astype(np.int64),
            class_names=[names[label] for label in present],
            partition=np.repeat(np.array([name for name, _ in parts], dtype="<U10"), [len(part) for _, part in parts]),
            read=read,
        )

    def _partitions(self) -> list[tuple[str, dict[str, Any]]]:
        """Partitions and the constructor arguments that choose them."""
        name, given = self.options["class"], self.options.get("arguments", {})
        chosen = self.options.get("partitions") or PARTITIONS.get(name)
        if chosen is None:
            taken = set(classes()[name]) - set(given)
            if "train" in taken:
                chosen = {"train": {"train": True}, "test": {"train": False}}
            elif "split" in taken:
                chosen = {"train": {"split": "train"}, "test": {"split": "test"}}
            else:
                chosen = {"": {}}
        return [(partition, given | which) for partition, which in chosen.items()]

    def _construct(self, folder: Path, chosen: dict[str, Any], download: bool = False) -> Any:
        name = self.options["class"]
        module = importlib.import_module("torchvision.datasets")
        try:
            # What torchvision prints would mix with this program's own output.
            with _safely(), contextlib.redirect_stdout(sys.stderr):
                return getattr(module, name)(root=str(folder), download=download, **chosen)
        except UserError:
            raise
        except (ImportError, RuntimeError, ValueError, TypeError, OSError, pickle.UnpicklingError) as error:
            remedy = "" if download else f"; if its files are gone or damaged, {RERUN_DOWNLOAD}"
            raise UserError(f"torchvision cannot make {name} with {chosen}: {error}{remedy}") from error

    def _labels(self, partition: str, part: Any) -> Iterator[int]:
        """Targets as the data set's own indexing gives them; images are opened for it, but not decoded."""
        with _undecoded():
            for index in range(len(part)):
                with self._naming(partition, index):
                    target = part[index][1]
                try:
                    yield operator.index(target)
                except TypeError as error:
                    raise UserError(
                        f"torchvision's {self.options['class']} gives no one class per image with these arguments, but "
                        f"{target!r}"
                    ) from error

    @contextlib.contextmanager
    def _naming(self, partition: str, index: int) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(
                f"{self.options['class']}: image {index} of {partition or 'all'} does not decode ({error}); "
                f"{RERUN_DOWNLOAD}"
            ) from error


def _class_names(part: Any, count: int) -> list[str]:
    for attribute in _CLASS_NAMES:
        names = getattr(part, attribute, ())
        if len(names) == count:
            return [name if isinstance(name, str) else name[0] for name in names]
    return [str(label) for label in range(count)]


@contextlib.contextmanager
def fetching_through(fetcher: Any) -> Iterator[list[UserError]]:
    """Inside the block torchvision.datasets downloads through the Fetcher; yields the list of its failures."""
    importlib.import_module("torchvision.datasets")
    failures: list[UserError] = []

    def fetch(url: str, root: Any, filename: Any, md5: str | None) -> None:
        try:
            fetcher.fetch(url, Path(root).expanduser() / filename, f"md5:{md5}" if md5 else None, str(filename))
        except UserError as error:
            failures.append(error)
            # Some data sets go on to another address, and they know a failure by this class.
            raise URLError(str(error)) from error

    def download_url(url, root, filename=None, md5=None, max_redirect_hops=3):
        drive = re.search(r"(?:drive|docs)\.google\.com/(?:file/d/|.*[?&]id=)([\w-]+)", url)
        fetch(_drive(drive[1]) if drive else url, root, filename or url.rpartition("/")[2], md5)

    def download_file_from_google_drive(file_id, root, filename=None, md5=None):
        fetch(_drive(file_id), root, filename or file_id, md5)

    with contextlib.ExitStack() as stack:
        for replacement in (download_url, download_file_from_google_drive):
            for module in _modules():
                if hasattr(module, replacement.__name__):
                    _replaced(stack, module, replacement.__name__, replacement)
        yield failures


@contextlib.contextmanager
def _safely() -> Iterator[None]:
    """Inside the block torchvision.datasets unpickles plain arrays only, and lists folders in a fixed order."""
    listed, globbed = os.listdir, pathlib.Path.rglob
    with contextlib.ExitStack() as stack:
        for module in _modules():
            if getattr(module, "pickle", None) is pickle:
                _replaced(stack, module, "pickle", SimpleNamespace(load=_load_plain))
        # Several data sets number their examples as the file system happens to list them.
        _replaced(stack, os, "listdir", lambda *given: sorted(listed(*given)))
        _replaced(stack, pathlib.Path, "rglob", lambda self, pattern: iter(sorted(globbed(self, pattern))))
        yield


@contextlib.contextmanager
def _undecoded() -> Iterator[None]:
    """Inside the block images are opened and closed, not decoded."""
    from PIL import Image

    def convert(image, *_, **__):
        image.close()
        return image

    with contextlib.ExitStack() as stack:
        _replaced(stack, Image.Image, "convert", convert)
        yield


class _PlainUnpickler(pickle.Unpickler):
    """Knows NumPy arrays and nothing else: a pickle could otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("._core", ".core"), name) == ("numpy.core.multiarray", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return str.encode
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no plain array")


def _load_plain(file: Any, encoding: str = "ASCII") -> Any:
    return _PlainUnpickler(file, encoding=encoding).load()


def _drive(file_id: str) -> str:
    return f"https://drive.usercontent.google.com/download?id={file_id}&export=download&confirm=t"


def _modules() -> list[Any]:
    return [module for name, module in list(sys.modules.items()) if name.split(".")[:2] == ["torchvision", "datasets"]]


def _replaced(stack: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)
