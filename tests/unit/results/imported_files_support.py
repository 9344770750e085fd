"""Imports of files, as the stage that makes the runs table reads them."""

from variability.config import import_checks
from variability.results import imported_files, imported_runs

HF = {"from_path": r"(?P<model>\w+)-seed(?P<seed>\d+)/", "constants": {"task": "pages"}}


def imported(spec):
    """Return the runs table and the examples of an import."""
    files = imported_files.find(spec)
    assert not list(import_checks.check_columns(spec, imported_files.header(files, spec)))
    paths = {"own": [file.path for file in files]}
    spec = spec | {"names": [file.name for file in files]}
    tables, _, examples = imported_runs.read_all(paths, {"imports": {"own": spec}, "tasks": {}, "grid": {}})
    return tables[0], examples
