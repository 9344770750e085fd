"""What every data set plug-in promises, and what this project relies on in torchvision."""

import importlib
import inspect
import io
import pickle
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from variability import registry
from variability.datasets import PARTITIONS
from variability.datasets.torchvision import REFUSED, Torchvision, _load_plain, arguments, classes, fetching_through
from variability.errors import UserError
from variability.fetching import Fetcher
from variability.files import sha256
from variability.stages.download import download
from variability.stages.prepare import prepare
from variability.tasks import PreparedTask

LIBRARY = Path(registry.__file__).parents[1]
SMALL = {"digits": {}, "glyphs": {"letters": "abAB", "per_font": 2, "test_fonts": ["mono"], "size": 16}}
ACCEPTED = [name for name in classes() if name not in REFUSED]


def plugin(name, **options):
    return registry.find("datasets", name)(options)


def problems(name, mirrors=(), **options):
    return [str(problem) for problem in plugin(name, **options).check(mirrors)]


@pytest.fixture
def arrays(tmp_path):
    generator = np.random.default_rng(0)
    made = {
        f"{name}_{what}": value
        for name, count in (("train", 12), ("val", 4), ("test", 6))
        for what, value in (
            ("images", generator.integers(0, 256, (count, 9, 7), dtype=np.uint8)),
            ("labels", (np.arange(count) % 2)[:, None]),
        )
    }
    np.savez(tmp_path / "small.npz", **made)
    return tmp_path / "small.npz"


@pytest.fixture
def photos(tmp_path):
    for partition in ("train", "val", "test"):
        for label, name in enumerate(("left", "right")):
            (tmp_path / "photos" / partition / name).mkdir(parents=True)
            for number in range(2):
                pixels = np.full((6, 5 + number, 3), 10 * label, dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / partition / name / f"{number}.png")
    return tmp_path / "photos"


# Every plug-in ------------------------------------------------------------------------------------------------------


def test_no_data_set_imports_a_framework_before_it_is_loaded():
    code = (
        "import sys; from variability import registry\n"
        "found = [registry.find('datasets', name) for name in registry.names('datasets')]\n"
        "list(registry.find('datasets', 'torchvision')({'class': 'EMNIST'}).check())\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=LIBRARY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_options_are_a_schema_that_accepts_its_own_defaults(name):
    found = registry.find("datasets", name)
    Draft202012Validator.check_schema({"type": "object", "properties": found.OPTIONS, "required": list(found.REQUIRED)})
    assert set(found.REQUIRED) <= set(found.OPTIONS)
    assert "mirrors" not in found.OPTIONS
    assert found.KINDS and set(found.KINDS) <= {"classification", "regression"}
    for option, schema in found.OPTIONS.items():
        if "default" in schema:
            Draft202012Validator(schema).validate(schema["default"]), option


def offline(name, arrays, photos):
    options = {"npz": {"path": str(arrays)}, "image_folder": {"path": str(photos)}} | SMALL
    return plugin(name, **options[name])


@pytest.mark.parametrize("name", [name for name in registry.names("datasets") if name != "torchvision"])
def test_examples_have_the_shapes_they_promise(name, arrays, photos):
    dataset = offline(name, arrays, photos)
    assert list(dataset.check()) == []
    assert not dataset.is_remote()
    examples = dataset.load(None)
    assert examples.labels.dtype == np.int64
    assert examples.labels.shape == examples.partition.shape == (len(examples),)
    assert set(np.unique(examples.labels)) == set(range(len(examples.class_names)))
    assert all(isinstance(each, str) for each in examples.class_names)
    shipped, counts = np.unique(examples.partition, return_counts=True)
    assert set(shipped) <= {"", *PARTITIONS}
    if dataset.size() is not None:
        assert dataset.size() == dict(zip(shipped.tolist(), counts.tolist(), strict=True))
    for index in (0, len(examples) - 1):
        image = examples.read(index)
        assert image.dtype == np.uint8
        assert image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
        assert (examples.read(index) == image).all()


# digits and glyphs --------------------------------------------------------------------------------------------------


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    shipped, examples = load_digits(), plugin("digits").load(None)
    assert (examples.labels == shipped.target).all()
    read = np.stack([examples.read(index) for index in range(len(examples))])
    assert (read == np.round(shipped.images * 255 / 16)).all()


def test_glyphs_are_drawn_the_same_each_time_and_by_their_seed():
    one, again, other = (
        plugin("glyphs", letters="aB", per_font=2, **more).load(None) for more in ({}, {}, {"seed": 1})
    )
    stacked = [np.stack([each.read(index) for index in range(len(each))]) for each in (one, again, other)]
    assert (stacked[0] == stacked[1]).all()
    assert (stacked[0] != stacked[2]).any()


def test_a_glyph_does_not_depend_on_which_others_are_drawn():
    few = plugin("glyphs", letters="k", fonts=["cmr10"], per_font=1, target="family").load(None)
    many = plugin("glyphs", letters="abk", fonts=["sans", "cmr10"], per_font=3, target="family").load(None)
    place = len(many) - 3
    assert (few.read(0) == many.read(place)).all()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"target": "letter"}, ["a", "b"]),
        ({"target": "letter", "case_sensitive": True}, ["A", "a", "b"]),
        ({"target": "case"}, ["lower", "upper"]),
        ({"target": "family"}, ["sans", "serif", "mono"]),
    ],
)
def test_glyphs_are_labelled_by_the_target_asked_for(options, names):
    assert plugin("glyphs", letters="abA", per_font=1, **options).load(None).class_names == names


