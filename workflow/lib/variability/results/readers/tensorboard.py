"""Event files of TensorBoard: scalars of each step, and the hyperparameters of the run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from variability import advice
from variability.errors import UserError
from variability.io.table_readers import Table
from variability.results.readers import WrittenReader, table_of

#: Name of the folder that ``SummaryWriter.add_hparams`` makes in that of a run: a time.
_ADDED = re.compile(r"\d+\.\d+")
_HYPERPARAMETER = "hparams."
_STATUSES = {1: "finished", 2: "failed", 3: "running"}
_EXPECTED = "`format: tensorboard` reads event files, whose names contain tfevents, with scalars"


class Tensorboard(WrittenReader):
    """One row per step, with its scalars as columns called like their tags, and ``step``.

    Hyperparameters, those of ``add_hparams`` too, are columns ``hparams.<name>``, and the status that they state is
    ``status``. ``keep: last`` or ``keep: best`` chooses among the steps. Files are read by TensorBoard's own record
    reader and messages, without the file system layer, which imports TensorFlow where it is installed.
    """

    EXTRA = "tensorboard"
    NEEDS = ("tensorboard",)
    COLUMNS: ClassVar[Mapping[str, tuple[str, ...]]] = {"status": ("status",)}
    PATTERNS = ("*tfevents*",)

    def companions(self, path: Path) -> list[Path]:
        others = sorted(path.parent.glob("*/*tfevents*"))
        return [other for other in others if self.is_companion(other)]

    def is_companion(self, path: Path) -> bool:
        return bool(_ADDED.fullmatch(path.parent.name)) and any(path.parent.parent.glob("*tfevents*"))

    def table(self, path: Path) -> Table:
        steps: dict[int, dict[str, str | None]] = {}
        facts: dict[str, str | None] = {}
        for file in [path, *self.companions(path)]:
            for event in _events(file):
                for value in event.summary.value:
                    if value.metadata.plugin_data.plugin_name == "hparams":
                        facts |= _hyperparameters(value.metadata.plugin_data.content)
                    elif (number := _number(value)) is not None:
                        steps.setdefault(event.step, {})[value.tag] = number
        if not steps:
            raise UserError(f"{path} has no scalars; {_EXPECTED}")
        # In the order of the file, which is that of time.
        rows = [{"step": str(step)} | values | facts for step, values in steps.items()]
        return table_of(path, rows, np.array(list(steps)), "step")


def _events(path: Path) -> Iterator[Any]:
    """Yield the events of a file. The last one may be cut short, by a run that was killed."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import event_pb2
    from tensorboard.compat.tensorflow_stub import errors
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    messages: Any = event_pb2  # made when it is imported, so no type checker knows it
    reader = PyRecordReader_New(str(path))
    count = 0
    try:
        while True:
            reader.GetNext()
            yield messages.Event.FromString(reader.record())
            count += 1
    except errors.OutOfRangeError:
        return
    except (errors.DataLossError, DecodeError) as error:
        if count and "truncated" in str(error):
            return
        read = advice.plural(count, "record")
        raise UserError(f"{path} is not an event file, or is damaged after {read}; {_EXPECTED}") from error


def _number(value: Any) -> str | None:
    """Return a scalar with as many digits as distinguish it in its precision; None for anything but a scalar."""
    from tensorboard.util import tensor_util

    if value.HasField("simple_value"):
        return str(np.float32(value.simple_value))
    if not value.HasField("tensor") or value.tensor.tensor_shape.dim or not value.tensor.dtype:
        return None
    array = tensor_util.make_ndarray(value.tensor)
    return str(array[()]) if array.dtype.kind in "fiu" else None


def _hyperparameters(content: bytes) -> dict[str, str | None]:
    from tensorboard.plugins.hparams import plugin_data_pb2

    messages: Any = plugin_data_pb2
    data = messages.HParamsPluginData.FromString(content)
    read: dict[str, str | None] = {}
    for name, value in data.session_start_info.hparams.items():
        kind = value.WhichOneof("kind")
        if kind in ("number_value", "string_value", "bool_value"):
            stated = getattr(value, kind)
            # All numbers of hyperparameters are floats; seed 3 is not called 3.0.
            whole = kind == "number_value" and stated.is_integer()
            read[f"{_HYPERPARAMETER}{name}"] = f"{stated:.0f}" if whole else str(stated)
    if (status := _STATUSES.get(data.session_end_info.status)) is not None:
        read["status"] = status
    return read
