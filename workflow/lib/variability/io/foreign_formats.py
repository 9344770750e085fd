"""Formats that hold tables and are not read, recognised by their first bytes to be named in the message."""

import codecs
import re

#: First bytes, format, and a key of REMEDIES.
_MAGIC = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel file of the old format (.xls), or one with a password", "xlsx"),
    (codecs.BOM_UTF32_LE, "UTF-32 text", "utf8"),
    (codecs.BOM_UTF32_BE, "UTF-32 text", "utf8"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "extract"),
    (b"Rar!", "a RAR archive", "extract"),
    (b"ARROW1\0", "a Feather (Arrow) file", "parquet"),
    (b"Obj\x01", "an Avro file", "parquet"),
    (b"\x89HDF", "an HDF5 file", "csv"),
    (b"\x93NUMPY", "a NumPy array, which has no column names", "csv"),
    (b"SQLite format 3", "an SQLite database", "csv"),
    (b"RDX2\n", "an R data file", "csv"),
    (b"RDX3\n", "an R data file", "csv"),
    (b"X\n\0\0\0", "an R data file", "csv"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", "csv"),
    (b"<stata_dta>", "a Stata file", "csv"),
    (b"$FL2@(#)", "an SPSS file", "csv"),
    (b"\0" * 12 + b"\xc2\xea\x81\x60", "a SAS file", "csv"),
    (b"%PDF-", "a PDF", "csv"),
    (b"\x89PNG", "a picture (PNG)", "csv"),
    (b"\xff\xd8\xff", "a picture (JPEG)", "csv"),
    (b"{\\rtf", "a text document (RTF)", "csv"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "lfs"),
)
_PICKLE = (
    rb"\x80[\x02-\x05]"
    # Protocols 0 and 1: a mapping or a list, or an instance of a class of these modules.
    rb"|\((?:dp|lp)\d+\n|[\]}]q[\0-\x08]|\(?c(?:copy_?reg|numpy|pandas|torch|sklearn|scipy|collections|datetime|builtins"
    rb"|__builtin__)[\w.]*\n[A-Za-z_]\w*\n"
)
_PATTERNS = (
    (_PICKLE, "a pickle, which could run code", "csv"),
    (rb".{7}\0.{0,40}brain\.Event:", "a log of TensorBoard", "tensorboard"),
    (rb".{4}\0{4}\{", "a file of weights (.safetensors)", "csv"),
    (rb"ORC.*\0", "an ORC file", "parquet"),
    (rb"(?:[^\0]\0){8}|(?:\0[^\0]){8}", "UTF-16 text without a byte-order mark", "utf8"),
)
#: The first line that is neither empty nor a comment, in formats of text in which lines are not rows of values.
_LINES = (
    (r"\\(?:begin|documentclass|toprule|hline)\b", "a LaTeX table", "csv"),
    (r"(?i)@relation\s", "an ARFF file", "csv"),
    (r"\+[-=+]{3,}\+$|[┌┏╔╭][─━═┬┳╦]", "a table framed by lines", "csv"),
    (r"={3,}( +={3,})+$", "a table in reStructuredText", "csv"),
)
#: The line between the names of columns and the rows of a Markdown table.
_MARKDOWN = re.compile(r"(?=.*(?:--|:-|-:))\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")
_COMMENTS = re.compile(rb"(?:\s*<!--.*?-->)*\s*", re.DOTALL)
_YAML = re.compile(r"(?:---\s*\n)?-\s+[\w./]+:(?:\s.*)?\n\s+[\w./]+:(?:\s|$)")
REMEDIES = {
    "xlsx": "save it as .xlsx, without a password, or as CSV",
    "gzip": "compress it by gzip, or extract it",
    "extract": "extract it, and name the file with the table",
    "parquet": "save it as parquet or CSV",
    "csv": "save the table as CSV",
    "json": "save it as JSON, or the table as CSV",
    "utf8": "save it as UTF-8",
    "lfs": "run `git lfs pull`",
    "tensorboard": "export the scalars of each run as CSV",
    "html": "it may be an error message or a login page; download the table itself",
}


def problem(start: bytes) -> str | None:
    """Return what a file is and what to do, from its first bytes, decompressed; None if it may be a table."""
    for magic, name, remedy in _MAGIC:
        if start.startswith(magic):
            return _sentence(name, remedy)
    for pattern, name, remedy in _PATTERNS:
        if re.match(pattern, start, re.DOTALL):
            return _sentence(name, remedy)
    if is_html(start):
        return _sentence("an HTML page", "html")
    if _begin(start).startswith((b"<?xml", b"<!--")):
        return _sentence("an XML file", "csv")
    return _of_lines(start)


def is_html(start: bytes) -> bool:
    """Return whether the first bytes of a file are those of a web page."""
    return _begin(start).startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<table", b"<script"))


def _sentence(name: str, remedy: str) -> str:
    return f"it is {name}; {REMEDIES[remedy]}"


def _begin(start: bytes) -> bytes:
    """Return the beginning in lower case, without a byte-order mark and comments of HTML."""
    text = start.removeprefix(codecs.BOM_UTF8)
    return _COMMENTS.sub(b"", text, count=1).lower()


def _of_lines(start: bytes) -> str | None:
    """Return the message for a format of text; None if there is none."""
    text = start.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace")
    lines = [line for each in text.splitlines() if (line := each.strip()) and not line.startswith(("# ", "%"))]
    first, below = [*lines[:2], "", ""][:2]
    for pattern, name, remedy in _LINES:
        if re.match(pattern, first):
            return _sentence(name, remedy)
    if " & " in first and first.endswith("\\\\"):
        return _sentence("a LaTeX table", "csv")
    if "|" in first and "|" in below and _MARKDOWN.fullmatch(below):
        return _sentence("a table in Markdown", "csv")
    return _sentence("a YAML file", "json") if _YAML.match(text) else None
