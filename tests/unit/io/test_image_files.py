"""Pixels depend on the format's bit depth, never on the brightest pixel of a file, and metadata never lose an image."""

import os
import random
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import variability
from variability.errors import UserError
from variability.io import image_files
from variability.io.image_files import RANGE_OPTION, fit, range_problems, read_file, to_array


def saved(tmp_path, values, name, **options):
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
def test_sixteen_bits_are_scaled_by_their_depth_whatever_the_brightest_pixel(tmp_path, suffix):
    values = np.array([[0, 128, 129, 257, 4095, 65535]], np.uint16).repeat(8, 0)
    assert read_file(saved(tmp_path, values, f"x.{suffix}"))[0].tolist() == [0, 0, 1, 1, 16, 255]
    dark = read_file(saved(tmp_path, values[:, :5], f"dark.{suffix}"))
    assert dark[0].tolist() == [0, 0, 1, 1, 16]


def test_a_brighter_image_stays_brighter(tmp_path):
    """Images whose brightest pixels are on both sides of 255, as in a file of each."""
    means = [
        read_file(saved(tmp_path, np.full((4, 4), value, np.uint16), "x.png")).mean() for value in (200, 250, 260, 600)
    ]
    assert means == sorted(means)


def test_big_endian_and_portable_greymaps_have_their_own_depth(tmp_path):
    (tmp_path / "x.pgm").write_bytes(b"P5 3 1 4095\n" + np.array([4095, 2048, 0], ">u2").tobytes())
    assert read_file(tmp_path / "x.pgm").tolist() == [[255, 128, 0]]
    image = Image.frombytes("I;16B", (2, 1), np.array([65535, 257], ">u2").tobytes())
    assert read_file(saved(tmp_path, image, "b.tif")).tolist() == [[255, 1]]


def test_zero_may_be_white(tmp_path):
    values = np.array([[0, 65535, 257]], np.uint16)
    assert read_file(saved(tmp_path, values, "x.tif", tiffinfo={262: 0})).tolist() == [[255, 0, 254]]


def test_a_tiff_of_twelve_bits_is_scaled_by_twelve_bits(tmp_path):
    """Two pixels of 12 bits, 4095 and 2048, are the three bytes ff f8 00."""
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 1),
            (279, 4, 3)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    (tmp_path / "x.tif").write_bytes(
        b"II*\0" + struct.pack("<I", 12) + b"\xff\xf8\x00\0" + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    )
    assert read_file(tmp_path / "x.tif").tolist() == [[255, 128]]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_values_of_unknown_range_are_refused_until_it_is_stated(tmp_path, dtype):
    path = saved(tmp_path, np.array([[-10, 0, 30, 200]], dtype), "x.tif")
    with pytest.raises(UserError, match=r"x\.tif does not decode.*range: \[black, white\]"):
        read_file(path)
    assert read_file(path, (-10, 90)).tolist() == [[0, 26, 102, 255]]


def test_pixels_that_are_no_numbers_are_refused(tmp_path):
    path = saved(tmp_path, np.array([[0, np.nan]], np.float32), "x.tif")
    with pytest.raises(UserError, match="not finite"):
        read_file(path, (0, 1))


def test_a_stated_range_applies_to_more_than_eight_bits_only(tmp_path):
    assert read_file(saved(tmp_path, np.array([[0, 2048, 4095]], np.uint16), "x.png"), (0, 4095)).tolist() == [
        [0, 128, 255]
    ]
    assert read_file(saved(tmp_path, np.array([[0, 200]], np.uint8), "y.png"), (0, 4095)).tolist() == [[0, 200]]
    assert [problem.key for problem in range_problems({"range": [5, 5]})] == ["range"]
    assert list(range_problems({"range": [0, 5]})) == [] and list(RANGE_OPTION) == ["range"]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, [255]),
        ("L", 7, [7]),
        ("LA", (7, 0), [7]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), [1, 2, 3]),
        ("CMYK", (255, 0, 0, 0), [0, 255, 255]),
    ],
)
def test_colours_and_transparency_of_each_mode(tmp_path, mode, colour, expected):
    suffix = "tif" if mode == "CMYK" else "png"
    array = read_file(saved(tmp_path, Image.new(mode, (2, 2), colour), f"x.{suffix}"))
    assert np.unique(array.reshape(4, -1), axis=0).tolist() == [expected]


