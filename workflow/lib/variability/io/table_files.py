"""Formats of files that hold tables, recognised by their first bytes, and their decompression."""

import bz2
import codecs
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from zipfile import BadZipFile, ZipFile

from variability.io import foreign_formats, limits
from variability.io.files import shallow
from variability.io.foreign_formats import REMEDIES
from variability.io.limits import Limits

TEXT, JSON, PARQUET, EXCEL = "text", "json", "parquet", "excel"
_OPENERS = {rb"\x1f\x8b": gzip.open, rb"BZh[1-9]1AY&SY": bz2.open, rb"\xfd7zXZ\x00": lzma.open}
COMPRESSIONS = (".gz", ".bz2", ".xz")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Bytes that are expanded at a time.
_BUFFER = 1 << 18
#: Share of bytes 0 above which a file is not a text with a few damaged characters.
_MOST_ZEROS = 0.05
#: Where a tar archive has its first mark.
_TAR_MARK = slice(257, 262)


def _is_text(start: bytes) -> bool:
    """Return whether the first bytes of a file are UTF-8 without control characters; the last character may be cut."""
    text = codecs.getincrementaldecoder("utf-8")(errors="replace").decode(start)
    return all(each.isprintable() or each in "\t\r\n" for each in text.removeprefix("\ufeff"))


def table_format(path: Path) -> str:
    """Return TEXT, JSON, PARQUET or EXCEL, by a file's content.

    Raises OSError if it cannot be read, ValueError with the format's name if it is not one of these.
    """
    start = first_bytes(path)
    if start.startswith(b"PAR1"):
        with Path(path).open("rb") as file:
            if file.read(4) == b"PAR1":
                return PARQUET
        raise ValueError("it is a parquet file that is compressed as a whole; extract it")
    if start.startswith(b"PK\x03\x04"):
        return _archive_format(path)
    if message := foreign_formats.problem(start):
        raise ValueError(message)
    if start[_TAR_MARK].startswith(b"ustar"):
        raise ValueError(f"it is a tar archive; {REMEDIES['extract']}")
    if b"\0" in start and not start.startswith(_UTF16):
        if start.count(b"\0") <= _MOST_ZEROS * len(start) and _is_text(start.replace(b"\0", b"")):
            line = start[: start.index(b"\0")].count(b"\n") + 1
            raise ValueError(f"line {line} has a character of code 0, which no text has; remove it")
        raise ValueError("it is neither text nor in another format that is known here; save the table as CSV")
    begin = start.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if inner_suffix(path) in JSON_SUFFIXES or _is_record(begin):
        return JSON
    return TEXT


def promised_format(path: Path) -> str:
    """Return the format that a file's name promises."""
    suffix = inner_suffix(path)
    return JSON if suffix in JSON_SUFFIXES else {".parquet": PARQUET, ".xlsx": EXCEL}.get(suffix, TEXT)


def inner_suffix(path: Path | str) -> str:
    """Return the suffix in lower case, without that of a compression: .csv for runs.CSV.gz."""
    name = Path(path)
    return Path(name.stem if name.suffix.lower() in COMPRESSIONS else name.name).suffix.lower()


def first_bytes(path: Path, count: int = 4096) -> bytes:
    """Return the first bytes of a file, decompressed."""
    with open_bytes(path) as file:
        return file.read(count)


class _Bounded(io.RawIOBase):
    """Content of a compressed file; raises ValueError where it expands beyond the limit."""

    def __init__(self, expanded: Any, compressed: int, allowed: Limits):
        self._expanded, self._compressed, self._limits = expanded, compressed, allowed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._bounded(self._expanded.seek(offset, whence))

    def tell(self) -> int:
        return self._expanded.tell()

    def readinto(self, buffer: Any) -> int:
        count = self._expanded.readinto(buffer)
        self._bounded(self.tell())
        return count

    def _bounded(self, position: int) -> int:
        if problem := self._limits.expansion_problem(position, self._compressed):
            raise ValueError(problem)
        return position


@contextmanager
def open_bytes(path: Path, allowed: Limits = limits.DEFAULT) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed if it is compressed, whatever its name.

    Raises ValueError if its compressed content is damaged, or expands beyond the limit.
    """
    with Path(path).open("rb") as file:
        start = file.read(10)
    opener = next((opener for magic, opener in _OPENERS.items() if re.match(magic, start)), open)
    try:
        with opener(path, "rb") as file:
            if opener is open:
                yield cast(BinaryIO, file)
            else:
                yield io.BufferedReader(_Bounded(file, Path(path).stat().st_size, allowed), _BUFFER)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(
            f"its compressed content is damaged or cut off ({error}); copy or download it again"
        ) from error


@contextmanager
def open_text(path: Path, encoding: str | None = None, allowed: Limits = limits.DEFAULT) -> Iterator[IO[str]]:
    """Open a file as text, with line ends unchanged. encoding: by default UTF-8, or UTF-16 if its first bytes say so.

    Raises ValueError with the line and byte of what is not in this encoding.
    """
    used = encoding or ("utf-16" if first_bytes(path, 2).startswith(_UTF16) else "utf-8-sig")
    with open_bytes(path, allowed) as file:
        try:
            yield io.TextIOWrapper(file, encoding=used, newline="")
        except UnicodeError as error:
            raise not_encoded(path, encoding) from error


def not_encoded(path: Path, encoding: str | None = None) -> ValueError:
    """Return the error for a file that is not in an encoding (UTF-8 by default), with its first wrong byte."""
    name = encoding or "UTF-8"
    fix = "save it as UTF-8, or set `encoding`: cp1252 is that of Windows in western Europe"
    if encoding:
        fix = "set another `encoding`, or save it as UTF-8"
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(name)
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                return ValueError(f"it is not in {name} (line {number}, byte {byte}); {fix}")
            except UnicodeError:
                break
    return ValueError(f"it is not in {name}; {fix}")


def _is_record(begin: bytes) -> bool:
    """Return whether a text's first line is a JSON object, or begins a list of them."""
    if begin.startswith(b"{"):
        line = begin.splitlines()[0]
        try:
            with shallow():
                return isinstance(json.loads(line), dict)
        except ValueError:
            return line.strip() == b"{" or line.startswith(b'{"')
    return begin.startswith(b"[") and begin[1:].lstrip().startswith(b"{")


def _archive_format(path: Path) -> str:
    try:
        with open_bytes(path) as file, ZipFile(file) as archive:
            names = archive.namelist()
    except BadZipFile as error:
        raise ValueError(f"it is a damaged ZIP archive or Excel file ({error}); copy or download it again") from error
    if "xl/workbook.xml" in names:
        return EXCEL
    if "xl/workbook.bin" in names:
        raise ValueError(f"it is a binary Excel file (.xlsb); {REMEDIES['xlsx']}")
    if "content.xml" in names:
        raise ValueError(f"it is an OpenDocument file (.ods); {REMEDIES['xlsx']}")
    if any(name.startswith("word/") for name in names):
        raise ValueError(f"it is a Word document; {REMEDIES['csv']}")
    if any(name.endswith("/data.pkl") for name in names):
        raise ValueError(f"it is a PyTorch file, whose tables are pickles; {REMEDIES['csv']}")
    if any(name.endswith(".npy") for name in names):
        raise ValueError(f"it is a file of NumPy arrays (.npz); {REMEDIES['csv']}")
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    raise ValueError(f"it is a ZIP archive ({listed or 'empty'}); {REMEDIES['extract']}")
