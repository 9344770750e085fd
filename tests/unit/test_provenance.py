import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from variability import provenance
from variability.io.files import sha256

LIB = Path(provenance.__file__).parent.parent
STAGES = sorted(path.stem for path in (LIB / "variability/stages").glob("*.py") if path.stem != "__init__")


def names(*modules):
    return {str(path.relative_to(provenance.PACKAGE)) for path in provenance.closure(*modules)}


def test_a_closure_reaches_modules_imported_two_levels_down():
    reached = names("variability.stages.finetune", "variability.training.frameworks.pytorch")
    assert {"stages/finetune.py", "training/torch_fit.py", "seeding.py", "__init__.py", "stages/__init__.py"} <= reached


def test_scoring_does_not_depend_on_how_networks_are_trained():
    assert not {"training/torch_fit.py", "models/networks.py", "training/device.py"} & names("variability.stages.score")


def test_a_plugin_belongs_to_a_closure_only_when_named():
    without = names("variability.stages.prepare")
    assert not any(path.startswith("data/datasets/") and path != "data/datasets/__init__.py" for path in without)
    assert names("variability.stages.prepare", "variability.data.datasets.digits") - without == {
        "data/datasets/digits.py"
    }


def test_an_edit_of_one_framework_touches_no_run_of_another():
    model = {"provider": "torchvision"}
    task, method = {"kind": "classification"}, {"kind": "full"}
    for stage in ("finetune", "predict", "pretrain"):
        torch = names(f"variability.stages.{stage}", *provenance.plugins_of_cell(model, task, method))
        keras = names(
            f"variability.stages.{stage}", *provenance.plugins_of_cell(model | {"provider": "keras"}, task, method)
        )
        assert {
            "training/frameworks/pytorch.py",
            "models/providers/torchvision.py",
            "training/torch_fit.py",
            "models/networks.py",
        } <= torch
        assert not any("keras" in name for name in torch)
        assert {
            "training/frameworks/keras.py",
            "training/frameworks/_keras_training.py",
            "models/providers/_keras_networks.py",
        } <= keras
        alone = {
            "training/frameworks/pytorch.py",
            "models/providers/torchvision.py",
            "models/providers/_torchvision_facts.py",
            "training/torch_fit.py",
        }
        assert not alone & keras


@pytest.fixture(scope="module")
def loaded():
    """By stage, the modules of ours that importing it loads in a process in which none is loaded yet."""
    program = f"""
import importlib, sys
for stage in {STAGES!r}:
    for name in [name for name in sys.modules if name.partition(".")[0] == "variability"]:
        del sys.modules[name]
    importlib.import_module("variability.stages." + stage)
    print(stage, *(name for name in sys.modules if name.partition(".")[0] == "variability"))
"""
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(LIB)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {stage: modules for stage, *modules in map(str.split, done.stdout.splitlines())}


@pytest.mark.parametrize("stage", STAGES)
def test_a_closure_holds_every_module_of_ours_that_importing_the_stage_loads(stage, loaded):
    assert f"variability.stages.{stage}" in loaded[stage]
    files = {provenance._file(module) for module in loaded[stage]}
    assert files <= set(provenance.closure(f"variability.stages.{stage}"))


def test_a_listing_names_the_files_of_a_stage_its_plug_ins_and_its_script_with_their_checksums():
    lines = dict(
        reversed(line.split("  "))
        for line in provenance.listing("score", "variability.results.metrics.f1").splitlines()
    )
    expected = {
        f"lib/variability/{name}" for name in names("variability.stages.score", "variability.results.metrics.f1")
    }
    assert set(lines) == expected | {"scripts/score.py"}
    assert (
        lines["lib/variability/results/metrics/f1.py"]
        == provenance.read(provenance.PACKAGE / "results/metrics/f1.py").meaning
    )
    assert all(len(checksum) == 64 for checksum in lines.values())


def test_a_listing_is_written_only_where_something_changed(tmp_path, monkeypatch):
    path = provenance.write_listing(tmp_path, "score", "variability.results.metrics.f1")
    assert path.name == "score-f1.txt"
    os.utime(path, (0, 0))
    assert provenance.write_listing(tmp_path, "score", "variability.results.metrics.f1") == path
    assert path.stat().st_mtime == 0
    source = provenance.read(provenance.PACKAGE / "results/metrics/f1.py")
    monkeypatch.setattr(provenance, "read", lambda file: source._replace(meaning="another"))
    provenance.write_listing(tmp_path, "score", "variability.results.metrics.f1")
    assert path.stat().st_mtime > 0 and "another" in path.read_text()


