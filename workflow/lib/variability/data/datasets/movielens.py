"""MovieLens: ratings of films, published by GroupLens (Harper and Konstan, ACM TiiS 2015)."""

import io
import logging
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability.advice import RERUN_DOWNLOAD, plural
from variability.data.datasets import Dataset, Examples, _interactions
from variability.data.datasets._files import downloaded
from variability.errors import Problem, UserError

_log = logging.getLogger(__name__)

_URL = "https://files.grouplens.org/datasets/movielens/ml-{}.zip"
#: MD5 of each .zip file, as GroupLens publishes it; the file of ratings in it; the separator of its columns.
RELEASES = {
    "100k": ("0e33842e24a9c977be4e0107933c0723", "u.data", b"\t"),
    "1m": ("c4d9eecfca2ab87c1945afe126590906", "ratings.dat", b"::"),
    "20m": ("cd245b17a1ae2cc31bb14903e1204af3", "ratings.csv", b","),
}
LICENCE = "for research; not for redistribution or commercial use without permission; see the README in the archive"


class Movielens(Dataset):
    """``version``: 100k (943 users, 1,682 films), 1m or 20m.

    Downloaded from GroupLens, or taken from a mirror as ml-<version>.zip. The licence allows research and no
    redistribution.
    """

    MODALITY: ClassVar[str] = "interactions"
    KINDS: ClassVar[tuple[str, ...]] = ("ranking", "regression")
    SPLIT: ClassVar[dict] = {"validation": "shipped", "test": "shipped"}
    OPTIONS: ClassVar[dict[str, dict]] = {
        "version": {"enum": list(RELEASES), "description": "release, called after its number of ratings"}
    } | {name: schema for name, schema in _interactions.OPTIONS.items() if name != "repeats"}
    REQUIRED: ClassVar[tuple[str, ...]] = ("version",)

    def kinds(self) -> tuple[str, ...]:
        return (_interactions.TARGETS[self.option("target")],)

    def check(self, mirrors: Sequence[Path] = ()) -> Iterator[Problem]:
        yield from _interactions.check(self.options)

    def is_remote(self) -> bool:
        return True

    def download(self, folder: Path, fetcher: Any) -> None:
        version = self.options["version"]
        fetcher.fetch(_URL.format(version), self._archive(folder), f"md5:{RELEASES[version][0]}")
        _log.info("MovieLens %s: %s", version, LICENCE)

    def load(self, folder: Path | None) -> Examples:
        path, version = self._archive(downloaded(folder)), self.options["version"]
        _, name, separator = RELEASES[version]
        try:
            with zipfile.ZipFile(path) as archive:
                member = next(path for path in archive.namelist() if path.rpartition("/")[2] == name)
                table = _read(archive.read(member), separator, name)
        except (OSError, StopIteration, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} has no {name} that can be read ({error}); {RERUN_DOWNLOAD}") from error
        return _interactions.examples(table, self.options, f"MovieLens {version}")

    def _archive(self, folder: Path) -> Path:
        return folder / f"ml-{self.options['version']}.zip"


def _read(content: bytes, separator: bytes, name: str) -> _interactions.Log:
    """Read the columns user, item, rating and time, with a header or without. name: of the file, for sources."""
    import pandas as pd

    header = 0 if content[:1].isalpha() else None
    table = pd.read_csv(io.BytesIO(content.replace(separator, b"\t")), sep="\t", header=header)
    if table.shape[1] != 4:
        raise ValueError(f"it has {plural(table.shape[1], 'column')}, not 4")
    users, items, ratings, times = (table[name].to_numpy() for name in table)
    # Fails if a value is not a number: then pandas reads neighbouring numbers as text, and one user as two.
    columns = users.astype(np.int64), items.astype(np.int64), times, ratings.astype(np.float64)
    first_line = 1 if header is None else 2
    return _interactions.Log(*columns, sources=lambda row: f"{name}:{row + first_line}")