def test_every_font_draws_every_letter_differently():
    still = dict.fromkeys(("rotation", "scale", "translation", "shear"), 0)
    examples = plugin("glyphs", per_font=1, jitter=still, size=48).load(None)
    drawn = np.stack([examples.read(index) for index in range(len(examples))]).reshape(20, 52, 48, 48)
    assert drawn.max(axis=(2, 3)).min() > 120
    for font in drawn:
        assert len({image.tobytes() for image in font}) == 52
    # Letters missing from a font would all be drawn as the same box.
    assert drawn[:, :, 0].max() == drawn[:, :, -1].max() == 0, "a letter touches the edge"


def test_test_fonts_are_unseen_in_training():
    dataset = plugin("glyphs", letters="ab", per_font=1, test_fonts=["mono", "cmr10"], target="letter")
    assert dataset.size() == {"train": 28, "test": 12}
    assert list(dataset.load(None).partition) == ["train"] * 28 + ["test"] * 12


def test_glyph_options_that_make_no_task_are_refused():
    assert "none is left to train on" in problems("glyphs", test_fonts=["sans", "serif", "mono"])[0]
    assert "'mono' is left to train on" in problems("glyphs", target="family", test_fonts=["mono"])[0]
    assert "every image would be of class 'a'" in problems("glyphs", letters="aA")[0]


# npz ----------------------------------------------------------------------------------------------------------------


def test_arrays_keep_their_partitions_labels_and_names(arrays):
    examples = plugin("npz", path=str(arrays), class_names=["ill", "well"]).load(None)
    assert list(examples.partition) == ["train"] * 12 + ["validation"] * 4 + ["test"] * 6
    assert examples.class_names == ["ill", "well"]
    assert (examples.read(12) == np.load(arrays)["val_images"][0]).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train_labels": np.zeros((12, 3), int)}, "several labels per image"),
        ({"train_labels": np.zeros(5, int)}, "each of the 12 images"),
        ({"train_images": np.zeros((12, 4, 4, 4), np.uint8)}, r"\(12, 4, 4, 4\)"),
        ({"train_images": np.zeros((12, 4, 4))}, "float64"),
        ({"train_images": np.array([object()] * 12)}, "plain arrays"),
        ({"train_labels": np.full(12, 7)}, "labels from 0 to 7"),
    ],
)
def test_arrays_of_another_layout_are_refused(arrays, changed, said):
    np.savez(arrays, **(dict(np.load(arrays)) | changed))
    with pytest.raises(UserError, match=said) as raised:
        plugin("npz", path=str(arrays), class_names=["ill", "well"]).load(None)
    assert str(arrays) in str(raised.value)


def test_the_checksum_tells_files_of_one_name_apart_and_without_it_they_are_refused(arrays, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "mirror" / folder).mkdir(parents=True)
    (tmp_path / "mirror" / "a" / "small.npz").write_bytes(b"another")
    arrays.rename(tmp_path / "mirror" / "b" / "small.npz")
    fetcher, wanted = Fetcher([tmp_path / "mirror"]), tmp_path / "mirror" / "b" / "small.npz"
    plugin("npz", path="small.npz", sha256=sha256(wanted)).download(tmp_path / "got", fetcher)
    assert sha256(tmp_path / "got" / "data.npz") == sha256(wanted)
    for name in ("npz", "image_folder"):
        with pytest.raises(UserError, match=r"different files named 'small\.npz'"):
            plugin(name, path="small.npz").download(tmp_path / "unsure", fetcher)


def test_a_damaged_npz_file_is_refused(arrays):
    arrays.write_bytes(arrays.read_bytes()[:-100])
    with pytest.raises(UserError, match="get it again"):
        plugin("npz", path=str(arrays)).load(None)
    arrays.rename(arrays.with_name("data.npz"))
    with pytest.raises(UserError, match=r"data\.npz .*`snakemake --forcerun download`"):
        plugin("npz", path="small.npz").load(arrays.parent)


