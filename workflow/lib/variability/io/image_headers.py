"""Headers of many image files: which cannot be opened, and whether their range of values is known.

Cached until a file's size, times or inode change: the check of a config looks at every start.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import PIL
import platformdirs

from variability.advice import listed, plural
from variability.io import image_files, limits
from variability.io.artefacts import read_cached, write_record
from variability.io.content_hash import file_state
from variability.io.files import digest, sha256

_log = logging.getLogger(__name__)

#: Number of files up to which all are opened; of more, those that are spread evenly over them.
MOST_FILES = 20_000
#: Number of images of more than 8 bits that are decoded to learn which values they have.
_DECODED = 16
#: Part of the range of values below which all images of a data set would be nearly black: 12 bits in files of 16.
_DARK = 1 / 16
#: Shape of the cached result of a check, see ``artefacts.Kind``.
_SHAPE = {"state": str, "headers": {"unreadable": {str: str}, "range_problem": (str, type(None))}}


@dataclass(frozen=True)
class Headers:
    """The result of a check.

    unreadable: reasons by the name of the file. range_problem: the reason why the range of values is unknown, if it is.
    """

    unreadable: dict[str, str] = field(default_factory=dict)
    range_problem: str | None = None


def check(
    root: Path,
    names: Sequence[str],
    value_range: Sequence[float] | None = None,
    megapixels: float = limits.DEFAULT.megapixels,
) -> Headers:
    """Open the image files below a folder without decoding them.

    value_range: values of black and white, if the config states them. megapixels: most that a picture may have.
    """
    names = _spread(names, MOST_FILES)
    # Paths of text: pathlib takes longer than the file system.
    states = [[name, *file_state(f"{root}/{name}")] for name in names]
    state, entry = digest([_code(), list(value_range or ()), megapixels, states]), _cache_file(root)
    if (stored := read_cached(entry, _SHAPE)).get("state") == state:
        return Headers(stored["headers"]["unreadable"], stored["headers"]["range_problem"])
    paths = [root / name for name in names]
    with ThreadPoolExecutor() as pool:
        opened = list(pool.map(lambda path: _open(path, value_range, megapixels), paths))
    unreadable = {name: reason for name, (reason, _) in zip(names, opened, strict=True) if reason}
    deep = [path for path, (reason, is_deep) in zip(paths, opened, strict=True) if is_deep and not reason]
    headers = Headers(unreadable, None if value_range is not None else _range_problem(_spread(deep, _DECODED)))
    try:
        write_record(entry, {"root": str(root), "state": state, "headers": asdict(headers)})
    except OSError as error:
        _log.debug("%s is not stored: %s", entry, error)
    return headers


def unreadable_message(root: Path, reasons: Mapping[str, str], count: int) -> str:
    """Return the message that files of a folder cannot be read. count: number of all images."""
    shown = listed(f"{root / name} ({reason})" for name, reason in reasons.items())
    return (
        f"{len(reasons)} of {plural(count, 'image')} cannot be read: {shown}; replace or remove them, or set "
        "`unreadable: skip` to leave them out and count them"
    )


def _open(path: Path, value_range: Sequence[float] | None, megapixels: float) -> tuple[str | None, bool]:
    """Return why a file cannot be used, if it cannot, and whether it has more than 8 bits of grey."""
    try:
        with image_files.open_file(path, megapixels) as image:
            deep = image_files.is_deep(image)
            if deep and value_range is None and image_files.white(image) is None:
                return image_files.UNKNOWN_RANGE.format(mode=image.mode), deep
            return None, deep
    # Pillow raises nearly every exception for damaged files.
    except Exception as error:
        return image_files.reason(path, error), False


def _range_problem(paths: Iterable[Path]) -> str | None:
    """Return the problem with images that use only a small part of the range of their bit depth."""
    shares, largest = [], 0.0
    for path in paths:
        try:
            with image_files.open_file(path) as image:
                brightest = float(np.asarray(image).max())
                shares.append(brightest / (image_files.white(image) or np.inf))
        # A damaged file is reported where all are decoded.
        except Exception as error:
            _log.debug("%s does not decode: %s", path, error)
            continue
        largest = max(largest, brightest)
    if not shares or max(shares) > _DARK:
        return None
    return (
        f"the images have more than 8 bits, but no value above {largest:g} was seen in {len(shares)} of them, so that "
        f"they would be nearly black; state which values are black and white, such as `range: [0, {largest:g}]` "
        "(4095 for 12 bits)"
    )


def _spread(names: Sequence, most: int) -> list:
    """Return at most so many elements, evenly spread."""
    if len(names) <= most:
        return list(names)
    return [names[index * len(names) // most] for index in range(most)]


def _code() -> list[str]:
    """Return what changes with this code and with Pillow: other versions may read other files."""
    return [PIL.__version__, sha256(__file__), sha256(image_files.__file__)]


def _cache_file(root: Path) -> Path:
    folder = platformdirs.user_cache_path("finetune-variability", appauthor=False) / "image-headers"
    return folder / f"{digest(str(root.absolute()))[:32]}.json"
