"""Jobs of Hydra: files of metrics below their folders, with the overrides that .hydra/overrides.yaml lists."""

from __future__ import annotations

from pathlib import Path

import yaml

from variability.errors import UserError
from variability.io import tabular
from variability.io.table_readers import Table
from variability.results.readers import WrittenReader, table_of

_OVERRIDES = Path(".hydra") / "overrides.yaml"
#: Folders above a file of metrics that are searched for the overrides.
_DEPTH = 3
_EXPECTED = (
    "`format: hydra` reads tables in the folders of jobs, with .hydra/overrides.yaml in the folder or one of the "
    f"{_DEPTH - 1} above it"
)


class Hydra(WrittenReader):
    """The rows of a table in a job's folder, with the overrides of the job as columns: ``model=vit`` is ``model``.

    Keys keep their groups and dots, without the + of Hydra's grammar: ``+optimizer.lr=0.1`` is ``optimizer.lr``. A key
    that an override deletes (``~scheduler``, ``~scheduler=cosine``) is empty.
    A column of the table is not replaced by an override of its name.
    """

    PATTERNS = ("metrics.json", "metrics.csv", "metrics.jsonl", "results.json", "results.csv")

    def companions(self, path: Path) -> list[Path]:
        listed = [folder / _OVERRIDES for folder in path.parents[:_DEPTH] if (folder / _OVERRIDES).is_file()]
        return listed[:1]

    def is_companion(self, path: Path) -> bool:
        return path.parent.name == _OVERRIDES.parent.name

    def table(self, path: Path) -> Table:
        companions = self.companions(path)
        if not companions:
            raise UserError(f"{path} is not below the folder of a job; {_EXPECTED}")
        overrides = _overrides(companions[0])
        read = tabular.table(path, self.spec)
        columns = {name: read.text(name) for name in read.names}
        rows = [overrides | {name: column[row] for name, column in columns.items()} for row in range(len(read.numbers))]
        return table_of(path, rows, read.numbers, read.unit)


def _overrides(path: Path) -> dict[str, str | None]:
    try:
        # As text: 1.10 and 007 stay what they are.
        listed = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader) or []  # noqa: S506, strings only
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}; correct it") from error
    if not isinstance(listed, list):
        raise UserError(f"{path} is not a list of overrides; {_EXPECTED}")
    overrides: dict[str, str | None] = {}
    for entry in map(str, listed):
        key, assigned, value = entry.partition("=")
        if entry.startswith("~"):
            # A deletion, with or without the value that the key must have had: the job ran without it.
            overrides.pop(key.lstrip("~"), None)
        elif assigned:
            overrides[key.lstrip("+")] = value.strip("'\"")
    return overrides
