"""What several tests need: the checkout's root, a copy of the project in which Snakemake is run, the end of a study."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.MULTILINE)


class Checkout:
    """A copy of the project's tracked files, and the results made in it."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def of_project(cls, folder: Path) -> "Checkout":
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
        """A copy with results, Snakemake's records and all times."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new, 1))

    def append(self, path: str, text: str) -> None:
        assert (self.folder / path).is_file()
        with open(self.folder / path, "a") as file:
            file.write(text)

    def snakemake(self, *arguments: str, check: bool = True, **environ: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "snakemake", *arguments]
        # Each job would compile the library anew.
        left_out = ("VARIABILITY_MIRROR", "PYTHONDONTWRITEBYTECODE")
        environment = {key: value for key, value in os.environ.items() if key not in left_out} | environ
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=900)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def jobs(self, *arguments: str) -> set[str]:
        """The jobs a run would start, as "rule wildcard=value,...", without the targets that only gather."""
        done = self.snakemake(*arguments, "--dry-run", "--quiet", "host")
        found = set()
        for rule, body in JOB.findall(done.stdout + done.stderr):
            wildcards = re.search(r"^    wildcards: (.*)$", body, re.MULTILINE)
            found.add(f"{rule} {wildcards[1]}" if wildcards else rule)
        return found - {"all"}


def objections(plugin, *sources) -> dict[str, str]:
    """What the check of a model's provider objects to, by key; sources: mirrors, where those are checked too."""
    found = [*plugin.check(), *(problem for mirrors in sources for problem in plugin.check_source(mirrors))]
    return {problem.key: problem.message for problem in found}


def aggregated(config: dict, results: Path, target: Path) -> None:
    """Makes the base tables of a study in ``target`` in this process, from what its rules made of its runs."""
    from variability.config import specs
    from variability.config.study import Study
    from variability.stages.aggregate import aggregate

    study = Study(config)
    scores = [results / "score" / task / "scores.json" for task in study.tasks]
    aggregate(scores, _blocks(study, results / "finetune"), specs.aggregate(study), target / "aggregate")


def presented(config: dict, results: Path, target: Path | None = None) -> Path:
    """Makes all tables, figures and pages of a study whose runs are aggregated, as its rules do but in this process.

    Each rule's job starts Python and imports pandas, which takes ten times as long as what it then does.

    results: the study's folder; target: where its base tables lie and the rest is written, if not there.
    """
    from variability import registry
    from variability.config.outputs import Outputs
    from variability.config.study import Study
    from variability.stages.analyse import analyse
    from variability.stages.claim import claim
    from variability.stages.plot import plot
    from variability.stages.summarise import summarise

    study, target = Study(config), target or results
    outputs = Outputs(study)
    base = {name: target / f"aggregate/{name}.parquet" for name in outputs.base_tables}
    made = {name: target / f"analyse/{name}.csv" for name in outputs.analyses}
    for name, options in outputs.analyses.items():
        analysis = registry.find("analyses", name)
        needed = [each for each in (*analysis.NEEDS, *analysis.USES) if each in base]
        predictions = _blocks(study, results / "predict") if "predictions" in needed else []
        analyse(name, {each: base[each] for each in needed if each != "predictions"}, options, made[name], predictions)
    for name, options in outputs.plots.items():
        drawn = [target / f"plot/{name}.{suffix}" for suffix in ("svg", "png")]
        plot(name, base | made, options, study.name, *drawn)
    read = {name: made[name] for kind in outputs.claims for name in registry.find("claims", kind).ANALYSES}
    said = [target / f"claim/claims.{suffix}" for suffix in ("csv", "md", "html")]
    claim(study.name, outputs.claims, read, *said)
    tables = [path for name, path in made.items() if registry.find("analyses", name).SUMMARISED]
    pages = [target / f"report/summary.{suffix}" for suffix in ("md", "html")]
    summarise(study.name, base["runs"], [*tables, said[0]], *pages)
    return target


def _blocks(study, folder: Path) -> list[Path]:
    return [
        folder.joinpath(*cell, f"block-{block}.json")
        for cell, blocks in study.seed_chunks.items()
        for block in range(len(blocks))
    ]
