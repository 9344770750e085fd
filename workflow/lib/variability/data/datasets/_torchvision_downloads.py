"""Downloads of ``torchvision.datasets``: through our fetcher, and unpacked within our limits."""

import contextlib
import importlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

from variability.errors import UserError
from variability.io import archives, storage, table_files
from variability.io.files import replacing
from variability.io.limits import DEFAULT, Limits

_CHUNK = 1 << 20


@contextlib.contextmanager
def fetching_through(fetcher: Any, allowed: Limits = DEFAULT) -> Iterator[list[UserError]]:
    """Make torchvision.datasets download with the Fetcher, and unpack within limits, inside the block.

    Yields the list of failed downloads.
    """
    importlib.import_module("torchvision.datasets")
    failures: list[UserError] = []

    def fetch(url: str, root: Any, filename: Any, md5: str | None) -> None:
        try:
            fetcher.fetch(url, Path(root).expanduser() / filename, f"md5:{md5}" if md5 else None, str(filename))
        except UserError as error:
            failures.append(error)
            # Some data sets then try another address, if they get an exception of this class.
            raise URLError(str(error)) from error

    def download_url(
        url: str, root: Any, filename: Any = None, md5: str | None = None, max_redirect_hops: int = 3
    ) -> None:
        drive = re.search(r"(?:drive|docs)\.google\.com/(?:file/d/|.*[?&]id=)([\w-]+)", url)
        fetch(_drive(drive[1]) if drive else url, root, filename or url.rpartition("/")[2], md5)

    def download_file_from_google_drive(file_id: str, root: Any, filename: Any = None, md5: str | None = None) -> None:
        fetch(_drive(file_id), root, filename or file_id, md5)

    def extract_archive(from_path: Any, to_path: Any = None, remove_finished: bool = False) -> str:
        source = Path(from_path)
        folder = Path(to_path or source.parent)
        unpacked = _unpacked(source, folder, allowed)
        if remove_finished:
            source.unlink()
        return str(unpacked)

    def _decompress(from_path: Any, to_path: Any = None, remove_finished: bool = False) -> Path:
        source = Path(from_path)
        target = Path(to_path or source.with_suffix(""))
        _expand(source, target, allowed)
        if remove_finished:
            source.unlink()
        return target

    with contextlib.ExitStack() as stack:
        for replacement in (download_url, download_file_from_google_drive, extract_archive, _decompress):
            for module in modules():
                if hasattr(module, replacement.__name__):
                    replaced(stack, module, replacement.__name__, replacement)
        yield failures


def modules() -> list[Any]:
    """Return the modules of torchvision.datasets that are imported."""
    return [module for name, module in list(sys.modules.items()) if name.split(".")[:2] == ["torchvision", "datasets"]]


def replaced(stack: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    """Replace an attribute until a stack is closed."""
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _unpacked(source: Path, folder: Path, allowed: Limits) -> Path:
    """Unpack an archive into a folder that may have files already, or a compressed file next to them; return it."""
    if not (archives.is_archive(source) or source.suffix == ".tbz"):
        _expand(source, folder / source.stem, allowed)
        return folder / source.stem
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{source.name}.unpacked"
    archives.extract(source, aside, allowed)
    _move_all(aside, folder)
    return folder


def _expand(source: Path, target: Path, allowed: Limits) -> None:
    try:
        with (
            table_files.open_bytes(source, allowed) as opened,
            replacing(target) as temporary,
            open(temporary, "wb") as file,
        ):
            shutil.copyfileobj(opened, file, _CHUNK)
    except (OSError, ValueError) as error:
        raise storage.explain(error, target) or UserError(f"{source} was not unpacked: {error}") from error


def _move_all(source: Path, target: Path) -> None:
    """Move the content of a folder to another one, where folders may exist and files are replaced."""
    for path in source.iterdir():
        existing = target / path.name
        if path.is_dir() and existing.is_dir():
            _move_all(path, existing)
        else:
            path.replace(existing)
    source.rmdir()


def _drive(file_id: str) -> str:
    return f"https://drive.usercontent.google.com/download?id={file_id}&export=download&confirm=t"
