"""Folders of Hugging Face's Trainer: all_results.json, the results of its splits, and trainer_state.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from variability.errors import UserError
from variability.io.table_readers import Table
from variability.results.readers import WrittenReader, _json_documents, table_of

#: Files of a run, the first of which represents it.
_FILES = (
    *("all_results.json", "predict_results.json", "test_results.json", "eval_results.json", "train_results.json"),
    "trainer_state.json",
)
_EXPECTED = "`format: hf_trainer` reads the files that `Trainer.save_metrics` and `Trainer.save_state` write"


class HfTrainer(WrittenReader):
    """One row per folder of a run: all numbers of its results, and ``best_metric`` and ``global_step`` of its state.

    Results of a split have the Trainer's prefix, such as ``eval_accuracy``. A folder with a state alone is that of a
    run whose results were not saved: its last evaluation counts, if it reached its last step, and otherwise it failed.
    """

    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {"status": ("status",), "seconds": ("train_runtime",)}
    PATTERNS = _FILES
    TIMED = True

    def companions(self, path: Path) -> list[Path]:
        return [other for name in _FILES if (other := path.with_name(name)).is_file() and other != path]

    def is_companion(self, path: Path) -> bool:
        # A state in checkpoint-500 is that of a step.
        if path.parent.name.startswith("checkpoint-"):
            return True
        earlier = _FILES[: _FILES.index(path.name)] if path.name in _FILES else ()
        return any(path.with_name(name).is_file() for name in earlier)

    def table(self, path: Path) -> Table:
        row: dict[str, str | None] = {"folder": path.parent.name}
        read = {file.name: _document(file) for file in (*reversed(self.companions(path)), path)}
        state = read.pop("trainer_state.json", {})
        for name in ("global_step", "best_metric", "best_model_checkpoint"):
            row |= {name: _text(state[name])} if state.get(name) is not None else {}
        if not read:
            history = [each for each in state.get("log_history", []) if isinstance(each, dict)]
            values = {key: value for each in history for key, value in each.items()}
            finished = state.get("global_step", 0) >= state.get("max_steps", 0)
            row |= {"status": "finished" if finished else "stopped"}
        else:
            values = {key: value for results in read.values() for key, value in results.items()}
        row |= {key: _text(value) for key, value in values.items() if isinstance(value, int | float | str)}
        if len(row) == 1:
            raise UserError(f"{path} has no results; {_EXPECTED}")
        return table_of(path, [row], [1], "record")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _document(path: Path) -> dict[str, Any]:
    document = _json_documents.document(path)
    if not isinstance(document, dict):
        raise UserError(f"{path} does not hold one mapping of results; {_EXPECTED}")
    return document
