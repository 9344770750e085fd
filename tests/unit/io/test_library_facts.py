"""Facts about installed libraries are computed once, in another process, and cached."""

import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from variability.errors import UserError
from variability.io import library_facts as module

COLLECTOR = "def collect():\n    import a_library\n    return {'answer': a_library.ANSWER}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of a library that counts its imports, and of a collector; with a cache of its own."""
    (tmp_path / "a_library.py").write_text(f"ANSWER = 42\nopen({str(tmp_path / 'imports')!r}, 'a').write('.')\n")
    (tmp_path / "collector.py").write_text(COLLECTOR)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def facts(folder: Path, library: str = "a_library"):
    """The facts as a new process gets them."""
    spec = importlib.util.spec_from_file_location("collector", folder / "collector.py")
    collector = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(collector)
    return module.library_facts.__wrapped__(library, collector.collect)


def imports(folder: Path) -> int:
    return len((folder / "imports").read_text())


def test_a_library_is_imported_once_and_in_another_process(folder, caplog):
    assert [facts(folder) for _ in range(3)] == [{"answer": 42}] * 3
    assert imports(folder) == 1
    assert "a_library" not in sys.modules
    assert caplog.text.count("Importing a_library") == 1


def test_the_first_answer_and_the_cached_one_have_one_order(folder):
    """Parallel test processes collect tests in it, one of them before there is a cache."""
    (folder / "collector.py").write_text(COLLECTOR.replace("{'answer'", "{'b': 1, 'a': 2, 'answer'"))
    assert [list(facts(folder)) for _ in range(2)] == [["b", "a", "answer"]] * 2


def test_a_library_that_is_not_installed_has_no_facts(folder):
    assert facts(folder, "no_such_library") is None


def test_another_checkout_does_not_read_what_this_one_stored(folder, monkeypatch):
    """The cache is the user's, and checkouts of several versions may store facts in several forms."""
    facts(folder)
    other = folder / "other/library_facts.py"
    other.parent.mkdir()
    other.write_text("OTHER = 1\n")
    monkeypatch.setattr(module, "__file__", str(other))
    facts(folder)
    assert imports(folder) == 2


def test_another_version_and_another_collector_are_asked_again(folder):
    facts(folder)
    os.utime(folder / "a_library.py", (0, 0))
    facts(folder)
    assert imports(folder) == 2
    (folder / "collector.py").write_text(COLLECTOR.replace("answer", "reply"))
    assert facts(folder) == {"reply": 42}
    assert imports(folder) == 3


def test_many_processes_that_start_at_once_import_it_once(folder):
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(facts, [folder] * 4)) == [{"answer": 42}] * 4
    assert imports(folder) == 1


def test_a_damaged_cache_is_replaced(folder):
    facts(folder)
    (stored,) = (folder / "cache").rglob("*.json")
    stored.write_text("{")
    assert facts(folder) == {"answer": 42}
    assert imports(folder) == 2


def test_facts_that_were_changed_after_they_were_stored_are_not_used(folder):
    facts(folder)
    (stored,) = (folder / "cache").rglob("*.json")
    for number, text in enumerate((stored.read_text().replace("42", "43"), "[]", "7"), 2):
        stored.write_text(text)
        assert facts(folder) == {"answer": 42} and imports(folder) == number


def test_without_a_cache_the_library_is_imported_each_time(folder, caplog):
    (folder / "cache").write_text("a file, where the folder would be")
    assert [facts(folder) for _ in range(2)] == [{"answer": 42}] * 2
    assert imports(folder) == 2
    assert "cannot be written" in caplog.text


def test_a_library_that_cannot_be_imported_is_named_with_the_reason(folder):
    (folder / "a_library.py").write_text("raise ImportError('no libpng')")
    with pytest.raises(UserError, match=r"a_library is installed, but.*ImportError: no libpng.*install"):
        facts(folder)
    assert not list((folder / "cache").rglob("*.json"))
