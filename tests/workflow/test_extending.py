"""The examples of docs/extending.md, as a reader would use them: extracted from the page, and run."""

import re
import subprocess
import sys

import pytest
from support import ROOT, Checkout

PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(r"^```(?:python|yaml)\n# ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STUDY = ("--cores", "2", "--configfile", "my-study.yaml")
#: Blocks that are added to a file, by their first line: the file, and the line that they are inserted before.
ADDED = {
    "added to STAGES in workflow/lib/variability/config/stage_table.py": (
        "workflow/lib/variability/config/stage_table.py",
        '    "report": Stage(',
    ),
    "added to the includes in Snakefile": ("Snakefile", 'include: "workflow/rules/present.smk"'),
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the project with all files of the page, and the results of its study."""
    checkout = Checkout.of_project(tmp_path_factory.mktemp("extended") / "project")
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 18
    for title, text in blocks:
        if title in ADDED:
            path, line = ADDED[title]
            checkout.edit(path, f"{line}\n", f"{text}{line}\n")
        else:
            path = checkout.folder / title
            path.parent.mkdir(parents=True, exist_ok=True)
            # The first line of a rule or script belongs to the file as a comment; it names the path only.
            path.write_text(text)
    checkout.snakemake(*STUDY)
    return checkout


def results(extended, path):
    return extended.folder / "results" / "extended" / path


def test_the_study_of_the_page_runs_to_its_report(extended):
    assert results(extended, "report/report.html").is_file()
    assert "How far apart are the best and the worst seed?" in results(extended, "report/index.html").read_text()
    assert results(extended, "plot/seed_range.svg").is_file()


def test_every_plug_in_of_the_page_is_used(extended):
    import pandas as pd

    runs = pd.read_parquet(results(extended, "aggregate/runs.parquet"))
    assert {"kappa", "deviance"} <= set(runs["metric"]) and set(runs["method"]) == {"norms", "full"}
    assert set(runs["task"]) == {"stripes", "dots"} and set(runs["provider"]) == {"two_blocks"}
    assert set(runs[runs["primary"]]["metric"]) == {"kappa", "deviance"}
    ranges = pd.read_csv(results(extended, "analyse/seed_range.csv"))
    ranges = ranges[ranges["primary"]]
    assert (ranges["range"] >= 0).all() and (ranges["n"] == 3).all() and len(ranges) == 16
    assert "seeds move small (full)" in results(extended, "claim/claims.md").read_text()


def test_the_networks_of_the_page_learn(extended):
    import pandas as pd

    runs = pd.read_parquet(results(extended, "aggregate/runs.parquet"))
    test = runs[(runs["split"] == "test") & (runs["method"] == "full") & runs["primary"]]
    means = test.groupby(["task", "phase"])["value"].mean()
    assert means["stripes", "after"] > means["stripes", "before"] + 0.3
    assert means["dots", "after"] < means["dots", "before"]


def test_the_stage_of_the_page_runs(extended):
    extended.snakemake("export", *STUDY)
    lines = results(extended, "export/results.jsonl").read_text().splitlines()
    assert len(lines) == 12


def test_an_edit_of_a_plug_in_reruns_what_uses_it(extended, tmp_path):
    edited = extended.copy(tmp_path / "edited")
    edited.append("my_plugins/metrics/kappa.py", "\nEDITED = 1\n")
    jobs = edited.jobs(*STUDY)
    assert "score task=stripes" in jobs and "score task=dots" not in jobs
    assert not [job for job in jobs if job.startswith(("prepare", "finetune", "predict"))]


def test_a_stage_can_be_called_in_a_session_as_the_page_shows(extended):
    done = subprocess.run(
        [sys.executable, "debug_stages.py"], cwd=extended.folder, capture_output=True, text=True, check=True
    )
    assert "train_loss" in done.stdout and "seed_range" not in done.stderr
