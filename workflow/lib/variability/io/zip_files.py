"""Zip files of unknown origin, as archives and inside of formats (.xlsx, .npz, .pth): refusal of those that are traps.

Only the list at a file's end is read.
"""

import zipfile
from pathlib import Path
from typing import IO

from variability.io.limits import DEFAULT, Limits

#: Methods of compression that are read. Python expands a part that is compressed by others at once, whatever its size.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Names of others.
_OTHERS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 99: "AES"}
#: Bytes in front of each member's content, without its name.
_HEADER = 30


def problem(opened: zipfile.ZipFile) -> str | None:
    """Return the problem with the members of a zip that an ordinary one would not have, None if there is none."""
    end = 0
    for member in sorted(opened.infolist(), key=lambda member: member.header_offset):
        if member.flag_bits & 1:
            return "it is encrypted; unpack it yourself, or save it without a password"
        if member.compress_type not in _METHODS:
            method = _OTHERS.get(member.compress_type, member.compress_type)
            return f"it is compressed by the method {method}, which is not read; unpack it yourself, or use deflate"
        if member.header_offset < end:
            return f"its member {member.filename!r} shares bytes with another, as in a zip bomb. Do not trust this file"
        end = member.header_offset + _HEADER + member.compress_size
    return None


def expansion_problem(file: Path | IO[bytes], size: int, allowed: Limits = DEFAULT) -> str | None:
    """Return the problem with a file that is a zip, and with what it expands to; None if it has none.

    size: of the file in bytes. Raises the errors of ``zipfile``.
    """
    with zipfile.ZipFile(file) as opened:
        if trap := problem(opened):
            return trap
        return allowed.expansion_problem(sum(member.file_size for member in opened.infolist()), size)
