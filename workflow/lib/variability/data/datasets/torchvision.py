"""Image classification data sets of ``torchvision.datasets``, by the name of the class."""

import contextlib
import importlib
import importlib.util
import operator
import os
import pathlib
import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from variability import advice
from variability.advice import RERUN_DOWNLOAD
from variability.data.datasets import Dataset, Examples
from variability.data.datasets._torchvision_downloads import fetching_through, modules, replaced
from variability.data.datasets._torchvision_facts import classes
from variability.errors import Problem, UserError
from variability.io import image_files, limits

_VAL = {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}
_VAL_AS_TEST = {"train": {"split": "train"}, "test": {"split": "val"}}
#: Constructor arguments per partition, if they are not ``train=True/False`` or ``split="train"/"test"``.
PARTITIONS = {
    **dict.fromkeys(("DTD", "FGVCAircraft", "Flowers102", "PCAM", "RenderedSST2"), _VAL),
    "Country211": _VAL | {"validation": {"split": "valid"}},
    "OxfordIIITPet": {"train": {"split": "trainval"}, "test": {"split": "test"}},
    # They ship no test labels; published results are those on their validation partition.
    **dict.fromkeys(("CLEVRClassification", "Imagenette"), _VAL_AS_TEST),
    "Places365": _VAL_AS_TEST | {"train": {"split": "train-standard"}},
}
_FOLDER = "get its files yourself and use `dataset: image_folder`"
#: Classes of torchvision.datasets that are not supported, and why.
REFUSED = {
    **dict.fromkeys(("CocoDetection", "VOCDetection", "WIDERFace", "Kitti"), "is for object detection"),
    **dict.fromkeys(("VOCSegmentation", "SBDataset", "Cityscapes"), "is for segmentation"),
    **dict.fromkeys(("CocoCaptions", "SBU", "Flickr8k", "Flickr30k"), "is for image captions"),
    **dict.fromkeys(("KittiFlow", "Sintel", "FlyingChairs", "FlyingThings3D", "HD1K"), "is for optical flow"),
    **dict.fromkeys(
        ("Kitti2012Stereo", "Kitti2015Stereo", "CarlaStereo", "Middlebury2014Stereo", "CREStereo", "InStereo2k",
         "FallingThingsStereo", "SceneFlowStereo", "SintelStereo", "ETH3DStereo"), "is for stereo matching",
    ),
    **dict.fromkeys(("Kinetics", "HMDB51", "UCF101", "MovingMNIST"), "contains videos"),
    **dict.fromkeys(("PhotoTour", "LFWPairs"), "is for comparing pairs of images"),
    **dict.fromkeys(("ImageFolder", "DatasetFolder", "VisionDataset"), "is not a specific data set; use image_folder"),
    **dict.fromkeys(("ImageNet", "FER2013", "LSUN", "LSUNClass", "StanfordCars", "LFWPeople"),
                    f"is not downloaded by torchvision; {_FOLDER}"),
    "CelebA": f"labels each image with forty attributes, not with one class; {_FOLDER}",
    "FakeData": "contains random noise",
}  # fmt: skip
#: Packages outside of the core environment that some classes need.
_PACKAGES = {"PCAM": "h5py"}
#: Constructor arguments that this module sets, or that make no sense here.
_OURS = ("root", "download", "transform", "target_transform", "transforms", "loader")
#: Attributes that hold the class names in some class of torchvision.
_CLASS_NAMES = ("classes", "bin_classes", "categories", "all_categories", "_characters")


