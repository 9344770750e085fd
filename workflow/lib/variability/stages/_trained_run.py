"""Predictions of a finished run for files or texts outside its study."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from variability import advice
from variability.advice import plural
from variability.data import modalities
from variability.data.datasets import Examples, UnreadableExamples
from variability.data.prepared_task import FILES
from variability.errors import UserError
from variability.io import artefacts, files, image_files
from variability.stages import _recommendations, _run_folders
from variability.stages._records import CHECKPOINT, DROPPED, RECORD, SETTINGS
from variability.stages.tokenize import tokenize
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace

if TYPE_CHECKING:
    import pandas as pd


def load_run(folder: str | Path) -> TrainedRun:
    """Open a run by its folder, ``results/<study>/finetune/<model>/<task>/<method>/<seed>``.

    Raises UserError if it has not finished, diverged, or has no checkpoint any more.
    """
    folder = Path(folder).resolve()
    _run_folders.require(folder)
    record = artefacts.read_record(folder / RECORD, artefacts.RUN_RECORD)
    if record["status"] != "completed":
        raise UserError(
            f"the run in {folder} {record['status']}: {record['fail_reason']}; it has nothing to predict with"
        )
    if SETTINGS not in record:
        raise UserError(f"the run in {folder} was trained by an earlier version; {advice.rerun('finetune', folder)}")
    if record.get(DROPPED):
        raise UserError(
            f"the checkpoint of {folder} was removed, as the config's `checkpoints` says; "
            f"{advice.rerun('finetune', folder)}, with checkpoints: all"
        )
    artefacts.require(folder / CHECKPOINT, record["sha256"]["checkpoint"], "finetune")
    return TrainedRun(folder, record)


class TrainedRun:
    """A finished run. folder: its folder, in that of its study. record: its ``run.json``."""

    def __init__(self, folder: Path, record: Mapping[str, Any]):
        self.folder = folder
        self.record = record
        # results/<study>/finetune/<model>/<task>/<method>/<seed>
        base = folder.parents[6]
        self._files = {name: base / path for name, path in record[SETTINGS]["files"].items()}
        for path in self._files.values():
            if not path.is_file():
                raise UserError(f"{path} is missing, and the run in {folder} needs it; run the study again")
        self.task = artefacts.read_record(self._files["task"], artefacts.TASK)

    @property
    def class_names(self) -> list[str]:
        """The classes in the order of ``probabilities``; empty in regression."""
        return self.task["class_names"]

    def predict(self, examples: Iterable[Any], top: int = 10) -> pd.DataFrame:
        """Return the prediction for each example, in their order.

        examples: of images paths of files, or uint8 arrays (height, width) or (height, width, 3); of texts strings, or
        tuples of two if the task has pairs; of users lists of items, oldest first, or tuples of a list of (item,
        rating) and the item to rate. They are prepared as the study prepared its own. Columns: ``source`` (the path or
        text; the position of an array or a user), ``y_pred`` (index of the class, or the predicted number) and, in
        classification, ``class`` and ``probabilities`` (one float32 per class). For users, unless ratings are
        predicted, ``items`` and ``scores`` of the ``top`` items that are recommended, in place of ``y_pred``.

        Given all files of a split in the order of the study's predictions, the result is equal to these bit for bit on
        the same kind of CPU. Other batches may differ in the last bits of a probability, because sums are ordered
        otherwise. Raises UserError naming examples that cannot be read.
        """
        listed = _several(examples)
        settings = self.record[SETTINGS]
        with tempfile.TemporaryDirectory() as temporary:
            # The name of a task is that of its folder.
            folder = Path(temporary, settings["task"]["name"])
            folder.mkdir()
            self._store(listed, folder)
            input_files = InputFiles(**self._files | {"task": folder / "task.json"} | self._tokens(folder))
            with Workplace(settings["model"], settings["threads"]) as workplace:
                if self._recommends:
                    workplace.framework_class = _recommendations.recommending(workplace.framework_class, top)
                framework = workplace.framework(settings["model"], settings["method"], input_files)
                rows = {"test": np.arange(len(listed))}
                phases = framework.predictions(self.record["seed"], self.folder / CHECKPOINT, rows)
                outputs = next(outputs for phase, _, outputs in phases if phase == "after")
                if self._recommends:
                    return self._with_sources(listed, _recommendations.top_items(outputs, self.task))
                columns = framework.task.kind.columns(outputs, framework.task.labels)
        return self._table(listed, columns)

    @property
    def _recommends(self) -> bool:
        return self.task["kind"] == "ranking"

    def _with_sources(self, examples: list[Any], columns: Mapping[str, Any]) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame({"source": [_source(example, index) for index, example in enumerate(examples)], **columns})

    def _table(self, examples: list[Any], columns: Mapping[str, pa.Array]) -> pd.DataFrame:
        table: dict[str, Any] = {"y_pred": columns["y_pred"].to_numpy()}
        if self.class_names:
            table["class"] = [self.class_names[index] for index in table["y_pred"]]
            table["probabilities"] = columns["probabilities"].to_pandas()
        return self._with_sources(examples, table)

    def _store(self, examples: list[Any], folder: Path) -> None:
        """Write the examples as those of a prepared task of one split, whose labels are all 0."""
        name, task = self.record["task"], self.task
        rows = np.arange(len(examples))
        given = _examples(examples, task)
        modality = modalities.find(task["modality"], task["input"])
        try:
            facts = modality.write(folder / FILES["inputs"], given, rows, name, threads=1)
        except UnreadableExamples as error:
            shown = "\n".join(f"  - {reason}" for reason in error.reasons.values())
            raise UserError(
                f"{len(error.reasons)} of {plural(len(rows), 'example')} cannot be read; leave them out, or correct "
                f"their paths, which are relative to {Path.cwd()}:\n{shown}"
            ) from error
        columns = {
            "example_id": rows,
            "label": given.labels,
            "split": ["test"] * len(rows),
            "partition": [""] * len(rows),
        }
        sources = [_source(example, index) for index, example in enumerate(examples)]
        pq.write_table(pa.table(columns | {"source": pa.array(sources, pa.string())}), folder / FILES["examples"])
        stored = {
            "facts": task["facts"] | facts,
            "counts": {"train": 0, "validation": 0, "test": len(rows)},
            "split": task["split"] | {"resample": False},
            "sha256": {file: files.sha256(folder / path) for file, path in FILES.items()},
        }
        files.write_json(folder / "task.json", task | stored)

    def _tokens(self, folder: Path) -> dict[str, Path]:
        """Encode the examples, if the run's network takes them encoded, and return the path of the manifest."""
        if not modalities.find(self.task["modality"], self.task["input"]).TOKENIZED or "assets" not in self._files:
            return {}
        manifest = folder / "tokens.json"
        model = self.record[SETTINGS]["model"]
        tokenize(model, folder / "task.json", self._files["assets"], folder / "tokens.npy", manifest)
        return {"tokens": manifest}


