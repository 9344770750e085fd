"""Rows of a table of images: the paths of their images, and their groups."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from variability.advice import agree, listed
from variability.data.datasets._rows import Rows
from variability.data.splits import LEFT_OUT
from variability.errors import UserError
from variability.io import numbers
from variability.io.image_files import FORMATS
from variability.io.table_readers import Table

#: Missing images whose probable names are looked for.
_HINTS = 20


def paths(table: Table, root: Path, names: Sequence[str]) -> list[Path]:
    """Return the paths of the rows' images. Raises UserError naming all rows that lead outside of ``root``."""
    outside = [
        f"{table.at(row)} names {name!r}"
        for row, name in enumerate(names)
        # Links below the folder may lead anywhere: they are the user's.
        if _leads_outside(name) or _leads_outside(name.replace("\\", "/"))
    ]
    if outside:
        raise UserError(f"{table.path}: {listed(outside)}, which leads outside {root}; set images accordingly")
    return [image_path(root, name) for name in names]


def _leads_outside(name: str) -> bool:
    return os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] == ".."


def image_path(root: Path, name: str) -> Path:
    """Return the path of an image; backslashes separate folders, as programs for Windows write them."""
    path = root / name
    return path if "\\" not in name or path.exists() else root / name.replace("\\", "/")


def require_whole_groups(
    rows: Rows, names: Sequence[str], groups: np.ndarray, partition: np.ndarray, noun: str, column: str | None
) -> None:
    """Raise UserError if a group is in several partitions: the test would contain examples half seen in training.

    names: (n,) of the groups. noun: for the groups. column: of the partitions.
    """
    pools = np.where(np.isin(partition, ("validation", "test", LEFT_OUT)), partition, "train")
    used = np.flatnonzero(pools != LEFT_OUT)
    pairs = np.unique(np.stack([groups[used], np.unique(pools[used], return_inverse=True)[1]]), axis=1)
    numbers_of, counts = np.unique(pairs[0], return_counts=True)
    if len(several := numbers_of[counts > 1]):
        first = used[groups[used] == several[0]]
        in_several = used[np.isin(groups[used], several)]
        raise UserError(
            f"{rows.at(in_several)}: {len(several)} of {len(numbers_of)} {noun} {agree(len(several), 'is', 'are')} in "
            f"several partitions ({names[first[0]]!r} in {' and '.join(sorted(set(pools[first])))}), so that the test "
            f"contains examples half seen in training; fix {column!r}, or set no partition to split by whole groups"
        )


def broken(table: Table, roles: Mapping[str, str], files: Sequence[Path], decimal: str | None) -> dict[int, str]:
    """Return the reasons of the rows that have no label or no image, by row, with the position of each.

    roles: names of the columns by role. files: the image of each row. decimal: separator of labels that are numbers,
    None if they are classes.
    """
    reasons: dict[int, str] = {}
    for role, name in roles.items():
        if role == "partition":
            continue
        is_number = role == "label" and decimal is not None
        remedy = "; if labels such as NA are classes, set target: class" if is_number else ""
        empty = numbers.MISSING if is_number else {""}
        for row, value in enumerate(table.text(name)):
            if (value or "").strip() in empty:
                reasons.setdefault(row, f"{table.at(row)} has no value in {name!r}{remedy}")
    if decimal is not None:
        label = table.columns[roles["label"]]
        for row in np.flatnonzero(~np.isfinite(numbers.parse(label, decimal)[0])):
            reason = f"{table.at(int(row))} has the label {label[int(row)]}, which is not a number"
            reasons.setdefault(int(row), reason)
    names, missing = table.text(roles["image"]), 0
    for row, file in enumerate(files):
        if row not in reasons and not file.is_file():
            kind = "a link without a target" if file.is_symlink() else "no file"
            missing += 1
            hint = _meant(file) if missing <= _HINTS else ""
            reasons[row] = f"{table.at(row)} names {names[row]!r}, and there is {kind} {file}{hint}"
    return dict(sorted(reasons.items()))


def _meant(file: Path) -> str:
    """Return which file or option was probably meant by the path of a missing file; nothing if that is not clear."""
    if file.with_name(file.name.strip()).is_file():
        return "; remove the blanks around the name"
    if suffix := next((each for each in FORMATS if file.with_name(file.name + each).is_file()), None):
        return f"; set `suffix: {suffix}`"
    for folder in file.parents:
        if folder.name and folder.name == folder.parent.name and (folder.parent / file.relative_to(folder)).is_file():
            return f"; the names begin with that of the folder: set images to {folder.parent.parent}"
    try:
        others = os.listdir(file.parent)
    except OSError:
        return ""
    same = next((name for name in others if name.casefold() == file.name.casefold()), None)
    return f"; it is called {same!r}" if same else ""
