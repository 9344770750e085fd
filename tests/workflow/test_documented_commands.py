"""Every command of the documentation: run on the finished tiny study, or listed with the reason why it is not."""

import re
import shlex
import subprocess
import sys
from typing import NamedTuple

import doc_snippets
import pytest
from support import ROOT, Checkout

pytestmark = pytest.mark.slow

#: Pages for users. Commands of CONTRIBUTING.md are those of these tests, of benchmarks/README.md measurements of hours.
PAGES = [path for path in doc_snippets.PAGES if path.parent.name != "benchmarks" and path.name != "CONTRIBUTING.md"]
RUN = "results/tiny/finetune/pretrained/digits/full/0"
#: Words of the pages, and what they are replaced by here: studies and folders by those of the tiny study, which is also
#: that of config.yaml in the checkout. Commands of Snakemake without a config or cores get them.
REPLACED = {
    r"(STUDY=)?([\w./-]+(?<!config)\.yaml|\.\.\.)": r"\1tiny.yaml",
    r"results/my-study/finetune/.*": RUN,
    r"results/my-study": "results/tiny",
    r"OLD|NEW|old|new": "results/tiny",
    r"<rule>": "summarise",
    r"8|4|all": "2",
    r"\.venv/bin/python": "python",
}


class Expected(NamedTuple):
    """Effects of a command.

    made: a file that it writes, which is removed before. printed: a pattern of its output. status: its exit status.
    """

    made: str | None = None
    printed: str | None = None
    status: int = 0


NOTHING = Expected(printed="Nothing to be done")
PAGE = Expected(made="results/tiny/report/index.html")
VERIFIED = Expected(printed=r"(?s)tables and pages, 0 differ(.* trained again, equal bit for bit){3}")
EXECUTED = {
    "cp config.yaml tiny.yaml": Expected(made="tiny.yaml"),
    "make": Expected(printed="make study STUDY=my.yaml"),
    "make schema": Expected(made="workflow/schemas/config.schema.yaml"),
    "make study": PAGE,
    "make study STUDY=tiny.yaml": PAGE,
    "python -m variability.compare results/tiny results/tiny": Expected(printed="overall not worse: 3 not"),
    "python -m variability.export": Expected(printed="usage: python -m variability.export", status=2),
    "python -m variability.export mlflow results/tiny --to trackers/mlflow": Expected(made="trackers/mlflow/mlflow.db"),
    "python -m variability.model_card": Expected(printed="usage: python -m variability.model_card", status=2),
    f"python -m variability.model_card {RUN}": Expected(made=f"{RUN}/README.md"),
    "snakemake --cores 2 --configfile tiny.yaml": PAGE,
    "snakemake --cores 2 --resources gpu=2 --configfile tiny.yaml": NOTHING,
    "snakemake --forcerun summarise --cores 2 --configfile tiny.yaml": Expected(made="results/tiny/report/summary.md"),
    "snakemake --unlock --cores 2 --configfile tiny.yaml": Expected(printed="Unlocked working directory"),
    "snakemake -n --cores 2 --configfile tiny.yaml": NOTHING,
    "snakemake -n --cores 2 --configfile tiny.yaml --quiet host rules": NOTHING,
    "snakemake disk --cores 2 --configfile tiny.yaml": Expected(printed="finetune"),
    "snakemake downloads --cores 2 --configfile tiny.yaml": Expected(printed=r"Finished .*\(Rule: downloads\)"),
    "snakemake runs --cores 2 --configfile tiny.yaml": Expected(
        made="results/tiny/predict/scratch/digits/full/block-0.json"
    ),
    "snakemake tables --cores 2 --configfile tiny.yaml": Expected(made="results/tiny/analyse/gain.csv"),
    "snakemake figures --cores 2 --configfile tiny.yaml": Expected(made="results/tiny/plot/seed_spread.png"),
    "snakemake claims --cores 2 --configfile tiny.yaml": Expected(made="results/tiny/claim/claims.md"),
    "snakemake summary --cores 2 --configfile tiny.yaml": Expected(made="results/tiny/report/summary.md"),
    "snakemake verify --cores 2 --configfile tiny.yaml": VERIFIED,
    "source .venv/bin/activate": Expected(),
}
INSTALLS = "installs packages"
CLUSTER = "needs a cluster, as for `make test-slurm` and `make test-storage`; test_profiles plans with each profile"
#: Commands that are not run here, by patterns: with the reason, or the test that runs them.
NOT_EXECUTED = {
    r"make \.venv/\..*": INSTALLS,
    r"python -m pip download .*": INSTALLS,
    r"\.venv/bin/uv pip install .*": INSTALLS,
    r"export PIP_NO_INDEX=1 .*": INSTALLS,
    r"make docs": "tests/browser/test_site.py builds the site",
    r"make test.*|python -m pytest .*": "runs these tests",
    r"python": "runs the statements after it, as test_documented_snippets does",
    r"python make_photos\.py": "test_tutorial runs it",
    r"python benchmarks/coverage\.py .*": "takes hours",
    r"snakemake --forcerun finetune .*": "test_end_to_end runs it on a study with damaged runs",
    r"snakemake export .*": "test_extending runs it, in a checkout with the stage of the page",
    r".* --workflow-profile profiles/.*": CLUSTER,
    r"sbatch .*": CLUSTER,
    r"export SNAKEMAKE_STORAGE_S3_ACCESS_KEY=.*": CLUSTER,
    r"aws s3 sync .*": CLUSTER,
    r"find results -name .*": "unpacks a study from S3, as test_stored_studies does",
}


