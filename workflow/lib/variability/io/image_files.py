"""Reading of image files as arrays, and scaling to one size and colour."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from variability.errors import Problem, UserError
from variability.io import limits

# Damaged metadata are ignored: Pillow's warnings name neither the picture nor what to do.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

#: Modes of Pillow that are read as grey.
_GREY = ("1", "L", "LA")
#: Modes of Pillow for grey of more than 8 bits, in addition to those that begin with "I;16".
_DEEP = ("I", "F")
#: Ratio of the sides above which a picture is cropped before it is scaled. The result may differ by one grey level from
#: that of the other order, whose memory grows with the ratio.
_STRIP = 50
#: Pixels of more than 8 bits that are converted at a time.
_BLOCK = 1 << 20
#: Formats in which grey of more than 8 bits always has the range of 16 bits.
_SIXTEEN_BIT_FORMATS = ("PNG", "PPM", "JPEG2000")

#: Pillow's name of the image format of each supported suffix.
FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".jp2": "JPEG2000",
}
#: Suffixes of image formats that are not read.
OTHER_FORMATS = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".svg", ".eps", ".psd", ".dcm", ".nii", ".exr", ".hdr", ".ico", ".tga"}
    | {".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
)

_ORIENTATION_TAG, _BITS_TAG, _PHOTOMETRIC_TAG = 0x0112, 258, 262
#: Transposition that undoes each EXIF orientation; 1 is upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Reason why an image is refused whose format does not tell the range of its values.
UNKNOWN_RANGE = (
    "its pixels are floating-point or signed numbers (mode {mode}), and no value is known to be white; set the option "
    "`range: [black, white]` of the data set"
)

#: Schema of the option of data sets that ``read_file`` takes as ``value_range``.
RANGE_OPTION: dict[str, dict[str, Any]] = {
    "range": {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 2,
        "maxItems": 2,
        "title": "two numbers: the values of black and white",
        "description": "values of black and white in images of more than 8 bits; by default those of their bit depth",
    }
}


def range_problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problem with the option ``range`` of a data set that its schema cannot express."""
    low, high = options.get("range", (0, 1))
    if low >= high:
        yield Problem("range", f"black is {low:g} and white {high:g}; the second must be larger")


def read_file(
    path: Path, value_range: Sequence[float] | None = None, megapixels: float = limits.DEFAULT.megapixels
) -> np.ndarray:
    """Decode an image file in any of FORMATS, whatever its suffix, see ``to_array``.

    Of animations and files of several pages the first picture is read. megapixels: most that a picture may have. Raises
    UserError naming the file if it is larger, or cannot be decoded.
    """
    try:
        with open_file(path, megapixels) as image:
            return to_array(image, value_range)
    # Pillow's decoders raise nearly every exception for damaged files.
    except Exception as error:
        raise UserError(f"{path} does not decode as an image: {reason(path, error)}") from error


def open_file(path: Path, megapixels: float = limits.DEFAULT.megapixels) -> Image.Image:
    """Open an image file without decoding it. Raises ValueError if it is too large, or the exceptions of Pillow."""
    # Pillow has one limit for all files, twice this number. It compares it with the size in the header.
    if Image.MAX_IMAGE_PIXELS is not None and 1e6 * megapixels > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = math.ceil(1e6 * megapixels)
    try:
        # Pillow detects formats by content; for some others (EPS) it would start another program.
        image = Image.open(path, formats=sorted(set(FORMATS.values())))
    except Image.DecompressionBombError as error:
        advice = limits.raised("megapixels", 2 * megapixels)
        raise ValueError(f"it has more than {megapixels:g} megapixels, the limit; {advice}") from error
    if image.width * image.height > 1e6 * megapixels:
        pixels, width, height = 1e-6 * image.width * image.height, image.width, image.height
        image.close()
        raise ValueError(
            f"it has {width} x {height} pixels, {pixels:.0f} megapixels, and the limit is {megapixels:g}; "
            f"{limits.raised('megapixels', pixels)}, or make the picture smaller"
        )
    return image


def reason(path: Path, error: Exception) -> str:
    """Return the reason why a file was not decoded, from its first bytes if they show what it is instead."""
    try:
        with open(path, "rb") as handle:
            head = handle.read(4096)
    except OSError as unreadable:
        return unreadable.strerror or str(unreadable)
    if not head:
        return "it is empty"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS; run `git lfs pull`"
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page; download the image again"
    if len(head) < 4096 and b"/" in head and head.decode("utf-8", "replace").isprintable():
        return f"it is text, perhaps a link to {head.decode()!r} that was stored as a file; copy the images again"
    if isinstance(error, Image.UnidentifiedImageError):
        return "it has none of the formats that are read"
    return str(error) or type(error).__name__


def is_deep(image: Image.Image) -> bool:
    """Return whether an image is grey with more than 8 bits per pixel."""
    return image.mode in _DEEP or image.mode.startswith("I;16")


