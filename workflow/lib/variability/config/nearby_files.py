"""Paths that the author of a config meant relative to its folder, and not to the one in which Snakemake is started."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability.config import plain_values
from variability.errors import Problem

#: A function in a file, as in ``architecture: my_nets.py:build``.
_FUNCTION = re.compile(r"(?<=\.py):\w+$")
#: Advice of other checks, which such a file makes wrong.
_OTHER_ADVICE = re.compile(r"; (did you mean '[^']*'\?|see VARIABILITY_MIRROR)$")


def with_advice(config: Any, problems: Iterable[Problem], files: Sequence[Path]) -> Iterator[Problem]:
    """Yield the problems; those of a missing file that is in the folder of a config say which path to write.

    files: those that the config was read from.
    """
    values: Mapping[str, str] = dict(plain_values.texts(plain_values.plain(config)[0]))
    for problem in problems:
        of_key = [text for key, text in values.items() if key == problem.key or _is_item(key, problem.key)]
        nearby = [(text, path, file) for text in of_key for file in files if (path := _nearby(text, file)) is not None]
        if nearby:
            text, path, file = nearby[0]
            advice = f"{text!r} is next to {file}: write {path!r}, because paths start in the folder of the command"
            yield Problem(problem.key, f"{_OTHER_ADVICE.sub('', problem.message)}; {advice}")
        else:
            yield problem


def _is_item(key: str, of_list: str) -> bool:
    """Return whether a key is that of an item of a list with another key."""
    return key.rpartition(".")[0] == of_list and key.rpartition(".")[2].isdigit()


def _nearby(text: str, file: Path) -> str | None:
    """Return the path of a file, folder or pattern that is only in the folder of a config, or None."""
    path, folder = _FUNCTION.sub("", text), Path(file).parent
    if not path or os.path.isabs(path) or _exists(path) or not _exists(os.path.join(folder, path)):
        return None
    return os.path.join(folder, text)


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path) or (glob.has_magic(path) and next(glob.iglob(path), None) is not None)
    except (OSError, ValueError):
        return False
