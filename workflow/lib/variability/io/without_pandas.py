"""Keeps pandas out of the processes that do not use it, such as trainings: importing it takes a third of a second.

PyArrow imports pandas with the first array that it makes from other objects, to recognise those of pandas.
"""

import sys
from importlib.machinery import ModuleSpec


class _Missing:
    """Finder of modules by which pandas looks as if it were not installed."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def import_pyarrow() -> None:
    """Import PyArrow and let it look for pandas in vain, once and for all.

    Whatever imports pandas later gets it, ``to_pandas`` included; only arguments of PyArrow that are objects of pandas
    are then treated as those of any other library.
    """
    if "pandas" in sys.modules or "pyarrow" in sys.modules:
        return
    sys.meta_path.insert(0, _Missing)
    try:
        import pyarrow

        pyarrow.array([])
    finally:
        sys.meta_path.remove(_Missing)
