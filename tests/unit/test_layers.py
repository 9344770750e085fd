"""The table of allowed imports in docs/architecture.md, enforced."""

import ast
import re
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

import pytest

from variability import provenance

WORKFLOW = provenance.WORKFLOW
LIB = provenance.PACKAGE.parent
TOP = "top"

#: Packages that a package may import. It may also import what those may import, itself, and the modules at the top.
ALLOWED = {
    "scripts": ("stages",),
    "compare": ("reporting",),
    "interactive": ("config", "stages"),
    "export": ("interactive",),
    "model_card": ("interactive",),
    "rules": ("config", "terminal"),
    "terminal": ("stages",),
    "stages": ("training", "reporting", "results", "data", "io"),
    "config": ("training", "models", "data", "results"),
    "training": ("models",),
    "models": ("data",),
    "data": ("io",),
    "reporting": ("results", "stats"),
    "results": ("data", "stats"),
    TOP: ("io",),
    "io": (),
    "stats": (),
}

#: Imports that the table would allow because one package imports another that does: they are not to be direct. Modules
#: of stages load libraries, which `terminal` needs after planning only, and not in the processes of jobs.
INDIRECT = {("rules", "stages")}

Graph = Mapping[str, Iterable[str]]


def package(module: str) -> str:
    """Return the name in ALLOWED of the part that a module belongs to: ``variability.io.files`` is in ``io``."""
    parts = module.split(".")
    if parts[0] != "variability":
        return parts[0]
    return parts[1] if len(parts) > 1 and (LIB / "variability" / parts[1]).is_dir() else TOP


def allowed(name: str) -> set[str]:
    """Return all packages that a package may import."""
    return {name, TOP}.union(*map(allowed, ALLOWED[name])) if name != TOP else {TOP, *ALLOWED[TOP]}


def upward(graph: Graph) -> set[tuple[str, str]]:
    """Return the imports of a graph, as pairs of importing and imported module, that the table does not allow."""
    pairs = {(module, imported) for module, imports in graph.items() for imported in imports}
    packages = {(module, imported): (package(module), package(imported)) for module, imported in pairs}
    return {
        pair for pair, (above, below) in packages.items() if below not in allowed(above) or (above, below) in INDIRECT
    }


def cycle(graph: Graph) -> list[str]:
    """Return the modules of one cycle of imports, the first again at its end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def imports_of(source: str) -> set[str]:
    """Return the modules of ours that a module's source imports, also inside functions and for type checkers."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
            names.update(name if is_module(name) else node.module for name in dotted)
    return {name for name in names if is_module(name)}


def is_module(name: str) -> bool:
    path = LIB.joinpath(*name.split("."))
    return name.startswith("variability") and (path.is_dir() or path.with_suffix(".py").is_file())


def import_lines(rules: str) -> str:
    """Return the lines of a rule file that are imports; the others are no Python."""
    return "\n".join(re.findall(r"^(?:import|from) [^\n(]*(?:\([^)]*\))?", rules, re.MULTILINE))


@pytest.fixture(scope="module")
def graph() -> Graph:
    """Imported modules of ours by module: of the library, the scripts and the rule files."""
    graph = {
        ".".join(path.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__"): imports_of(path.read_text())
        for path in LIB.rglob("*.py")
    }
    graph |= {f"scripts.{path.stem}": imports_of(path.read_text()) for path in WORKFLOW.glob("scripts/*.py")}
    rules = {f"rules.{path.stem}": import_lines(path.read_text()) for path in WORKFLOW.glob("rules/*.smk")}
    return graph | {name: imports_of(lines) for name, lines in rules.items()}


def test_the_graph_holds_the_whole_workflow(graph):
    assert len(graph) > 200 and sum(map(len, graph.values())) > 600
    assert "variability.stages.score" in graph["scripts.score"]
    assert {"variability.io.files", "variability.registry"} <= graph["variability.provenance"]
    assert any(package(name) == "config" for name in graph["rules.common"])
    assert {package(module) for module in graph} == set(ALLOWED)


def test_no_import_runs_upwards(graph):
    assert upward(graph) == set()


def test_no_modules_import_each_other_in_a_cycle(graph):
    assert cycle(graph) == []


def test_few_modules_are_at_the_top_of_the_library():
    assert len([path for path in provenance.PACKAGE.glob("*.py") if path.name != "__init__.py"]) <= 10


def test_no_module_is_longer_than_400_lines():
    files = [path for suffix in ("py", "js", "css", "j2") for path in LIB.rglob(f"*.{suffix}")]
    files += [*WORKFLOW.glob("scripts/*.py"), *WORKFLOW.glob("rules/*.smk")]
    lengths = {str(path.relative_to(WORKFLOW)): len(path.read_text().splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


SOUND = {
    "scripts.score": ["variability.stages.score"],
    "rules.common": ["variability.config.study", "variability.registry", "variability.io.files"],
    "variability.stages.score": ["variability.results.predictions", "variability.stats.intervals"],
    "variability.results.predictions": ["variability.data.prepared_task"],
    "variability.data.prepared_task": ["variability.io.files", "variability.errors"],
    "variability.errors": ["variability.io.files"],
}


def test_imports_that_run_downwards_pass():
    assert upward(SOUND) == set() and cycle(SOUND) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("variability.results.predictions", "variability.stages.score"),
        ("variability.data.prepared_task", "variability.models.networks"),
        ("variability.training.fit_loop", "variability.results.predictions"),
        ("variability.stages.score", "variability.config.study"),
        ("variability.config.study", "variability.reporting.summary"),
        ("variability.io.files", "variability.data.splits"),
        ("variability.stats.intervals", "variability.io.files"),
        ("variability.registry", "variability.data.kinds"),
        ("rules.common", "variability.stages.score"),
        ("scripts.score", "variability.config.study"),
    ],
)
def test_an_import_that_runs_upwards_is_reported(module, imported):
    assert upward({**SOUND, module: [*SOUND.get(module, ()), imported]}) == {(module, imported)}


def test_a_cycle_is_reported():
    looped = {**SOUND, "variability.results.predictions": ["variability.results.columns"]}
    looped["variability.results.columns"] = ["variability.results.score_table"]
    looped["variability.results.score_table"] = ["variability.results.predictions"]
    assert upward(looped) == set()
    assert sorted({name.rpartition(".")[2] for name in cycle(looped)}) == ["columns", "predictions", "score_table"]


@pytest.mark.parametrize(
    "source",
    [
        "import variability.io.files",
        "from variability.io import files",
        "from variability.io.files import (\n    digest,\n)",
        "def f():\n    from variability.io import files",
        "if TYPE_CHECKING:\n    from variability.io.files import digest",
    ],
)
def test_an_import_is_read_wherever_it_is(source):
    assert imports_of(source) == {"variability.io.files"}


def test_imports_are_read_from_rule_files():
    rules = (
        "import os\nfrom variability.io.files import (\n    digest,\n)\n\n\nrule all:\n    input:\n        targets(),\n"
    )
    assert imports_of(import_lines(rules)) == {"variability.io.files"}
