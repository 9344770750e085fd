"""Networks in the user's own Python files: ``my_nets.py:build``. Reads their code without running it, and imports them.

The code of a network is its file and the modules that this imports from the folder of the file.
"""

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from variability import provenance
from variability.io.files import digest

_REFERENCE = re.compile(r"(.+\.py):([A-Za-z_]\w*)")


class Reference(NamedTuple):
    """A function in a file."""

    path: Path
    function: str


class Signature(NamedTuple):
    """Parameters of a function: names of all that have one, of those without a default, and whether any is accepted."""

    names: list[str]
    required: list[str]
    open_ended: bool


def reference(architecture: str) -> Reference | None:
    """Return the function that an architecture names, such as ``my_nets.py:build``; None for any other name."""
    match = _REFERENCE.fullmatch(architecture)
    return Reference(Path(match[1]), match[2]) if match else None


def code_digest(path: Path) -> str | None:
    """Return the SHA-256 of what the code of a file means, and of the modules that it imports from its folder.

    Comments, docstrings and formatting do not matter. None if a file cannot be read or parsed, see ``tree``.
    """
    try:
        files = closure(path)
        return digest([[file.relative_to(path.parent).as_posix(), _parse(*_state(file))[1]] for file in files])
    except (OSError, SyntaxError, ValueError):
        return None


def closure(path: Path) -> list[Path]:
    """Return the file and those that it imports from its folder, directly or not, sorted."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo.extend(_imported(tree(file), file, path.parent))
    return sorted(seen)


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file. Raises OSError, SyntaxError, and ValueError for null bytes."""
    return _parse(*_state(path))[0]


def callables(path: Path) -> dict[str, Signature | None]:
    """Return the names defined at the top of a file; with the signature of functions, None for all other names."""
    names: dict[str, Signature | None] = {}
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef):
            names[node.name] = _signature(node.args)
        elif isinstance(node, ast.ClassDef):
            names[node.name] = None
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0]: None for alias in node.names}
        else:
            # An assignment, or definitions in a branch.
            stored = (child for child in ast.walk(node) if isinstance(child, ast.Name | ast.FunctionDef | ast.ClassDef))
            names |= {child.id if isinstance(child, ast.Name) else child.name: None for child in stored}
    return names


@contextmanager
def imported(path: Path) -> Iterator[ModuleType]:
    """Yield the module of a file, which may import others from its folder inside the ``with`` block, as a script may.

    They are forgotten afterwards: another folder may have modules of the same names.
    """
    path = path.resolve()
    folder = path.parent
    tops = {file.relative_to(folder).parts[0].removesuffix(".py") for file in closure(path)}
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in tops}
    name = f"own_network_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "the name ends in .py"
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    sys.modules[name] = module
    importlib.invalidate_caches()
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(folder))
        for other in [other for other in sys.modules if other.partition(".")[0] in tops]:
            del sys.modules[other]
        sys.modules |= hidden


def _state(path: Path) -> tuple[Path, int, int]:
    stat = path.stat()
    return path, stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=1024)
def _parse(path: Path, _time: int, _size: int) -> tuple[ast.Module, str]:
    content = path.read_bytes()
    parsed = ast.parse(content, filename=str(path))
    return parsed, provenance.meaning(parsed, content)


def _imported(parsed: ast.Module, file: Path, folder: Path) -> Iterator[Path]:
    """Yield the files below the folder that the statements of a module import."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(folder, alias.name.split("."), folder)
        elif isinstance(node, ast.ImportFrom):
            base = folder
            if node.level:
                base = file.parents[node.level - 1] if node.level <= len(file.parents) else folder
            names = (node.module or "").split(".") if node.module else []
            for alias in node.names:
                yield from _modules(base, [*names, alias.name], folder)


def _modules(base: Path, names: list[str], folder: Path) -> Iterator[Path]:
    """Yield the files of the packages and of the module that a dotted name may stand for, below ``base``."""
    for depth in range(len(names) + 1):
        path = base.joinpath(*names[:depth])
        # The folder itself is no package.
        candidates = ([path / "__init__.py"] if path != folder else []) + ([path.with_suffix(".py")] if depth else [])
        yield from (each for each in candidates if each.is_relative_to(folder) and each.is_file())


def _signature(arguments: ast.arguments) -> Signature:
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    required = positional[: len(positional) - len(arguments.defaults)]
    keyword = [each.arg for each in arguments.kwonlyargs]
    pairs = zip(keyword, arguments.kw_defaults, strict=True)
    required += [name for name, default in pairs if default is None]
    return Signature([*positional, *keyword], required, arguments.kwarg is not None)
