import importlib.util
from pathlib import Path

import finished_study
import pytest
import tiny_study

from variability import registry


@pytest.fixture
def tiny_provider(monkeypatch):
    """Makes the provider ``tiny`` known for the length of a test."""
    monkeypatch.setattr(registry, "find", registry.find)
    tiny_study.install()


@pytest.fixture(scope="module")
def task_json(tmp_path_factory) -> Path:
    """The task of ``tiny_study``, prepared."""
    return tiny_study.prepare(tmp_path_factory.mktemp("prepare") / "digits")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder of ``finished_study``; tests that change it copy it."""
    return finished_study.write(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def keras_process(monkeypatch):
    """Configure this process like Keras's jobs."""
    # Torch and TensorFlow both load an LLVM, and the process aborts if torch's is second. No job loads both.
    if importlib.util.find_spec("triton"):
        importlib.import_module("triton")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    registry.find("frameworks", "keras").configure(1)


@pytest.fixture(scope="module", params=["bert", "llama"])
def model_folder(request, tmp_path_factory) -> Path:
    """The folder of a small model of Transformers, with weights."""
    return _model(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    """The folder of a small BERT, with weights."""
    return _model(tmp_path_factory.mktemp("models") / "bert", "bert")


def _model(folder: Path, kind: str) -> Path:
    import text_models

    text_models.weights(text_models.folder(folder, kind), kind)
    return folder
