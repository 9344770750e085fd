"""Outputs of ``Trainer.predict`` as arrays: predictions and label_ids, in one .npz or in two .npy of a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from variability.errors import UserError
from variability.io import npz_files
from variability.io.limits import Limits
from variability.io.table_readers import Table
from variability.results.readers import WrittenReader, table_of

_ARRAYS = ("predictions", "label_ids", "example_id", "group")
_EXPECTED = (
    "`format: hf_predictions` reads an .npz with the arrays predictions and label_ids (and example_id and group, if "
    "there are any), or predictions.npy and label_ids.npy in one folder"
)
#: Labels that the Trainer leaves out of the loss, such as those of padding.
_IGNORED = -100


class HfPredictions(WrittenReader):
    """One row per example: label_ids are the true values; a row of predictions is the logits, or a number.

    Examples are numbered by their position, which must be the same in all runs: ``Trainer.predict`` does not shuffle.
    Runs are told by the files' names, with ``from_path``.
    """

    EXAMPLES = "classification"
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **{role: (role,) for role in ("example_id", "group", "y_true", "y_pred", "logits")},
    }
    PATTERNS = ("*.npz", "predictions.npy")

    def companions(self, path: Path) -> list[Path]:
        others = (path.with_name(f"{name}.npy") for name in _ARRAYS[1:])
        return [other for other in others if other.is_file()] if path.name == "predictions.npy" else []

    def is_companion(self, path: Path) -> bool:
        return path.name in {f"{name}.npy" for name in _ARRAYS[1:]} and path.with_name("predictions.npy").is_file()

    def table(self, path: Path) -> Table:
        arrays = self._arrays(path)
        for name in _ARRAYS[:2]:
            if name not in arrays:
                raise UserError(f"{path} has no array {name!r}; {_EXPECTED}")
        outputs, labels = arrays["predictions"], arrays["label_ids"]
        if outputs.ndim == 2 and outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        if labels.ndim != 1 or outputs.ndim not in (1, 2) or len(outputs) != len(labels):
            raise UserError(
                f"{path}: predictions {outputs.shape} and label_ids {labels.shape} are not those of one label per "
                "example; save one label and one row of outputs for each, such as those of a whole sequence"
            )
        columns = {"example_id": arrays.get("example_id", np.arange(len(labels))), "y_true": labels}
        columns |= {"group": arrays["group"]} if "group" in arrays else {}
        if any(len(column) != len(labels) for column in columns.values()):
            raise UserError(f"{path}: its arrays have different numbers of examples; save them again")
        texts = {name: column.astype(str).tolist() for name, column in columns.items()}
        name = "y_pred" if outputs.ndim == 1 else "logits"
        texts[name] = [json.dumps(row) for row in outputs.astype(float).tolist()]
        present = np.flatnonzero(labels != _IGNORED)
        rows = [{name: column[row] for name, column in texts.items()} for row in present]
        return table_of(path, rows, present + 1, "row")

    def _arrays(self, path: Path) -> dict[str, np.ndarray]:
        if path.suffix == ".npz":
            return npz_files.read(path, _ARRAYS, Limits.of(self.spec))
        if path.suffix != ".npy":
            raise ValueError(f"it is not a file of arrays; {_EXPECTED}")
        try:
            return {file.stem: np.load(file, allow_pickle=False) for file in (path, *self.companions(path))}
        except (EOFError, TypeError, SyntaxError) as error:
            raise ValueError(f"it is not an array of numbers ({error}); {_EXPECTED}") from error
