"""Files of models: in a folder, a mirror, an installed package, or on the model hub.

Files of the hub are listed and downloaded over HTTP, without the hub's client library, so that they go through the same
mirrors, cache, resuming and checks as all other downloads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from variability.errors import UserError
from variability.io.files import read_json
from variability.io.folder_walk import walk

#: Environment variable with the address of the hub, the same as that of the hub's own client.
ENDPOINT = "HF_ENDPOINT"
PACKAGE = "package:"
_DEFAULT_ENDPOINT = "https://huggingface.co"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """Return whether a name has the form of a repository of the hub: organisation/name."""
    return _HUB_ID.fullmatch(name) is not None


def local_folder(name: str, mirrors: Sequence[Path]) -> Path | None:
    """Return the local folder of a model: in an installed package, at a path, or in a mirror; None if there is none.

    name: ``package:module/folder``, a path, or an id of the hub. In mirrors it is the end of a folder's path, at any
    depth, so that a copy of a repository of the hub is found by its id.
    """
    if name.startswith(PACKAGE):
        return _in_package(name)
    if Path(name).is_dir():
        return Path(name)
    if Path(name).is_absolute() or ".." in Path(name).parts or re.search(r"[*?\[]", name):
        return None
    end = f"/{name}/config.json"
    files = (
        mirror / file for mirror in mirrors for file in walk(mirror, hidden=True).files if f"/{file}".endswith(end)
    )
    return next((file.parent for file in files), None)


def package_of(name: str) -> str:
    """Return the module of ``package:module/folder``."""
    return name.removeprefix(PACKAGE).partition("/")[0]


def folders_of_package(name: str) -> list[str]:
    """Return the folders of models in the package of ``package:module/folder``; none if it is not installed."""
    folders = (path.parent.relative_to(root) for root in _roots(name) for path in sorted(root.rglob("config.json")))
    return [folder.as_posix() for folder in folders]


def _in_package(name: str) -> Path | None:
    subfolder = name.removeprefix(PACKAGE).partition("/")[2]
    return next((path for root in _roots(name) if (path := root / subfolder).is_dir()), None)


def _roots(name: str) -> list[Path]:
    spec = find_spec(package_of(name)) if package_of(name).isidentifier() else None
    return [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []


class Folder:
    """Files of a model in a folder on this machine."""

    def __init__(self, name: str, folder: Path):
        self._folder = folder
        self.facts: dict[str, Any] = {"source": name}
        if name.startswith(PACKAGE):
            with suppress(PackageNotFoundError):
                self.facts["version"] = version(package_of(name))
        self.files = set(walk(folder, hidden=True).files)

    def bring(self, file: str, target: Path, fetcher: Any) -> None:
        """Copy a file to ``target``."""
        fetcher.fetch((self._folder / file).absolute().as_uri(), target)


class Repository:
    """Files of a repository of the hub at a revision: a commit, or a tag or branch, which is resolved to one."""

    def __init__(self, name: str, revision: str, fetcher: Any, folder: Path):
        self._root = f"{os.environ.get(ENDPOINT, _DEFAULT_ENDPOINT).rstrip('/')}"
        self._name = name
        listing = folder / ".repository.json"
        url = f"{self._root}/api/models/{name}/revision/{quote(revision, safe='')}?blobs=true"
        fetcher.fetch(url, listing, mirrored=False)
        try:
            info = read_json(listing)
            self._commit, entries = str(info["sha"]), info["siblings"]
            self._sha256 = {entry["rfilename"]: (entry.get("lfs") or {}).get("sha256") for entry in entries}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{url} is not the listing of a repository: {type(error).__name__}: {error}") from error
        finally:
            listing.unlink(missing_ok=True)
        self.files = set(self._sha256)
        licence = (info.get("cardData") or {}).get("license")
        self.facts = {"source": f"{self._root}/{name}", "commit": self._commit, "license": licence}

    def bring(self, file: str, target: Path, fetcher: Any) -> None:
        """Download a file of the commit; large files are compared with the checksum that the hub publishes."""
        checksum = self._sha256[file]
        url = f"{self._root}/{self._name}/resolve/{self._commit}/{quote(file)}"
        fetcher.fetch(url, target, f"sha256:{checksum}" if checksum else None, mirrored=checksum is not None)
