"""Assumptions about torchvision's data sets, and the replacement of their downloads and their pickle."""

import gzip
import importlib
import inspect
import io
import pickle
import sys

import numpy as np
import pytest
from archive_files import make_tar
from PIL import Image

from variability.data.datasets._torchvision_downloads import fetching_through
from variability.data.datasets._torchvision_facts import classes
from variability.data.datasets.torchvision import REFUSED, Torchvision, _load_plain
from variability.errors import UserError

ACCEPTED = [name for name in classes() if name not in REFUSED]


def problems(**options):
    return [str(problem) for problem in Torchvision(options).check(())]


class Recorder:
    """A fetcher that records requests and fails."""

    def __init__(self):
        self.requests = []

    def fetch(self, url, target, checksum=None, filename=None):
        self.requests.append((url, target, checksum, filename))
        raise UserError(f"could not fetch {url}")


def options_of(name):
    return {"class": name} | ({"arguments": {"split": "letters"}} if name == "EMNIST" else {})


def test_facts_about_torchvisions_classes_are_those_of_the_imported_library():
    datasets = importlib.import_module("torchvision.datasets")
    assert set(classes()) == {name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name, None))}
    assert set(REFUSED) <= set(classes())
    for name in ACCEPTED:
        signature = inspect.signature(getattr(datasets, name)).parameters
        names = {key for key, parameter in signature.items() if parameter.kind is not parameter.VAR_KEYWORD}
        assert names <= set(classes()[name]), name


def test_the_functions_replaced_in_torchvision_exist_and_are_restored():
    utils = importlib.import_module("torchvision.datasets.utils")
    modules = [module for name, module in sys.modules.items() if name.startswith("torchvision.datasets")]
    names = ("download_url", "download_file_from_google_drive", "extract_archive", "_decompress")
    original = {name: getattr(utils, name) for name in names}
    assert list(inspect.signature(original["download_url"]).parameters)[:4] == ["url", "root", "filename", "md5"]
    drive = list(inspect.signature(original["download_file_from_google_drive"]).parameters)
    assert drive[:4] == ["file_id", "root", "filename", "md5"]
    for name in ("extract_archive", "_decompress"):
        assert list(inspect.signature(original[name]).parameters) == ["from_path", "to_path", "remove_finished"]
    with fetching_through(Recorder()):
        for name, function in original.items():
            assert not [module.__name__ for module in modules if getattr(module, name, None) is function]
    assert all(getattr(utils, name) is function for name, function in original.items())


@pytest.mark.parametrize("name", ACCEPTED)
def test_every_accepted_data_set_downloads_through_the_fetcher(name, tmp_path, no_network):
    recorder = Recorder()
    if name == "PCAM" and importlib.util.find_spec("h5py") is None:
        assert "needs the package h5py" in problems(**options_of(name))[0]
        return
    assert problems(**options_of(name)) == []
    with pytest.raises(UserError, match=r"could not fetch https?://"):
        Torchvision(options_of(name)).download(tmp_path, recorder)
    assert all(target.is_relative_to(tmp_path) for _, target, _, _ in recorder.requests)


@pytest.mark.parametrize("name", [name for name in ACCEPTED if "split" in classes()[name] and name != "EMNIST"])
def test_no_validation_partition_of_torchvision_is_overlooked(name, tmp_path, no_network):
    known = [arguments.get("split") for _, arguments in Torchvision({"class": name})._partitions()]
    for split in {"train", "trainval", "val", "valid", "test"} - set(known):
        if (name, split) in {("FGVCAircraft", "trainval"), ("CLEVRClassification", "test"), ("Places365", "test")}:
            continue
        with pytest.raises(UserError, match=r"cannot make|h5py"):
            Torchvision({"class": name, "partitions": {"train": {"split": split}}}).download(tmp_path, Recorder())


def test_a_data_set_with_two_addresses_reports_both(tmp_path, no_network):
    with pytest.raises(UserError) as raised:
        Torchvision({"class": "MNIST"}).download(tmp_path, Recorder())
    assert len(str(raised.value).splitlines()) == 2


def test_unsupported_classes_of_torchvision_are_refused_with_a_reason():
    assert "did you mean 'FashionMNIST'?" in problems(**{"class": "FasionMNIST"})[0]
    assert "is for object detection" in problems(**{"class": "CocoDetection"})[0]
    assert "image_folder" in problems(**{"class": "ImageNet"})[0]
    assert "needs the argument 'split'" in problems(**{"class": "EMNIST"})[0]
    wrong = problems(**{"class": "DTD"}, arguments={"partion": 2})
    assert "arguments.partion" in wrong[0] and "'partition'" in wrong[0]
    assert problems(**{"class": "MNIST"}, arguments={"root": "other"})


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.tobytes())