def white(image: Image.Image) -> float | None:
    """Return the largest value that the format allows an image of more than 8 bits; None if it does not say.

    It follows from the bit depth, never from the pixels: with a range for each file, a darker image could become a
    brighter one.
    """
    tags = getattr(image, "tag_v2", None)
    if image.mode.startswith("I;16"):
        bits = int(np.max(tags.get(_BITS_TAG, 16))) if tags else 16
        return float(2**bits - 1)
    return 65535.0 if image.mode == "I" and image.format in _SIXTEEN_BIT_FORMATS else None


def to_array(image: Image.Image, value_range: Sequence[float] | None = None) -> np.ndarray:
    """Convert an image to uint8: (height, width) if it is grey, otherwise (height, width, 3) RGB.

    It is rotated by its EXIF orientation; transparency is dropped. Grey of more than 8 bits is scaled from
    ``value_range`` (the values of black and white), by default from 0 and the largest value of the bit depth. Colours
    of 16 bits are reduced to their upper 8 bits. Raises ValueError where the range is unknown, and the exceptions of
    Pillow for images that cannot be decoded.
    """
    image.load()
    transposition = _UPRIGHT.get(_orientation(image))
    upright = image.transpose(transposition) if transposition is not None else image
    if is_deep(image):
        # Only the original has the tags of its format.
        return _scaled(np.asarray(upright), value_range, white(image), _white_is_zero(image))
    if upright.mode == "P" and "transparency" in upright.info:
        upright = upright.convert("RGBA")
    if upright.mode == "La":
        upright = upright.convert("LA")
    return np.asarray(upright.convert("L" if upright.mode in _GREY else "RGB"))


def _scaled(
    values: np.ndarray, value_range: Sequence[float] | None, largest: float | None, inverted: bool
) -> np.ndarray:
    if value_range is None and largest is None:
        raise ValueError(UNKNOWN_RANGE.format(mode="F" if values.dtype.kind == "f" else "I"))
    low, high = value_range if value_range is not None else (0.0, largest or 0.0)
    result = np.empty(values.shape, np.uint8)
    # Row by row, in blocks: in full, the numbers in double precision would take eight times the memory.
    step = max(1, _BLOCK // max(values.shape[1], 1))
    for start in range(0, len(values), step):
        wide = values[start : start + step].astype(np.float64)
        if not np.isfinite(wide).all():
            raise ValueError("it has pixels that are not finite numbers")
        shares = np.clip((wide - low) / (high - low), 0, 1)
        result[start : start + step] = np.round(255 * (1 - shares if inverted else shares))
    return result


def _white_is_zero(image: Image.Image) -> bool:
    """Return whether 0 is white, which Pillow undoes for 8 bits only."""
    tags = getattr(image, "tag_v2", None)
    return bool(tags) and tags.get(_PHOTOMETRIC_TAG) == 0


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) if it cannot be read: metadata never make an image unreadable."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
        return int(value[0] if isinstance(value, tuple | bytes) else value)
    # Damaged blocks make Pillow raise nearly every exception.
    except Exception:
        return 1


def fit(image: np.ndarray, size: int, color: str) -> np.ndarray:
    """Scale and crop an image to uint8 (channels, size, size): one channel for "grey", three for "rgb".

    image: uint8 (height, width) or (height, width, 3). The shorter side is scaled to ``size`` (bilinear, with
    antialiasing), then the centre is cropped. Grey is ITU-R 601 luma.
    """
    grey = color == "grey"
    if grey and image.ndim == 3:
        image = np.asarray(Image.fromarray(image).convert("L"))
    height, width = image.shape[:2]
    if (height, width) != (size, size):
        scale = size / min(height, width)
        scaled = (max(size, round(width * scale)), max(size, round(height * scale)))
        left, top = (scaled[0] - size) // 2, (scaled[1] - size) // 2
        crop = (left, top, left + size, top + size)
        if max(scaled) > _STRIP * size:
            image = _scaled_part(image, scaled, crop)
        else:
            resized = Image.fromarray(image).resize(scaled, Image.Resampling.BILINEAR)
            image = np.asarray(resized.crop(crop))
    if image.ndim == 2:
        return np.broadcast_to(image, (1 if grey else 3, size, size))
    return image.transpose(2, 0, 1)


def _scaled_part(image: np.ndarray, scaled: tuple[int, int], crop: tuple[int, int, int, int]) -> np.ndarray:
    """Return the part of a scaled image (its width and height) without computing all of it."""
    height, width = image.shape[:2]
    across, down = width / scaled[0], height / scaled[1]
    left, top, right, bottom = crop
    box = (left * across, top * down, min(right * across, width), min(bottom * down, height))
    part = Image.fromarray(image).resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=box)
    return np.asarray(part)
