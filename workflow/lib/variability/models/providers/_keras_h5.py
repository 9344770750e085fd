"""HDF5 files of weights of unknown origin: refusal of what reads other files, or takes memory that it does not fill."""

import math
from pathlib import Path

from variability.io.limits import DEFAULT


def problem(path: Path) -> str | None:
    """Return the problem with a file of weights, None if it has none.

    Raises OSError or RuntimeError if it is damaged.
    """
    import h5py

    expanded = 0
    with h5py.File(path, "r") as file:
        seen: set[int] = set()
        groups = [file]
        while groups:
            group = groups.pop()
            # A group may contain itself.
            if (address := h5py.h5o.get_info(group.id).addr) in seen:
                continue
            seen.add(address)
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    return f"its entry {name[:80]!r} is a link"
                entry = group[name]
                if isinstance(entry, h5py.Group):
                    groups.append(entry)
                elif isinstance(entry, h5py.Dataset):
                    if entry.external or entry.is_virtual:
                        return f"its array {name[:80]!r} is in another file"
                    if entry.dtype.hasobject:
                        return f"its array {name[:80]!r} does not hold numbers"
                    expanded += math.prod(entry.shape or ()) * entry.dtype.itemsize
    trap = DEFAULT.expansion_problem(expanded, path.stat().st_size)
    return trap and trap.rpartition("; ")[0]
