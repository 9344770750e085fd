import json

import pytest

from variability import provenance
from variability.io import parsed_modules
from variability.io.artefacts import write_record
from variability.io.parsed_modules import Facts, ParsedModules

FACTS = Facts("ab12", ("variability.io.files", "variability"), False)


@pytest.fixture
def parser(tmp_path):
    path = tmp_path / "parser.py"
    path.write_text("VERSION = 1\n")
    return path


def stored(parser, tmp_path):
    return ParsedModules(parser, tmp_path / "cache")


def test_facts_are_found_by_the_source_in_the_next_process(parser, tmp_path):
    first = stored(parser, tmp_path)
    assert first.find(b"x = 1") is None
    first.add(b"x = 1", FACTS)
    first.save()
    assert stored(parser, tmp_path).find(b"x = 1") == FACTS
    assert stored(parser, tmp_path).find(b"x = 2") is None


def test_another_parser_finds_nothing(parser, tmp_path):
    first = stored(parser, tmp_path)
    first.add(b"x = 1", FACTS)
    first.save()
    parser.write_text("VERSION = 2\n")
    assert stored(parser, tmp_path).find(b"x = 1") is None


def test_a_damaged_file_is_not_read(parser, tmp_path):
    first = stored(parser, tmp_path)
    first.add(b"x = 1", FACTS)
    first.save()
    first.path.write_text(first.path.read_text().replace("ab12", "ab13"))
    assert stored(parser, tmp_path).find(b"x = 1") is None


@pytest.mark.parametrize("entry", [None, [], ["ab12"], ["ab12", None, True], [1, [], False]])
def test_stored_facts_of_another_type_are_not_used(entry, parser, tmp_path):
    first = stored(parser, tmp_path)
    first.add(b"x = 1", FACTS)
    first.save()
    (key,) = json.loads(first.path.read_text())["modules"]
    write_record(first.path, {"modules": {key: entry}})
    assert stored(parser, tmp_path).find(b"x = 1") is None


def test_a_folder_that_cannot_be_written_is_no_error(parser, tmp_path):
    (tmp_path / "cache").write_text("a file")
    modules = stored(parser, tmp_path)
    modules.add(b"x = 1", FACTS)
    modules.save()
    assert stored(parser, tmp_path).find(b"x = 1") is None


def test_of_many_versions_those_in_use_remain(parser, tmp_path, monkeypatch):
    monkeypatch.setattr(parsed_modules, "_MOST", 3)
    for version in range(3):
        modules = stored(parser, tmp_path)
        for module in ("a", "b"):
            modules.add(f"{module} = {version}".encode(), FACTS)
        modules.save()
    last = stored(parser, tmp_path)
    assert last.find(b"a = 2") and last.find(b"b = 2") and not last.find(b"a = 0")
    assert len(json.loads(last.path.read_text())["modules"]) == 2


def test_a_module_is_the_same_whether_parsed_or_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(parsed_modules, "cache_folder", lambda: tmp_path)
    path = provenance.PACKAGE / "stages/score.py"

    def read():
        parsed_modules.of_parser.cache_clear()
        provenance.read.cache_clear()
        return provenance.read(path)

    parsed = read()
    provenance.store_parsed()
    monkeypatch.setattr(provenance, "_facts", None)
    assert read() == parsed and provenance.PACKAGE / "io/files.py" in parsed.imports
    monkeypatch.undo()
    parsed_modules.of_parser.cache_clear()
    provenance.read.cache_clear()
