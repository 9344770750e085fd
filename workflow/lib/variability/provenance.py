"""Listings of the code that a stage's result depends on, with checksums of what the code means.

Snakemake does not notice edits to an imported module. So each rule has an ``input: code``: a listing of the import
closure of its stage with the checksum of each file. An edit changes the listing of exactly the stages that import the
edited file, a touch changes none. A listing replaces some forty inputs, because planning costs a tenth of a millisecond
for every input of every job.

Checksums are computed from the syntax tree, without comments, docstrings, positions and quotes, so that only an edit
that can change a result changes a listing.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from variability import registry
from variability.io import parsed_modules
from variability.io.files import digest, sha256, write_text
from variability.io.parsed_modules import Facts

PACKAGE = Path(__file__).parent
WORKFLOW = PACKAGE.parents[1]
SCRIPTS = WORKFLOW / "scripts"

#: Attributes and functions that return docstrings and comments, as they appear in the canonical text of a module.
_READS_TEXT = re.compile(r"'(__doc__|getdoc|getcomments)'")
#: Fields of nodes without effect on what code does: ``ctx`` follows from the position, ``kind`` is the u of u"".
_NO_EFFECT = frozenset({"ctx", "kind"})


class Source(NamedTuple):
    """A parsed module of the workflow.

    meaning: SHA-256 of its canonical text. imports: files of this package that importing it executes. reads_text:
    whether it reads docstrings or comments, which ``meaning`` leaves out.
    """

    meaning: str
    imports: tuple[Path, ...]
    reads_text: bool


def closure(*modules: str) -> list[Path]:
    """Return the files of this package that importing the named modules executes, sorted.

    modules: dotted names inside the package, such as ``variability.stages.score``. Imports are read from the source,
    those inside functions included; nothing is imported. Plug-ins are loaded by name at run time, so the table of
    stages names those that a job uses. Raises ValueError for an unknown module.
    """
    seen: set[Path] = set()
    todo = [_file(module) for module in modules] + [init for module in modules for init in _parents(module)]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(read(path).imports)
    return sorted(seen)


def listing(stage: str, *plugins: str) -> str:
    """Return the code that the result of a stage with some plug-ins depends on: checksum and name of a file per line.

    plugins: dotted names of modules. The stage's script is among the files. Independent of where the checkout is. If
    one of the files reads docstrings, any text may matter, and all of them have the checksum of their bytes.
    """
    files = [*closure(f"variability.stages.{stage}", *plugins), SCRIPTS / f"{stage}.py"]
    literal = any(read(path).reads_text for path in files)
    checksums = [sha256(path) if literal else read(path).meaning for path in files]
    names = [_name(path) for path in files]
    return "".join(f"{checksum}  {name}\n" for checksum, name in zip(checksums, names, strict=True))


def _name(path: Path) -> str:
    """Return the name of a file in a listing, independent of where the checkout and the user's plug-in folders are."""
    root = WORKFLOW if path.is_relative_to(WORKFLOW) else path.parents[2]
    return path.relative_to(root).as_posix()


def write_listing(folder: Path, stage: str, *plugins: str) -> Path:
    """Write a listing to a file in ``folder``, unless the file has this content; return its path."""
    names = [plugin.rpartition(".")[2] for plugin in plugins]
    name = "-".join([stage, *names])
    short = name if len(names) < 4 and len(name) <= 150 else f"{stage}-{digest(names)[:12]}"
    path = folder / f"{short}.txt"
    text = listing(stage, *plugins)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return path


def code_digest(stage: str, *plugins: str) -> str:
    """Return the SHA-256 of a listing."""
    return hashlib.sha256(listing(stage, *plugins).encode()).hexdigest()


@cache
def read(path: Path) -> Source:
    """Parse a module, once per process. Raises SyntaxError, and ValueError for a relative import."""
    source, parsed = path.read_bytes(), parsed_modules.of_parser(Path(__file__))
    facts = parsed.find(source)
    if facts is None:
        facts = _facts(source, path)
        parsed.add(source, facts)
    return Source(facts.meaning, _files(facts.imported), facts.reads_text)


def store_parsed() -> None:
    """Store what was read from modules, for the next process."""
    parsed_modules.of_parser(Path(__file__)).save()


