"""Which files of the library a stage's result depends on.

Snakemake does not notice edits to an imported module. So each rule has an ``input: code``: a listing of the import
closure of its stage with the checksum of each file. An edit changes the listing of exactly the stages that import the
edited file, a touch changes none. One file stands for forty, because planning costs a tenth of a millisecond for every
input of every job.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from variability.files import digest, sha256, write_text

PACKAGE = Path(__file__).parent
WORKFLOW = PACKAGE.parents[1]
SCRIPTS = WORKFLOW / "scripts"


def closure(*modules: str) -> list[Path]:
    """Files of this package that importing the named modules executes, sorted.

    modules: dotted names inside the package, e.g. ``variability.stages.score``. Imports are read from the source,
    those inside functions included; nothing is imported. Plug-ins are loaded by name at run time, so a stage's rule
    names the plug-ins it uses.
    """
    seen: set[Path] = set()
    todo = [_file(module) for module in modules] + [init for module in modules for init in _parents(module)]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(_imports(path))
    return sorted(seen)


def listing(stage: str, *plugins: str) -> str:
    """What the result of a stage with some plug-ins depends on: checksum and name of each file of ours, a line each.

    plugins: dotted names of modules. The stage's script is among the files. Independent of where the checkout lies.
    """
    files = [*closure(f"variability.stages.{stage}", *plugins), SCRIPTS / f"{stage}.py"]
    return "".join(f"{sha256(path)}  {path.relative_to(WORKFLOW).as_posix()}\n" for path in files)


def write_listing(folder: Path, stage: str, *plugins: str) -> Path:
    """Writes a listing where the one that stands there says otherwise; returns its file in ``folder``."""
    names = [plugin.rpartition(".")[2] for plugin in plugins]
    path = folder / f"{'-'.join([stage, *names]) if len(names) < 4 else f'{stage}-{digest(names)[:12]}'}.txt"
    text = listing(stage, *plugins)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return path


def code_digest(stage: str, *plugins: str) -> str:
    """SHA-256 of a listing."""
    return hashlib.sha256(listing(stage, *plugins).encode()).hexdigest()


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    found: list[Path] = []
    for node in _nodes(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: use absolute imports, so that the closure can be read")
            dotted = [node.module or ""] + [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found.extend(file for name in dotted if (file := _file_or_none(name)))
        found.extend(init for name in dotted for init in _parents(name))
    return tuple(dict.fromkeys(found))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, but for what only type checkers import."""
    yield node
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            yield from _nodes(child)


def _parents(module: str) -> list[Path]:
    parts = module.split(".")
    inits = ("/".join(parts[1:depth]) for depth in range(1, len(parts))) if parts[0] == "variability" else ()
    return [init for folder in inits if (init := PACKAGE / folder / "__init__.py").is_file()]


def _file_or_none(module: str) -> Path | None:
    if module != "variability" and not module.startswith("variability."):
        return None
    base = PACKAGE.joinpath(*module.split(".")[1:])
    for candidate in (base / "__init__.py", base.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def _file(module: str) -> Path:
    path = _file_or_none(module)
    if path is None:
        raise ValueError(f"no module {module!r} in {PACKAGE}")
    return path