class Torchvision(Dataset):
    """``class: FashionMNIST``; torchvision has the addresses and checksums of its files.

    ``arguments``: arguments of its constructor (``split: letters`` for EMNIST). ``partitions``: constructor arguments
    per partition, in place of those that torchvision documents.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "class": {"type": "string", "description": "a class of torchvision.datasets"},
        "arguments": {"type": "object", "default": {}, "description": "further arguments of its constructor"},
        "partitions": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"enum": ["train", "validation", "test"]},
            "additionalProperties": {"type": "object"},
            "description": "constructor arguments per partition, in place of the default ones",
        },
        **limits.OPTION,
    }
    REQUIRED = ("class",)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        name = self.options["class"]
        known = [supported for supported in classes() if supported not in REFUSED]
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
        parameters = {parameter: needed for parameter, needed in classes()[name].items() if parameter not in _OURS}
        option_arguments = {"arguments": self.options.get("arguments", {})}
        for partition, arguments in self.options.get("partitions", {}).items():
            option_arguments[f"partitions.{partition}"] = arguments
        for key, arguments in option_arguments.items():
            for argument in arguments:
                if argument not in parameters:
                    hint = advice.suggest(argument, list(parameters))
                    yield Problem(f"{key}.{argument}", f"{name} takes no such argument here; {hint}")
        for parameter, needed in parameters.items():
            if needed and not all(parameter in arguments for _, arguments in self._partitions()):
                yield Problem(
                    "arguments", f"{name} needs the argument {parameter!r}; see its page in torchvision's manual"
                )

    def is_remote(self) -> bool:
        return True

    def download(self, folder: Path, fetcher: Any) -> None:
        with fetching_through(fetcher, limits.Limits.of(self.options)) as failures:
            for _, arguments in self._partitions():
                try:
                    self._construct(folder, arguments, download=True)
                except Exception as error:
                    if failures:
                        raise UserError("\n".join(map(str, failures))) from error
                    raise

    def load(self, folder: Path | None) -> Examples:
        parts = [(partition, self._construct(folder, arguments)) for partition, arguments in self._partitions()]
        labels = np.array(
            [label for partition, part in parts for label in self._labels(partition, part)], dtype=np.int64
        )
        # Classes without images (EMNIST's "N/A") can be neither learnt nor measured.
        present, labels = np.unique(labels, return_inverse=True)
        names = _class_names(parts[0][1], int(present.max()) + 1)
        ends = np.cumsum([len(part) for _, part in parts])

        def read(index: int) -> np.ndarray:
            partition, part = parts[part_index := int(np.searchsorted(ends, index, side="right"))]
            index_in_part = index - (ends[part_index] - len(part))
            with self._naming(partition, index_in_part):
                return image_files.to_array(part[index_in_part][0])

        return Examples(
            labels=labels.astype(np.int64),
            class_names=[names[label] for label in present],
            partition=np.repeat(np.array([name for name, _ in parts], dtype="<U10"), [len(part) for _, part in parts]),
            read=read,
        )

    def _partitions(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the partitions with the constructor arguments that select them."""
        name, arguments = self.options["class"], self.options.get("arguments", {})
        partitions = self.options.get("partitions") or PARTITIONS.get(name)
        if partitions is None:
            free = set(classes()[name]) - set(arguments)
            if "train" in free:
                partitions = {"train": {"train": True}, "test": {"train": False}}
            elif "split" in free:
                partitions = {"train": {"split": "train"}, "test": {"split": "test"}}
            else:
                partitions = {"": {}}
        return [(partition, arguments | selecting) for partition, selecting in partitions.items()]

    def _construct(self, folder: Path | None, arguments: dict[str, Any], download: bool = False) -> Any:
        name = self.options["class"]
        module = importlib.import_module("torchvision.datasets")
        try:
            # Otherwise the lines that torchvision prints would be mixed with the output of this program.
            with _safely(), contextlib.redirect_stdout(sys.stderr):
                return getattr(module, name)(root=str(folder), download=download, **arguments)
        except UserError:
            raise
        except (ImportError, RuntimeError, ValueError, TypeError, OSError, pickle.UnpicklingError) as error:
            remedy = "" if download else f"; if its files are missing or damaged, {RERUN_DOWNLOAD}"
            raise UserError(f"torchvision cannot make {name} with {arguments}: {error}{remedy}") from error

    def _labels(self, partition: str, part: Any) -> Iterator[int]:
        """Yield the labels, by indexing the data set, which opens the images; they are not decoded."""
        with _undecoded():
            for index in range(len(part)):
                with self._naming(partition, index):
                    target = part[index][1]
                try:
                    yield operator.index(target)
                except TypeError as error:
                    raise UserError(
                        f"torchvision's {self.options['class']} has not one class per image with these arguments, but "
                        f"{target!r}"
                    ) from error

    @contextlib.contextmanager
    def _naming(self, partition: str, index: int) -> Iterator[None]:
        """Convert errors of decoding inside the block to UserErrors that name the image."""
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
def _safely() -> Iterator[None]:
    """Make torchvision.datasets unpickle only plain arrays and list folders in a fixed order inside the block."""
    listed, globbed = os.listdir, pathlib.Path.rglob
    with contextlib.ExitStack() as stack:
        for module in modules():
            if getattr(module, "pickle", None) is pickle:
                replaced(stack, module, "pickle", SimpleNamespace(load=_load_plain))
        # Several data sets number their examples in the order in which the file system lists them.
        replaced(stack, os, "listdir", lambda *arguments: sorted(listed(*arguments)))
        replaced(stack, pathlib.Path, "rglob", lambda self, pattern: iter(sorted(globbed(self, pattern))))
        yield


@contextlib.contextmanager
def _undecoded() -> Iterator[None]:
    """Make Pillow close images inside the block instead of decoding them."""
    from PIL import Image

    def convert(image, *_, **__):
        image.close()
        return image

    with contextlib.ExitStack() as stack:
        replaced(stack, Image.Image, "convert", convert)
        yield


class _PlainUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays and nothing else, because a pickle could otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("._core", ".core"), name) == ("numpy.core.multiarray", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return str.encode
        raise pickle.UnpicklingError(f"it contains {module}.{name}, which is not a plain array")


def _load_plain(file: Any, encoding: str = "ASCII") -> Any:
    return _PlainUnpickler(file, encoding=encoding).load()