CODE = '''"""A module."""

import math
from functools import cache

LEVEL = 0.95
#: Unit of time.
UNIT = "s"
"""Documents UNIT."""


@cache
def area(radius: float, scale=1) -> float:
    """Return an area."""
    # Of a circle.
    if radius < 0:
        pass
    return scale * math.pi * radius**2


class Empty:
    """A class without a body."""
'''


def meaning(folder, text, name="module.py"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return provenance.read(folder / name).meaning


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Of a circle.", "# Of a disc."),
        ("    # Of a circle.\n", ""),
        ("LEVEL = 0.95", "LEVEL = 0.95  # of all intervals"),
        ("import math", "# -*- coding: utf-8 -*-\nimport math"),
        ('"""A module."""\n', ""),
        ("Return an area.", "Return the area of a circle.\n\n    radius: in metres.\n    "),
        ('    """Return an area."""\n', ""),
        ('"""Documents UNIT."""\n', ""),
        ('"""A class without a body."""', "pass"),
        ('"""A class without a body."""', "..."),
        ('"s"', "'s'"),
        ('"s"', '("s")'),
        ('"s"', 'u"s"'),
        ('"s"', '"\\x73"'),
        ("0.95", "0.950"),
        ("radius: float, scale=1", "\n    radius: float,\n    scale=1,\n"),
        ("scale * math.pi * radius**2", "(scale*math.pi)*(radius ** 2)"),
        ("scale * math.pi * radius**2", "scale * \\\n        math.pi * radius**2"),
        ("    if radius < 0:\n        pass\n", "\n\n    if radius < 0: pass\n\n"),
        ("\n", "\r\n"),
    ],
)
def test_comments_docstrings_and_format_do_not_change_what_code_means(old, new, tmp_path):
    assert old in CODE
    assert meaning(tmp_path / "new", CODE.replace(old, new)) == meaning(tmp_path / "old", CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.95", "0.9"),
        ("0.95", '"0.95"'),
        ("scale=1", "scale=2"),
        ("scale=1", "scale=1.0"),
        ("scale=1", "scale=True"),
        ("scale=1", "scale=None"),
        ("scale=1", "scale"),
        ("scale=1", "*, scale=1"),
        ('"s"', 'b"s"'),
        ('"s"', '"#s"'),
        ('"s"', '"s "'),
        ("radius**2", "radius*2"),
        ("radius < 0", "radius <= 0"),
        ("radius**2", "scale**2"),
        ("@cache\n", ""),
        ("@cache\n", "@cache()\n"),
        ("import math\n", "import cmath as math\n"),
        ("from functools import cache", "from functools import lru_cache as cache"),
        ("class Empty:", "class Empty(dict):"),
        ("-> float", "-> int"),
        ("        pass\n", "        return None\n"),
        ("        pass\n", "        return\n"),
        ("    return scale", "    scale"),
        ("    return scale", "        return scale"),
        ("def area", "async def area"),
    ],
)
def test_what_can_change_a_result_changes_what_code_means(old, new, tmp_path):
    assert old in CODE
    assert meaning(tmp_path / "new", CODE.replace(old, new)) != meaning(tmp_path / "old", CODE)


def test_none_in_an_expression_differs_from_its_absence(tmp_path):
    texts = [
        "return",
        "return None",
        "return [None]",
        "return []",
        "return {None: 1}",
        "return {**None}",
        "return 'None'",
    ]
    texts += [
        "return lambda *, a: a",
        "return lambda *, a=None: a",
        "return x[:]",
        "return x[None:]",
        "return x[:None]",
    ]
    meanings = {meaning(tmp_path, f"def f():\n    {text}\n", f"{at}.py") for at, text in enumerate(texts)}
    assert len(meanings) == len(texts)