@pytest.mark.parametrize("name", ["npz", "image_folder"])
def test_a_source_must_be_one_and_must_be_there(name, tmp_path):
    assert "either path" in problems(name)[0]
    assert "either path" in problems(name, path="x.zip", url="https://x.invalid/x.zip")[0]
    assert "not trusted unseen" in problems(name, url="https://x.invalid/x.zip")[0]
    missing = problems(name, [tmp_path], path="absent-of-this-name.zip")[0]
    assert "absent-of-this-name.zip" in missing and str(tmp_path) in missing
    (tmp_path / "absent-of-this-name.zip").write_bytes(b"")
    assert problems(name, [tmp_path], path="absent-of-this-name.zip") == []


# image_folder -------------------------------------------------------------------------------------------------------


def test_partition_folders_are_recognised_and_a_wrapping_folder_looked_through(photos):
    outer = photos.parent / "outer"
    outer.mkdir()
    photos.rename(outer / "photos")
    (outer / "photos" / ".cache").mkdir()
    (outer / "photos" / "train" / "left" / "notes.txt").write_text("not an image")
    examples = plugin("image_folder", path=str(outer)).load(None)
    assert examples.class_names == ["left", "right"]
    assert sorted(examples.partition) == ["test"] * 4 + ["train"] * 4 + ["validation"] * 4


def test_class_folders_without_partitions_are_left_to_be_split(photos):
    assert set(plugin("image_folder", path=str(photos / "train")).load(None).partition) == {""}


def test_a_folder_that_is_neither_or_both_is_refused(photos, tmp_path):
    (photos / "up").mkdir()
    with pytest.raises(UserError, match=r"'up'.*not both"):
        plugin("image_folder", path=str(photos)).load(None)
    (photos / "up").rename(photos / "train" / "up")
    with pytest.raises(UserError, match="up holds no images"):
        plugin("image_folder", path=str(photos)).load(None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no class folder"):
        plugin("image_folder", path=str(tmp_path / "empty")).load(None)


def test_a_path_that_is_neither_a_directory_nor_an_archive_is_refused(tmp_path):
    assert "neither a directory nor" in problems("image_folder", path=str(tmp_path / "typo"))[0]


# torchvision --------------------------------------------------------------------------------------------------------


class Recorder:
    """A fetcher that has nothing."""

    def __init__(self):
        self.asked = []

    def fetch(self, url, target, checksum=None, filename=None):
        self.asked.append((url, target, checksum, filename))
        raise UserError(f"could not fetch {url}")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("torchvision went to the network past the fetcher")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def options_of(name):
    return {"class": name} | ({"arguments": {"split": "letters"}} if name == "EMNIST" else {})


def test_the_source_says_of_torchvision_what_importing_it_does():
    datasets = importlib.import_module("torchvision.datasets")
    assert set(classes()) == {name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name, None))}
    assert set(REFUSED) <= set(classes())
    for name in ACCEPTED:
        signature = inspect.signature(getattr(datasets, name)).parameters
        named = {each for each, parameter in signature.items() if parameter.kind is not parameter.VAR_KEYWORD}
        assert named <= set(arguments(name)), name


def test_the_functions_replaced_in_torchvision_are_there_and_put_back():
    utils = importlib.import_module("torchvision.datasets.utils")
    modules = [module for name, module in sys.modules.items() if name.startswith("torchvision.datasets")]
    original = {name: getattr(utils, name) for name in ("download_url", "download_file_from_google_drive")}
    assert list(inspect.signature(original["download_url"]).parameters)[:4] == ["url", "root", "filename", "md5"]
    drive = list(inspect.signature(original["download_file_from_google_drive"]).parameters)
    assert drive[:4] == ["file_id", "root", "filename", "md5"]
    with fetching_through(Recorder()):
        for name, function in original.items():
            assert not [module.__name__ for module in modules if getattr(module, name, None) is function]
    assert all(getattr(utils, name) is function for name, function in original.items())


@pytest.mark.parametrize("name", ACCEPTED)
def test_every_accepted_data_set_downloads_through_the_fetcher(name, tmp_path, no_network):
    recorder = Recorder()
    if name == "PCAM" and importlib.util.find_spec("h5py") is None:
        assert "needs the package h5py" in problems("torchvision", **options_of(name))[0]
        return
    assert problems("torchvision", **options_of(name)) == []
    with pytest.raises(UserError, match=r"could not fetch https?://"):
        Torchvision(options_of(name)).download(tmp_path, recorder)
    assert all(target.is_relative_to(tmp_path) for _, target, _, _ in recorder.asked)


