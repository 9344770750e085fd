import subprocess
import sys

import pytest
from support import ROOT

from variability import provenance, registry
from variability.config import plugin_folders

METRIC = """
from variability.results.metrics import Metric


class Mine(Metric):
    KIND = "regression"
    LABELS = {"mine": "mine"}
    HIGHER_IS_BETTER = True
    PERFECT = None

    def compute(self, y_true, y_pred, probabilities):
        return {"mine": 0.0}
"""


@pytest.fixture(autouse=True)
def without_folders(monkeypatch):
    monkeypatch.setenv(registry.FOLDERS, "")
    yield
    registry.use_folders([])


def write(folder, family, name, text=METRIC):
    (folder / family).mkdir(parents=True, exist_ok=True)
    (folder / family / f"{name}.py").write_text(text)
    return folder


def messages(*folders):
    return [problem.message for problem in plugin_folders.use([str(folder) for folder in folders])]


def test_plug_ins_of_the_users_folders_are_found_next_to_the_librarys(tmp_path):
    assert messages(write(tmp_path / "mine", "metrics", "mine")) == []
    assert {"mine", "accuracy"} <= set(registry.names("metrics"))
    assert registry.find("metrics", "mine").__module__ == "variability.results.metrics.mine"


def test_a_process_that_is_started_knows_them_too(tmp_path, monkeypatch):
    write(tmp_path / "mine", "metrics", "elsewhere_defined")
    registry.use_folders([tmp_path / "mine"])
    code = "from variability import registry; registry.find('metrics', 'elsewhere_defined')"
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow/lib"))
    subprocess.run([sys.executable, "-c", code], check=True)


def test_their_code_and_the_modules_they_import_are_in_the_closure(tmp_path):
    text = METRIC + "from variability.results.metrics import _mine_helper\n"
    write(write(tmp_path / "mine", "metrics", "mine", text), "metrics", "_mine_helper", "FACTOR = 2\n")
    messages(tmp_path / "mine")
    before = provenance.listing("score", registry.module_name("metrics", "mine"))
    assert "mine/metrics/mine.py" in before and "mine/metrics/_mine_helper.py" in before
    write(tmp_path / "mine", "metrics", "_mine_helper", "FACTOR = 3\n")
    provenance.read.cache_clear()
    assert provenance.listing("score", registry.module_name("metrics", "mine")) != before


def test_a_plug_in_may_import_a_module_of_another_family(tmp_path):
    text = METRIC + "from variability.reporting.analyses import _mine_scale\n"
    write(write(tmp_path / "mine", "metrics", "with_scale", text), "analyses", "_mine_scale", "SCALE = 2\n")
    registry.use_folders([tmp_path / "mine"])
    listing = provenance.listing("score", registry.module_name("metrics", "with_scale"))
    assert "mine/analyses/_mine_scale.py" in listing
    assert registry.find("metrics", "with_scale").KIND == "regression"


def test_a_listing_does_not_depend_on_where_the_folder_is(tmp_path):
    listings = []
    for parent in ("one", "two"):
        messages(write(tmp_path / parent / "mine", "metrics", "mine"))
        listings.append(provenance.listing("score", registry.module_name("metrics", "mine")))
    assert listings[0] == listings[1]


def test_a_name_of_the_librarys_is_refused(tmp_path):
    (message,) = messages(write(tmp_path / "mine", "metrics", "accuracy"))
    assert "metrics/accuracy.py has the name of a module in" in message and message.endswith("rename it")


def test_a_name_in_two_folders_is_refused(tmp_path):
    folders = [write(tmp_path / name, "metrics", "mine") for name in ("one", "two")]
    (message,) = messages(*folders)
    assert "two/metrics/mine.py has the name of a module in" in message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent", "there is no folder"),
        ("empty", "has none of the subfolders datasets"),
        ("misspelt", "is not named after a family of plug-ins; did you mean 'metrics'?"),
        ("flat", "must be in a subfolder named after its family: datasets"),
        ("package", "is a package, and a plug-in is one file; make it metrics/*.py"),
        ("a:b", "has a ':' in its name; rename it"),
    ],
)
def test_a_folder_that_cannot_be_used_is_explained(tmp_path, path, message):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "misspelt", "metric", "mine")
    write(tmp_path / "flat", "metrics", "mine")
    (tmp_path / "flat" / "mine.py").write_text(METRIC)
    write(tmp_path / "package", "metrics", "mine")
    write(tmp_path / "package" / "metrics", "larger", "__init__")
    write(tmp_path / "a:b", "metrics", "mine")
    assert any(message in each for each in messages(tmp_path / path))
    assert "mine" not in registry.names("metrics")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "must define exactly one subclass of Metric"),
        ("def broken(:\n", "cannot be imported: SyntaxError"),
        ("import a_module_that_is_missing\n", "cannot be imported: ModuleNotFoundError"),
        (METRIC.replace('    KIND = "regression"\n', ""), "Mine must define KIND"),
    ],
)
def test_a_file_that_is_not_a_plug_in_is_explained(tmp_path, text, message):
    (found,) = messages(write(tmp_path / "mine", "metrics", "mine", text))
    assert str(tmp_path / "mine/metrics/mine.py") in found and message in found
