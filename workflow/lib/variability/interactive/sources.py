"""Sources of analyses in scripts and notebooks: the tables of a study's folder, or a table of runs alone."""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from variability import registry
from variability.advice import listed
from variability.errors import UserError
from variability.interactive import own_runs
from variability.io import job_records
from variability.io.artefacts import require_listed
from variability.io.job_records import Made
from variability.results import analysis_tables
from variability.stages import analyse as stage


class Source:
    """Runs, and what else is known of them. name: of the study, for titles. runs: the runs table."""

    def __init__(self, runs: pd.DataFrame, name: str = "own runs"):
        self.runs = runs
        self.name = name

    @classmethod
    def of(cls, source: Any) -> Source:
        """Open what ``analyse`` takes."""
        if isinstance(source, Source):
            return source
        if isinstance(source, str | Path) and Path(source).is_dir():
            return _Study(Path(source))
        return cls(own_runs.read_runs(source))

    def has(self, tables: Collection[str]) -> bool:
        """Return whether all of these base tables are known."""
        return set(tables) <= {"runs"}

    def frames(self, name: str, needs: Collection[str], uses: Collection[str] = ()) -> dict[str, Any]:
        """Return base tables. name: of the plug-in that needs them. Raises UserError if one of ``needs`` is unknown."""
        if not self.has(needs):
            more = listed(sorted({*needs} - {"runs"}), last=" and ").replace("_", " ")
            raise UserError(
                f"{name} needs the {more} of the runs, which a table of runs does not have; pass the folder of a "
                "study, in which imported runs may have predictions, too"
            )
        return {"runs": self.runs}

    def made(self, analysis: str) -> pd.DataFrame | None:
        """Return the table of an analysis as the study made it; None if it has to be computed."""
        return None

    def options(self, analysis: str) -> dict[str, Any]:
        """Return the options of an analysis that are not the defaults."""
        return {}

    def claims(self) -> list[str]:
        """Return the names of the claims that the study chose; empty if there is no study."""
        return []


class _Study(Source):
    """The folder of a finished study."""

    def __init__(self, folder: Path):
        super().__init__(own_runs.read_runs(folder), folder.resolve().name)
        self._folder = folder

    def has(self, tables: Collection[str]) -> bool:
        return set(tables) <= {"runs", *self._tables, *(["predictions"] if self._has_predictions else [])}

    def frames(self, name: str, needs: Collection[str], uses: Collection[str] = ()) -> dict[str, Any]:
        if not self.has(needs):
            raise UserError(f"{name} needs {listed(sorted(needs), last=' and ')}, which {self._folder} does not have")
        wanted = {*needs, *uses}
        paths = {table: path for table, path in self._tables.items() if table in wanted - {"runs"}}
        manifests: list[Path] = []
        if "predictions" in wanted and self._has_predictions:
            manifests = self._manifests
            paths |= {key: path for key, path in self._tables.items() if key == stage.IMPORTED}
        return {"runs": self.runs} | stage.read({key: require_listed(path) for key, path in paths.items()}, manifests)

    def made(self, analysis: str) -> pd.DataFrame | None:
        if analysis not in self._job("analyse").spec["options"]:
            return None
        table = analysis_tables.read(require_listed(self._folder / "analyse" / f"{analysis}.csv"))
        # That of an earlier version may lack columns, which claims and model cards read.
        module = sys.modules.get(registry.find("analyses", analysis).__module__)
        return table if {*getattr(module, "COLUMNS", ())} <= {*table} else None

    def options(self, analysis: str) -> dict[str, Any]:
        return dict(self._job("analyse").spec["options"].get(analysis, {}))

    def claims(self) -> list[str]:
        return sorted(self._job("claim").spec["chosen"])

    def _job(self, rule: str) -> Made:
        job = job_records.made(self._folder / job_records.SPECS / f"{rule}.json")
        if job is None:
            raise UserError(f"{self._folder} has no record of {rule}, so the study is not finished; run it again")
        return job

    @cached_property
    def _tables(self) -> dict[str, Path]:
        """Paths of the base tables that have rows, by name."""
        paths = sorted(self._folder.glob("aggregate/*.parquet"))
        return {path.stem: path for path in paths if pq.read_metadata(path).num_rows}

    @cached_property
    def _manifests(self) -> list[Path]:
        """Manifests of the predictions that the study's own tables were made from: others may be of earlier configs."""
        # Paths of jobs begin with results/<study>/, wherever the folder is now.
        paths = [self._folder.joinpath(*Path(path).parts[2:]) for path in self._job("analyse").inputs]
        return [path for path in paths if path.relative_to(self._folder).parts[0] == "predict"]

    @property
    def _has_predictions(self) -> bool:
        return bool(self._manifests) or stage.IMPORTED in self._tables