def test_the_canonical_text_is_pinned():
    """It is not that of ``ast.dump``, which differs between versions of Python: with each, all runs would rerun."""
    code = "def f(a, c=None):\n    return f'{a:>{c}} \N{SNOWMAN}', u'b', -1.5\n"
    assert provenance._canonical(ast.parse(code)) == (
        "(Module body=[(FunctionDef name='f' args=(arguments args=[(arg arg='a') (arg arg='c')] defaults=[(Constant)])"
        " body=[(Return value=(Tuple elts=[(JoinedStr values=[(FormattedValue value=(Name id='a') conversion=-1"
        " format_spec=(JoinedStr values=[(Constant value='>') (FormattedValue value=(Name id='c') conversion=-1)]))"
        " (Constant value=' \\u2603')]) (Constant value='b') (UnaryOp op=(USub) operand=(Constant value=1.5))]))])])"
    )


def test_every_module_of_ours_means_the_same_without_its_comments_and_format(tmp_path):
    files = [*provenance.PACKAGE.rglob("*.py"), *provenance.SCRIPTS.glob("*.py")]
    assert len(files) > 200
    for at, path in enumerate(files):
        rewritten = ast.unparse(ast.parse(path.read_bytes()))
        assert meaning(tmp_path, rewritten, f"{at}.py") == provenance.read(path).meaning, path


def test_no_module_of_ours_reads_docstrings_or_comments():
    """They could change a result without a rerun, if the bytes did not count then (see the next test)."""
    files = [*provenance.PACKAGE.rglob("*.py"), *provenance.SCRIPTS.glob("*.py")]
    assert not [path for path in files if provenance.read(path).reads_text]
    # They read the code of other libraries, not ours.
    readers = {path.name for path in files if "getsource" in path.read_text(encoding="utf-8")}
    assert readers == {"_torchvision_facts.py", "lora.py"}


@pytest.mark.parametrize(
    "reader", ["__doc__\n", "import inspect\ninspect.getdoc(inspect)\n", "getattr(f, '__doc__')\n"]
)
def test_where_a_docstring_is_read_all_text_counts(reader, tmp_path, monkeypatch):
    names = {"stages": "score", "results/metrics": "f1"}
    for folder, name in names.items():
        meaning(tmp_path / folder, '"""A module."""\n', f"{name}.py")
    meaning(tmp_path / "scripts", "# A script.\n", "score.py")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    monkeypatch.setattr(provenance, "WORKFLOW", tmp_path)
    monkeypatch.setattr(provenance, "SCRIPTS", tmp_path / "scripts")
    files = [tmp_path / "results/metrics/f1.py", tmp_path / "scripts/score.py", tmp_path / "stages/score.py"]

    def checksums():
        provenance.read.cache_clear()
        lines = provenance.listing("score", "variability.results.metrics.f1").splitlines()
        return {line.split("  ")[1]: line.split("  ")[0] for line in lines}

    of_bytes = {str(path.relative_to(tmp_path)): sha256(path) for path in files}
    assert not set(checksums().values()) & set(of_bytes.values())
    (tmp_path / "results/metrics/f1.py").write_text(f'"""A module."""\n{reader}')
    of_bytes["results/metrics/f1.py"] = sha256(tmp_path / "results/metrics/f1.py")
    assert checksums() == of_bytes
    (tmp_path / "stages/score.py").write_text('"""Another docstring."""\n')
    assert checksums() == of_bytes | {"stages/score.py": sha256(tmp_path / "stages/score.py")}


def test_a_script_counts_by_its_meaning(tmp_path, monkeypatch):
    def listed(text):
        provenance.read.cache_clear()
        meaning(tmp_path / "scripts", text, "score.py")
        return provenance.listing("score")

    monkeypatch.setattr(provenance, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(provenance, "WORKFLOW", tmp_path)
    monkeypatch.setattr(provenance, "closure", lambda *modules: [])
    first = listed("score(snakemake.input)  # a comment\n")
    assert first.endswith("  scripts/score.py\n")
    assert listed("# another\nscore( snakemake.input )\n") == first
    assert listed("score(snakemake.input, 1)\n") != first


def test_listings_of_many_plug_ins_have_different_names(tmp_path):
    plugins = [f"variability.results.metrics.{name}" for name in ("f1", "nll", "ece", "brier", "recall")]
    all_of_them = provenance.write_listing(tmp_path, "score", *plugins)
    assert all_of_them != provenance.write_listing(tmp_path, "score", *plugins[:4])


def test_an_unknown_module_is_an_error():
    with pytest.raises(ValueError, match=r"no module 'variability\.stages\.fientune'"):
        provenance.closure("variability.stages.fientune")
