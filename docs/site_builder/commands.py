"""The page with all commands: targets of make and of Snakemake, and modules of Python, from their sources."""

import ast
import re
from pathlib import Path

HEAD = """\
# Commands

## make

Each command creates the environment `.venv` first.

| command | result |
|---|---|
"""
TARGETS = """
## Targets of Snakemake

`snakemake TARGET --cores 8 --configfile my-study.yaml`; without a target, `all`. Put targets before `--configfile`.

| target | result |
|---|---|
"""
RULES = """
Each stage is a rule. Rules with wildcards are requested by a file that they write.

| stage | purpose | rule file |
|---|---|---|
"""
MODULES = """
## Modules

With `.venv/bin/python -m MODULE`.

| module | purpose |
|---|---|
"""


def page(root: Path) -> str:
    """Return the page in Markdown. root: folder of the repository."""
    parts = [HEAD, *(f"| `{command}` | {text} |\n" for command, text in make_commands(root / "Makefile"))]
    parts += [TARGETS, *(f"| `{name}` | {text} |\n" for name, text in targets(root).items())]
    library = root / "workflow/lib"
    parts.append(RULES)
    for name, path in stages(root).items():
        purpose = first_line(library / f"variability/stages/{name}.py").removeprefix(f"Stage `{name}`: ")
        parts.append(f"| `{name}` | {purpose} | `workflow/rules/{path.name}` |\n")
    parts += [MODULES, *(f"| `{name}` | {text} |\n" for name, text in modules(library).items())]
    return "".join(parts)


def make_commands(makefile: Path) -> list[tuple[str, str]]:
    """Return (command, purpose) as ``make help`` prints them."""
    return re.findall(r'@echo "(make .+?)  +(.+)"', makefile.read_text(encoding="utf-8"))


def targets(root: Path) -> dict[str, str]:
    """Return the rules of the Snakefile that can be requested by name, with the table of docs/running.md as text."""
    names = re.findall(r"^rule (\w+):", (root / "Snakefile").read_text(encoding="utf-8"), re.MULTILINE)
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+).*? \| (.+) \|$", (root / "docs/running.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    texts = {name: text for group, text in rows for name in re.findall(r"`(\w+)`", group)}
    return {name: texts[name] for name in [*names, *sorted(texts.keys() & stages(root).keys())] if name in texts}


def stages(root: Path) -> dict[str, Path]:
    """Return the rules of the stages, and the files that define them."""
    return {
        name: path
        for path in sorted((root / "workflow/rules").glob("*.smk"))
        for name in re.findall(r"^rule (\w+):", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def modules(library: Path) -> dict[str, str]:
    """Return the modules that can be run, with the first line of their docstrings."""
    texts = {}
    for path in sorted(library.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.name == "__main__.py" or any(_runs_as_script(node) for node in tree.body):
            name = ".".join(path.relative_to(library).with_suffix("").parts).removesuffix(".__main__")
            texts[name] = first_line(path)
    return texts


def first_line(module: Path) -> str:
    """Return the first line of a module's docstring for a cell of a table in Markdown."""
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("|", "\\|").replace("``", "`")


def _runs_as_script(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in {
        each.id for each in ast.walk(node.test) if isinstance(each, ast.Name)
    }
