"""Event files of TensorBoard as imports, written by torch's SummaryWriter."""

import sys
import types

import numpy as np
import pytest
from imported_files_support import imported

from variability import extras
from variability.config import import_checks, required_extras
from variability.errors import UserError
from variability.results import readers
from variability.results.readers.tensorboard import Tensorboard

SPEC = {
    "format": "tensorboard",
    "columns": {"model": "hparams.arch", "seed": "hparams.seed"},
    "keep": "best",
    "keep_by": "val/acc",
    "metrics": {"val/acc": {"metric": "accuracy", "split": "validation"}, "test/acc": {"metric": "accuracy"}},
}


@pytest.fixture
def writer(monkeypatch):
    """The class of torch's writer, which imports TensorFlow where it is installed unless this module exists."""
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", types.ModuleType("notf"))
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter


def write(writer, folder, arch, seed, best):
    """Write a run whose validation accuracy is best at step ``best``, and its hyperparameters as users do."""
    with writer(folder) as log:
        for step in range(4):
            log.add_scalar("val/acc", 0.9 - 0.1 * abs(step - best), step)
            log.add_scalar("test/acc", 0.1 * (step + 1), step)
            log.add_histogram("weights", np.arange(5.0), step)
        log.add_text("note", "hello")
        log.add_hparams({"arch": arch, "seed": seed, "amp": True, "lr": 0.1}, {"final": 0.5})


def test_the_best_step_of_each_run_is_its_result(writer, tmp_path):
    for arch, seed, best in (("vit", 0, 1), ("vit", 1, 2), ("cnn", 0, 3)):
        write(writer, tmp_path / f"{arch}-{seed}", arch, seed, best)
    runs, _ = imported(SPEC | {"path": str(tmp_path)})
    test = runs[runs["split"] == "test"].set_index(["model", "seed"])["value"].to_dict()
    assert test == pytest.approx({("vit", 0): 0.2, ("vit", 1): 0.3, ("cnn", 0): 0.4})
    assert set(runs["status"]) == {"completed"}


def test_rows_are_steps_with_numbers_as_short_as_they_were(writer, tmp_path):
    write(writer, tmp_path, "vit", 3, 1)
    reader = Tensorboard(SPEC)
    path = next(path for path in reader.in_folder(tmp_path) if not reader.is_companion(path))
    assert len(reader.in_folder(tmp_path)) == 1 and len(reader.companions(path)) == 1
    table = reader.table(path)
    assert table.text("test/acc") == ["0.1", "0.2", "0.3", "0.4"]
    assert table.text("step") == ["0", "1", "2", "3"] and table.numbers.tolist() == [0, 1, 2, 3]
    assert set(table.text("hparams.lr")) == {"0.1"} and set(table.text("hparams.arch")) == {"vit"}
    assert set(table.text("hparams.seed")) == {"3"} and "weights" not in table.names
    assert table.text("final")[0] == "0.5"


def test_scalars_of_other_writers_are_tensors(tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    path = tmp_path / "events.out.tfevents.1"
    values = [Summary.Value(tag="acc", tensor=make_tensor_proto(np.float64(1 / 3)))]
    values += [Summary.Value(tag="image", tensor=make_tensor_proto(np.arange(3.0)))]
    with path.open("wb") as file:
        RecordWriter(file).write(Event(step=7, summary=Summary(value=values)).SerializeToString())
    table = Tensorboard({}).table(path)
    assert table.text("acc") == [repr(1 / 3)] and table.text("step") == ["7"] and table.names == ["step", "acc"]


def test_a_record_that_a_killed_run_left_unfinished_is_not_read(writer, tmp_path):
    write(writer, tmp_path, "vit", 3, 1)
    path = next(iter(tmp_path.glob("*tfevents*")))
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    assert len(Tensorboard({}).table(path).numbers) == 4
    path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    with pytest.raises(UserError, match=r"is damaged after \d+ records?; `format: tensorboard` reads event files"):
        Tensorboard({}).table(path)
    (tmp_path / "tfevents.txt").write_text("epoch,accuracy\n" * 20)
    with pytest.raises(UserError, match="is not an event file"):
        Tensorboard({}).table(tmp_path / "tfevents.txt")


def test_a_file_without_scalars_is_refused(writer, tmp_path):
    with writer(tmp_path) as log:
        log.add_text("note", "hello")
    with pytest.raises(UserError, match="has no scalars"):
        Tensorboard({}).table(next(tmp_path.glob("*tfevents*")))


def test_the_extra_is_named_before_the_first_job(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    problems, _ = import_checks.check({"mine": SPEC | {"path": str(tmp_path)}}, [], {}, {})
    (problem,) = problems["mine"]
    assert problem.key == "format" and "`make .venv/.tensorboard` installs it" in problem.message
    assert list(required_extras.extras_of({"imports": {"mine": SPEC, "other": {"path": "x.csv"}}})) == ["tensorboard"]
    assert extras.missing(type(readers.of({}))) is None