def replaced(words):
    """Return a command of the pages with the names of this test."""
    for pattern, name in REPLACED.items():
        words = [re.sub(pattern, name, word) if re.fullmatch(pattern, word) else word for word in words]
    if words[0] == "snakemake" and not any(word.startswith("--workflow-profile") for word in words):
        # The pages leave out what the reader knows.
        words = words if "--configfile" in words else [*words, "--configfile", "tiny.yaml"]
        at = words.index("--configfile")
        words = words if "--cores" in words else [*words[:at], "--cores", "2", *words[at:]]
    return " ".join(words)


def documented():
    """Return the commands of the pages, and those of the table of targets."""
    commands = {replaced(words) for _, words in doc_snippets.commands(PAGES)}
    (table,) = re.findall(r"\| target \| result \|\n.*\n((?:\|.*\n)+)", (ROOT / "docs/running.md").read_text())
    targets = re.findall(r"^\| `(\w+)` +\|", table, re.MULTILINE)
    assert len(targets) > 5
    return commands | {f"snakemake {target} --cores 2 --configfile tiny.yaml" for target in targets}


def test_every_command_is_run_or_has_a_reason():
    commands = documented()
    reasons = {name: [pattern for pattern in NOT_EXECUTED if re.fullmatch(pattern, name)] for name in commands}
    assert [name for name in commands if (name in EXECUTED) == bool(reasons[name])] == []
    unused = {*NOT_EXECUTED} - {pattern for patterns in reasons.values() for pattern in patterns}
    assert ({*EXECUTED} - commands, unused) == (set(), set()), "no longer in the documentation"


def run(study: Checkout, command: str) -> subprocess.CompletedProcess:
    """Run a command in the checkout of a study. ``make`` and ``source`` get an environment that is up to date."""
    program, *arguments = shlex.split(command)
    if program == "snakemake":
        return study.snakemake(*arguments, check=False)
    if program == "python":
        return study.python(*arguments, check=False, PYTHONPATH="workflow/lib")
    (study.folder / ".venv").symlink_to(sys.prefix)
    (study.folder / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    if program == "make":
        arguments = ["--old-file", ".venv/.core", *arguments]
    shell = shlex.join([program, *arguments])
    return subprocess.run(["bash", "-c", shell], cwd=study.folder, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("command", EXECUTED)
def test_a_command_does_what_the_pages_state(command, study):
    expected = EXECUTED[command]
    (study.folder / "config.yaml").write_bytes((study.folder / "tiny.yaml").read_bytes())
    if expected.made:
        (study.folder / expected.made).unlink(missing_ok=True)
    done = run(study, command)
    output = done.stdout + done.stderr
    assert done.returncode == expected.status, output[-3000:]
    assert expected.made is None or (study.folder / expected.made).stat().st_size > 100
    assert re.search(expected.printed or "", output), output[-3000:]