def test_a_class_without_examples_is_removed(tmp_path):
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "test"):
        # EMNIST numbers its letters from 1; its class 0 is called N/A.
        write_idx(raw / f"emnist-letters-{part}-images-idx3-ubyte", np.full((26, 28, 28), 9, dtype=np.uint8))
        write_idx(raw / f"emnist-letters-{part}-labels-idx1-ubyte", np.arange(1, 27, dtype=np.uint8))
    examples = Torchvision(options_of("EMNIST")).load(tmp_path)
    assert examples.class_names == list("abcdefghijklmnopqrstuvwxyz")
    assert examples.labels.tolist() == [*range(26), *range(26)]
    assert examples.partition.tolist() == ["train"] * 26 + ["test"] * 26
    assert examples.read(51).shape == (28, 28)


def test_labels_are_read_without_decoding_and_a_broken_file_is_reported(tmp_path):
    for label, name in enumerate(("Forest", "River")):
        (tmp_path / "eurosat" / "2750" / name).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((256, 256, 3), 100 * label + number, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "eurosat" / "2750" / name / f"{number}.jpg")
    broken = tmp_path / "eurosat" / "2750" / "River" / "1.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-200])
    examples = Torchvision({"class": "EuroSAT"}).load(tmp_path)
    assert examples.labels.tolist() == [0, 0, 1, 1]
    assert examples.class_names == ["Forest", "River"]
    assert set(examples.partition) == {""}
    assert examples.read(2).mean() == pytest.approx(100, abs=2)
    with pytest.raises(UserError, match="EuroSAT: image 3 of all does not decode"):
        examples.read(3)
    broken.write_bytes(whole[:100])
    with pytest.raises(UserError, match="image 3 of all does not decode"):
        Torchvision({"class": "EuroSAT"}).load(tmp_path)


def test_only_arrays_are_unpickled():
    entry = {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), "labels": [1, 2, 3]}
    loaded = _load_plain(io.BytesIO(pickle.dumps(entry, protocol=2)), encoding="latin1")
    assert (loaded["data"] == entry["data"]).all() and loaded["labels"] == [1, 2, 3]

    class Evil:
        def __reduce__(self):
            return print, ("this must not be printed",)

    with pytest.raises(pickle.UnpicklingError, match=r"builtin.*\.print"):
        _load_plain(io.BytesIO(pickle.dumps(Evil(), protocol=2)))


# Archives -----------------------------------------------------------------------------------------------------------


class Copier:
    """A fetcher that writes a file, whatever was requested."""

    def __init__(self, make):
        self.make = make

    def fetch(self, url, target, checksum=None, filename=None):
        target.parent.mkdir(parents=True, exist_ok=True)
        self.make(target)


def aircraft(target, **others):
    """Write an archive like that of FGVCAircraft, with two images of two classes in each partition."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 9, 9)).save(picture, "JPEG")
    lists = {"variants.txt": b"A\nB\n"} | {
        f"images_variant_{split}.txt": f"{split}0 A\n{split}1 B\n".encode() for split in ("train", "val", "test")
    }
    images = {f"images/{split}{at}.jpg": picture.getvalue() for split in ("train", "val", "test") for at in (0, 1)}
    folder = "fgvc-aircraft-2013b/data"
    make_tar(target, {f"{folder}/{name}": content for name, content in (lists | images | others).items()}, "w:gz")


def test_archives_of_torchvision_are_unpacked_next_to_what_is_there(tmp_path):
    (tmp_path / "fgvc-aircraft-2013b/data").mkdir(parents=True)
    (tmp_path / "fgvc-aircraft-2013b/data/note.txt").write_text("kept")
    plugin = Torchvision({"class": "FGVCAircraft"})
    with fetching_through(Copier(aircraft)):
        from torchvision.datasets.utils import download_and_extract_archive

        download_and_extract_archive("https://example.org/a.tar.gz", str(tmp_path))
    assert plugin.load(tmp_path).class_names == ["A", "B"]
    assert (tmp_path / "fgvc-aircraft-2013b/data/note.txt").read_text() == "kept"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("FGVCAircraft", lambda path: aircraft(path, zeros=bytes(130 * 10**6)), "expands to 1.* times its size"),
        ("FGVCAircraft", lambda path: aircraft(path, **{"../../../out": b"x"}), "leads outside the folder"),
        ("FGVCAircraft", lambda path: path.write_bytes(b"<html>"), "is not a zip or tar archive"),
        ("MNIST", lambda path: path.write_bytes(gzip.compress(bytes(130 * 10**6), 1)), "expands to 1.* times its size"),
        ("MNIST", lambda path: path.write_bytes(gzip.compress(b"x" * 999)[:-9]), "damaged or cut off"),
    ],
    ids=["ratio", "outside", "page", "compressed", "cut"],
)
def test_archives_of_torchvision_have_our_limits(name, make, message, tmp_path):
    with pytest.raises(UserError, match=message):
        Torchvision({"class": name}).download(tmp_path / "data", Copier(make))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert all(path.stat().st_size < 10**6 for path in tmp_path.rglob("*") if path.is_file())


def test_limits_of_torchvisions_archives_can_be_raised(tmp_path):
    options = {"class": "FGVCAircraft", "limits": {"ratio": 2000}}
    Torchvision(options).download(tmp_path, Copier(lambda path: aircraft(path, zeros=bytes(101 * 10**6))))
    assert (tmp_path / "fgvc-aircraft-2013b/data/zeros").stat().st_size == 101 * 10**6