def _facts(source: bytes, path: Path) -> Facts:
    tree = ast.parse(source, filename=str(path))
    text = _canonical(tree)
    meaning = hashlib.sha256(text.encode()).hexdigest()
    return Facts(meaning, _imported(tree, path), bool(_READS_TEXT.search(text)))


def meaning(tree: ast.Module, content: bytes) -> str:
    """Return the SHA-256 of the canonical text of a module, or of its bytes if it reads docstrings or comments."""
    text = _canonical(tree)
    return hashlib.sha256(content if _READS_TEXT.search(text) else text.encode()).hexdigest()


def _canonical(value: ast.AST | list | object) -> str:
    """Return the text of a syntax tree that is equal exactly for equal code.

    Statements that do nothing (docstrings and other bare constants, ``pass``) are left out. ``ast.dump`` would not do:
    its text differs between versions of Python, so that a job in another environment than the planner's, or an upgrade,
    would find all code changed. Fields without a value are left out, because new versions add fields of this sort, and
    strings are in ASCII, because versions differ in which characters they print.
    """
    if isinstance(value, ast.AST):
        fields = [(name, getattr(value, name, None)) for name in value._fields if name not in _NO_EFFECT]
        inner = [f" {name}={_canonical(field)}" for name, field in fields if field is not None and field != []]
        return f"({type(value).__name__}{''.join(inner)})"
    if isinstance(value, list):
        return f"[{' '.join([_canonical(item) for item in value if not _does_nothing(item)])}]"
    return ascii(value)


def _does_nothing(item: object) -> bool:
    return isinstance(item, ast.Pass) or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))


def _imported(tree: ast.Module, path: Path) -> tuple[str, ...]:
    """Return the dotted names in a module's imports that may be modules of this package."""
    names: list[str] = []
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: use absolute imports, so that the closure can be read")
            dotted = [node.module or ""] + [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        names.extend(name for name in dotted if name.partition(".")[0] == "variability")
    return tuple(dict.fromkeys(names))


def _files(names: Iterable[str]) -> tuple[Path, ...]:
    """Return the files that importing some modules executes, apart from what these import."""
    files: list[Path] = []
    for name in names:
        files.extend(file for file in (_file_or_none(name), *_parents(name)) if file)
    return tuple(dict.fromkeys(files))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that can hold imports (no expressions), but not what only type checkers import."""
    yield node
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.expr):
                yield from _nodes(child)


def _parents(module: str) -> list[Path]:
    parts = module.split(".")
    inits = ("/".join(parts[1:depth]) for depth in range(1, len(parts))) if parts[0] == "variability" else ()
    return [init for folder in inits if (init := PACKAGE / folder / "__init__.py").is_file()]


def _file_or_none(module: str) -> Path | None:
    if module != "variability" and not module.startswith("variability."):
        return None
    base = PACKAGE.joinpath(*module.split(".")[1:])
    package, _, leaf = module.rpartition(".")
    families = [family for family, (name, _) in registry.FAMILIES.items() if name == package]
    users = [folder / f"{leaf}.py" for family in families for folder in registry.family_folders(family)[1:]]
    return next((path for path in (base / "__init__.py", base.with_suffix(".py"), *users) if path.is_file()), None)


def _file(module: str) -> Path:
    path = _file_or_none(module)
    if path is None:
        raise ValueError(f"no module {module!r} in {PACKAGE}")
    return path


def plugins_of_cell(
    model: Mapping[str, Any], task: Mapping[str, Any], method: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Return the dotted names of the modules that build, feed, train and evaluate a model.

    model, method: entries with their defaults filled in; without a method, what concerns training is left out.
    task: an entry with its ``kind``.
    """
    provider = registry.find("providers", model["provider"])
    names = {
        "providers": model["provider"],
        "frameworks": provider.FRAMEWORK,
        "modalities": provider.MODALITY,
        "kinds": task["kind"],
    }
    if method:
        names["methods"] = method["kind"]
    modules = [registry.module_name(family, name) for family, name in names.items()]
    if registry.find("frameworks", provider.FRAMEWORK).USES_TORCH_INPUTS:
        # The modality names this module and does not import it: storing examples, and other frameworks, do without.
        modules.append(registry.find("modalities", provider.MODALITY).INPUTS_MODULE)
    return tuple(modules)
