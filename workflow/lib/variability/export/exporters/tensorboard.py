"""Event files of TensorBoard."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from variability.export.exporters import ExportedRun, Exporter, _run_folders
from variability.io.files import replacing

#: Any name that contains tfevents is one of an event file.
_FILE = "events.out.tfevents.0.finetune-variability"


class TensorBoard(Exporter):
    """A folder per run, ``<study>/<model>/<task>/<method>/<seed>``: learning curves, final values, hyperparameters.

    TensorBoard stores values in float32. Events are written by TensorBoard's own record writer and messages, without
    the file system layer, which imports TensorFlow where it is installed.
    """

    EXTRA = "tensorboard"
    NEEDS = ("tensorboard",)

    def exported(self, run: ExportedRun) -> str | None:
        return _run_folders.digest(self._path(run))

    def remove(self, run: ExportedRun) -> None:
        _run_folders.remove(self._path(run))

    def write(self, run: ExportedRun) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        events, summaries = _messages("compat.proto.event_pb2"), _messages("compat.proto.summary_pb2")
        folder = self._path(run)
        started = run.ended - (run.seconds or 0)
        with replacing(folder / _FILE) as temporary, temporary.open("wb") as file:
            writer = RecordWriter(file)
            writer.write(events.Event(wall_time=started, file_version="brain.Event:2").SerializeToString())
            for value in _session(run, started):
                event = events.Event(wall_time=started, summary=summaries.Summary(value=[value]))
                writer.write(event.SerializeToString())
            for step, values in [*run.history.items(), (run.step, run.metrics)]:
                scalars = [summaries.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
                event = events.Event(wall_time=run.ended, step=step, summary=summaries.Summary(value=scalars))
                writer.write(event.SerializeToString())
        _run_folders.mark(folder, run.digest)

    def how_to_open(self) -> str:
        return f"tensorboard --logdir {self.folder}"

    def _path(self, run: ExportedRun) -> Path:
        return self.folder.joinpath(*(_run_folders.name(part) for part in (self.study, *run.keys.values())))


def _messages(module: str) -> Any:
    """Return a module of TensorBoard's messages, whose classes are made when it is imported."""
    return importlib.import_module(f"tensorboard.{module}")


def _session(run: ExportedRun, started: float) -> list[Any]:
    """Return the values of the page on hyperparameters: begin with the config, and end with the status."""
    from tensorboard.plugins.hparams import metadata

    api, data = _messages("plugins.hparams.api_pb2"), _messages("plugins.hparams.plugin_data_pb2")
    start = data.SessionStartInfo(start_time_secs=started)
    for key, value in {**run.keys, **run.config, "fail_reason": run.fail_reason}.items():
        _set(start.hparams[key], value)
    status = api.STATUS_SUCCESS if run.completed else api.STATUS_FAILURE
    end = data.SessionEndInfo(status=status, end_time_secs=run.ended)
    contents = {
        metadata.SESSION_START_INFO_TAG: data.HParamsPluginData(session_start_info=start),
        metadata.SESSION_END_INFO_TAG: data.HParamsPluginData(session_end_info=end),
    }
    value = _messages("compat.proto.summary_pb2").Summary.Value
    return [
        value(tag=tag, metadata=metadata.create_summary_metadata(content), tensor=metadata.NULL_TENSOR)
        for tag, content in contents.items()
    ]


def _set(field: Any, value: Any) -> None:
    if isinstance(value, bool):
        field.bool_value = value
    elif isinstance(value, int | float) and float(value) == value and abs(value) < 2**53:
        field.number_value = value
    else:
        # Numbers of random streams have more digits than a number of this format.
        field.string_value = "none" if value is None else str(value)
