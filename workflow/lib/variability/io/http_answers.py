"""Facts about a file from the headers and the first bytes of a server's answer. Servers send headers of any form."""

import re
from collections.abc import Mapping
from pathlib import Path

from variability.io import foreign_formats

#: Longest number of bytes that is plausible, in digits.
_DIGITS = 18
_PAGES = (".html", ".htm", ".xhtml")


def length(headers: Mapping[str, str]) -> int | None:
    """Return the bytes that a body should have; None if it is not stated, or not as a number."""
    if headers.get("Transfer-Encoding"):
        return None
    stated = {value.strip() for value in headers.get("Content-Length", "").split(",")}
    value = stated.pop() if len(stated) == 1 else ""
    return int(value) if re.fullmatch(rf"[0-9]{{1,{_DIGITS}}}", value) else None


def content_range(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return the first byte and the total size of a partial answer, None where they are unknown or impossible."""
    number = rf"([0-9]{{1,{_DIGITS}}})"
    match = re.fullmatch(rf"bytes {number}-{number}/(?:{number}|\*)", headers.get("Content-Range", "").strip())
    if match is None:
        return None, None
    first, last = int(match[1]), int(match[2])
    total = int(match[3]) if match[3] else None
    return (first, total) if first <= last and (total is None or last < total) else (None, None)


def validator(headers: Mapping[str, str]) -> str | None:
    """Return the value that identifies this version of the file in an If-Range header; weak tags do not."""
    tag = headers.get("ETag")
    return usable_validator(tag if tag and not tag.startswith("W/") else headers.get("Last-Modified"))


def usable_validator(value: object) -> str | None:
    """Return a value that can be sent in a header, None for any other."""
    return value if isinstance(value, str) and re.fullmatch(r"[ -~]{1,500}", value) else None


def encoding(headers: Mapping[str, str]) -> str | None:
    """Return the compression that a server applied although it was not asked to, None if it applied none."""
    value = headers.get("Content-Encoding", "").strip().lower().removeprefix("x-")
    return value if value not in ("", "identity") else None


def is_web_page(path: Path, name: str) -> bool:
    """Return whether a file is a web page, such as one with an error or a login, though its name promises another."""
    if name.lower().endswith(_PAGES):
        return False
    with open(path, "rb") as file:
        return foreign_formats.is_html(file.read(4096))
