"""Folders of Lightning's CSVLogger: metrics.csv, and hparams.yaml next to it."""

from __future__ import annotations

from pathlib import Path

import yaml

from variability.errors import UserError
from variability.io import tabular
from variability.io.table_readers import Table
from variability.results.readers import WrittenReader, table_of

_HYPERPARAMETERS = "hparams.yaml"
_EXPECTED = "`format: lightning` reads the metrics.csv of CSVLogger, with columns epoch or step"


class Lightning(WrittenReader):
    """The rows of metrics.csv with the hyperparameters of the run as columns ``hparams.<name>``.

    The logger writes one row per call of ``log``, with the metrics of other calls empty: ``keep: last`` or ``keep:
    best`` chooses among them.
    """

    PATTERNS = ("metrics.csv",)

    def companions(self, path: Path) -> list[Path]:
        other = path.with_name(_HYPERPARAMETERS)
        return [other] if other.is_file() else []

    def is_companion(self, path: Path) -> bool:
        return path.name == _HYPERPARAMETERS

    def table(self, path: Path) -> Table:
        read = tabular.table(path, self.spec)
        if not {"epoch", "step"} & set(read.names):
            raise UserError(f"{path} has no column epoch or step; {_EXPECTED}")
        hyperparameters = {name: value for file in self.companions(path) for name, value in _flat(file).items()}
        columns = {name: read.text(name) for name in read.names}
        rows = [
            {name: column[row] for name, column in columns.items()} | hyperparameters
            for row in range(len(read.numbers))
        ]
        return table_of(path, rows, read.numbers, read.unit)


class _Loader(yaml.SafeLoader):
    """Loads plain values; what the logger wrote of Python objects becomes None."""


_Loader.add_multi_constructor("", lambda loader, tag, node: None)


def _flat(path: Path) -> dict[str, str | None]:
    """Return the hyperparameters with plain values as text."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}  # noqa: S506, a subclass of SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}; correct it") from error
    if not isinstance(document, dict):
        return {}
    plain = {name: value for name, value in document.items() if isinstance(value, str | int | float)}
    return {f"hparams.{name}": str(value) for name, value in plain.items()}
