"""The tutorial, as a reader would follow it: its files are extracted from the page, and its commands are run.

The study is that of the page with fewer examples, epochs and models, and runs up to its predictions: other tests make
all tables and reports.
"""

import shlex
import subprocess
import sys

import doc_snippets
import pytest
import yaml
from support import ROOT, Checkout

PAGE = ROOT / "docs/tutorial.md"
PYTHON, STUDY = (next(doc_snippets.blocks(language, paths=[PAGE])) for language in ("python", "yaml"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout with the files of the page."""
    checkout = Checkout.of_project(tmp_path_factory.mktemp("tutorial") / "project")
    for block in (PYTHON, STUDY):
        (checkout.folder / block.text.partition("\n")[0].removeprefix("# ")).write_text(block.text)
    subprocess.run([sys.executable, "make_photos.py"], cwd=checkout.folder, check=True)
    return checkout


def smaller(text):
    """Return the study of the page, small enough to be trained in a moment."""
    study = yaml.safe_load(text)
    del study["models"]["deep"]
    study["tasks"]["digits"]["split"] = {"train": 40, "validation": 20, "test": 60}
    study["pretraining"]["letters"]["task"]["split"] = {"train": 60, "validation": 20, "test": 20}
    study["pretraining"]["letters"]["recipe"]["epochs"] = 1
    for method in study["methods"].values():
        method["recipe"]["epochs"] = 1
    return yaml.safe_dump(study)


def test_the_commands_are_those_that_are_tested_here():
    """`make study` without a study is run by test_end_to_end."""
    commands = {shlex.join(words) for _, words in doc_snippets.commands([PAGE])}
    assert commands == {
        "make study",
        ".venv/bin/python make_photos.py",
        "source .venv/bin/activate",
        "snakemake -n --configfile photos.yaml --quiet host rules",
        "make study STUDY=photos.yaml",
    }


def test_the_script_writes_a_folder_for_each_class(checkout):
    assert len(list((checkout.folder / "photos").iterdir())) == 10
    assert len(list((checkout.folder / "photos").glob("digit-*/*.png"))) == 1797


def test_the_study_of_the_page_passes_its_check(checkout):
    done = checkout.snakemake("-n", "--configfile", "photos.yaml", "--quiet", "host", "rules")
    assert "finetune" in done.stdout + done.stderr


def test_more_seeds_train_only_themselves(checkout, tmp_path):
    (checkout.folder / "small.yaml").write_text(smaller(STUDY.text))
    checkout.snakemake("runs", "--cores", "2", "--configfile", "small.yaml")
    finished = checkout.folder / "results/photos/finetune/wide/digits/full"
    assert {path.name for path in finished.iterdir() if path.is_dir()} >= {"0", "1", "2"}
    (line,) = [block.text for block in doc_snippets.blocks("yaml", paths=[PAGE]) if block.text.startswith("seeds:")]
    seeds = STUDY.text.replace("seeds: [0, 1, 2]\n", line)
    assert seeds != STUDY.text
    (checkout.folder / "small.yaml").write_text(smaller(seeds))
    stages = {job.partition(" ")[0] for job in checkout.jobs("runs", "--configfile", "small.yaml")}
    assert stages - {"runs"} == {"finetune", "predict"}
