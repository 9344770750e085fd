"""Bundles: files that a record lists, in one tar next to it, for machines that do not share a file system.

Jobs declare small records, and leave the files that these list, such as the folders of runs, undeclared: Snakemake
deletes declared outputs before a job, and with them all finished runs of a chunk. Its storage plug-ins carry declared
files only. So where a study is kept in such a storage, a job also declares a bundle, packs it at its end, and unpacks
those of the jobs before it at its start.
"""

import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from variability.errors import UserError
from variability.io.artefacts import stamp_path
from variability.io.files import read_json, replacing

#: Suffix of the trained tensors, which only predictions need; they are in a bundle of their own.
TENSORS = ".safetensors"
SUFFIX = ".tar"
#: Environment variable: the folder of this machine in which the storage's ``results/`` is. Unset without a storage.
ROOT = "VARIABILITY_STORED_IN"


def in_checkout(path: str | Path) -> str:
    """Return the path that a file would have without a storage: ``results/...`` for what is in the storage."""
    root = os.environ.get(ROOT)
    inside = root and Path(path).is_relative_to(root)
    return str(Path(path).relative_to(root)) if root and inside else str(path)


def members(record: Path) -> list[Path]:
    """Return the files that a record of a stage lists, and their stamps.

    record: with ``runs`` (a folder or a table of predictions for each seed), ``tables`` or ``files``.
    """
    content, folder = read_json(record), record.parent
    listed = [folder / name for name in content.get("tables", ())]
    listed += [folder / "files" / name for name in content.get("files", ())]
    for run in content.get("runs", ()):
        own = folder / str(run["seed"])
        # Hidden files are locks and states of interrupted runs.
        listed += sorted(own.glob("[!.]*")) if own.is_dir() else [own.with_name(f"{own.name}.parquet")]
    stamps = [stamp for path in listed if (stamp := stamp_path(path)).is_file()]
    return [*listed, *stamps]


def pack(bundle: Path, files: Sequence[Path]) -> None:
    """Write files to a bundle, with their paths relative to its folder. It is complete or absent."""
    with replacing(bundle) as temporary, tarfile.open(temporary, "w") as archive:
        for path in files:
            archive.add(path, path.relative_to(bundle.parent).as_posix(), recursive=False)


def unpack(bundle: Path) -> None:
    """Write the files of a bundle to its folder. Those that are there already, with the same size and time, are kept.

    Other jobs may read them, or unpack the same bundle, meanwhile: each file is complete or absent. Raises UserError
    for a bundle that cannot be read, or has members that ``pack`` does not write.
    """
    try:
        with tarfile.open(bundle) as archive:
            for member in archive:
                _unpack(archive, tarfile.data_filter(member, str(bundle.parent)), bundle.parent / member.name)
    except (tarfile.TarError, EOFError) as error:
        problem = f"{in_checkout(bundle)} cannot be read ({error})"
        raise UserError(f"{problem}; remove it from the storage and run the same command again") from error


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = archive.extractfile(member) if member.isreg() else None
    if source is None:
        raise tarfile.ExtractError(f"{member.name!r} is not a file")
    if path.is_file() and (path.stat().st_size, int(path.stat().st_mtime)) == (member.size, int(member.mtime)):
        return
    # Not durable: the bundle is the file that counts.
    with replacing(path, durable=False) as temporary:
        with open(temporary, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        os.utime(temporary, (member.mtime, member.mtime))
