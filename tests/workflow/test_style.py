"""Rules of the project that linters do not check."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support import ROOT

from variability import registry
from variability.config.recipe import DEFAULTS

#: Families whose plug-ins may need an extra.
FAMILIES = ("datasets", "providers", "methods")


def test_scripts_only_adapt():
    for path in (ROOT / "workflow/scripts").glob("*.py"):
        source = path.read_text()
        statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
        lines = [line for line in source.splitlines() if line.strip() and " import " not in line]
        assert len(lines) <= 12, f"{path.name} does more than call its stage"
        assert not any(isinstance(node, ast.If | ast.For | ast.While | ast.FunctionDef) for node in statements)
        assert "import pandas" not in source


def test_every_stage_has_a_rule_a_script_and_a_module():
    rules = {
        rule
        for path in (ROOT / "workflow/rules").glob("*.smk")
        for rule in re.findall(r"^rule (\w+):", path.read_text(), re.M)
    }
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")}
    stages = {path.stem for path in (ROOT / "workflow/lib/variability/stages").glob("[!_]*.py")}
    assert rules == scripts == stages


def public_functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions of a module, and the methods of its classes, whose names have no underscore at the start."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public_functions(child, f"{child.name}.")
        elif isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            yield prefix + child.name, child


def unannotated(path: Path) -> list[str]:
    """Return the public functions of a module with a parameter, or a result, that has no type."""
    names = []
    for name, function in public_functions(ast.parse(path.read_text())):
        arguments = function.args
        parameters = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
        typed = all(each.annotation for each in parameters if each and each.arg not in ("self", "cls"))
        if not typed or function.returns is None:
            names.append(f"{path.name}: {name}")
    return names


def test_public_functions_are_annotated():
    files = list((ROOT / "workflow/lib/variability").rglob("*.py"))
    assert sum(len(list(public_functions(ast.parse(path.read_text())))) for path in files) > 500
    assert [name for path in files for name in unannotated(path)] == []


def test_a_missing_annotation_is_reported(tmp_path):
    source = """
def f(a: int, b) -> int: ...
def g(a: int): ...
class C:
    def h(self, *a: int) -> None: ...
def _i(a): ...
"""
    (tmp_path / "module.py").write_text(source)
    assert unannotated(tmp_path / "module.py") == ["module.py: f", "module.py: g"]


def requested(name: str) -> list[str]:
    """Return the packages in an environment's .in file, after those of the files that it includes."""
    lines = [line for line in (ROOT / f"envs/{name}.in").read_text().splitlines() if line and line[0] != "#"]
    included = [name for line in lines if line.startswith("-r ") for name in requested(line[3:].removesuffix(".in"))]
    return included + [re.split("[=<>~]", line)[0] for line in lines if not line.startswith("-r ")]


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "envs").glob("*.yaml")))
def test_a_conda_environment_has_the_versions_of_the_lock(name):
    lock = (ROOT / f"envs/{name}.lock").read_text()
    pinned = [
        entry
        for entry in yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())["dependencies"]
        if isinstance(entry, dict)
    ]
    assert [entry.partition("==")[0] for entry in pinned[0]["pip"]] == requested(name)
    for entry in pinned[0]["pip"]:
        assert re.search(rf"^{re.escape(entry)}[ ;\\]", lock, re.M), f"{entry} is not in {name}.lock"


def test_every_extra_has_a_lock_and_those_that_plugins_name_a_conda_environment():
    extras = {path.stem for path in (ROOT / "envs").glob("*.in")}
    assert extras == {path.stem for path in (ROOT / "envs").glob("*.lock")}
    plugins = [registry.find(family, name) for family in FAMILIES for name in registry.names(family)]
    assert {plugin.EXTRA for plugin in plugins} - {None} <= {path.stem for path in (ROOT / "envs").glob("*.yaml")}


def test_locks_are_pinned_by_hash_and_name_no_index():
    for path in (ROOT / "envs").glob("*.lock"):
        text = path.read_text()
        assert "://" not in text and "index-url" not in text
        assert len(re.findall(r"^\S+==", text, re.M)) <= text.count("--hash=sha256:")


def test_packages_that_convert_tokenizers_are_installed_with_transformers():
    """The library imports them for some tokenizers, and does not declare them as dependencies."""
    lock = (ROOT / "envs/transformers.lock").read_text()
    for package in ("tokenizers", "sentencepiece", "protobuf"):
        assert re.search(rf"^{package}==", lock, re.M), package


def test_a_package_has_one_version_in_all_environments():
    """Several extras are installed into one environment."""
    pinned = {}
    for path in sorted((ROOT / "envs").glob("*.lock")):
        # Extras may need a package on different machines, so that their conditions differ.
        lines = re.findall(r"^([\w.-]+)(==[^\s;]+)", path.read_text(), re.M)
        for name in {name for name, _ in lines}:
            pinned.setdefault(name, set()).add(tuple(version for package, version in lines if package == name))
    assert {name: versions for name, versions in pinned.items() if len(versions) > 1} == {}


def test_the_docs_describe_every_key_of_a_recipe():
    docs = (ROOT / "docs/models.md").read_text()
    assert all(f"`{key}`" in docs for key in DEFAULTS)


def test_the_docs_know_every_data_set_and_method():
    for family, page in (("datasets", "data.md"), ("methods", "models.md")):
        text = (ROOT / "docs" / page).read_text()
        assert all(f"| `{name}` |" in text for name in registry.names(family))


def test_prose_is_wrapped():
    for path in [*ROOT.glob("*.md"), ROOT / "config/README.md", *(ROOT / "docs").rglob("*.md")]:
        code = False
        for at, line in enumerate(path.read_text().splitlines()):
            code ^= line.startswith("```")
            prose = not code and not line.startswith(("|", "    ", "!", "<"))
            assert not prose or len(line) <= 132, f"{path.name}:{at + 1} is {len(line)} characters long"