def _examples(examples: list[Any], task: Mapping[str, Any]) -> Examples:
    """Return examples of users as those of a data set, all labels of which are 0."""
    if task["modality"] == "interactions":
        return _recommendations.sequences(examples, task)
    reader = _READERS.get(task["modality"])
    if reader is None:
        raise UserError(f"{task['name']} consists of {task['modality']}, which can only be predicted in a study")
    labels = np.zeros(len(examples), np.float64 if not task["class_names"] else np.int64)
    partition = np.full(len(examples), "test")
    return Examples(labels, task["class_names"], partition, lambda index: reader(examples[index], task))


def _several(examples: Iterable[Any]) -> list[Any]:
    """Return the examples as a list. Raises UserError if they are one example, whose parts are none, or none at all."""
    channels_last = isinstance(examples, np.ndarray) and examples.ndim == 3 and examples.shape[2] == 3
    one_array = channels_last or (isinstance(examples, np.ndarray) and examples.ndim < 3)
    if one_array or isinstance(examples, (str, bytes, Path)):
        raise UserError(
            "predict takes a list of examples, and this is a single one; put it into a list: predict([...])"
        )
    listed = list(examples)
    if not listed:
        raise UserError("no examples to predict: the list is empty")
    return listed


def _image(example: Any, task: Mapping[str, Any]) -> np.ndarray:
    if isinstance(example, np.ndarray):
        return example
    return image_files.read_file(Path(example), task.get("value_range"))


def _text(example: Any, task: Mapping[str, Any]) -> Any:
    pairs = task["facts"]["pairs"]
    texts = example if isinstance(example, tuple) else (example,)
    if len(texts) != 1 + pairs or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{example!r} is not {'a pair of texts' if pairs else 'a text'}, as the task's examples are")
    return example


_READERS = {"image": _image, "text": _text}


def _source(example: Any, index: int) -> str:
    if isinstance(example, np.ndarray | list) or (isinstance(example, tuple) and not isinstance(example[0], str)):
        return str(index)
    return " | ".join(example) if isinstance(example, tuple) else str(example)
