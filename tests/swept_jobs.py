"""Jobs of a study as Snakemake plans them, run in this process, with clocks that give the same values each time."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

#: The target.
LEFT_OUT = ("all",)


class Items(list):
    """Inputs, outputs or params of a job, by position and by name, as scripts of Snakemake read them."""

    def __init__(self, values: list, names: dict[str, Any]):
        super().__init__(values)
        self.__dict__.update(names)

    def __getitem__(self, key):
        return self.__dict__[key] if isinstance(key, str) else super().__getitem__(key)

    def items(self) -> Any:
        """Return the names and their values."""
        return self.__dict__.items()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a name."""
        return self.__dict__.get(key, default)


class Job:
    """A job of the plan: the object ``snakemake`` of its script."""

    def __init__(self, facts: dict[str, Any]):
        self.rule, self.script, self.threads = facts["rule"], facts["script"], 1
        self.input, self.output, self.params, self.log = (
            Items(*facts[key]) for key in ("input", "output", "params", "log")
        )
        self.resources, self.config = Items([], facts["resources"]), facts["config"]
        self.scriptdir = str(Path(self.script).parent)

    def prepare(self) -> None:
        """Do what Snakemake does before it starts a job."""
        for path in self.output:
            Path(path).unlink(missing_ok=True)
        for path in (*self.output, *self.log):
            Path(path).parent.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Run the script."""
        source = Path(self.script).read_text(encoding="utf-8")
        exec(compile(source, self.script, "exec"), {"snakemake": self, "__name__": "__script__"})


def plan(config: Path) -> list[dict[str, Any]]:
    """Return the jobs of a study in an order in which they can run. config: its file, in a checkout."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

    folder = config.parent
    quiet = OutputSettings(quiet={Quietness.ALL})
    with SnakemakeApi(quiet) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[config]),
            snakefile=folder / "Snakefile",
            workdir=folder,
        )
        workflow.dag(DAGSettings()).execute_workflow(executor="dryrun")
        layers = workflow._workflow.dag.toposorted()
        jobs = [job for layer in layers for job in sorted(layer, key=str) if job.rule.name not in LEFT_OUT]
        values = dict(workflow._workflow.globals["config"])
        return [
            {
                "config": values,
                "rule": job.rule.name,
                "script": str(folder / "workflow" / "rules" / job.rule.script),
                "resources": {name: value for name, value in job.resources.items() if isinstance(value, int | str)},
                **{key: _items(getattr(job, key)) for key in ("input", "output", "params", "log")},
            }
            for job in jobs
        ]


def _items(listed: Any) -> tuple[list, dict]:
    plain = [value if isinstance(value, dict | int | type(None)) else _plain(value) for value in listed]
    names = {name: _plain(getattr(listed, name)) for name, _ in listed._allitems() if name}
    return plain, names


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def run(job: Job, folder: Path, points: Any = None) -> None:
    """Run a job in a folder, with clocks and meters that give the same values each time."""
    from variability import job_log

    os.chdir(folder)
    _constant_measurements()
    _report_without_snakemake()
    # Not the end of this process.
    job_log.leave = lambda code: None
    job.prepare()
    if points:
        points.install()
    job.run()


def _constant_measurements() -> None:
    import datetime
    import itertools
    import time

    from variability.training import device

    class Constant(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, tzinfo=tz)

    ticks = itertools.count()
    datetime.datetime = Constant
    time.perf_counter = lambda: float(next(ticks))
    device.Meter.peak_memory_mb = lambda self: 1.0


def _report_without_snakemake() -> None:
    """Replace the second Snakemake, whose reports contain times, by the writing of a page."""
    from variability.stages import report

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess:
        Path(command[command.index("--report") + 1]).write_text("the report")
        return subprocess.CompletedProcess(command, 0)

    report.subprocess = SimpleNamespace(run=run)
