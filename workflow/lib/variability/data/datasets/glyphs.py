"""Letters rendered from the fonts that matplotlib ships: real shapes, any number of images, no download."""

import importlib.util
import string
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from variability.data.datasets import Dataset, Examples
from variability.errors import Problem, UserError

#: Fonts with all Latin letters, by family. matplotlib's other fonts contain symbols.
FAMILIES = {
    "sans": (
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSans-Oblique",
        "DejaVuSans-BoldOblique",
        "cmss10",
    ),
    "serif": (
        "DejaVuSerif",
        "DejaVuSerif-Bold",
        "DejaVuSerif-Italic",
        "DejaVuSerif-BoldItalic",
        "STIXGeneral",
        "STIXGeneralBol",
        "STIXGeneralItalic",
        "STIXGeneralBolIta",
        "cmr10",
        "cmb10",
    ),
    "mono": (
        "DejaVuSansMono",
        "DejaVuSansMono-Bold",
        "DejaVuSansMono-Oblique",
        "DejaVuSansMono-BoldOblique",
        "cmtt10",
    ),
}
FAMILY = {font: family for family, fonts in FAMILIES.items() for font in fonts}
_FONTS = {"type": "array", "items": {"enum": [*FAMILIES, *FAMILY]}, "description": "font names or families"}
_JITTER = {"rotation": 10.0, "scale": 0.15, "translation": 0.08, "shear": 8.0}
#: Factor by which letters are rendered larger, so that their edges are smooth after jitter and downscaling.
_OVERSAMPLING = 2


