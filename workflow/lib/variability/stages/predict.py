"""Predictions for validation and test examples before and after fine-tuning, for the runs of a seed chunk."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from variability.io import without_pandas
from variability.training import prediction_files
from variability.training.input_files import InputFiles

if TYPE_CHECKING:
    from variability.training.workplace import Workplace

_log = logging.getLogger(__name__)


def predict(
    spec: Mapping[str, Any],
    input_files: InputFiles,
    finetuned: Path,
    code: str,
    folder: Path,
    manifest: Path | None,
    workplace: Workplace,
) -> None:
    """Write ``<seed>.parquet`` for every run of a manifest of ``finetune``, and the chunk's own manifest if it has one.

    spec: {model, task: {name, kind}, method}, as for ``finetune``. input_files: with ``features``, if the predictions
    before training are computed from stored activations; these are the input of what the method trains, or, where it
    trains all, of the head. finetuned: the manifest of ``finetune``, next to the folders of its runs. code: digest of
    the code that the result depends on. folder: for the tables.

    Columns: model, task, method, seed, kind, phase (before, after), split (validation, test), example_id, group (where
    the task has groups), source, y_true, y_pred and, in classification, probabilities (one float32 per class). A
    diverged run has no rows of phase ``after``. Inference is in fp32, whatever the precision of training was.

    Raises UserError naming the seeds that failed, after all others are finished.
    """
    from variability.stages._prediction_block import PredictBlock

    PredictBlock(spec, input_files, finetuned, code, folder, workplace).run(manifest)


def predict_ahead(
    spec: Mapping[str, Any], input_files: InputFiles, finetuned: Path, code: str, folder: Path, workplace: Workplace
) -> None:
    """Predict what ``finetune`` has just trained, in the same process, because importing the frameworks takes longer.

    ``predict`` reuses the files if they are what it would write. An error here is only logged: ``predict`` will meet it
    again and report it. Parameters as of ``predict``.
    """
    try:
        predict(spec, input_files, finetuned, code, folder, None, workplace)
    except Exception as error:
        _log.info("not predicted yet: %s: %s", type(error).__name__, error)


def list_or_predict(
    spec: Mapping[str, Any], input_files: InputFiles, finetuned: Path, code: str, manifest: Path, runs_per_gpu: int
) -> None:
    """Write the manifest of ``predict``, and the predictions that are missing. Parameters as of ``predict``.

    ``finetune`` has mostly written all of them, and then the process imports no library.
    """
    if prediction_files.list_if_current(spec, input_files, finetuned, code, manifest):
        return
    without_pandas.import_pyarrow()
    from variability.training.workplace import Workplace

    with Workplace(spec["model"], spec["threads"], runs_per_gpu) as workplace:
        predict(spec, input_files, finetuned, code, manifest.parent, manifest, workplace)
