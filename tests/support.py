"""Helpers of several tests: a copy of the project to run Snakemake in, and the last stages of a study in-process."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import forked_programs

ROOT = Path(__file__).resolve().parent.parent

#: A job in the output of a dry run: its rule, and the lines below it.
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)


class Checkout:
    """A copy of the project's files, with the results that Snakemake makes in it."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def of_project(cls, folder: Path) -> "Checkout":
        """Copy the project to a folder, with the tiny study and without results."""
        for part in ("Snakefile", "config.yaml", "workflow", "profiles", "studies", "envs"):
            source = ROOT / part
            ignored = shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=ignored)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / part)
        shutil.copy2(ROOT / "tests/workflow/tiny.yaml", folder / "tiny.yaml")
        return cls(folder)

    def copy(self, folder: Path) -> "Checkout":
        """Copy the checkout with its results, Snakemake's records and all times."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace the first occurrence of a text in a file."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new, 1))

    def append(self, path: str, text: str) -> None:
        """Append a text to an existing file."""
        assert (self.folder / path).is_file()
        with open(self.folder / path, "a") as file:
            file.write(text)

    def snakemake(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        """Run Snakemake in the checkout. options: those of ``python``, and further environment variables."""
        return self.python("-m", "snakemake", *arguments, **options)

    def python(
        self, *arguments: str, check: bool = True, forks: str = "all", **environ: str
    ) -> subprocess.CompletedProcess:
        """Run a program in the checkout, in Python.

        check: fail if the program does. forks: "all" to run it, and the jobs that it starts as Snakemake, in forks of
        processes that have imported their libraries (see forked_programs.py), "snakemake" to start Python for each job,
        "none" to start it for the program, too, as users do. environ: further environment variables; those that Python
        or a library reads when it starts go with "none".
        """
        # Otherwise each job would compile the library again, and read the mirror.
        left_out = ("VARIABILITY_MIRROR", "PYTHONDONTWRITEBYTECODE")
        environment = {key: value for key, value in os.environ.items() if key not in left_out} | environ
        command = [sys.executable, *arguments]
        if forks == "none" or sys.platform != "linux":
            settings = {"cwd": self.folder, "env": environment, "capture_output": True, "text": True, "timeout": 900}
            done = subprocess.run(command, **settings)
        else:
            starts_jobs = forks == "all" and not {"--dry-run", "-n"} & {*arguments}
            python = forked_programs.python_of_jobs() if starts_jobs else None
            done = forked_programs.captured(arguments, self.folder, environment, python, timeout=900)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def jobs(self, *arguments: str) -> set[str]:
        """Return the jobs that a run would start, as "rule wildcard=value, ...", without the target ``all``."""
        done = self.snakemake(*arguments, "--dry-run", "--quiet", "host")
        jobs = set()
        for rule, body in JOB.findall(done.stdout + done.stderr):
            wildcards = re.search(r"^    wildcards: (.*)$", body, re.MULTILINE)
            jobs.add(f"{rule} {wildcards[1]}" if wildcards else rule)
        assert jobs or "Nothing to be done" in done.stdout + done.stderr, f"{done.stdout}\n{done.stderr}"
        return jobs - {"all"}


def objections(plugin, *sources) -> dict[str, str]:
    """Return the messages of the problems that a model's provider reports, by key. sources: mirrors to check, too."""
    problems = [*plugin.check(), *(problem for mirrors in sources for problem in plugin.check_source(mirrors))]
    return {problem.key: problem.message for problem in problems}


def aggregated(config: dict, results: Path, target: Path) -> None:
    """Write the base tables of a study to ``target`` in this process, from the scores and runs of its rules."""
    from variability.config import specs
    from variability.config.study import Study
    from variability.stages.aggregate import aggregate

    study = Study(config)
    scores = [results / "score" / task / "scores.json" for task in study.tasks]
    aggregate(scores, _blocks(study, results / "finetune"), specs.aggregate(study), target / "aggregate")


def presented(config: dict, results: Path, target: Path | None = None) -> Path:
    """Write all tables, figures and pages of an aggregated study in this process, and return their folder.

    The rules do the same, but each of their jobs starts Python and imports pandas, which takes ten times as long as its
    work. results: the study's folder. target: the folder of its base tables and of the outputs, if another.
    """
    from variability import registry
    from variability.config.outputs import Outputs
    from variability.config.study import Study
    from variability.io.artefacts import LISTING, write_checksums
    from variability.results import imported_predictions
    from variability.stages.analyse import analyse
    from variability.stages.claim import claim
    from variability.stages.plot import plot
    from variability.stages.summarise import summarise

    study, target = Study(config), target or results
    outputs = Outputs(study)
    base = {name: target / f"aggregate/{name}.parquet" for name in outputs.base_tables}
    analysed = {name: target / f"analyse/{name}.csv" for name in outputs.analyses}
    for name, options in outputs.analyses.items():
        analysis = registry.find("analyses", name)
        needed = [table for table in (*analysis.NEEDS, *analysis.USES) if table in base]
        predictions = _blocks(study, results / "predict") if "predictions" in needed else []
        tables = {table: base[table] for table in needed if table != "predictions"}
        if "predictions" in needed:
            tables["imported_predictions"] = target / "aggregate" / imported_predictions.FILE
        analyse(name, tables, options, analysed[name], predictions)
    write_checksums(target / "analyse" / LISTING, [path.name for path in analysed.values()])
    for name, options in outputs.plots.items():
        figures = [target / f"plot/{name}.{suffix}" for suffix in ("svg", "png")]
        plot(name, base | analysed, options, study.name, *figures)
    claimed = {name: analysed[name] for kind in outputs.claims for name in registry.find("claims", kind).ANALYSES}
    claims = [target / f"claim/claims.{suffix}" for suffix in ("csv", "md", "html")]
    claim(study.name, outputs.claims, claimed, *claims)
    summarised = [path for name, path in analysed.items() if registry.find("analyses", name).SUMMARISED]
    pages = [target / "report" / name for name in ("summary.md", "answer.txt", "summary.html")]
    summarise(study.name, base["runs"], [*summarised, claims[0]], *pages)
    return target


def _blocks(study, folder: Path) -> list[Path]:
    return [
        folder.joinpath(*cell, f"block-{block}.json")
        for cell, blocks in study.seed_chunks.items()
        for block in range(len(blocks))
    ]