class Glyphs(Dataset):
    """Light letters on a dark background, each changed by a random affine map.

    The class is the letter, its case, or the family of the font. With the target ``rotation`` the label is a number:
    the angle in degrees, anticlockwise, by which the letter was rotated before it was sheared. The fonts in
    ``test_fonts`` are the test partition, to test with fonts that training does not contain. An image depends only on
    the seed, its font, its letter and its number, not on the other fonts and letters, nor on the target.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "target": {
            "enum": ["letter", "case", "family", "rotation"],
            "default": "letter",
            "description": "what is predicted",
        },
        "case_sensitive": {"type": "boolean", "default": False, "description": "whether a and A are different classes"},
        "letters": {
            "type": "string",
            "pattern": "^[A-Za-z]+$",
            "title": "text of the letters a to z and A to Z",
            "default": string.ascii_letters,
            "description": "letters to render; upper and lower case are different letters",
        },
        "fonts": _FONTS | {"default": list(FAMILIES), "minItems": 1},
        "test_fonts": _FONTS | {"default": []},
        "per_font": {"type": "integer", "minimum": 1, "default": 5, "description": "images per font and letter"},
        "size": {"type": "integer", "minimum": 8, "maximum": 512, "default": 32, "description": "side in pixels"},
        "jitter": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "rotation": {"type": "number", "minimum": 0, "maximum": 180, "description": "degrees either way"},
                "scale": {"type": "number", "minimum": 0, "maximum": 0.5, "description": "fraction either way"},
                "translation": {"type": "number", "minimum": 0, "maximum": 0.5, "description": "fraction of the side"},
                "shear": {"type": "number", "minimum": 0, "maximum": 45, "description": "degrees either way"},
            },
            "default": _JITTER,
            "description": "largest random changes of a letter",
        },
        "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "seed of the random changes"},
    }
    KINDS: ClassVar[tuple[str, ...]] = ("classification", "regression")

    def kinds(self) -> tuple[str, ...]:
        return ("regression",) if self.option("target") == "rotation" else ("classification",)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        fonts, test_fonts = self._fonts()
        names, _ = self._classes(fonts)
        if not fonts:
            yield Problem("test_fonts", "contains all fonts, and none is left to train on")
        elif self.option("target") == "rotation":
            if not self._jitter["rotation"]:
                yield Problem("jitter.rotation", "is 0, and every image would have the same target; allow some degrees")
        elif len(names) < 2:
            yield Problem("", f"every image would be of class {names[0]!r}; give letters or fonts of two classes")
        unseen = sorted({FAMILY[font] for font in test_fonts} - {FAMILY[font] for font in fonts})
        if fonts and self.option("target") == "family" and unseen:
            yield Problem("test_fonts", f"no font of the family {unseen[0]!r} is left to train on")

    def size(self) -> dict[str, int]:
        fonts, test_fonts = self._fonts()
        per_font = self.option("per_font") * len(self._letters())
        if test_fonts:
            return {"train": per_font * len(fonts), "test": per_font * len(test_fonts)}
        return {"": per_font * len(fonts)}

    def load(self, folder: Path | None) -> Examples:
        train, test = self._fonts()
        fonts, per_font, letters = [*train, *test], self.option("per_font"), self._letters()
        names, classes = self._classes(fonts)
        rendered = [self._render(font, letter) for font in fonts for letter in letters]
        images, angles = (np.concatenate(arrays) for arrays in zip(*rendered, strict=True))
        if self.option("target") == "rotation":
            names, labels = [], angles
        else:
            labels = np.repeat([names.index(name) for name in classes], per_font).astype(np.int64)
        shipped = ["train" if test else ""] * len(train) + ["test"] * len(test)
        return Examples(
            labels=labels,
            class_names=names,
            partition=np.repeat(np.array(shipped, dtype="<U10"), per_font * len(letters)),
            read=images.__getitem__,
        )

    @property
    def _jitter(self) -> dict[str, float]:
        return _JITTER | self.option("jitter")

    def _letters(self) -> str:
        return "".join(dict.fromkeys(self.option("letters")))

    def _fonts(self) -> tuple[list[str], list[str]]:
        """Return the fonts to train on and the fonts to test on, both in the order of FAMILIES."""
        test = [font for font in FAMILY if {font, FAMILY[font]} & set(self.option("test_fonts"))]
        fonts = [font for font in FAMILY if {font, FAMILY[font]} & set(self.option("fonts"))]
        return [font for font in fonts if font not in test], test

    def _classes(self, fonts: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the class names, and the class of each pair of font and letter, in the order of the images."""
        target, letters = self.option("target"), self._letters()
        if target == "family":
            labels = [FAMILY[font] for font in fonts for _ in letters]
            return [family for family in FAMILIES if family in labels], labels
        if target == "case":
            labels = [("upper" if letter.isupper() else "lower") for _ in fonts for letter in letters]
        else:
            labels = [
                (letter if self.option("case_sensitive") else letter.lower()) for _ in fonts for letter in letters
            ]
        return sorted(set(labels)), labels

    def _render(self, font: str, letter: str) -> tuple[np.ndarray, np.ndarray]:
        """Return images of one letter, uint8 (per_font, size, size), and their angles in degrees, (per_font,)."""
        side = self.option("size") * _OVERSAMPLING
        canvas = Image.new("L", (side, side))
        typeface = _font(font, side)
        left, top, right, bottom = typeface.getbbox(letter)
        # Centred by its pixels, because fonts differ in the position of the middle of a line.
        corner = ((side - left - right) / 2, (side - top - bottom) / 2)
        ImageDraw.Draw(canvas).text(corner, letter, fill=255, font=typeface)
        numbers = _generator(self.option("seed"), font, letter).uniform(-1, 1, (self.option("per_font"), 5))
        maps = [_affine(row, self._jitter, side) for row in numbers]
        transformed = (
            canvas.transform(canvas.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
            for coefficients in maps
        )
        images = np.stack([np.asarray(image.reduce(_OVERSAMPLING)) for image in transformed])
        return images, self._jitter["rotation"] * numbers[:, 0]


def _generator(seed: int, font: str, letter: str) -> np.random.Generator:
    """Return the random generator of one letter of one font, independent of the other letters and fonts."""
    key = zlib.crc32(f"{font}/{letter}".encode())
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(key,)))


def _affine(uniform: np.ndarray, jitter: dict[str, float], side: int) -> tuple[float, ...]:
    """Return the six coefficients that map a pixel of the result to the canvas. uniform: five numbers in [-1, 1]."""
    angle, shear = np.deg2rad(jitter["rotation"] * uniform[0]), np.tan(np.deg2rad(jitter["shear"] * uniform[1]))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = rotation @ np.array([[1.0, shear], [0.0, 1.0]]) / (1 + jitter["scale"] * uniform[2])
    centre = np.full(2, side / 2)
    offset = centre - inverse @ (centre + jitter["translation"] * side * uniform[3:])
    return (*inverse[0], offset[0], *inverse[1], offset[1])


def _font(name: str, side: int) -> ImageFont.FreeTypeFont:
    # Without importing matplotlib, which takes longer than rendering.
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise UserError("the fonts are part of matplotlib, which is not installed; install the core environment")
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
    # With this size the widest letter of the boldest font fills seven eighths of the image.
    return ImageFont.truetype(str(path), round(side * 0.78), layout_engine=ImageFont.Layout.BASIC)