@pytest.mark.parametrize("name", [name for name in ACCEPTED if "split" in arguments(name) and name != "EMNIST"])
def test_no_validation_partition_of_torchvision_is_overlooked(name, tmp_path, no_network):
    chosen = [which.get("split") for _, which in Torchvision({"class": name})._partitions()]
    for split in {"train", "trainval", "val", "valid", "test"} - set(chosen):
        if (name, split) in {("FGVCAircraft", "trainval"), ("CLEVRClassification", "test"), ("Places365", "test")}:
            continue
        with pytest.raises(UserError, match=r"cannot make|h5py"):
            Torchvision({"class": name, "partitions": {"train": {"split": split}}}).download(tmp_path, Recorder())


def test_a_data_set_with_two_addresses_tells_of_both(tmp_path, no_network):
    with pytest.raises(UserError) as raised:
        Torchvision({"class": "MNIST"}).download(tmp_path, Recorder())
    assert len(str(raised.value).splitlines()) == 2


def test_classes_of_torchvision_that_do_not_fit_are_refused_with_a_reason():
    assert "did you mean 'FashionMNIST'?" in problems("torchvision", **{"class": "FasionMNIST"})[0]
    assert "is for object detection" in problems("torchvision", **{"class": "CocoDetection"})[0]
    assert "image_folder" in problems("torchvision", **{"class": "ImageNet"})[0]
    assert "must be told its 'split'" in problems("torchvision", **{"class": "EMNIST"})[0]
    wrong = problems("torchvision", **{"class": "DTD"}, arguments={"partion": 2})
    assert "arguments.partion" in wrong[0] and "'partition'" in wrong[0]
    assert problems("torchvision", **{"class": "MNIST"}, arguments={"root": "elsewhere"})


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.tobytes())


def test_a_class_without_examples_is_left_out(tmp_path):
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


def test_files_are_labelled_without_being_decoded_and_a_broken_one_is_told(tmp_path):
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


def test_arrays_are_unpickled_and_nothing_else_is():
    entry = {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), "labels": [1, 2, 3]}
    loaded = _load_plain(io.BytesIO(pickle.dumps(entry, protocol=2)), encoding="latin1")
    assert (loaded["data"] == entry["data"]).all() and loaded["labels"] == [1, 2, 3]

    class Evil:
        def __reduce__(self):
            return print, ("this must not be printed",)

    with pytest.raises(pickle.UnpicklingError, match=r"builtin.*\.print"):
        _load_plain(io.BytesIO(pickle.dumps(Evil(), protocol=2)))


# Real data ----------------------------------------------------------------------------------------------------------


def prepared(folder, mirror, dataset, options, size, color, **split):
    if registry.find("datasets", dataset)(options).is_remote():
        download(dataset, options, folder / "files", folder / "manifest.json", Fetcher([mirror], progress=False))
    task = {
        "name": dataset,
        "dataset": dataset,
        "options": options,
        "kind": "classification",
        "image": {"size": size, "color": color},
        "split": {"train": "all", "validation": 0, "test": "shipped", "seed": 0, "resample": False} | split,
    }
    prepare(task, folder / "files", folder / "task")
    return PreparedTask.open(folder / "task" / "task.json")


def ridge(task, alpha):
    from sklearn.linear_model import RidgeClassifier

    pixels = np.asarray(task.images).reshape(len(task.images), -1) / 255
    train, test = task.rows("train", 0), task.rows("test", 0)
    model = RidgeClassifier(alpha=alpha).fit(pixels[train], task.labels[train])
    return model.score(pixels[test], task.labels[test])


@pytest.mark.slow
def test_fashion_mnist_comes_from_the_mirror_as_published(mirror, tmp_path, no_network):
    task = prepared(tmp_path, mirror, "torchvision", {"class": "FashionMNIST"}, 28, "grey")
    assert task.counts == {"train": 60000, "validation": 0, "test": 10000}
    assert task.class_names[0] == "T-shirt/top"
    assert ridge(task, 1) == pytest.approx(0.8112, abs=1e-4)


@pytest.mark.slow
def test_pneumonia_mnist_comes_from_the_mirror_as_published(mirror, tmp_path):
    task = prepared(tmp_path, mirror, "npz", {"path": "pneumoniamnist.npz"}, 28, "grey", validation="shipped")
    assert task.counts == {"train": 4708, "validation": 524, "test": 624}
    assert ridge(task, 10) == pytest.approx(0.8462, abs=1e-4)


@pytest.mark.slow
def test_photos_of_odd_sizes_are_prepared_like_the_others(mirror, tmp_path):
    task = prepared(tmp_path, mirror, "image_folder", {"path": "sign-language-digits.zip"}, 32, "rgb", test=0.2)
    assert len(task.labels) == 2062
    assert task.class_names == [str(digit) for digit in range(10)]
    assert task.images.shape == (2062, 3, 32, 32)
