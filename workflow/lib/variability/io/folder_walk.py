"""Files below a folder, also those behind links, with the names of everything that is left out.

One rule for all folders of users: data sets, mirrors, and the hash by which changes are noticed, so that no file is
used that the hash leaves out.
"""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from variability.errors import UserError

#: Folders that programs add to those of users, in addition to names that begin with a dot: macOS' archiver, and the
#: thumbnails of network storage.
_ADDED_BY_PROGRAMS = frozenset({"__MACOSX", "@eaDir"})


@dataclass(frozen=True)
class Walk:
    """Names of what is below a folder: relative to it, with ``/`` between their parts, sorted by parts.

    files: regular files, also behind links. folders: all that were entered. hidden: names that begin with a dot, and
    folders that programs add; their content is not listed. dangling: links without a target. loops: links to a folder
    that they are in. unreadable: folders and links that permissions keep closed; ``.`` is the folder itself. special:
    sockets, pipes and devices.
    """

    root: Path
    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)

    def paths(self) -> Iterator[tuple[str, Path]]:
        """Yield the files with their paths."""
        for name in self.files:
            yield name, self.root / name


def walk(root: Path, hidden: bool = False, once: bool = False) -> Walk:
    """Return what is below a folder, following links.

    A link to a folder that it is in is a loop and is not followed; device and inode decide. hidden: list hidden files
    like all others. once: enter a folder only once if several links lead to it, as a search for files by name does.
    Raises UserError for the root of a file system, which holds millions of files and no data set.
    """
    _refuse_root(Path(root))
    result = Walk(Path(root))
    _visit(str(root), "", (), result, hidden, set() if once else None)
    return result


def matching(pattern: str) -> list[Path]:
    """Return the files whose paths match a pattern, sorted; ``**`` matches folders of any depth.

    Raises UserError for such a pattern that begins at the root of a file system.
    """
    parts = Path(pattern).parts
    if "**" in parts:
        _refuse_root(Path(*parts[: next(index for index, part in enumerate(parts) if glob.has_magic(part))]))
    return sorted(path for match in glob.glob(pattern, recursive=True) if (path := Path(match)).is_file())


def _refuse_root(folder: Path) -> None:
    if folder.is_absolute() and folder.resolve() == Path(folder.anchor):
        raise UserError(f"{folder} is all of a file system; name the folder that holds the files")


def is_hidden(name: str) -> bool:
    """Return whether the name of a file or folder is one that people do not see as theirs."""
    return name.startswith(".") or name in _ADDED_BY_PROGRAMS


def _visit(
    folder: str, prefix: str, parents: tuple[tuple[int, int], ...], result: Walk, hidden: bool, seen: set | None
) -> None:
    try:
        status = os.stat(folder)
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        result.unreadable.append(prefix.rstrip("/") or ".")
        return
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        result.loops.append(prefix.rstrip("/"))
        return
    if seen is not None:
        if identity in seen:
            return
        seen.add(identity)
    if prefix:
        result.folders.append(prefix.rstrip("/"))
    for entry in entries:
        name = prefix + entry.name
        if not hidden and is_hidden(entry.name):
            result.hidden.append(name)
            continue
        try:
            if entry.is_dir():
                _visit(entry.path, f"{name}/", (*parents, identity), result, hidden, seen)
            elif entry.is_file():
                result.files.append(name)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                result.dangling.append(name)
            else:
                result.special.append(name)
        except PermissionError:
            result.unreadable.append(name)
        except OSError:
            # A link to itself.
            result.dangling.append(name)
