"""Files of a data set that is given as one table, a folder of tables, or a pattern of their names."""

import glob
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from variability.advice import listed
from variability.data.datasets._files import PARTITION_WORDS
from variability.data.datasets._rows import TableFile
from variability.errors import UserError
from variability.io import folder_walk, table_files, tabular

#: Number of a part, and of all parts, of a table that programs store in several files: train-00000-of-00002.parquet.
_PART = re.compile(r"[-_.]\d+-of-\d+$")
#: Tables of at most this many bytes in all are read while a study is planned, so that mistakes stop it early.
PLANNED_BYTES = 5_000_000


def matches(path: str) -> list[Path]:
    """Return the files that a path or pattern names: one, those in a folder, or those with a name of the pattern.

    Empty if there are none. Folders are not searched in depth; hidden files are ignored.
    """
    if Path(path).is_dir():
        files = [file for file in Path(path).iterdir() if not file.name.startswith(".") and file.is_file()]
        return sorted(file for file in files if table_files.inner_suffix(file) in tabular.SUFFIXES)
    if Path(path).exists():
        return [Path(path)]
    return folder_walk.matching(path)


def is_pattern(path: str) -> bool:
    """Return whether a path is a pattern, and not the name of a file."""
    return glob.has_magic(path) and not Path(path).exists()


def with_partitions(path: str) -> tuple[list[TableFile], tuple[str, ...]]:
    """Return the files of a folder or pattern with their partitions, and remarks on files that are not used.

    If a file is named train (or train-00000-of-00002), the files named after partitions are used; otherwise all are
    used, and have no partition. Raises UserError if two files are one partition, there is no train, or no file at all.
    """
    files = matches(path)
    if not files:
        raise UserError(f"{path} has no table ({', '.join(tabular.SUFFIXES)})")
    if len(files) == 1 and not Path(path).is_dir():
        return [TableFile(files[0], files[0].name)], ()
    root = Path(path) if Path(path).is_dir() else _common_folder(files)
    named: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        named[PARTITION_WORDS.get(_PART.sub("", _stem(file)), "")].append(file)
    others = named.pop("", [])
    if not named:
        return [TableFile(file, file.relative_to(root).as_posix()) for file in files], ()
    if "train" not in named:
        raise UserError(f"{path} has {_names(files)}, but no file for training; name it train{files[0].suffix}")
    for partition, same in named.items():
        whole = {file.with_name(_PART.sub("", _stem(file))) for file in same}
        if len(same) > 1 and not (len(whole) == 1 and all(_PART.search(_stem(file)) for file in same)):
            raise UserError(
                f"{path}: {_names(same)} are all for {partition}; keep one of them there, or put the rows into one "
                "table with a column for `partition`"
            )
    partition_of = {file: partition for partition, same in named.items() for file in same}
    used = [
        TableFile(file, file.relative_to(root).as_posix(), partition_of[file]) for file in files if file in partition_of
    ]
    remark = f"Not used, because the name is not that of a partition: {_names(others)}, in {root}."
    return used, (remark,) if others else ()


def small(files: Sequence[Path]) -> bool:
    """Return whether files are small enough to be read while a study is planned."""
    return sum(file.stat().st_size for file in files) <= PLANNED_BYTES


def _stem(file: Path) -> str:
    """Return the name without suffixes, in lower case: ``train`` for Train.csv.gz."""
    suffix = file.suffix if file.suffix.lower() in table_files.COMPRESSIONS else ""
    return Path(file.name.removesuffix(suffix)).stem.lower()


def _common_folder(files: Sequence[Path]) -> Path:
    folder = files[0].parent
    while not all(file.is_relative_to(folder) for file in files):
        folder = folder.parent
    return folder


def _names(files: Sequence[Path]) -> str:
    return listed([file.name for file in files], last=" and ")
