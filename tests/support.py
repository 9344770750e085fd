"""What several tests need: the checkout's root, and a copy of the project in which Snakemake is run."""

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
        environment = {key: value for key, value in os.environ.items() if key != "VARIABILITY_MIRROR"} | environ
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=900)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def jobs(self, *arguments: str) -> set[str]:
        """The jobs a run would start, as "rule wildcard=value,...", without the targets that only gather."""
        done = self.snakemake("--dry-run", "--quiet", "host", *arguments)
        found = set()
        for rule, body in JOB.findall(done.stdout + done.stderr):
            wildcards = re.search(r"^    wildcards: (.*)$", body, re.MULTILINE)
            found.add(f"{rule} {wildcards[1]}" if wildcards else rule)
        return found - {"all"}
