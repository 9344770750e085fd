"""Reading of image files as arrays, and scaling to one size and colour."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from variability.errors import UserError

#: Modes of Pillow that are read as grey.
_GREY = ("1", "L", "LA", "La")

#: Pillow's name of the image format of each supported suffix.
FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm"), "PPM"),
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".jp2": "JPEG2000",
}


def read_file(path: Path) -> np.ndarray:
    """Decode an image file in any of FORMATS, whatever its suffix, see ``to_array``.

    Raises UserError naming the file if it cannot be decoded.
    """
    try:
        # Pillow detects formats by content; for some others (EPS) it would start another program.
        with Image.open(path, formats=sorted(set(FORMATS.values()))) as image:
            return to_array(image)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} does not decode as an image ({error}); replace the file or remove it") from error


def to_array(image: Image.Image) -> np.ndarray:
    """Convert an image to uint8: (height, width) if it is grey, otherwise (height, width, 3) RGB.

    It is rotated by its EXIF orientation; transparency is dropped; 16-bit grey is reduced to its upper 8 bits. Raises
    ValueError for floating-point pixels, whose range is unknown, and the exceptions of Pillow for images that cannot be
    decoded.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range; save it with 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.int64)
        return np.clip(wide >> 8 if wide.max(initial=0) > 255 else wide, 0, 255).astype(np.uint8)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("L" if image.mode in _GREY else "RGB"))


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
        resized = Image.fromarray(image).resize(scaled, Image.Resampling.BILINEAR)
        image = np.asarray(resized.crop((left, top, left + size, top + size)))
    if image.ndim == 2:
        return np.broadcast_to(image, (1 if grey else 3, size, size))
    return image.transpose(2, 0, 1)
