"""Files of imports: folders and patterns, also behind links."""

import pytest

from variability.errors import UserError
from variability.results import imported_files


@pytest.fixture
def folder(tmp_path):
    """A folder with one table, another behind a link, and a link to itself."""
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    runs.mkdir()
    elsewhere.mkdir()
    for file in (runs / "a.csv", elsewhere / "b.csv"):
        file.write_text("model,seed,accuracy\n")
    (runs / "linked").symlink_to(elsewhere)
    (runs / "loop").symlink_to(runs)
    return runs


@pytest.mark.parametrize("pattern", ["", "/**/*.csv"])
def test_tables_behind_links_are_found_once(pattern, folder):
    assert [file.name for file in imported_files.find({"path": f"{folder}{pattern}"})] == ["a.csv", "linked/b.csv"]


def test_a_link_without_a_target_in_a_folder_is_named(folder):
    (folder / "c.csv").symlink_to(folder / "missing.csv")
    with pytest.raises(UserError, match=r"tables that cannot be opened: c\.csv"):
        imported_files.find({"path": str(folder)})
