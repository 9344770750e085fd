"""Sheets of Excel files (.xlsx), as rows of text."""

import codecs
import datetime
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

from variability.advice import suggest
from variability.io import table_files, zip_files
from variability.io.limits import Limits

Row = tuple[int, list[str | None]]
#: A reference with more letters or digits than the last cell of a sheet, XFD1048576, or one that is written in code.
_FAR = re.compile(
    rb"""(?<=\s)r\s*=\s*["']\s*([A-Za-z]{4,40}[0-9]*|[A-Za-z]{0,3}[0-9]{8,40}|[A-Za-z0-9]*&[^"']{0,40})"""
)
#: Declaration by which few characters become many.
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
#: Hint of the import when a workbook cannot be read, in addition to what the library says.
_REMEDY = "save it again as .xlsx, or as CSV"


def rows(path: Path, options: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of a sheet that hold anything, with their numbers in the sheet.

    Numbers are written in full precision, dates in ISO format. options: ``sheet`` is the name of the sheet, by default
    the only one that holds anything. Raises OSError or ValueError.
    """
    import openpyxl

    try:
        with table_files.open_bytes(path, Limits.of(options)) as file, warnings.catch_warnings():
            _refuse_traps(file, Limits.of(options))
            warnings.simplefilter("ignore")  # About styles and other parts that are not read.
            workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = {sheet.title: list(_filled(sheet)) for sheet in workbook.worksheets}
            workbook.close()
    except _Trap as error:
        raise ValueError(str(error)) from error
    except (BadZipFile, KeyError, ValueError, TypeError, SyntaxError, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"it is a damaged Excel file ({error}); {_REMEDY}") from error
    name = _sheet(sheets, options.get("sheet"))
    _refuse_formulas(path, name, sheets[name])
    yield from ((number, [_text(cell) for cell in row]) for number, row in sheets[name])


class _Trap(Exception):
    """A part of a workbook that no spreadsheet program writes."""


def _refuse_traps(file: BinaryIO, allowed: Limits) -> None:
    """Raise _Trap for a workbook that expands too much, or has cells so far out that the library would fill memory."""
    size = file.seek(0, 2)
    file.seek(0)
    if problem := zip_files.expansion_problem(file, size, allowed):
        raise _Trap(problem)
    file.seek(0)
    with ZipFile(file) as archive:
        for name in archive.namelist():
            if not name.startswith("xl/media/") and (problem := _part_problem(archive, name)):
                raise _Trap(f"{name} {problem}; {_REMEDY}")
    file.seek(0)


def _part_problem(archive: ZipFile, name: str) -> str | None:
    """Return the problem with a part of a workbook, which may be a sheet whatever its name; None if it has none."""
    tail = b""
    with archive.open(name) as part:
        while block := part.read(1 << 20):
            if not tail and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "is encoded in UTF-16"
            if match := _FAR.search(tail + block):
                far = match[1].decode(errors="replace")
                return f"has the row or cell {far}, outside of the 1,048,576 x 16,384 of a sheet"
            if _DECLARATION.search(tail + block):
                return "declares entities"
            tail = block[-100:]
    return None


def _filled(sheet: Any) -> Iterator[tuple[int, tuple]]:
    # The size that is stored in the file is wrong in those that some programs write.
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if any(cell not in (None, "") for cell in row):
            yield number, row


def _sheet(sheets: Mapping[str, list], name: str | None) -> str:
    if name is not None and name not in sheets:
        raise ValueError(f"it has no sheet {name!r}; {suggest(name, list(sheets))}")
    if name is not None:
        return name
    filled = [name for name, content in sheets.items() if content]
    if len(filled) > 1:
        raise ValueError(f"it has several sheets ({', '.join(filled)}); set `sheet` to the one with the table")
    if not filled:
        raise ValueError("its sheets are empty; fill one, or use another file")
    return filled[0]


def _refuse_formulas(path: Path, name: str, content: list[tuple[int, tuple]]) -> None:
    """Raise ValueError for a formula whose result is not in the file, which would look like an empty cell."""
    import openpyxl

    if all(cell is not None for _, row in content for cell in row):
        return
    with table_files.open_bytes(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        workbook = openpyxl.load_workbook(file, read_only=True)
        formulas = dict(_filled(workbook[name]))
        workbook.close()
    values = dict(content)
    for number, row in formulas.items():
        for index, cell in enumerate(row):
            computed = values.get(number, ())
            if isinstance(cell, str) and cell.startswith("=") and (index >= len(computed) or computed[index] is None):
                message = f"row {number} of sheet {name!r} has the formula {cell!r} without its result"
                raise ValueError(f"{message}; open it in a spreadsheet program and save it, or save it as CSV")


def _text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)