def test_a_palette_with_transparency_keeps_its_colours(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    for name, options in (("x.png", {"transparency": 0}), ("y.png", {"transparency": bytes([0, 128])}), ("z.gif", {})):
        assert read_file(saved(tmp_path, image, name, **options)).tolist() == [[[10, 20, 30], [40, 50, 60]]]


# EXIF -----------------------------------------------------------------------------------------------------------------

_CORNER = np.zeros((16, 24), np.uint8)
_CORNER[:8, :8] = 255


def photo(tmp_path, entries, endian=">", tail=b"", cut=None):
    """Write a JPEG with the top left corner white, and an EXIF block of raw entries (tag, type, count, value bytes)."""
    block = b"Exif\0\0" + (b"MM\0*" if endian == ">" else b"II*\0") + struct.pack(endian + "I", 8)
    block += struct.pack(endian + "H", len(entries))
    for tag, kind, count, value in entries:
        block += struct.pack(endian + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    block += b"\0" * 4 + tail
    Image.fromarray(_CORNER).save(tmp_path / "photo.jpg", exif=block[:cut], quality=95)
    return tmp_path / "photo.jpg"


def white_corner(array):
    height, width = array.shape
    return {
        (row, column) for row in (0, 1) for column in (0, 1) if array[row * (height - 1), column * (width - 1)] > 200
    }


def short(value, endian=">"):
    return struct.pack(endian + "H", value)


@pytest.mark.parametrize(
    ("orientation", "shape", "corner"),
    [(1, (16, 24), (0, 0)), (2, (16, 24), (0, 1)), (3, (16, 24), (1, 1)), (4, (16, 24), (1, 0)),
     (5, (24, 16), (0, 0)), (6, (24, 16), (0, 1)), (7, (24, 16), (1, 1)), (8, (24, 16), (1, 0))],
)  # fmt: skip
def test_each_orientation_is_undone(tmp_path, orientation, shape, corner):
    array = read_file(photo(tmp_path, [(0x0112, 3, 1, short(orientation))]))
    assert array.shape == shape and white_corner(array) == {corner}


def test_an_orientation_is_honoured_next_to_tags_of_wrong_types(tmp_path):
    """Text where a number is expected, and a number where a rational is: such tags cannot be written again."""
    entries = [(0x010E, 4, 1, b"\0\0\0\1"), (0x0112, 3, 1, short(6)), (0x011A, 2, 3, b"ab\0"), (0x8769, 2, 2, b"x\0")]
    assert read_file(photo(tmp_path, entries)).shape == (24, 16)
    for entry in ((0x0112, 4, 1, struct.pack(">I", 6)), (0x0112, 1, 1, b"\6"), (0x0112, 2, 2, b"6\0")):
        entries[1] = entry
        assert read_file(photo(tmp_path, entries)).shape == (24, 16)
    assert read_file(photo(tmp_path, [(0x0112, 3, 1, short(6, "<"))], "<")).shape == (24, 16)


@pytest.mark.parametrize(
    "entry",
    [(0x0112, 3, 1, short(0)), (0x0112, 3, 1, short(9)), (0x0112, 2, 2, b"x\0"), (0x0112, 7, 4, b"\xff\xff\xff\xff"),
     (0x0112, 5, 1, struct.pack(">I", 26)), (0x0112, 12, 1, struct.pack(">I", 26)), (0x0112, 3, 0, b""),
     (0x0112, 99, 1, short(6))],
)  # fmt: skip
def test_an_orientation_that_means_nothing_is_ignored(tmp_path, entry):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_file(photo(tmp_path, [entry], tail=struct.pack(">II", 6, 0))).shape == (16, 24)


@pytest.mark.filterwarnings("ignore")
def test_no_exif_block_makes_an_image_unreadable(tmp_path):
    generator = random.Random(0)
    tags = (0x010E, 0x0112, 0x011A, 0x8769, 0x8825, 0x9003, 0xA005, 0x0201)
    for _ in range(300):
        entries = [
            (generator.choice(tags), generator.randrange(14), generator.choice((0, 1, 2, 7, 2**31, 2**32 - 1)),
             generator.randbytes(4))
            for _ in range(generator.randrange(6))
        ]  # fmt: skip
        path = photo(tmp_path, entries, generator.choice("<>"), generator.randbytes(40), generator.randrange(6, 120))
        assert read_file(path).shape in ((16, 24), (24, 16))


def test_damaged_metadata_cause_no_warning_of_the_library(tmp_path):
    path = photo(tmp_path, [(0x0112, 3, 2**31, b"\0\0\0\6")], cut=20)
    imports = "import sys; from pathlib import Path; from variability.io.image_files import read_file"
    code = f"{imports}; print(read_file(Path(sys.argv[1])).shape)"
    # In a process of its own, because pytest replaces the filters of warnings.
    environ = os.environ | {"PYTHONPATH": str(Path(variability.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code, path], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout and not done.stderr
    without = "import sys; from PIL import Image; Image.open(sys.argv[1]).getexif()"
    assert "UserWarning" in subprocess.run([sys.executable, "-c", without, path], capture_output=True, text=True).stderr


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_the_orientation_of_other_formats_is_undone(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(
        tmp_path,
        Image.fromarray(_CORNER).convert("RGB"),
        f"x.{suffix}",
        exif=exif,
        **({"lossless": True} if suffix == "webp" else {}),
    )
    assert white_corner(read_file(path)[..., 0]) == {(0, 1)}


# Files that are not images --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><p>Not found", "a web page"),
        (b"../../pool/3.jpg", "perhaps a link to '../../pool/3.jpg'"),
        (b"\x00\x01\x02", "none of the formats"),
    ],
)
def test_the_reason_tells_what_the_file_is(tmp_path, content, reason):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(UserError, match="does not decode as an image") as raised:
        read_file(tmp_path / "x.jpg")
    assert str(tmp_path / "x.jpg") in str(raised.value) and reason in str(raised.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "webp", "bmp", "jp2", "ppm"])
def test_damaged_files_are_user_errors(tmp_path, suffix):
    generator = random.Random(1)
    noise = np.frombuffer(generator.randbytes(16 * 16 * 3), np.uint8).reshape(16, 16, 3)
    whole = saved(tmp_path, noise, f"x.{suffix}").read_bytes()
    for _ in range(60):
        damaged = bytearray(whole[: generator.randrange(1, len(whole) + 1)])
        for _ in range(generator.randrange(4)):
            damaged[generator.randrange(min(len(damaged), 200))] = generator.randrange(256)
        (tmp_path / "y").write_bytes(damaged)
        try:
            assert read_file(tmp_path / "y").dtype == np.uint8
        except UserError as error:
            assert "does not decode" in str(error)


def test_images_without_a_file_are_converted_by_the_same_rules():
    assert to_array(Image.fromarray(np.array([[65535, 257]], np.uint16))).tolist() == [[255, 1]]


# Limits ---------------------------------------------------------------------------------------------------------------


def header_only(path, width, height):
    """Write a PNG that states its size and holds no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = b"IDAT" + zlib.compress(b"")
    path.write_bytes(png + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)))
    return path


@pytest.mark.parametrize("size", [(20_000, 10_000), (2**31 - 1, 1), (30_000, 30_000)])
def test_the_size_in_the_header_is_checked_before_pixels_are_decoded(tmp_path, size):
    with pytest.raises(UserError, match=r"megapixels.* the limit.*set the option `limits: {megapixels: ") as raised:
        read_file(header_only(tmp_path / "x.png", *size))
    assert str(tmp_path / "x.png") in str(raised.value)


def test_the_limit_of_pixels_can_be_raised_and_lowered(tmp_path, monkeypatch):
    path = saved(tmp_path, np.zeros((100, 200), np.uint8), "x.png")
    assert read_file(path, megapixels=0.02).shape == (100, 200)
    with pytest.raises(UserError, match=r"has 200 x 100 pixels, 0 megapixels, and the limit is 0\.019"):
        read_file(path, megapixels=0.019)
    # The library's own limit is not the lower one.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)
    assert read_file(path, megapixels=0.02).shape == (100, 200)


@pytest.mark.parametrize(("height", "width"), [(1, 400_000), (400_000, 1), (3, 70_000)])
def test_a_long_strip_is_cropped_before_it_is_scaled(height, width):
    """The centre, scaled: of a strip whose centre is white, white, in memory of the result's size."""
    strip = np.zeros((height, width), np.uint8)
    axis, long = int(width > height), max(height, width)
    centre = [slice(None), slice(None)]
    centre[axis] = slice(long // 2 - 40, long // 2 + 40)
    strip[tuple(centre)] = 255
    tracemalloc.start()
    fitted = fit(strip, 32, "grey")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fitted.shape == (1, 32, 32) and (fitted == 255).all()
    assert peak < 10**6


def test_strips_are_the_same_in_both_orders_but_for_rounding():
    """The other order, for strips that are just short enough for it."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        image = rng.integers(0, 256, (rng.integers(5, 20), rng.integers(1100, 1500), 3), dtype=np.uint8)
        size, (height, width) = 16, image.shape[:2]
        scaled = (round(width * size / height), size)
        left = (scaled[0] - size) // 2
        whole = np.asarray(Image.fromarray(image).resize(scaled, Image.Resampling.BILINEAR))[:, left : left + size]
        difference = fit(image, size, "rgb").astype(int) - whole.transpose(2, 0, 1)
        assert np.abs(difference).max() <= 1


def test_deep_pixels_are_converted_in_blocks(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 2**16, (37, 23), dtype=np.uint16)
    path = saved(tmp_path, values, "x.png")
    expected = np.round(values / 65535 * 255)
    for block in (1, 23, 60, 10**6):
        monkeypatch.setattr(image_files, "_BLOCK", block)
        assert (read_file(path) == expected).all()


def test_the_first_picture_of_an_animation_or_of_several_pages_is_read(tmp_path):
    pages = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 20, 30)]
    for name in ("x.gif", "x.png", "x.tif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        assert np.unique(read_file(tmp_path / name)).tolist() == [10]


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"eXIf"])
def test_metadata_that_expand_to_much_are_no_pixels(tmp_path, kind):
    """Either the picture is read without them, or the file is refused: neither takes much memory."""
    content = saved(tmp_path, np.full((4, 4), 7, np.uint8), "x.png").read_bytes()
    bomb = zlib.compress(b"\0" * 80_000_000, 9)
    start = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0", b"eXIf": b""}[kind]
    data = kind + start + bomb
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    (tmp_path / "x.png").write_bytes(content[:33] + chunk + content[33:])
    tracemalloc.start()
    try:
        assert read_file(tmp_path / "x.png").tolist() == [[7] * 4] * 4
    except UserError as error:
        assert str(tmp_path / "x.png") in str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000
