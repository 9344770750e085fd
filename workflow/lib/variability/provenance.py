"""Which files of the library a stage's result depends on.

Snakemake does not notice edits to an imported module. So each rule lists the import closure of its stage as
``input: code``: an edit reruns exactly the stages that import the edited file, a touch reruns nothing (small inputs
are compared by checksum).
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
SCRIPTS = PACKAGE.parents[1] / "scripts"


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


def stage_files(stage: str, *plugins: str) -> list[Path]:
    """What the result of a stage with some plug-ins depends on: its closure and theirs, and its script."""
    return [*closure(f"variability.stages.{stage}", *plugins), SCRIPTS / f"{stage}.py"]


def code_digest(files: Iterable[str | Path]) -> str:
    """One SHA-256 over the contents of code files, independent of where the checkout lies and of their order."""
    digests = sorted(hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    found: list[Path] = []
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
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
