"""Partial downloads: a file that grows, and a record of which version of the server's file it is part of."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from variability.errors import UserError
from variability.io.files import read_json, replacing, write_json
from variability.io.http_answers import usable_validator
from variability.io.limits import DEFAULT

_CHUNK = 1 << 18


class PartialFile:
    """A partial file and its record. A damaged record counts as none."""

    def __init__(self, path: Path):
        self.path = path
        self._record = path.with_name(path.name + ".json")

    @property
    def validator(self) -> str | None:
        """The value that identifies the version of the file in an If-Range header, None if it is unknown."""
        return usable_validator(self._read().get("validator"))

    @property
    def encoding(self) -> str | None:
        """The compression that the server applied."""
        value = self._read().get("encoding")
        return value if isinstance(value, str) else None

    def record(self, validator: str | None, encoding: str | None) -> None:
        """Store what identifies the version that the file is part of."""
        write_json(self._record, {"validator": validator, "encoding": encoding})

    def forget(self) -> None:
        """Remove the record of a file that is complete."""
        self._record.unlink(missing_ok=True)

    @contextmanager
    def removed_if_empty(self) -> Iterator[None]:
        """Remove the file after the block if it has no content to resume from."""
        try:
            yield
        finally:
            if self.path.exists() and self.path.stat().st_size == 0:
                self.path.unlink()
                self.forget()

    def decode(self, url: str) -> None:
        """Replace the content by what the server compressed. Raises UserError if it cannot be expanded."""
        if self.encoding != "gzip":
            raise UserError(
                f"could not fetch {url}: the server sent it compressed by {self.encoding}, though it was asked not to; "
                "download it yourself, and put it into a mirror"
            )
        size, expanded = self.path.stat().st_size, 0
        with replacing(self.path) as target, gzip.open(self.path) as source, open(target, "wb") as file:
            try:
                while block := source.read(_CHUNK):
                    expanded += file.write(block)
                    if DEFAULT.expansion_problem(expanded, size):
                        raise UserError(
                            f"could not fetch {url}: its gzip content expands to more than {DEFAULT.ratio:g} times its "
                            "size; download it yourself, and put it into a mirror"
                        )
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise UserError(f"could not fetch {url}: its gzip content is damaged ({error}); try again") from error

    def _read(self) -> dict[str, Any]:
        try:
            record = read_json(self._record)
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}
