"""Letters rendered from the typefaces that matplotlib ships: real shapes, any number of images, no download."""

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

#: Text fonts with all Latin letters, by family. matplotlib's other fonts hold symbols.
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
#: Letters are drawn this many times larger, so that jitter and downscaling leave smooth edges.
_OVERSAMPLING = 2


class Glyphs(Dataset):
    """Light letters on dark ground, each jittered by a random affine map.

    The class is the letter, its case, or the family of the typeface; the target ``rotation`` is a number instead, the
    degrees that the letter was turned by, anticlockwise, before it was sheared. Fonts named as ``test_fonts`` make the
    test partition, so that a task can ask about typefaces not seen in training. An image depends on the seed, its font,
    letter and number alone: other fonts or letters do not change it, nor does the target.
    """

    OPTIONS: ClassVar[dict[str, dict]] = {
        "target": {"enum": ["letter", "case", "family", "rotation"], "default": "letter"},
        "case_sensitive": {"type": "boolean", "default": False, "description": "whether a and A are two letters"},
        "letters": {
            "type": "string",
            "pattern": "^[A-Za-z]+$",
            "title": "text of the letters a to z and A to Z",
            "default": string.ascii_letters,
            "description": "those drawn, upper and lower case apart",
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
        },
        "seed": {"type": "integer", "minimum": 0, "default": 0},
    }
    KINDS: ClassVar[tuple[str, ...]] = ("classification", "regression")

    def kinds(self) -> tuple[str, ...]:
        return ("regression",) if self._option("target") == "rotation" else ("classification",)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        fonts, test_fonts = self._fonts()
        names, _ = self._classes(fonts)
        if not fonts:
            yield Problem("test_fonts", "holds every font, and none is left to train on")
        elif self._option("target") == "rotation":
            if not self._jitter["rotation"]:
                yield Problem("jitter.rotation", "is 0, and every image would have the same target; allow some degrees")
        elif len(names) < 2:
            yield Problem("", f"every image would be of class {names[0]!r}; give letters or fonts of two classes")
        strange = sorted({FAMILY[font] for font in test_fonts} - {FAMILY[font] for font in fonts})
        if fonts and self._option("target") == "family" and strange:
            yield Problem("test_fonts", f"no font of the family {strange[0]!r} is left to train on")

    def size(self) -> dict[str, int]:
        fonts, test_fonts = self._fonts()
        each = self._option("per_font") * len(self._letters())
        return {"train": each * len(fonts), "test": each * len(test_fonts)} if test_fonts else {"": each * len(fonts)}

    def load(self, folder: Path | None) -> Examples:
        train, test = self._fonts()
        fonts, per_font, letters = [*train, *test], self._option("per_font"), self._letters()
        names, classes = self._classes(fonts)
        drawn = [self._draw(font, letter) for font in fonts for letter in letters]
        images, angles = (np.concatenate(each) for each in zip(*drawn, strict=True))
        if self._option("target") == "rotation":
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

    def _option(self, name: str):
        return self.options.get(name, self.OPTIONS[name]["default"])

    @property
    def _jitter(self) -> dict[str, float]:
        return _JITTER | self._option("jitter")

    def _letters(self) -> str:
        return "".join(dict.fromkeys(self._option("letters")))

    def _fonts(self) -> tuple[list[str], list[str]]:
        """Fonts to train on and fonts to test on, each in the order of FAMILIES."""
        test = [font for font in FAMILY if {font, FAMILY[font]} & set(self._option("test_fonts"))]
        fonts = [font for font in FAMILY if {font, FAMILY[font]} & set(self._option("fonts"))]
        return [font for font in fonts if font not in test], test

    def _classes(self, fonts: Sequence[str]) -> tuple[list[str], list[str]]:
        """Class names, and the class of each (font, letter) in the order images are drawn."""
        target, letters = self._option("target"), self._letters()
        if target == "family":
            labels = [FAMILY[font] for font in fonts for _ in letters]
            return [family for family in FAMILIES if family in labels], labels
        if target == "case":
            labels = [("upper" if letter.isupper() else "lower") for _ in fonts for letter in letters]
        else:
            labels = [
                (letter if self._option("case_sensitive") else letter.lower()) for _ in fonts for letter in letters
            ]
        return sorted(set(labels)), labels

    def _draw(self, font: str, letter: str) -> tuple[np.ndarray, np.ndarray]:
        """Images of one letter, uint8 (per_font, size, size), and the degrees they were turned by, (per_font,)."""
        side = self._option("size") * _OVERSAMPLING
        canvas = Image.new("L", (side, side))
        typeface = _font(font, side)
        left, top, right, bottom = typeface.getbbox(letter)
        # By its ink, since fonts disagree about where a line's middle is.
        corner = ((side - left - right) / 2, (side - top - bottom) / 2)
        ImageDraw.Draw(canvas).text(corner, letter, fill=255, font=typeface)
        numbers = _generator(self._option("seed"), font, letter).uniform(-1, 1, (self._option("per_font"), 5))
        maps = [_affine(each, self._jitter, side) for each in numbers]
        drawn = (
            canvas.transform(canvas.size, Image.Transform.AFFINE, each, Image.Resampling.BILINEAR) for each in maps
        )
        images = np.stack([np.asarray(each.reduce(_OVERSAMPLING)) for each in drawn])
        return images, self._jitter["rotation"] * numbers[:, 0]


def _generator(seed: int, font: str, letter: str) -> np.random.Generator:
    """Return the generator of one letter's images, which other letters and fonts do not shift."""
    key = zlib.crc32(f"{font}/{letter}".encode())
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(key,)))


def _affine(uniform: np.ndarray, jitter: dict[str, float], side: int) -> tuple[float, ...]:
    """The six coefficients that take a pixel of the result to one of the canvas, for five numbers in [-1, 1]."""
    angle, shear = np.deg2rad(jitter["rotation"] * uniform[0]), np.tan(np.deg2rad(jitter["shear"] * uniform[1]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = turn @ np.array([[1.0, shear], [0.0, 1.0]]) / (1 + jitter["scale"] * uniform[2])
    centre = np.full(2, side / 2)
    offset = centre - inverse @ (centre + jitter["translation"] * side * uniform[3:])
    return (*inverse[0], offset[0], *inverse[1], offset[1])


def _font(name: str, side: int) -> ImageFont.FreeTypeFont:
    # Found without importing matplotlib, which takes longer than drawing.
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise UserError("the fonts are those of matplotlib, which is not installed; install the core environment")
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
    # The widest letter of the boldest font fills seven eighths of the image.
    return ImageFont.truetype(str(path), round(side * 0.78), layout_engine=ImageFont.Layout.BASIC)
